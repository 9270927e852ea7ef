/** attacks.md, "Transport and parsing": what concerns bodies, for an endpoint of each family of model APIs. */
import net from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { type Attempts, attempts, EVERY_REFUSAL, type Refusal } from './support/attempts.ts';
import { FAMILIES, type Family, READ } from './support/families.ts';
import { type RawRequest, rawRequest } from './support/raw.ts';

/** Envoy's limit in this test, bytes: small, so that what is over it is soon sent. */
const LIMIT = 256 * 1024;

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: all}
spec:
  rules:
    - {name: everything, when: 'true', then: allow}
`;

let stack: Stack;
let token: string;
let attempt: Attempts;
beforeAll(async () => {
  const [first, ...others] = FAMILIES.map(({ entry }) => entry);
  stack = await startStack({
    config: EVERY_REFUSAL,
    policies: { 'all.yaml': POLICY },
    model: first!,
    models: others,
    envoy: ({ static_resources: { listeners } }) => {
      const manager = listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
      Object.assign(manager, { delayed_close_timeout: '0.05s', request_timeout: '1s' });
      const authz = manager.http_filters.find(({ name }) => name.endsWith('ext_authz'))!;
      Object.assign(authz.typed_config['with_request_body'] as object, { max_request_bytes: LIMIT });
    },
  });
  token = await stack.token('sam');
  attempt = attempts(stack);
});
afterAll(() => stack.close());

const saying = ({ body }: Family, text: string): string => body.replace('@', () => text);
const withMember = ({ body }: Family, member: string): string => `${body.slice(0, -1)},${member}}`;
const call = ({ path }: Family, body: string | Buffer, request: RawRequest = {}): Buffer =>
  rawRequest(token, { path, ...request, body });

/** Refused, in the shape of the API. */
async function refused(family: Family, refusal: Refusal & { code: string }, bytes: Buffer): Promise<void> {
  const answer = await attempt.refused({ ...refusal, codeOf: family.code ?? null }, bytes);
  expect(answer.headers.get('x-sallyport-session')).toMatch(/^[0-9a-f-]{36}$/);
}

const passes = async (family: Family, body: string | Buffer, request: RawRequest = {}): Promise<void> => {
  const arrived = await attempt.passes(call(family, body, request));
  expect(arrived.body.equals(Buffer.from(body as string))).toBe(true);
};

/** A body of exactly so many bytes. */
const sized = (family: Family, bytes: number): string =>
  saying(family, 'y'.repeat(bytes - Buffer.byteLength(saying(family, ''))));

const chunked = (body: string): string => `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`;

describe.each(FAMILIES)('$format', (family) => {
  const plain = saying(family, 'hi');

  test.each<[string, (family: Family) => string | Buffer]>([
    ['a duplicate key', (f) => withMember(f, `"${f.name}":"other"`)],
    [
      'a duplicate key, once escaped',
      (f) => withMember(f, `"\\u00${f.name.charCodeAt(0).toString(16)}${f.name.slice(1)}":"other"`),
    ],
    ['nesting of 100,000', (f) => withMember(f, `"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['1e400', (f) => withMember(f, '"x":1e400')],
    ['an integer of 10,000 digits', (f) => withMember(f, `"x":${'9'.repeat(10_000)}`)],
    ['NaN', (f) => withMember(f, '"x":NaN')],
    ['a byte order mark', () => `\ufeff${plain}`],
    ['UTF-16', () => Buffer.from(plain, 'utf16le')],
    ['a lone surrogate', (f) => saying(f, '\\ud800')],
    ['a lone surrogate in UTF-8', (f) => Buffer.from(saying(f, '\xed\xa0\x80'), 'latin1')],
    ['trailing junk', () => `${plain}x`],
    ['two documents', () => plain + plain],
    ['__proto__ twice', (f) => withMember(f, '"__proto__":{},"__proto__":{"model":"other"}')],
  ])('%s is refused as JSON that two parsers could read differently', async (_name, body) => {
    await refused(family, { status: 400, code: 'invalid_json' }, call(family, body(family)));
  });

  test.each<[string, (family: Family) => string]>([
    ['a big integer', (f) => withMember(f, '"x":18446744073709551616')],
    ['__proto__ as a name', (f) => withMember(f, '"__proto__":{"model":"other"}')],
    ['a surrogate pair', (f) => saying(f, '\\ud83d\\ude00')],
    ['white space around it', () => ` \r\n\t${plain}\n`],
  ])('%s passes byte for byte', async (_name, body) => {
    await passes(family, body(family));
  });

  test.each<[string, Buffer, string]>([
    ['gzip', gzipSync(plain), 'gzip'],
    ['zstd', zstdCompressSync(plain), 'zstd'],
    ['br', brotliCompressSync(plain), 'br'],
    ['a stacked encoding', gzipSync(gzipSync(plain)), 'gzip, gzip'],
    ['a bomb', gzipSync(Buffer.alloc(32 * 1024 * 1024)), 'gzip'],
    ['gzip in name alone', Buffer.from(plain), 'gzip'],
  ])('%s is refused, unread', async (_name, body, encoding) => {
    const headers = [`Content-Encoding: ${encoding}`];
    await refused(family, { status: 415, code: 'unsupported_encoding' }, call(family, body, { headers }));
  });

  test('a body of limit − 1 and of the limit passes, of limit + 1 not, with its length and in chunks', async () => {
    for (const bytes of [LIMIT - 1, LIMIT]) {
      const body = sized(family, bytes);
      await passes(family, body);
      const framed = { unframed: true, headers: ['Transfer-Encoding: chunked'] };
      const arrived = await attempt.passes(call(family, chunked(body), framed));
      expect(arrived.body.length).toBe(bytes);
    }
    const over = sized(family, LIMIT + 1);
    const refusal = { status: 413, code: 'request_too_large', detail: 'request_payload_too_large', codeOf: null };
    await attempt.refused(refusal, call(family, over));
    const framed = { unframed: true, headers: ['Transfer-Encoding: chunked'] };
    await attempt.refused(refusal, call(family, chunked(over), framed));
  });

  test('a token that is none is refused in the shape of the API, although nobody knows who calls', async () => {
    const bytes = rawRequest('not-a-token', { path: family.path, body: plain });
    await refused(family, { status: 401, code: 'token_malformed' }, bytes);
  });

  test('a body in chunks without a length passes as it was', async () => {
    const framed = { unframed: true, headers: ['Transfer-Encoding: chunked'] };
    expect((await attempt.passes(call(family, chunked(plain), framed))).body.toString()).toBe(plain);
  });

  test('a slow loris is cut off, and the model hears nothing of it', async () => {
    const before = stack.model.arrived.length;
    const answer = await dripped(call(family, plain).subarray(0, -4));
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(stack.model.arrived.length).toBe(before);
  });

  test('trailers go no further, and Range is not asked for', async () => {
    const before = stack.model.arrived.length;
    await attempt.passes(call(family, plain, { headers: ['Range: bytes=0-5'] }));
    const trailers = `${plain.length.toString(16)}\r\n${plain}\r\n0\r\nX-Late: 1\r\n\r\n`;
    await attempt.passes(call(family, trailers, { unframed: true, headers: ['Transfer-Encoding: chunked'] }));
    for (const { headers } of stack.model.arrived.slice(before))
      for (const name of ['range', 'x-late', 'trailer']) expect(headers[name]).toBeUndefined();
  });

  test('Content-Length and Transfer-Encoding at once: the connection is closed', async () => {
    const headers = ['Transfer-Encoding: chunked'];
    await attempt.refused({ status: 0, detail: /chunked/ }, call(family, chunked(plain), { headers }));
  });
});

