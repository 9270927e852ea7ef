import { existsSync, readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Finding, NameFinder } from '../../../src/detect/detector.ts';
import { formats } from '../../../src/exchange/formats.ts';
import type { Framing } from '../../../src/exchange/media.ts';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import type { BodyMasker } from '../../../src/mask/contract.ts';
import { Sentences } from '../../../src/mask/sentences.ts';

const people = /Ann Lee|Bob|Müller|李雷|Jane <jane@ex/gu;

/** An analyzer that knows these people and one town. */
function finder(more: Partial<NameFinder> = {}) {
  const asked: string[] = [];
  const found: NameFinder = {
    ids: ['person', 'location'],
    maxHoldback: 80,
    async find(text) {
      asked.push(text);
      await new Promise(setImmediate);
      const at = (detector: string, pattern: RegExp): Finding[] =>
        [...text.matchAll(pattern)].map(({ index, 0: name }) => ({ detector, start: index, end: index + name.length }));
      return [...at('person', people), ...at('location', /Jena/g)].sort((a, b) => a.start - b.start);
    },
    ...more,
  };
  return { asked, ...found };
}

async function through(body: BodyMasker, chunks: readonly Uint8Array[]): Promise<string> {
  const out: Buffer[] = [];
  for (const chunk of chunks) out.push((await body.push(chunk)).bytes);
  out.push((await body.end()).bytes);
  return Buffer.concat(out).toString();
}

const cuts = (text: string, size: number) =>
  Array.from({ length: Math.ceil(Buffer.byteLength(text) / size) }, (_, i) =>
    Buffer.from(text).subarray(i * size, (i + 1) * size),
  );

const delivery = (framing: Framing, names: NameFinder, mask = ['email_address', 'person', 'location']) =>
  createBodies(['email_address'], { finder: names }).response('openai-chat', framing, mask).delivery;

const event = (delta: object, index = 0) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-9aX', choices: [{ index, delta }] })}\n\n`;
const text = (wire: string) =>
  [...wire.matchAll(/^data: (\{.*)$/gm)]
    .map(([, json]) => JSON.parse(json!).choices[0].delta)
    .map(({ content = '', tool_calls: [call] = [] }) => content + (call?.function.arguments ?? ''))
    .join('');

describe('sentences', () => {
  it('end where the text says so', () => {
    const sentences = new Sentences(20);
    const over = sentences.push('One. Two?  3.14 is pi!\nA.b。四five words that go on');
    expect([...over, ...sentences.end()].map((sentence) => sentence.text)).toEqual([
      'One. ',
      'Two? ',
      ' 3.14 is pi!\n',
      'A.b。',
      '四five words that go ',
      'on',
    ]);
  });

  it('are the same however the text comes, and none is longer than allowed', () => {
    const character = fc.constantFrom('a', 'B', ' ', '.', '?', '\n', '…', '。', '😀', 'é');
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 200 }), fc.array(fc.nat(30)), (whole, lengths) => {
        const all = new Sentences(16);
        const expected = [...all.push(whole), ...all.end()];
        const pieces = new Sentences(16);
        const found = [];
        let at = 0;
        for (const length of lengths) {
          found.push(...pieces.push(whole.slice(at, at + length)));
          at += length;
        }
        found.push(...pieces.push(whole.slice(at)), ...pieces.end());
        expect(found).toEqual(expected);
        expect(expected.map((sentence) => sentence.text).join('')).toBe(whole);
        for (const sentence of expected) {
          expect(sentence.text.length).toBeLessThanOrEqual(16);
          expect(sentence.text.isWellFormed()).toBe(true);
        }
      }),
    );
  });
});

