import http from 'node:http';
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { answerJson, DONE, delta } from './support/upstream.ts';

let stack: Stack;
let token: string;
beforeAll(async () => {
  stack = await startStack();
  token = await stack.token('sam');
});
afterAll(() => stack.close());

const post = (body: string, signal?: AbortSignal) =>
  fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
    ...(signal === undefined ? {} : { signal }),
  });

const MIB = 1024 * 1024;
/** A valid chat request of exactly so many bytes, with an address near its end. */
function requestOf(bytes: number): string {
  const make = (filler: string) =>
    JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: `${filler} write to maria@example.org` }] });
  return make('lorem ipsum '.repeat(bytes / 12 + 1).slice(0, bytes - make('').length));
}

describe('bodies of requests', () => {
  test.each([
    ['0.9 MiB', 0.9 * MIB],
    ['3.9 MiB', 3.9 * MIB],
    ['the limit to the byte', 4 * MIB],
  ])('%s passes, and the model gets it byte for byte', async (_name, size) => {
    stack.model.answer = answerJson('ok');
    const body = requestOf(Math.floor(size));
    const before = stack.model.arrived.length;
    const response = await post(body);
    expect(response.status, await response.clone().text()).toBe(200);
    expect(stack.model.arrived[before]!.body.toString('utf8')).toBe(body);
  });

  test.each([
    ['one byte over the limit', 4 * MIB + 1],
    ['4.1 MiB', 4.1 * MIB],
  ])('%s gets 413 in the shape of the SDK, and the model nothing', async (_name, size) => {
    const before = stack.model.arrived.length;
    const response = await post(requestOf(Math.floor(size)));
    expect(response.status).toBe(413);
    const { error } = (await response.json()) as { error: { code: string } };
    expect(error.code).toBe('request_too_large');
    expect(stack.model.arrived.length).toBe(before);
  });

  test('a large body holds nobody up: a small request beside it is answered at once', async () => {
    stack.model.answer = answerJson('ok');
    const large = Array.from({ length: 4 }, () => post(requestOf(3.9 * MIB)));
    const small = Array.from({ length: 20 }, () =>
      post('{"model":"demo","messages":[{"role":"user","content":"hi"}]}'),
    );
    const statuses = await Promise.all([...large, ...small].map(async (one) => (await one).status));
    expect(statuses.every((status) => status === 200)).toBe(true);
  });
});

test.each([
  ['text', 'text/plain', 'lorem ipsum dolor '.repeat(580_000)],
  ['events', 'text/event-stream', delta('lorem ').repeat(60_000) + delta('', 'stop') + DONE],
])('10 MB of %s in one write pass whole, however fast they come', async (_name, type, text) => {
  stack.model.answer = (_request, response) => response.writeHead(200, { 'content-type': type }).end(text);
  for (let i = 0; i < 4; i++) {
    const response = await post('{"model":"demo","messages":[{"role":"user","content":"hi"}]}');
    expect(response.status).toBe(200);
    expect((await response.text()).length).toBe(text.length);
  }
});

/** An HTTP/2 client on Envoy's own connection to the gateway would be reset like this: end of stream, then RST. */
test('5,000 stream resets on one connection do not end it', async () => {
  const { grpc } = stack.config.listen;
  if (grpc.kind !== 'unix') throw new Error('the stack listens on a Unix socket');
  const { createConnection } = await import('node:net');
  const session = http2.connect('http://gate', { createConnection: () => createConnection(grpc.path) });
  let closed = false;
  session.on('close', () => {
    closed = true;
  });
  session.on('error', () => {});
  const headers = {
    ':method': 'POST',
    ':path': '/envoy.service.ext_proc.v3.ExternalProcessor/Process',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  for (let i = 0; i < 5_000; i++) {
    const stream = session.request(headers);
    stream.on('error', () => {});
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
      stream.once('response', () => stream.close(http2.constants.NGHTTP2_CANCEL));
      stream.close(http2.constants.NGHTTP2_CANCEL);
    });
  }
  // The connection still answers: grpc.health.v1 Check on it.
  const check = session.request({ ...headers, ':path': '/grpc.health.v1.Health/Check' });
  check.end(Buffer.alloc(5));
  const chunks: Buffer[] = [];
  for await (const chunk of check as AsyncIterable<Buffer>) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString('hex')).toBe('00000000020801');
  expect(closed).toBe(false);
  session.close();
});

test('2,000 live streams at once do not hit a limit', async () => {
  const open = new Set<http.ServerResponse>();
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(delta('hello '));
    open.add(response);
  };
  const agent = new http.Agent({ keepAlive: false, maxSockets: 3_000 });
  const body = JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'hi' }] });
  const streams = Array.from(
    { length: 2_000 },
    () =>
      new Promise<string>((resolve, reject) => {
        const request = http.request(
          `${stack.url}/v1/chat/completions`,
          { method: 'POST', agent, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
          (response) => {
            let text = `${response.statusCode} `;
            response.setEncoding('utf8');
            response.on('data', (part: string) => {
              text += part;
            });
            response.on('end', () => resolve(text));
            response.on('error', reject);
          },
        );
        request.on('error', reject);
        request.end(body);
      }),
  );
  await eventually(() => (open.size === 2_000 ? true : undefined), `2,000 streams at the model (${open.size})`, 45_000);
  for (const response of open) response.end(delta('world', 'stop') + DONE);
  const texts = await Promise.all(streams);
  const whole = texts.filter((text) => text.startsWith('200 ') && text.includes('[DONE]'));
  expect(whole).toHaveLength(2_000);
});
