import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHttp, type HttpOptions } from '../../../src/identity/http.ts';
import { createAuthority } from '../../e2e/support/certificates.ts';
import {
  bearer,
  configFor,
  epoch,
  identifierOf,
  json,
  makeKey,
  type SigningKey,
  TestProvider,
  tokenOf,
} from './provider.ts';

let key: SigningKey;
let other: SigningKey;
let provider: TestProvider;
let dir: string;
let nowMs = epoch;
const now = () => nowMs;
const discovery = '/.well-known/openid-configuration';

beforeAll(async () => {
  [key, other] = await Promise.all([makeKey('first'), makeKey('second')]);
});
beforeEach(async () => {
  nowMs = epoch;
  provider = await TestProvider.start(key);
  dir = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
});
afterEach(async () => {
  await provider.stop();
  await rm(dir, { recursive: true });
});

type Identified = ReturnType<typeof identifierOf>;
async function outcome(identifier: Identified, by: SigningKey = key, sub = 'jane'): Promise<string> {
  const claims = { sub, exp: nowMs / 1000 + 7200, iat: nowMs / 1000 };
  const answer = await identifier.identify(bearer(await tokenOf(provider, { key: by, claims })));
  return answer.ok ? 'ok' : `${answer.reason}: ${answer.detail}`;
}

describe('keys in a file', () => {
  const writeKeys = async (...keys: readonly SigningKey[]) => {
    await writeFile(join(dir, 'new'), JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) }));
    await rename(join(dir, 'new'), join(dir, 'jwks.json'));
  };
  const withFile = (more: object = {}) =>
    identifierOf(configFor(provider, { keys: { file: join(dir, 'jwks.json'), ...more } }), now);

  test('verify without asking the provider', async () => {
    await writeKeys(key);
    expect(await outcome(withFile())).toBe('ok');
    expect(provider.requests).toEqual([]);
  });

  test('are read again when the file changes: a new key within a second, a key that was taken out, too', async () => {
    await writeKeys(key);
    const identifier = withFile();
    const old = await tokenOf(provider, { key });
    expect(await identifier.identify(bearer(old))).toMatchObject({ ok: true });
    await writeKeys(other);
    expect(await outcome(identifier, other)).toMatch(/^token_invalid/);
    nowMs += 1000;
    expect(await outcome(identifier, other)).toBe('ok');
    expect(await identifier.identify(bearer(old))).toMatchObject({ ok: false, reason: 'token_invalid' });
  });

  test('are used while the file is gone or broken, and no longer than maxAgeSeconds', async () => {
    await writeKeys(key);
    const identifier = withFile({ refreshAfterSeconds: 10, maxAgeSeconds: 60 });
    expect(await outcome(identifier)).toBe('ok');
    await writeFile(join(dir, 'jwks.json'), '{"keys":');
    nowMs += 59_999;
    expect(await outcome(identifier)).toBe('ok');
    await rm(join(dir, 'jwks.json'));
    nowMs += 1;
    expect(await outcome(identifier)).toMatch(/^keys_unavailable: .*keys\.file cannot be read \(ENOENT\)$|not a JSON/);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['is not there', async () => {}, /keys\.file cannot be read \(ENOENT\)$/],
    ['is a folder', () => writeFile(join(dir, 'x'), ''), /cannot be read \(E/],
    ['is longer than maxBytes', () => writeFile(join(dir, 'jwks.json'), 'x'.repeat(2000)), /longer than 1024 bytes$/],
    ['holds no keys', () => writeFile(join(dir, 'jwks.json'), '{"keys":[]}'), /does not hold 1 to 100 keys$/],
    ['holds something else', () => writeFile(join(dir, 'jwks.json'), 'PEM'), /the key set is not a JSON object$/],
  ])('that %s make every token refused', async (what, prepare, problem) => {
    await prepare();
    const file = what === 'is a folder' ? dir : join(dir, 'jwks.json');
    const config = configFor(provider, { keys: { file, maxBytes: 1024 } });
    const said = await outcome(identifierOf(config, now));
    expect(said).toMatch(/^keys_unavailable: no signing keys of corp: /);
    if (what !== 'is a folder' || !said.includes('longer')) expect(said).toMatch(problem);
    expect(provider.requests).toEqual([]);
  });
});

