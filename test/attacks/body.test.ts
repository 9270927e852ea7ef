/** attacks.md, "Transport and parsing": bodies that two parsers could read differently, or that are not what they say. */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { type Attempts, attempts, EVERY_REFUSAL } from './support/attempts.ts';
import { type RawRequest, rawRequest } from './support/raw.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hi"}]';
const BODY = `{"model":"demo",${MESSAGES}}`;

let stack: Stack;
let token: string;
let attempt: Attempts;
beforeAll(async () => {
  stack = await startStack({ config: EVERY_REFUSAL });
  token = await stack.token('sam');
  attempt = attempts(stack);
});
afterAll(() => stack.close());

const call = (body: string | Buffer, request: RawRequest = {}): Buffer => rawRequest(token, { ...request, body });
const saying = (content: string | Buffer): Buffer =>
  Buffer.concat([
    Buffer.from('{"model":"demo","messages":[{"role":"user","content":"'),
    typeof content === 'string' ? Buffer.from(content) : content,
    Buffer.from('"}]}'),
  ]);
const withMember = (member: string): string => `{"model":"demo",${MESSAGES},${member}}`;

describe('JSON that is not, or that could be read in two ways, is refused', () => {
  const cases: readonly (readonly [string, string | Buffer])[] = [
    ['a name twice', `{"model":"demo","model":"other",${MESSAGES}}`],
    ['a name twice with the same value', `{"model":"demo","model":"demo",${MESSAGES}}`],
    ['a name twice, once escaped', `{"model":"demo","mod\\u0065l":"other",${MESSAGES}}`],
    ['a name twice further in', '{"model":"demo","messages":[{"role":"user","content":"a","content":"b"}]}'],
    ['__proto__ twice', withMember('"__proto__":{},"__proto__":{"model":"other"}')],
    ['nesting of 100,000', withMember(`"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['nesting that never ends', withMember(`"x":${'{"a":'.repeat(100_000)}`)],
    ['nesting of 65', withMember(`"x":${'['.repeat(64)}${']'.repeat(64)}`)],
    ['1e400', withMember('"temperature":1e400')],
    ['-1e400', withMember('"temperature":-1e400')],
    ['a number of 100,000 digits', withMember(`"seed":${'9'.repeat(100_000)}`)],
    ['NaN', withMember('"temperature":NaN')],
    ['Infinity', withMember('"temperature":-Infinity')],
    ['a leading zero', withMember('"seed":012')],
    ['a leading plus', withMember('"seed":+1')],
    ['hexadecimal', withMember('"seed":0x1')],
    ['a byte order mark', `\ufeff${BODY}`],
    ['UTF-16', Buffer.from(BODY, 'utf16le')],
    ['UTF-16 with a mark', Buffer.from(`\ufeff${BODY}`, 'utf16le')],
    ['UTF-32', Buffer.concat([...BODY].map((character) => Buffer.from([0, 0, 0, character.charCodeAt(0)])))],
    ['a lone high surrogate', saying('\\ud800')],
    ['surrogates the wrong way round', saying('\\udc00\\ud800')],
    ['a surrogate in UTF-8', saying(Buffer.from([0xed, 0xa0, 0x80]))],
    ['an overlong slash', saying(Buffer.from([0xc0, 0xaf]))],
    ['a byte that no character has', saying(Buffer.from([0xff]))],
    ['a line feed in a string', saying('a\nb')],
    ['an escape that JSON does not know', saying('\\x41')],
    ['something behind it', `${BODY}x`],
    ['a NUL behind it', `${BODY}\0`],
    ['two documents', BODY + BODY],
    ['a comma too many', `{"model":"demo",${MESSAGES},}`],
    ['a comment', `{"model":"demo",/* x */${MESSAGES}}`],
    ['single quotes', BODY.replaceAll('"', "'")],
    ['a vertical tab before it', `\v${BODY}`],
    ['a no-break space before it', `\u00a0${BODY}`],
    ['nothing', ''],
    ['gzip that does not say so', gzipSync(BODY)],
  ];
  test.each(cases)('%s', async (_name, body) => {
    await attempt.refused({ status: 400, code: 'invalid_json' }, call(body));
  });
});

describe('names and values that another server could read as the ones that count are refused', () => {
  test.each([
    ['another case of model', `{"model":"demo","Model":"other",${MESSAGES}}`],
    ['a Kelvin sign and a long s, as Go folds them', withMember('"me\u017f\u017fages":[]')],
    ['full width', withMember('"\uff4dodel":"other"')],
    ['a zero width space', withMember('"model\\u200b":"other"')],
    ['a NUL, where C ends the name', withMember('"model\\u0000x":"other"')],
    ['model as a number', `{"model":1,${MESSAGES}}`],
    ['model as a list', `{"model":["demo"],${MESSAGES}}`],
    ['the model under __proto__', `{"__proto__":{"model":"demo"},${MESSAGES}}`],
    ['null', 'null'],
    ['a list', '[]'],
  ])('%s', async (_name, body) => {
    await attempt.refused({ status: 400, code: 'invalid_request' }, call(body));
  });
  test.each(['DEMO', ' demo', 'demo ', 'demo\\u0000', 'demo\\u200b', 'd\\u0435mo', '../demo', ''])(
    'the model %j is not the model demo',
    async (model) => {
      await attempt.refused({ status: 403, code: 'unknown_model' }, call(`{"model":"${model}",${MESSAGES}}`));
    },
  );
});

describe('what is strange but means one thing reaches the model byte for byte', () => {
  test.each([
    ['white space around it', ` \r\n\t${BODY}\r\n`],
    ['an integer beyond 2^53', withMember('"seed":9007199254740993')],
    ['an integer beyond 64 bits', withMember('"x":18446744073709551616')],
    ['a number that is too small to be one', withMember('"temperature":1e-400')],
    ['__proto__ as a name', withMember('"__proto__":{"model":"other"}')],
    ['constructor as a name', withMember('"constructor":{"prototype":{"model":"other"}}')],
    ['an escaped name', `{"mod\\u0065l":"demo",${MESSAGES}}`],
    ['a surrogate pair', saying('\\ud83d\\ude00').toString()],
    ['an escaped NUL in a text', saying('\\u0000').toString()],
    ['nesting of 60', withMember(`"x":${'['.repeat(60)}${']'.repeat(60)}`)],
  ])('%s', async (_name, body) => {
    expect((await attempt.passes(call(body))).body.toString()).toBe(body);
  });
});

describe('a content type that is not JSON in UTF-8 is refused', () => {
  test.each([
    undefined,
    '',
    'text/plain',
    'text/json',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'application/octet-stream',
    'application/vnd.api+json',
    'application/jsonx',
    'application/json, text/plain',
    'application/json; charset=iso-8859-1',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; charset=utf-16',
    "application/json; charset*=utf-8''utf-16",
    '*/*',
  ])('%s', async (contentType) => {
    await attempt.refused({ status: 415, code: 'unsupported_media_type' }, call(BODY, { contentType }));
  });
  test('sent twice', async () => {
    const headers = ['Content-Type: application/json'];
    const request = call(BODY, { contentType: 'text/plain', headers });
    await attempt.refused({ status: 415, code: 'unsupported_media_type' }, request);
  });
  test.each(['APPLICATION/JSON', 'application/json;charset=UTF-8', 'application/json; charset="utf-8"'])(
    '%s is JSON in UTF-8, and passes',
    async (contentType) => {
      const arrived = await attempt.passes(call(BODY, { contentType }));
      expect(arrived.headers['content-type']).toBe(contentType);
    },
  );
});

describe('a body that is encoded is refused, unread', () => {
  const gzip = gzipSync(BODY);
  const bomb = gzipSync(Buffer.alloc(16 * 1024 * 1024));
  test.each<[string, Buffer, readonly string[]]>([
    ['gzip', gzip, ['gzip']],
    ['GZIP', gzip, ['GZIP']],
    ['x-gzip', gzip, ['x-gzip']],
    ['br', brotliCompressSync(BODY), ['br']],
    ['zstd', zstdCompressSync(BODY), ['zstd']],
    ['deflate', deflateSync(BODY), ['deflate']],
    ['stacked', gzipSync(gzip), ['gzip, gzip']],
    ['stacked in two headers', gzip, ['identity', 'gzip']],
    ['a bomb', bomb, ['gzip']],
    ['a name without the thing', Buffer.from(BODY), ['gzip']],
    ['a name that nobody knows', Buffer.from(BODY), ['aws-chunked']],
    ['an empty name', Buffer.from(BODY), ['']],
  ])('%s', async (_name, body, encodings) => {
    const headers = encodings.map((encoding) => `Content-Encoding: ${encoding}`);
    await attempt.refused({ status: 415, code: 'unsupported_encoding' }, call(body, { headers }));
  });
  test('identity is none, and passes', async () => {
    const arrived = await attempt.passes(call(BODY, { headers: ['Content-Encoding: identity'] }));
    expect(arrived.headers['content-encoding']).toBeUndefined();
    expect(arrived.body.toString()).toBe(BODY);
  });
});

test('a body over the limit, whether it says its length or not, is refused and on the record', async () => {
  const large = Buffer.from(withMember(`"x":"${'y'.repeat(4 * 1024 * 1024)}"`));
  const refusal = { status: 413, code: 'request_too_large', detail: 'request_payload_too_large' };
  await attempt.refused(refusal, call(large));
  const chunked = Buffer.concat([Buffer.from(`${large.length.toString(16)}\r\n`), large, Buffer.from('\r\n0\r\n\r\n')]);
  await attempt.refused(refusal, call(chunked, { unframed: true, headers: ['Transfer-Encoding: chunked'] }));
});
