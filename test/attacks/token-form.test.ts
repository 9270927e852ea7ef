/** attacks.md, "Tokens (JWT)": the form of a token, and two at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findCredential } from '../../src/identity/credential.ts';
import { encode, makeKey, type SigningKey, signRaw, TestProvider, tokenOf } from '../unit/identity/provider.ts';
import { type Gate, gateOf, goodHeader, goodText as goodTextOf, reasonFor as reasonOf } from './support/token-gate.ts';

let key: SigningKey;
let provider: TestProvider;
let gate: Gate;
beforeAll(async () => {
  key = await makeKey('first');
  provider = await TestProvider.start(key);
  gate = gateOf(provider);
});
afterAll(() => provider.stop());

const reasonFor = (token: string): Promise<string> => reasonOf(token, gate);
const goodText = () => goodTextOf(provider);

describe('the form', () => {
  test.each<[string, () => Promise<string> | string]>([
    ['nothing', () => ''],
    ['one part', () => 'abc'],
    ['two parts', () => 'a.b'],
    ['four parts', async () => `${await tokenOf(provider, { key })}.AAAA`],
    ['a JWT in a JWT', async () => signRaw(goodHeader(), await tokenOf(provider, { key }), key)],
    ['an encrypted token (JWE)', () => `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`],
    ['two tokens in one', async () => `${await tokenOf(provider, { key })}, ${await tokenOf(provider, { key })}`],
    [
      'two tokens without a space',
      async () => `${await tokenOf(provider, { key })},${await tokenOf(provider, { key })}`,
    ],
    ['padding', async () => `${await tokenOf(provider, { key })}==`],
    ['the other base64 alphabet', async () => `${encode({ alg: 'ES256' })}.${encode(goodText())}.+/+/`],
    ['bits left over in the last character', () => `${encode(goodHeader())}.${encode(goodText())}.AB`],
    ['a line break in it', async () => (await tokenOf(provider, { key })).replace('.', '\n.')],
    ['a space before it', async () => ` ${await tokenOf(provider, { key })}`],
    ['a header that is a list', () => `${encode('[]')}.${encode(goodText())}.AAAA`],
    ['claims that are null', () => signRaw(goodHeader(), 'null', key)],
    ['claims that are no JSON', () => signRaw(goodHeader(), '{"sub":', key)],
    ['a byte order mark', () => signRaw(goodHeader(), `\ufeff${goodText()}`, key)],
    ['claims that are not UTF-8', () => signRaw(goodHeader(), Buffer.from(`{"sub":"\xff"}`, 'latin1'), key)],
    ['a claim twice', () => signRaw(goodHeader(), goodText().replace('{', '{"sub":"root",'), key)],
    [
      'a claim twice, once escaped',
      () => signRaw(goodHeader(), goodText().replace('{', '{"s\\u0075b" : "root",'), key),
    ],
    [
      'a claim twice inside another',
      () => signRaw(goodHeader(), goodText().replace('{', '{"x":[{"a":1,"a":2}],'), key),
    ],
    ['a header member twice', () => signRaw(goodHeader().replace('{', '{"alg":"none",'), goodText(), key)],
    [
      'a __proto__ claim',
      () => signRaw(goodHeader(), goodText().replace('{', '{"__proto__":{"groups":["admin"]},'), key),
    ],
    [
      'claims nested 33 deep',
      () => signRaw(goodHeader(), goodText().replace('{', `{"x":${'['.repeat(32)}${']'.repeat(32)},`), key),
    ],
    [
      'claims nested 2,000 deep',
      () => signRaw(goodHeader(), goodText().replace('{', `{"x":${'['.repeat(2000)}${']'.repeat(2000)},`), key),
    ],
    ['more than 16 KiB', () => tokenOf(provider, { key, claims: { pad: 'x'.repeat(16_384) } })],
    ['1 MB', () => 'a'.repeat(1_000_000)],
  ])('%s is refused as malformed', async (_what, make) => {
    expect(await reasonFor(await make())).toBe('token_malformed');
  });

  test('strings that look like names or braces do not confuse the reading', async () => {
    const claims = {
      note: '{"sub":"x","sub":"y"}]}',
      'a"b': ':',
      list: ['sub', 'sub', { sub: 'inner' }],
      constructor: 'c',
    };
    expect(await reasonFor(await tokenOf(provider, { key, claims }))).toBe('ok');
  });
});

describe('two credentials', () => {
  const search = (...headers: readonly (readonly [string, string])[]) =>
    findCredential({ path: '/v1/chat/completions', headers, joined: false });

  test('in two Authorization headers are refused, even when they are the same', async () => {
    const token = `Bearer ${await tokenOf(provider, { key })}`;
    for (const second of [token, 'Bearer other'])
      expect(search(['authorization', token], ['authorization', second])).toMatchObject({
        ok: false,
        code: 'credentials_conflict',
      });
  });

  test('in one Authorization header are refused', () => {
    expect(search(['authorization', 'Bearer a.b.c Bearer d.e.f'])).toMatchObject({
      ok: false,
      code: 'token_malformed',
    });
    expect(search(['authorization', 'Bearer a.b.c,Bearer d.e.f'])).toMatchObject({
      ok: false,
      code: 'credentials_conflict',
    });
    const joined = { path: '/', headers: [['x-api-key', 'a.b.c, d.e.f']] as const, joined: true };
    expect(findCredential(joined)).toMatchObject({ ok: false, code: 'credentials_conflict' });
  });
});
