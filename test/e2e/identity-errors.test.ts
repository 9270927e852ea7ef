/** A refused credential, as its caller sees it through the SDK, and as the record has it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import OpenAI, { AuthenticationError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainCommand } from '../../src/commands/explain.ts';
import { EVERY_REFUSAL } from '../attacks/support/attempts.ts';
import { run } from '../unit/commands/run.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';

type Claims = Readonly<Record<string, unknown>>;

const ISSUER = 'https://login.errors.test';
const keys = await generateKeyPair('ES256', { extractable: true });
const strangers = await generateKeyPair('ES256');
const dir = mkdtempSync(join(tmpdir(), 'sallyport-errors-'));
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k', alg: 'ES256', use: 'sig' };
writeFileSync(join(dir, 'jwks.json'), JSON.stringify({ keys: [jwk] }));

const now = Math.floor(Date.now() / 1000);
const SUBJECT = 'subject-of-the-token';
async function token(over: Claims = {}, key = keys.privateKey): Promise<string> {
  const claims = {
    iss: ISSUER,
    aud: 'sallyport',
    sub: SUBJECT,
    iat: now,
    exp: now + 3_600,
    groups: ['ml-eng'],
    ...over,
  };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'at+jwt' }).sign(key);
}

let stack: Stack;
beforeAll(async () => {
  const login = { name: 'login', issuer: ISSUER, audience: 'sallyport', algorithms: ['ES256'] };
  stack = await startStack({
    providers: [{ ...login, keys: { file: join(dir, 'jwks.json') }, requiredClaims: { tenant: ['a', 'b'] } }],
    config: EVERY_REFUSAL,
  });
});
afterAll(async () => {
  await stack.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Refusal {
  readonly name: string;
  readonly token: () => Promise<string>;
  readonly code: string;
  /** What the caller reads in the challenge and in the exception: what was wrong. */
  readonly says: RegExp;
  /** And what to do about it. */
  readonly advises: RegExp;
  /** Only on the record. */
  readonly detail: string;
}

const tenant = 'a';
const REFUSALS: readonly Refusal[] = [
  {
    name: 'expired',
    token: () => token({ tenant, iat: now - 7_200, exp: now - 3_600 }),
    code: 'token_expired',
    says: /has expired/,
    advises: /Get a new access token/,
    detail: 'exp is in the past',
  },
  {
    name: 'not valid yet',
    token: () => token({ tenant, nbf: now + 3_000 }),
    code: 'token_not_yet_valid',
    says: /not valid yet/,
    advises: /Compare the clocks/,
    detail: 'nbf or iat is in the future',
  },
  {
    name: 'for another audience',
    token: () => token({ tenant, aud: 'another' }),
    code: 'audience_wrong',
    says: /another service/,
    advises: /gateway's audience/,
    detail: 'aud does not name this gateway',
  },
  {
    name: 'of an unknown issuer',
    token: () => token({ tenant, iss: 'https://nobody.errors.test' }),
    code: 'issuer_unknown',
    says: /No configured identity provider/,
    advises: /provider that the gateway trusts/,
    detail: 'no provider has this issuer',
  },
  {
    name: 'without groups that can be read',
    token: () => token({ tenant, _claim_names: { groups: 'src1' }, groups: undefined }),
    code: 'groups_unavailable',
    says: /groups cannot be read/,
    advises: /Try again/,
    detail: 'groups',
  },
  {
    name: 'signed with another key',
    token: () => token({ tenant }, strangers.privateKey),
    code: 'token_invalid',
    says: /signature or a claim/,
    advises: /sallyport explain/,
    detail: 'the signature does not verify',
  },
  {
    name: 'without a required claim',
    token: () => token(),
    code: 'token_invalid',
    says: /signature or a claim/,
    advises: /sallyport explain/,
    detail: 'the required claim tenant is missing or has another value',
  },
  {
    name: 'no token at all',
    token: async () => 'sk-1234567890',
    code: 'token_malformed',
    says: /not a token of a kind/,
    advises: /not the key of a model provider/,
    detail: 'not three parts',
  },
];

const thrown = (apiKey: string) =>
  new OpenAI({ baseURL: `${stack.url}/v1`, apiKey, maxRetries: 0 }).chat.completions
    .create({ model: 'demo', messages: [{ role: 'user', content: 'hi' }] })
    .then(
      () => {
        throw new Error('it was answered');
      },
      (error: unknown) => error as InstanceType<typeof OpenAI.APIError>,
    );

describe('a credential that is', () => {
  test.each(REFUSALS)(
    '$name: AuthenticationError that says what and what to do, never how it was found out',
    async (refusal) => {
      const sent = await refusal.token();
      const error = await thrown(sent);
      expect(error).toBeInstanceOf(AuthenticationError);
      expect([error.status, error.code, error.type]).toEqual([401, refusal.code, 'authentication_error']);
      expect(error.message).toMatch(refusal.says);
      expect(error.message).toMatch(refusal.advises);
      const challenge = error.headers?.get('www-authenticate') ?? '';
      expect(challenge).toMatch(/^Bearer realm="sallyport", error="invalid_token", error_description="[^"\\]+"$/);
      expect(challenge).toMatch(refusal.says);
      expect(error.headers?.get('x-should-retry')).toBe(String(refusal.code === 'groups_unavailable'));
      const told = `${error.message} ${challenge} ${JSON.stringify(error.error)}`;
      for (const secret of [refusal.detail, SUBJECT, sent, ...sent.split('.').filter((part) => part.length > 12)])
        if (secret !== 'groups') expect(told).not.toContain(secret);

      const session = error.headers?.get('x-sallyport-session') ?? '';
      expect(error.message).toContain(session);
      const recorded = await eventually(async () => {
        const lines = await stack.journal();
        return lines.find((line) => line.kind === 'event' && line.event.session === session);
      }, 'the refusal on the record');
      expect(recorded).toMatchObject({
        event: { type: 'refused', code: refusal.code, status: 401, detail: expect.stringContaining(refusal.detail) },
      });
      expect(JSON.stringify(recorded)).not.toContain(SUBJECT);
    },
  );

  test('missing: a challenge without an error, as RFC 6750, section 3.1, wants it', async () => {
    const response = await fetch(`${stack.url}/v1/models`);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="sallyport"']);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('token_missing');
    expect(error.message).toMatch(/carries no credential.*Authorization: Bearer/);
  });
});

test('`sallyport explain` tells the operator what the caller was not told', async () => {
  const error = await thrown(await token({ tenant }, strangers.privateKey));
  const session = error.headers?.get('x-sallyport-session') ?? '';
  const explained = await eventually(async () => {
    const { code, stdout } = await run(
      [explainCommand()],
      ['explain', session, '--config', stack.config.file, '--json'],
    );
    return code === 0 ? (JSON.parse(stdout) as object) : undefined;
  }, 'the session in the store');
  expect(explained).toMatchObject({
    code: 'token_invalid',
    status: 401,
    why: 'The record says: the signature does not verify.',
    fixer: 'caller',
    retry: false,
  });
});
