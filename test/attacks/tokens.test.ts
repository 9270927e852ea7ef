/** attacks.md, "Tokens (JWT)": algorithm, signature, header and claims; each token is held against the gate and inspect-token. */
import { createHmac } from 'node:crypto';
import { type CryptoKey, exportSPKI, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  atEpoch,
  audience,
  encode,
  epoch,
  goodClaims,
  makeKey,
  type SigningKey,
  signRaw,
  TestProvider,
  tokenOf,
} from '../unit/identity/provider.ts';
import { type Gate, gateOf, goodHeader, goodText as goodTextOf, reasonFor as reasonOf } from './support/token-gate.ts';

let key: SigningKey;
let rsa: SigningKey;
let attacker: SigningKey;
let provider: TestProvider;
let gate: Gate;

beforeAll(async () => {
  [key, rsa, attacker] = await Promise.all([makeKey('first'), makeKey('rsa', 'RS256'), makeKey('first')]);
  provider = await TestProvider.start(key, rsa);
  gate = gateOf(provider, {});
});
afterAll(() => provider.stop());

const reasonFor = (token: string, by: Gate = gate): Promise<string> => reasonOf(token, by);
const goodText = () => goodTextOf(provider);

test('the token that every attack here starts from is good', async () => {
  expect(await reasonFor(await tokenOf(provider, { key }))).toBe('ok');
  expect(await reasonFor(await signRaw(goodHeader(), goodText(), key))).toBe('ok');
});

describe('the algorithm', () => {
  test.each(['none', 'None', 'nOnE', ''])('"%s" is refused, with and without a signature', async (alg) => {
    const input = `${encode({ alg, typ: 'at+jwt' })}.${encode(goodClaims(provider))}`;
    expect(await reasonFor(`${input}.`)).toBe('token_malformed');
    expect(await reasonFor(`${input}.AAAA`)).toBe('token_invalid');
  });

  test('HS256 keyed with the public key is refused', async () => {
    const pem = await exportSPKI((await importJWK(rsa.publicJwk, 'RS256')) as CryptoKey);
    const input = `${encode({ alg: 'HS256', kid: 'rsa', typ: 'at+jwt' })}.${encode(goodClaims(provider))}`;
    const mac = createHmac('sha256', pem).update(input).digest('base64url');
    expect(await reasonFor(`${input}.${mac}`)).toBe('token_invalid');
  });

  test('that does not fit the type of the key is refused', async () => {
    const header = JSON.stringify({ alg: 'RS256', kid: 'first', typ: 'at+jwt' });
    expect(await reasonFor(await signRaw(header, goodText(), key))).toBe('token_invalid');
  });

  test('that the provider offers and the config does not list is refused', async () => {
    const only = gateOf(provider, { algorithms: ['RS256'] });
    expect(await reasonFor(await tokenOf(provider, { key }), only)).toBe('token_invalid');
    expect(await reasonFor(await tokenOf(provider, { key: rsa }), only)).toBe('ok');
  });

  test.each([undefined, 7, null, ['ES256']])('that is %j instead of a string is refused', async (alg) => {
    expect(await reasonFor(await signRaw(JSON.stringify({ alg, typ: 'at+jwt' }), goodText(), key))).toBe(
      'token_invalid',
    );
  });
});

describe('the signature', () => {
  test('that is empty is refused', async () => {
    const token = await tokenOf(provider, { key });
    expect(await reasonFor(`${token.split('.').slice(0, 2).join('.')}.`)).toBe('token_malformed');
  });

  test('of another key with the same key id is refused', async () => {
    expect(await reasonFor(await tokenOf(provider, { key: attacker }))).toBe('token_invalid');
  });

  test('of another token is refused', async () => {
    const [one, two] = [await tokenOf(provider, { key }), await tokenOf(provider, { key, claims: { sub: 'root' } })];
    const mixed = [...two.split('.').slice(0, 2), one.split('.')[2]].join('.');
    expect(await reasonFor(mixed)).toBe('token_invalid');
  });
});

