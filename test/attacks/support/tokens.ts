/** The tokens of attacks.md, "Tokens (JWT)", each made anew, with what the gate says of it. */
import { createHmac } from 'node:crypto';
import { type CryptoKey, exportSPKI, importJWK } from 'jose';
import { encode, makeKey, type SigningKey, signRaw, TestProvider } from '../../unit/identity/provider.ts';

export const AUDIENCE = 'https://gateway.test';
export const SUBJECT = 'jane-of-the-token';
/** The default of `identity.providers[].leewaySeconds`. */
const LEEWAY_S = 30;
/** What a slow machine may need between making a token and looking at it, seconds. */
const SLACK_S = 10;

type Json = Readonly<Record<string, unknown>>;

export interface Forge {
  readonly provider: TestProvider;
  /** Trusted like `provider`; its access tokens say `typ: JWT`. */
  readonly lenient: TestProvider;
  /** Trusted like `provider`; its keys cannot be fetched. */
  readonly down: TestProvider;
  readonly key: SigningKey;
  readonly rsa: SigningKey;
  /** Two of the provider's keys, of one key id. */
  readonly twins: readonly [SigningKey, SigningKey];
  /** Calls itself as `key` does; nobody trusts it. */
  readonly attacker: SigningKey;
  /** A token that is good but for what is changed; `undefined` takes a member away. */
  token(change?: Change): Promise<string>;
}

export interface Change {
  readonly header?: Json;
  readonly claims?: Json;
  readonly key?: SigningKey;
  readonly from?: TestProvider;
  /** Changes the text of the claims, as no library would write it. */
  readonly text?: (claims: string) => string;
}

export async function startForge(): Promise<Forge> {
  const [key, rsa, one, two, attacker] = await Promise.all([
    makeKey('first'),
    makeKey('rsa', 'RS256'),
    makeKey('twin'),
    makeKey('twin'),
    makeKey('first'),
  ]);
  const [provider, lenient, down] = await Promise.all([
    TestProvider.start(key, rsa, one, two),
    TestProvider.start(key),
    TestProvider.start(key),
  ]);
  down.answers['/jwks'] = (_request, response) => response.writeHead(500).end();
  return {
    provider,
    lenient,
    down,
    key,
    rsa,
    twins: [one, two],
    attacker,
    token: ({ header = {}, claims = {}, key: by = key, from = provider, text = (same: string) => same } = {}) => {
      const good = { iss: from.issuer, aud: AUDIENCE, sub: SUBJECT, iat: nowS() - 10, exp: nowS() + 600 };
      return signRaw(
        JSON.stringify({ alg: by.alg, kid: by.kid, typ: 'at+jwt', ...header }),
        text(JSON.stringify({ ...good, groups: ['ml-eng'], ...claims })),
        by,
      );
    },
  };
}

const nowS = (): number => Math.floor(Date.now() / 1000);

export type Attack = readonly [name: string, make: (forge: Forge) => Promise<string>, code: string, detail: string];

/** The algorithm of a good token changed, and something else in the place of its signature. */
const unsigned =
  (alg: string, signature: string) =>
  async ({ token, key }: Forge): Promise<string> => {
    const [header, claims] = (await token({ key, header: { alg } })).split('.');
    return `${header}.${claims}.${signature}`;
  };

async function signedWithPublicKey({ token, rsa }: Forge): Promise<string> {
  const pem = await exportSPKI((await importJWK(rsa.publicJwk, 'RS256')) as CryptoKey);
  const input = (await token({ key: rsa, header: { alg: 'HS256' } })).split('.').slice(0, 2).join('.');
  return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
}

const header =
  (members: Json) =>
  ({ token }: Forge): Promise<string> =>
    token({ header: members });
const claims =
  (members: () => Json) =>
  ({ token }: Forge): Promise<string> =>
    token({ claims: members() });
const beginning =
  (text: string) =>
  ({ token }: Forge): Promise<string> =>
    token({ text: (json) => json.replace('{', `{${text},`) });
const ownKey =
  (members: (forge: Forge) => Json) =>
  (forge: Forge): Promise<string> =>
    forge.token({ key: forge.attacker, header: members(forge) });
const issuer =
  (change: (ours: string) => unknown) =>
  ({ token, provider }: Forge): Promise<string> =>
    token({ claims: { iss: change(provider.issuer) } });

