/**
 * The longest time that one body holds the gateway's event loop, for large bodies of many kinds, through Envoy and the whole
 * gateway: gRPC, reading, masking, journal, shipping. A request's answer is small, and an answer's request. Asserted:
 * what arrives on the other side is whole, byte for byte or masked.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { MASKED, SECRET, WORDS } from './answers.ts';

export interface SlicesTarget {
  /** Of Envoy's listener. */
  readonly port: number;
  readonly token: string;
  /** Starts to watch the gateway's event loop; the function stops, and tells the longest hold in milliseconds. */
  readonly watch: () => () => Promise<number>;
}

const MIB = 1024 * 1024;
const prose = WORDS.filter((word) => !word.includes(SECRET)).join('');
/** Text of so many characters that ends with the secret. */
const text = (length: number, of = prose): string =>
  `${of.repeat(Math.ceil(length / of.length)).slice(0, length - SECRET.length - 1)} ${SECRET}`;

interface Body {
  readonly type: string;
  readonly bytes: Buffer;
}
const json = (value: unknown): Body => ({ type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) });
const chat = (messages: readonly object[]): Body => json({ model: 'bench', messages });
const choice = (message: object): Body =>
  json({ id: 'c', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] });
const toolCall = (length: number) => ({
  role: 'assistant',
  tool_calls: [
    {
      id: 't',
      type: 'function',
      function: { name: 'save', arguments: JSON.stringify({ text: text(length), n: [1, 2] }) },
    },
  ],
});
/** Room for the rest of the body, so that the limit of 16 MiB holds. */
const ROOM = 4096;

const requests: Readonly<Record<string, (length: number) => Body>> = {
  'one string': (length) => chat([{ role: 'user', content: text(length) }]),
  'one string, not ASCII': (length) => chat([{ role: 'user', content: text(length / 2, prose.replaceAll('a', 'ä')) }]),
  'one string, escapes': (length) =>
    chat([{ role: 'user', content: text(length / 1.1, prose.replaceAll('. ', '.\n"')) }]),
  messages: (length) => chat(Array.from({ length: length / 512 }, () => ({ role: 'user', content: text(480) }))),
  'tool arguments': (length) => chat([{ role: 'user', content: 'go on' }, toolCall(length)]),
  image: (length) => {
    const url = `data:image/png;base64,${'iVBORw0KGgo/'.repeat(length / 12)}`;
    return chat([
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url } },
          { type: 'text', text: SECRET },
        ],
      },
    ]);
  },
  digits: (length) => chat([{ role: 'user', content: text(length, '1-1-1-') }]),
};

const event = (content: string, finish: 'stop' | null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const LARGEST_EVENT = MIB - 1024;
const sse = (length: number, eventLength: number): Body => {
  const count = Math.max(1, Math.floor(length / eventLength));
  const events = Array.from({ length: count }, () => event(text(eventLength - 200), null));
  return { type: 'text/event-stream', bytes: Buffer.from(`${events.join('')}${event('', 'stop')}data: [DONE]\n\n`) };
};

const answers: Readonly<Record<string, (length: number) => Body>> = {
  'one string': (length) => choice({ role: 'assistant', content: text(length) }),
  'tool arguments': (length) => choice(toolCall(length)),
  'events of 1 MiB': (length) => sse(length, LARGEST_EVENT),
  'events of 200 bytes': (length) => sse(length, 400),
  'plain text': (length) => ({ type: 'text/plain', bytes: Buffer.from(text(length)) }),
};

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** A model that answers what it is told next, and keeps what it was asked. */
export interface SlicesModel {
  readonly port: number;
  answer: Body;
  asked: Buffer;
  close(): void;
}

const small = choice({ role: 'assistant', content: 'yes' });

export async function startSlicesModel(): Promise<SlicesModel> {
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    model.asked = Buffer.concat(chunks);
    response.writeHead(200, { 'content-type': model.answer.type }).end(model.answer.bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const model: SlicesModel = {
    port: (server.address() as AddressInfo).port,
    answer: small,
    asked: Buffer.alloc(0),
    close: () => server.close(),
  };
  return model;
}

async function ask(target: SlicesTarget, body: Body): Promise<Buffer> {
  const response = await fetch(`http://127.0.0.1:${target.port}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${target.token}`, 'content-type': body.type },
    body: new Uint8Array(body.bytes),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) throw new Error(`${response.status}: ${bytes.subarray(0, 500).toString()}`);
  return bytes;
}

/** The longest hold in milliseconds: the least of some runs, as whatever else the machine does only adds. */
async function longest(target: SlicesTarget, runs: number, once: () => Promise<void>): Promise<number> {
  await once();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const report = target.watch();
    await once();
    least = Math.min(least, await report());
  }
  return least;
}

const question = chat([{ role: 'user', content: 'What happened in the harbour today?' }]);

/** One row a kind of body, one column a size. `sizes` in MiB. */
export async function slices(
  target: SlicesTarget,
  model: SlicesModel,
  sizes: readonly number[],
  runs: number,
): Promise<object[]> {
  const rows: object[] = [];
  const row = async (name: string, once: (length: number) => Promise<void>): Promise<void> => {
    const cells: [string, string][] = [];
    for (const size of sizes) {
      // Eight seconds of work, twice that on a busy machine: Envoy does not wait so long.
      if (name === 'request: digits' && size > 4) continue;
      const ms = await longest(target, runs, () => once(size * MIB - ROOM));
      cells.push([`${size} MiB: longest hold ms`, ms.toFixed(1)]);
    }
    rows.push({ body: name, ...Object.fromEntries(cells) });
  };
  for (const [name, make] of Object.entries(requests))
    await row(`request: ${name}`, async (length) => {
      const body = make(length);
      model.answer = small;
      const answer = await ask(target, body);
      if (!answer.equals(small.bytes)) throw new Error(`${name}: the answer is another`);
      if (digest(model.asked) !== digest(body.bytes)) throw new Error(`${name}: the model was asked something else`);
    });
  for (const [name, make] of Object.entries(answers))
    await row(`answer: ${name}`, async (length) => {
      model.answer = make(length);
      const answer = (await ask(target, question)).toString('latin1');
      const expected = model.answer.bytes.toString('latin1').replaceAll(SECRET, MASKED);
      if (answer.replaceAll(SECRET, MASKED).length !== answer.length || answer.length !== expected.length)
        throw new Error(`${name}: ${answer.length} characters where ${expected.length} were expected`);
    });
  return rows;
}