describe.each(READ)('$format, whose reader knows its names', (family) => {
  const plain = saying(family, 'hi');
  const upper = family.name.toUpperCase();

  test.each<[string, string]>([
    ['a case variant of a name', `"${upper}":"other"`],
    ['a name in full width', `"${String.fromCharCode(family.name.charCodeAt(0) + 0xfee0)}${family.name.slice(1)}":"x"`],
    ['a name with a zero width space', `"${family.name}\\u200b":"x"`],
    ['a name with a NUL, where C ends it', `"${family.name}\\u0000x":"x"`],
  ])('%s is refused', async (_name, member) => {
    await refused(family, { status: 400, code: 'invalid_request' }, call(family, withMember(family, member)));
  });

  test.each([
    ['no Content-Type', undefined],
    ['multipart', 'multipart/form-data; boundary=x'],
    ['a form', 'application/x-www-form-urlencoded'],
    ['JSON in another charset', 'application/json; charset=utf-16'],
    ['text/plain', 'text/plain'],
    ['a list of types', 'application/json, text/plain'],
  ])('a body as %s is refused, although it is JSON', async (_name, contentType) => {
    const bytes = call(family, plain, { contentType });
    await refused(family, { status: 415, code: 'unsupported_media_type' }, bytes);
  });

  test('a GET with a body is refused', async () => {
    const { onGet = { status: 403, code: 'path_not_admitted' } } = family;
    await refused(family, onGet, call(family, plain, { method: 'GET' }));
  });
});

/** Sends the head and most of the body, and then nothing: what comes back. */
function dripped(bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(stack.port, '127.0.0.1', () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}