const NOT_LISTED = 'the algorithm is not on the list';
const NO_KEY = 'no key of the provider verifies it';
const FORGED = 'the signature does not verify';
const CRITICAL = 'critical header extensions are not supported';
const NO_DATE = 'exp or iat is missing or not a date in seconds';
const NO_NBF = 'nbf is not a date in seconds';
const FUTURE = 'nbf or iat is in the future';
const NO_PROVIDER = 'no provider has this issuer';
const NOT_OURS = 'aud does not name this gateway';
const NO_AUDIENCE = 'aud is missing or not a string or list of strings';
const NOT_ACCESS = 'typ does not say that it is an access token (at+jwt expected)';
const ID_TOKEN = 'an ID, refresh or logout token is not an access token';
const TWICE = 'the claims part has a name twice';

const SIGNATURES: readonly Attack[] = [
  ['alg none', unsigned('none', ''), 'token_malformed', 'the signature is empty'],
  ['alg none with a signature', unsigned('none', 'AAAA'), 'token_invalid', NOT_LISTED],
  ['alg None', unsigned('None', 'AAAA'), 'token_invalid', NOT_LISTED],
  ['alg nOnE', unsigned('nOnE', 'AAAA'), 'token_invalid', NOT_LISTED],
  ['an empty signature', unsigned('ES256', ''), 'token_malformed', 'the signature is empty'],
  ['HS256 keyed with the RSA public key', signedWithPublicKey, 'token_invalid', NOT_LISTED],
  ['RS256 and an EC key', header({ alg: 'RS256' }), 'token_invalid', NO_KEY],
  ['ES256 and an RSA key', ({ token, rsa }) => token({ key: rsa, header: { alg: 'ES256' } }), 'token_invalid', NO_KEY],
  [
    'the key id of two keys, and neither’s signature',
    ({ token, attacker }) => token({ key: { ...attacker, kid: 'twin' } }),
    'token_invalid',
    FORGED,
  ],
  ['the signature of a stranger', ownKey(() => ({})), 'token_invalid', FORGED],
];

const HEADERS: readonly Attack[] = [
  ['its own key in jwk', ownKey(({ attacker }) => ({ jwk: attacker.publicJwk })), 'token_invalid', FORGED],
  ['its own key at jku', ownKey(({ provider }) => ({ jku: `${provider.issuer}/evil` })), 'token_invalid', FORGED],
  [
    'its own certificate at x5u',
    ownKey(({ provider }) => ({ x5u: `${provider.issuer}/evil` })),
    'token_invalid',
    FORGED,
  ],
  ['its own certificate in x5c', ownKey(() => ({ x5c: ['MIIB'] })), 'token_invalid', FORGED],
  ['a path as key id', header({ kid: '../../../../dev/null' }), 'token_invalid', NO_KEY],
  ['SQL as key id', header({ kid: "x' UNION SELECT 'key" }), 'token_invalid', NO_KEY],
  ['a key id of 10 kB', header({ kid: 'k'.repeat(10_000) }), 'token_invalid', 'the key id is not a short string'],
  ['an unknown crit', header({ crit: ['x'], x: 1 }), 'token_invalid', CRITICAL],
  ['b64: false', header({ crit: ['b64'], b64: false }), 'token_invalid', CRITICAL],
  ['a nested JWT by its header', header({ cty: 'JWT' }), 'token_invalid', 'nested or encrypted token'],
  ['typ of an ID token', header({ typ: 'JWT' }), 'token_invalid', NOT_ACCESS],
  ['typ of a logout token', header({ typ: 'logout+jwt' }), 'token_invalid', NOT_ACCESS],
  [
    'the claims of an ID token, where typ cannot tell',
    ({ token, lenient }) => token({ from: lenient, header: { typ: 'JWT' }, claims: { nonce: 'n' } }),
    'token_invalid',
    ID_TOKEN,
  ],
];

const DATES: readonly Attack[] = [
  ['no exp', claims(() => ({ exp: undefined })), 'token_invalid', NO_DATE],
  ['exp as a string', claims(() => ({ exp: String(nowS() + 600) })), 'token_invalid', NO_DATE],
  ['exp of 1e308', claims(() => ({ exp: 1e308 })), 'token_invalid', NO_DATE],
  ['no iat', claims(() => ({ iat: undefined })), 'token_invalid', NO_DATE],
  ['iat as a string', claims(() => ({ iat: 'now' })), 'token_invalid', NO_DATE],
  ['iat of 1e308', claims(() => ({ iat: 1e308 })), 'token_invalid', NO_DATE],
  ['nbf as a string', claims(() => ({ nbf: '0' })), 'token_invalid', NO_NBF],
  ['nbf of 1e308', claims(() => ({ nbf: 1e308 })), 'token_invalid', NO_NBF],
  [
    'exp just beyond the leeway',
    claims(() => ({ iat: nowS() - 600, exp: nowS() - LEEWAY_S - 1 })),
    'token_expired',
    'exp is in the past',
  ],
  ['iat just beyond the leeway', claims(() => ({ iat: nowS() + LEEWAY_S + SLACK_S })), 'token_not_yet_valid', FUTURE],
  ['nbf just beyond the leeway', claims(() => ({ nbf: nowS() + LEEWAY_S + SLACK_S })), 'token_not_yet_valid', FUTURE],
];