describe('names', () => {
  const said = 'Ann Lee (ann@example.com) met Bob in Jena. Then 😀 Müller came! And 李雷 wrote';
  const masked = '<PERSON> (<EMAIL_ADDRESS>) met <PERSON> in <LOCATION>. Then 😀 <PERSON> came! And <PERSON> wrote';
  const stream = (size: number) =>
    [...said.matchAll(new RegExp(`[\\s\\S]{1,${size}}`, 'gu'))].map(([content]) => event({ content })).join('') +
    'data: [DONE]\n\n';

  it.each([1, 2, 7, 1000])(
    'are masked in a stream whose events have %d characters, however it is cut',
    async (size) => {
      for (const bytes of [1, 13, 100_000]) {
        const body = delivery('sse', finder());
        expect(text(await through(body, cuts(stream(size), bytes)))).toBe(masked);
        expect(Object.fromEntries(body.findings)).toEqual({ person: 4, location: 1, email_address: 1 });
      }
    },
  );

  it('are masked in plain text and in JSON', async () => {
    for (const bytes of [1, 1000]) expect(await through(delivery('text', finder()), cuts(said, bytes))).toBe(masked);
    const json = JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: said } }] });
    expect(await through(delivery('json', finder()), cuts(json, 50))).toBe(json.replace(said, masked));
  });

  it('are masked in the strings of a tool call, escapes or not', async () => {
    const call = (part: string) => event({ tool_calls: [{ index: 0, function: { arguments: part } }] });
    const args = '{"to":"Ann Lee","note":"From M\\u00fcller.\\nTo \\"Bob\\" in Jena"}';
    const wire = `${[...args].map(call).join('') + event({})}data: [DONE]\n\n`;
    const out = text(await through(delivery('sse', finder()), cuts(wire, 1000)));
    expect(JSON.parse(out)).toEqual({ to: '<PERSON>', note: 'From <PERSON>.\nTo "<PERSON>" in <LOCATION>' });
  });

  it('are asked about a sentence at a time, ids and roles not in each event', async () => {
    const names = finder();
    await through(delivery('sse', names), cuts(event({ role: 'assistant' }) + stream(3), 60));
    expect(names.asked.filter((sentence) => said.includes(sentence))).toEqual([
      'Ann Lee (ann@example.com) met Bob in Jena. ',
      'Then 😀 Müller came! ',
      'And 李雷 wrote',
    ]);
    expect(names.asked).toHaveLength(3);
  });

  it('leave the match of a pattern as it is, and are masked beside it', async () => {
    const out = await through(delivery('text', finder()), [Buffer.from('To: Jane <jane@example.com>, Bob\n')]);
    expect(out).toBe('To: <PERSON><EMAIL_ADDRESS>>, <PERSON>\n');
  });

  it('hold back no more than a sentence, and nothing of a match without end', async () => {
    const body = delivery('text', finder(), ['private_key', 'person']);
    const before = await body.push(Buffer.from('I am Bob. This is Ann'));
    expect(before.bytes.toString()).toBe('I am <PERSON>. ');
    const long = await body.push(Buffer.from(`${' and so on'.repeat(50)} -----BEGIN PRIVATE KEY-----\n`));
    expect(long.bytes.toString()).toMatch(/^This is Ann and so on and[\s\S]*<PRIVATE_KEY>$/);
    let out = '';
    for (let i = 0; i < 100; i++) out += (await body.push(Buffer.from(`${'MIIBob'.repeat(100)}\n`))).bytes.toString();
    out += (await body.push(Buffer.from('-----END PRIVATE KEY----- Bob. Bye '))).bytes.toString();
    expect(out).toBe(' <PERSON>. ');
    expect((await body.end()).bytes.toString()).toBe('Bye ');
  });

  it('alone can be masked', async () => {
    const out = await through(delivery('text', finder(), ['location']), [Buffer.from('Bob is in Jena: b@x.org')]);
    expect(out).toBe('Bob is in <LOCATION>: b@x.org');
  });

  it('close the stream where the analyzer fails, and nothing of the sentence comes out', async () => {
    const body = delivery(
      'sse',
      finder({ find: async (sentence) => (sentence.includes('Bob') ? Promise.reject(new Error('down')) : []) }),
    );
    const first = await body.push(Buffer.from(event({ content: 'All is well. I am ' })));
    expect(text(first.bytes.toString())).toBe('All is well. ');
    await expect(async () => body.push(Buffer.from(event({ content: 'Bob. And' })))).rejects.toThrow('down');
  });

  it('go on where that is configured, and are counted', async () => {
    const body = delivery('text', finder({ find: async () => undefined }));
    expect(await through(body, [Buffer.from('I am Bob. Mail b@x.org.\n')])).toBe('I am Bob. Mail <EMAIL_ADDRESS>.\n');
    expect(Object.fromEntries(body.findings)).toEqual({ names_unread: 2, email_address: 1 });
  });

  it('are masked in what is salvaged of a stream that breaks', async () => {
    const body = delivery('sse', finder());
    await body.push(Buffer.from(event({ content: 'All is well. I am ' })));
    const broken = Buffer.from(`${event({ content: 'Bob. And Ann Lee' })}data: {"choices\n\n`);
    await expect(async () => body.push(broken)).rejects.toThrow(UnreadableBody);
    expect(text((await body.salvage()).toString())).toBe('I am <PERSON>. And <PERSON>');
  });

  it('are found in requests, where the record names them', async () => {
    const bodies = createBodies(['email_address', 'person'], { finder: finder() });
    const request = { model: 'demo', messages: [{ role: 'user', content: 'I am Ann Lee. Mail a@x.org' }] };
    const { masked, findings } = await bodies.request('openai-chat', Buffer.from(JSON.stringify(request)));
    expect(JSON.parse(masked.toString()).messages[0].content).toBe('I am <PERSON>. Mail <EMAIL_ADDRESS>');
    expect(Object.fromEntries(findings)).toEqual({ person: 1, email_address: 1 });
    expect(bodies.text('/v1/Ann Lee')).toBe('/v1/Ann Lee');
  });

  it('become what their operator says', async () => {
    const bodies = createBodies(['email_address'], { finder: finder() });
    const said = Buffer.from('I am Bob, b@x.org.');
    const operators = { person: { type: 'redact' } } as const;
    const body = bodies.response('openai-chat', 'text', ['email_address', 'person'], { operators }).delivery;
    expect(await through(body, [said])).toBe('I am , <EMAIL_ADDRESS>.');
    const request = { model: 'demo', messages: [{ role: 'user', content: 'I am Ann Lee. Bob is not Ann Lee' }] };
    const { masked, pseudonyms } = await bodies.maskedRequest(
      'openai-chat',
      Buffer.from(JSON.stringify(request)),
      ['person'],
      { person: { type: 'pseudonym' } },
    );
    const content = JSON.parse(masked.toString()).messages[0].content as string;
    expect(content).not.toMatch(/Ann Lee|Bob/);
    const [first, second, third] = content.match(/<PERSON[^>]*>/g)!;
    expect(first).toBe(third);
    expect(first).not.toBe(second);
    expect(pseudonyms).toBeDefined();
  });

  it('are no detectors without an analyzer', () => {
    expect(() => createBodies(['email_address']).response('openai-chat', 'sse', ['person'])).toThrow('not known here');
  });

  const fixtures = new URL('../../fixtures/', import.meta.url);
  const recorded = formats
    .map(({ id }) => id)
    .filter((id) => existsSync(new URL(id, fixtures)))
    .flatMap((id) =>
      readdirSync(new URL(id, fixtures))
        .filter((file) => !file.startsWith('.'))
        .map((file) => [id, file] as const),
    );

  it.each(recorded)('of %s are asked about before they are masked: %s', async (id, file) => {
    const find: NameFinder['find'] = async (sentence) =>
      [...sentence.matchAll(/[A-Z][a-z]+/g)].map(({ index, 0: name }) => ({
        detector: 'person',
        start: index,
        end: index + name.length,
      }));
    const bytes = readFileSync(new URL(`${id}/${file}`, fixtures), 'utf8');
    const bodies = createBodies(['email_address', 'person'], { finder: finder({ find }) });
    if (file.startsWith('request')) {
      expect((await bodies.request(id, Buffer.from(bytes))).findings.has('person')).toBe(true);
      return;
    }
    const framing = file.endsWith('.json') ? 'json' : file.endsWith('.ndjson') ? 'ndjson' : 'sse';
    const whole = await through(bodies.response(id, framing, ['email_address', 'person']).delivery, [
      Buffer.from(bytes),
    ]);
    const cut = await through(bodies.response(id, framing, ['email_address', 'person']).delivery, cuts(bytes, 7));
    expect(cut).toBe(whole);
  });
});