describe('the header', () => {
  test.each<[string, () => Record<string, unknown>]>([
    ['jwk', () => ({ jwk: attacker.publicJwk })],
    ['jwk, without a key id', () => ({ jwk: attacker.publicJwk, kid: undefined })],
    ['jku', () => ({ jku: `${provider.issuer}/evil` })],
    ['x5u', () => ({ x5u: `${provider.issuer}/evil` })],
    ['x5c', () => ({ x5c: ['MIIB'] })],
  ])('cannot bring its own key: %s', async (_what, make) => {
    expect(await reasonFor(await tokenOf(provider, { key: attacker, header: make() }))).toBe('token_invalid');
    expect(provider.requests).not.toContain('/evil');
  });

  test('with a key in it changes nothing for a token of the provider', async () => {
    expect(await reasonFor(await tokenOf(provider, { key, header: { jwk: attacker.publicJwk } }))).toBe('ok');
  });

  test.each([
    ['an unknown critical extension', { crit: ['exp'], exp: 1 }],
    ['b64: false', { crit: ['b64'], b64: false }],
    ['an empty list of critical extensions', { crit: [] }],
    ['b64 that is not critical', { b64: false }],
    ['a nested JWT', { cty: 'JWT' }],
    ['encryption', { enc: 'A256GCM' }],
    ['compression', { zip: 'DEF' }],
    ['typ of an ID token', { typ: 'JWT' }],
    ['no typ', { typ: undefined }],
    ['typ of a logout token', { typ: 'logout+jwt' }],
    ['typ that begins well', { typ: 'at+jwt+x' }],
    ['typ that is a list', { typ: ['at+jwt'] }],
    ['a key id that is a path', { kid: '../../../../dev/null' }],
    ['a key id that is SQL', { kid: "x' UNION SELECT 'key" }],
    ['a key id that is a number', { kid: 1 }],
    ['a key id of 10 kB', { kid: 'k'.repeat(10_000) }],
  ])('with %s is refused', async (_what, header) => {
    const text = JSON.stringify({ alg: 'ES256', kid: 'first', typ: 'at+jwt', ...header });
    expect(await reasonFor(await signRaw(text, goodText(), key))).toBe('token_invalid');
  });

  test.each(['at+jwt', 'AT+JWT', 'application/at+jwt'])('typ %s is an access token', async (typ) => {
    expect(await reasonFor(await tokenOf(provider, { key, header: { typ } }))).toBe('ok');
  });
});