const NAMES: readonly Attack[] = [
  ['no aud', claims(() => ({ aud: undefined })), 'audience_wrong', NO_AUDIENCE],
  ['an empty aud array', claims(() => ({ aud: [] })), 'audience_wrong', NOT_OURS],
  ['an aud array without us', claims(() => ({ aud: ['https://other.test'] })), 'audience_wrong', NOT_OURS],
  ['an aud array with an object', claims(() => ({ aud: [AUDIENCE, {}] })), 'audience_wrong', NO_AUDIENCE],
  ['a prefix of our aud', claims(() => ({ aud: AUDIENCE.slice(0, -1) })), 'audience_wrong', NOT_OURS],
  ['our aud and more', claims(() => ({ aud: `${AUDIENCE}/` })), 'audience_wrong', NOT_OURS],
  ['iss with a slash', issuer((ours) => `${ours}/`), 'issuer_unknown', NO_PROVIDER],
  ['iss in other case', issuer((ours) => ours.toUpperCase()), 'issuer_unknown', NO_PROVIDER],
  ['a duplicate claim', beginning('"sub":"root"'), 'token_malformed', TWICE],
  ['a duplicate claim, once escaped', beginning('"s\\u0075b":"root"'), 'token_malformed', TWICE],
  [
    'a __proto__ claim',
    beginning('"__proto__":{"groups":["admin"]}'),
    'token_malformed',
    'the claims part has a name that is not allowed',
  ],
];

const FORMS: readonly Attack[] = [
  [
    'a JWT in a JWT',
    async ({ token, key }) => nested(await token(), key),
    'token_malformed',
    'the claims part is not JSON',
  ],
  [
    'an encrypted token (JWE)',
    async () => `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`,
    'token_malformed',
    'the token is encrypted (JWE)',
  ],
  ['base64 padding', async ({ token }) => `${await token()}==`, 'token_malformed', 'the signature is not base64url'],
  [
    'base64 padding in the claims',
    async ({ token }) => (await token()).replace(/\.([^.]*)\./, '.$1=.'),
    'token_malformed',
    'the claims part is not base64url',
  ],
  [
    'two tokens in one',
    async ({ token }) => `${await token()} ${await token()}`,
    'token_malformed',
    'authorization is not a bearer token',
  ],
  [
    'two tokens in one, by a comma',
    async ({ token }) => `${await token()},${await token()}`,
    'credentials_conflict',
    'a comma in authorization',
  ],
  [
    'more than 16 KiB',
    ({ token }) => token({ claims: { pad: 'x'.repeat(16_384) } }),
    'token_malformed',
    'longer than 16384 bytes',
  ],
];

const nested = (token: string, key: SigningKey): Promise<string> =>
  signRaw(JSON.stringify({ alg: key.alg, kid: key.kid, typ: 'at+jwt' }), token, key);

export const ATTACKS: readonly Attack[] = [...SIGNATURES, ...HEADERS, ...DATES, ...NAMES, ...FORMS];

/** Beside the attacks: what looks like one, and is allowed. */
export const ALLOWED: readonly (readonly [name: string, make: (forge: Forge) => Promise<string>])[] = [
  ['no nbf', claims(() => ({ nbf: undefined }))],
  ['dates with fractions', claims(() => ({ iat: nowS() - 10.5, nbf: nowS() - 10.5, exp: nowS() + 600.5 }))],
  ['exp inside the leeway', claims(() => ({ iat: nowS() - 600, exp: nowS() - LEEWAY_S + SLACK_S }))],
  ['nbf at the leeway', claims(() => ({ nbf: nowS() + LEEWAY_S }))],
  ['our aud in an array', claims(() => ({ aud: ['https://other.test', AUDIENCE] }))],
  ['the key id of two keys, signed by the first', ({ token, twins }) => token({ key: twins[0] })],
  ['the key id of two keys, signed by the second', ({ token, twins }) => token({ key: twins[1] })],
];