describe('a provider that wants a token for its keys', () => {
  let seen: (string | undefined)[];
  beforeEach(() => {
    seen = [];
    for (const path of [discovery, '/jwks']) {
      const answer = provider.answers[path]!;
      provider.answers[path] = (req, res) => {
        seen.push(req.headers.authorization);
        answer(req, res);
      };
    }
  });
  const withToken = () => identifierOf(configFor(provider, { keys: { bearerTokenFile: join(dir, 'token') } }), now);

  test('is sent the one in the file, read afresh each time', async () => {
    await writeFile(join(dir, 'token'), 'first\n');
    const identifier = withToken();
    expect(await outcome(identifier)).toBe('ok');
    await writeFile(join(dir, 'token'), 'second\n');
    nowMs += 600_000;
    await outcome(identifier);
    await expect.poll(() => seen).toEqual(['Bearer first', 'Bearer first', 'Bearer second', 'Bearer second']);
  });

  test.each([
    ['missing', undefined, 'keys.bearerTokenFile cannot be read (ENOENT)'],
    ['empty', '\n', 'keys.bearerTokenFile does not hold one token'],
    ['of two lines', 'a\nx-other: b', 'keys.bearerTokenFile does not hold one token'],
  ])('is not asked when the file is %s', async (_what, text, problem) => {
    if (text !== undefined) await writeFile(join(dir, 'token'), text);
    expect(await outcome(withToken())).toBe(`keys_unavailable: no signing keys of corp: ${problem}`);
    expect(seen).toEqual([]);
  });

  test('names another host for its keys: that one is not sent the token', async () => {
    await writeFile(join(dir, 'token'), 'secret');
    const elsewhere = await TestProvider.start(key);
    try {
      const url = elsewhere.issuer.replace('127.0.0.1', 'localhost');
      provider.answers[discovery] = json(() => ({ issuer: provider.issuer, jwks_uri: `${url}/jwks` }));
      let sent: string | undefined = 'nothing came';
      const answer = elsewhere.answers['/jwks']!;
      elsewhere.answers['/jwks'] = (req, res) => {
        sent = req.headers.authorization;
        answer(req, res);
      };
      const keys = { bearerTokenFile: join(dir, 'token'), allowPrivateAddresses: true };
      expect(await outcome(identifierOf(configFor(provider, { keys }), now))).toBe('ok');
      expect(sent).toBeUndefined();
    } finally {
      await elsewhere.stop();
    }
  });
});

describe('keys that discovery says are elsewhere', () => {
  const authority = createAuthority('test CA');
  let elsewhere: Server;
  let asked: string[];
  let port: number;
  beforeEach(async () => {
    asked = [];
    elsewhere = createServer(authority.issue('keys.test', { dns: ['keys.test'] }), (req, res) => {
      asked.push(req.url ?? '');
      res.end(JSON.stringify({ keys: [key.publicJwk] }));
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    ({ port } = elsewhere.address() as AddressInfo);
    const jwks_uri = `https://keys.test:${port}/jwks`;
    provider.answers[discovery] = json(() => ({ issuer: provider.issuer, jwks_uri }));
  });
  afterEach(async () => {
    elsewhere.closeAllConnections();
    await new Promise((resolve) => elsewhere.close(resolve));
  });

  const answering = (...answers: readonly string[]): NonNullable<HttpOptions['lookup']> => {
    let count = 0;
    return (_host, _options, done) =>
      done(null, [{ address: answers[Math.min(count++, answers.length - 1)] ?? '', family: 4 }]);
  };
  const over = (lookup: NonNullable<HttpOptions['lookup']>, more: Partial<HttpOptions> = {}, keys = {}) => {
    const http = createHttp({ trustedHosts: ['127.0.0.1'], ca: authority.cert, lookup, ...more });
    return identifierOf(configFor(provider, { keys }), now, { httpFor: () => http });
  };

  test('by a name that leads to a private address are not fetched', async () => {
    expect(await outcome(over(answering('127.0.0.1')))).toBe(
      'keys_unavailable: no signing keys of corp: the name leads to an address of a private network',
    );
    expect(asked).toEqual([]);
  });

  test('by a name that is rebound to a private address between two fetches (DNS rebinding) are not fetched', async () => {
    const identifier = over(answering('203.0.113.7', '127.0.0.1'), {}, { timeoutMs: 700 });
    expect(await outcome(identifier)).toMatch(/^keys_unavailable/);
    nowMs += 1000;
    expect(await outcome(identifier)).toMatch(/the name leads to an address of a private network$/);
    expect(asked).toEqual([]);
  });

  test('are fetched where the operator allows private addresses, or wrote the address down', async () => {
    expect(await outcome(over(answering('127.0.0.1'), { allowPrivateAddresses: true }))).toBe('ok');
    expect(await outcome(over(answering('127.0.0.1'), { trustedHosts: ['127.0.0.1', 'keys.test'] }))).toBe('ok');
    expect(asked).toEqual(['/jwks', '/jwks']);
  });
});

test('a CA file that cannot be read stops the gateway from starting', () => {
  const config = configFor(provider, { keys: { caFile: join(dir, 'none.pem') } });
  expect(() => identifierOf(config, now)).toThrow(/ENOENT/);
});