describe('a provider whose access tokens say typ JWT or nothing', () => {
  let lenient: Gate;
  beforeAll(() => {
    lenient = gateOf(provider, { tokenType: 'JWT' });
  });

  test.each([{ typ: 'JWT' }, { typ: undefined }, { typ: 'at+jwt' }])('is understood: %j', async (header) => {
    expect(await reasonFor(await tokenOf(provider, { key, header }), lenient)).toBe('ok');
  });

  test.each([
    ['nonce', { nonce: 'n' }],
    ['at_hash', { at_hash: 'h' }],
    ['c_hash', { c_hash: 'h' }],
    ['s_hash', { s_hash: 'h' }],
    ['a logout event', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ['the kind ID (Keycloak)', { typ: 'ID' }],
    ['the kind Refresh (Keycloak)', { typ: 'Refresh' }],
    ['the use id (Cognito)', { token_use: 'id' }],
  ])('still has its tokens with %s refused: no access token has that', async (_what, claims) => {
    expect(await reasonFor(await tokenOf(provider, { key, header: { typ: 'JWT' }, claims }), lenient)).toBe(
      'token_invalid',
    );
  });

  test('still has another typ refused', async () => {
    expect(await reasonFor(await tokenOf(provider, { key, header: { typ: 'dpop+jwt' } }), lenient)).toBe(
      'token_invalid',
    );
  });
});

describe('the dates', () => {
  const leeway = 30;
  test.each<[string, Record<string, unknown>, string]>([
    ['no exp', { exp: undefined }, 'token_invalid'],
    ['exp as a string', { exp: String(atEpoch + 60) }, 'token_invalid'],
    ['exp as null', { exp: null }, 'token_invalid'],
    ['exp of 1e308', { exp: 1e308 }, 'token_invalid'],
    ['exp beyond the year 9999', { exp: 253_402_300_800 }, 'token_invalid'],
    ['exp below zero', { exp: -1 }, 'token_invalid'],
    ['exp in milliseconds', { exp: epoch + 60_000 }, 'token_invalid'],
    ['exp with a fraction', { exp: atEpoch + 60.5 }, 'ok'],
    ['exp a leeway ago', { exp: atEpoch - leeway, iat: atEpoch - 600 }, 'token_expired'],
    ['exp just inside the leeway', { exp: atEpoch - leeway + 1, iat: atEpoch - 600 }, 'ok'],
    ['exp before iat', { exp: atEpoch - 11 }, 'token_invalid'],
    ['no iat', { iat: undefined }, 'token_invalid'],
    ['iat as a string', { iat: 'now' }, 'token_invalid'],
    ['iat a leeway ahead', { iat: atEpoch + leeway }, 'ok'],
    ['iat beyond the leeway', { iat: atEpoch + leeway + 1 }, 'token_not_yet_valid'],
    ['nbf a leeway ahead', { nbf: atEpoch + leeway }, 'ok'],
    ['nbf beyond the leeway', { nbf: atEpoch + leeway + 1 }, 'token_not_yet_valid'],
    ['nbf as a string', { nbf: '0' }, 'token_invalid'],
    ['no nbf', { nbf: undefined }, 'ok'],
    ['nbf with a fraction', { nbf: atEpoch - 0.5 }, 'ok'],
    ['nbf with a fraction beyond the leeway', { nbf: atEpoch + leeway + 0.5 }, 'token_not_yet_valid'],
    ['iat with a fraction', { iat: atEpoch - 0.5 }, 'ok'],
    ['iat of 1e308', { iat: 1e308 }, 'token_invalid'],
    ['exp of -0', { exp: -0 }, 'token_expired'],
    ['nbf of 1e308', { nbf: 1e308 }, 'token_invalid'],
  ])('%s: %s', async (_what, claims, expected) => {
    expect(await reasonFor(await tokenOf(provider, { key, claims }))).toBe(expected);
  });

  test('exp of 1e400 is refused', async () => {
    const text = goodText().replace(/"exp":\d+/, '"exp":1e400');
    expect(await reasonFor(await signRaw(goodHeader(), text, key))).toBe('token_invalid');
  });
});

describe('the audience', () => {
  test.each<[string, unknown, string]>([
    ['ours in a list', ['https://other.test', audience], 'ok'],
    ['missing', undefined, 'audience_wrong'],
    ['empty', [], 'audience_wrong'],
    ['another', 'https://other.test', 'audience_wrong'],
    ['a prefix of ours', audience.slice(0, -1), 'audience_wrong'],
    ['ours and more', `${audience}/`, 'audience_wrong'],
    ['ours in other case', audience.toUpperCase(), 'audience_wrong'],
    ['a list with a number', [audience, 7], 'audience_wrong'],
    ['an object', { [audience]: true }, 'audience_wrong'],
  ])('%s', async (_what, aud, expected) => {
    expect(await reasonFor(await tokenOf(provider, { key, claims: { aud } }))).toBe(expected);
  });
});

describe('the issuer', () => {
  test.each<[string, (issuer: string) => unknown]>([
    ['with a slash at the end', (i) => `${i}/`],
    ['in upper case', (i) => i.toUpperCase()],
    ['by another name of the host', (i) => i.replace('127.0.0.1', 'localhost')],
    ['in a list', (i) => [i]],
    ['missing', () => undefined],
    ['named like an object property', () => '__proto__'],
  ])('%s is unknown', async (_what, change) => {
    const iss = change(provider.issuer);
    expect(await reasonFor(await tokenOf(provider, { key, claims: { iss } }))).toBe('issuer_unknown');
  });
});

describe('the subject', () => {
  test.each([undefined, '', 7, null, ['jane'], 'jane\r\nx-admin: 1', 'jane\u0000', '\ud800', 'j'.repeat(1025)])(
    '%j is refused',
    async (sub) => {
      expect(await reasonFor(await tokenOf(provider, { key, claims: { sub } as Record<string, unknown> }))).toBe(
        'token_invalid',
      );
    },
  );
});

test('no refusal keeps a token from being accepted later, and no acceptance leaks to a token that differs', async () => {
  const good = await tokenOf(provider, { key, claims: { sub: 'late' } });
  const tampered = `${good.slice(0, -4)}AAAA`;
  expect(await reasonFor(tampered)).not.toBe('ok');
  expect(await reasonFor(good)).toBe('ok');
  expect(await reasonFor(tampered)).not.toBe('ok');
});
