/** Identities that Envoy's own jwt_authn filter has verified, as Istio meshes do: the token stays with Envoy. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactSign, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVERY_REFUSAL } from '../attacks/support/attempts.ts';
import { chat, codeOf } from './support/ask.ts';
import { type EnvoyConfig, type EnvoyFilter, eventually, type Stack, startStack } from './support/stack.ts';
import { answerJson } from './support/upstream.ts';

const ISSUER = 'https://login.mesh.test';
const OTHER = 'https://other.mesh.test';
const NAMESPACE = 'envoy.filters.http.jwt_authn';
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] });
const dir = mkdtempSync(join(tmpdir(), 'sallyport-jwt-authn-'));
writeFileSync(join(dir, 'jwks.json'), jwks);

type Claims = Readonly<Record<string, unknown>>;

const seconds = (): number => Math.floor(Date.now() / 1000);
/** A token as the issuer signs it. `undefined` leaves a claim out. */
async function token(over: Claims = {}): Promise<string> {
  const now = seconds();
  const claims = { iss: ISSUER, aud: 'sallyport', sub: 'jane', iat: now, exp: now + 300, groups: ['ml-eng'], ...over };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'at+jwt' }).sign(privateKey);
}

/** Istio's settings: the token is taken away, the payload is in the metadata; a token that is there must be good. */
function withJwtAuthn({ static_resources: { listeners } }: EnvoyConfig): void {
  const provider = (issuer: string, more: object = {}) => ({
    issuer,
    payload_in_metadata: 'payload',
    // Envoy tells no more of the audience, and less of the date, than it must: the gate looks again.
    clock_skew_seconds: 86_400,
    local_jwks: { inline_string: jwks },
    ...more,
  });
  const prefix = '/';
  const side = { from_headers: [{ name: 'x-side-token' }], payload_in_metadata: 'side' };
  const filter: EnvoyFilter = {
    name: NAMESPACE,
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
      providers: { login: provider(ISSUER), other: provider(OTHER), side: provider(ISSUER, side) },
      rules: [
        {
          match: { prefix, headers: [{ name: 'x-side-token', present_match: true }] },
          requires: { provider_name: 'side' },
        },
        {
          match: { prefix },
          requires: {
            requires_any: {
              requirements: [{ provider_name: 'login' }, { provider_name: 'other' }, { allow_missing: {} }],
            },
          },
        },
      ],
    },
  };
  listeners[0]!.filter_chains[0]!.filters[0]!.typed_config.http_filters.unshift(filter);
}

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: mesh}
spec:
  rules:
    - {name: engineers, when: '"ml-eng" in caller.groups && caller.claims.iss == "${ISSUER}"', then: allow}
    - name: only-what-envoy-verified
      when: 'http.host == "verified.example.com" && caller.proof != "jwt_authn"'
      then: deny
`;
const provider = {
  name: 'login',
  issuer: ISSUER,
  audience: 'sallyport',
  algorithms: ['ES256'],
  keys: { file: join(dir, 'jwks.json') },
  groups: { claims: ['groups'] },
};
const other = { ...provider, name: 'other', issuer: OTHER };
const start = (jwtAuthn: object, envoy: (bootstrap: EnvoyConfig) => void) =>
  startStack({
    providers: [provider, other],
    identity: { jwtAuthn },
    policies: { 'mesh.yaml': POLICY },
    config: EVERY_REFUSAL,
    envoy,
  });

async function call(to: Stack, headers: Readonly<Record<string, string>>) {
  const response = await fetch(`${to.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(chat),
  });
  return {
    status: response.status,
    text: await response.text(),
    session: response.headers.get('x-sallyport-session') ?? '',
    challenge: response.headers.get('www-authenticate') ?? '',
  };
}
const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

function eventOf(to: Stack, session: string, type: string) {
  const find = async () =>
    (await to.journal())
      .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
      .find((event) => event.session === session && event.type === type);
  return eventually(find, `the ${type} event of ${session}`);
}

async function refused(to: Stack, headers: Readonly<Record<string, string>>, code: string, detail: string) {
  const before = to.model.arrived.length;
  const { status, session, challenge, ...rest } = await call(to, headers);
  expect([status, codeOf(rest)]).toEqual([401, code]);
  expect(challenge).toMatch(/^Bearer realm="sallyport"/);
  expect(to.model.arrived.length).toBe(before);
  expect(await eventOf(to, session, 'refused')).toMatchObject({ code, detail: expect.stringContaining(detail) });
}

let stack: Stack;
beforeAll(async () => {
  stack = await start({ enabled: true, providers: ['login'] }, withJwtAuthn);
  stack.model.answer = answerJson('ok');
});
afterAll(async () => {
  await stack.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('a token that Envoy has verified and kept', () => {
  test('makes a caller with its claims, groups and name, for the rules, the record and the model', async () => {
    const before = stack.model.arrived.length;
    const headers = { ...bearer(await token({ email: 'jane@example.com' })) };
    const { status, session } = await call(stack, headers);
    expect(status).toBe(200);
    expect(await eventOf(stack, session, 'request')).toMatchObject({
      caller: { provider: 'login', subject: 'jane', kind: 'person', email: 'jane@example.com', groups: ['ml-eng'] },
    });
    const { headers: arrived } = stack.model.arrived[before]!;
    expect(arrived).toMatchObject({ 'x-sallyport-caller': 'login/jane', authorization: 'Bearer model-secret' });
    expect(JSON.stringify(arrived)).not.toContain('eyJ');
  });

  test('is told apart by rules from one that the gate has verified: caller.proof', async () => {
    const from = (headers: Readonly<Record<string, string>>) =>
      new Promise<number>((resolve, reject) => {
        const request = http.request(`${stack.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { ...headers, host: 'verified.example.com', 'content-type': 'application/json' },
        });
        request.on('response', (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on('error', reject);
        request.end(JSON.stringify(chat));
      });
    expect(await from(bearer(await token()))).toBe(200);
    expect(await from({ 'x-api-key': await token() })).toBe(403);
  });

  test('that expired within the leeway is good, and a second later it is not', async () => {
    const at = seconds();
    expect((await call(stack, bearer(await token({ iat: at - 300, exp: at - 10 })))).status).toBe(200);
    const late = bearer(await token({ iat: at - 300, exp: at - 31 }));
    await refused(stack, late, 'token_expired', 'exp is in the past');
  });

  test.each<[string, Claims, string, string]>([
    ['for another audience', { aud: 'another' }, 'audience_wrong', 'aud'],
    ['for no audience', { aud: undefined }, 'audience_wrong', 'aud'],
    ['of a provider that is not named in jwtAuthn', { iss: OTHER }, 'issuer_unknown', 'jwtAuthn.providers'],
    ['from the future', { iat: seconds() + 3_000, exp: seconds() + 6_000 }, 'token_not_yet_valid', 'future'],
    ['without exp', { exp: undefined }, 'token_invalid', 'exp'],
    ['without sub', { sub: undefined }, 'token_invalid', 'sub'],
    ['whose groups are no list', { groups: { a: 1 } }, 'groups_unavailable', ''],
    ['that is an ID token', { nonce: 'n' }, 'token_invalid', ''],
  ])('%s is refused', async (_name, over, code, detail) => {
    await refused(stack, bearer(await token(over)), code, detail);
  });

  test('with a claim that JavaScript reads as something else is refused', async () => {
    const now = seconds();
    const claims = JSON.stringify({ iss: ISSUER, aud: 'sallyport', sub: 'jane', iat: now, exp: now + 300 });
    const signed = await new CompactSign(Buffer.from(`{"__proto__":{"groups":["ml-eng"]},${claims.slice(1)}`))
      .setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'at+jwt' })
      .sign(privateKey);
    await refused(stack, bearer(signed), 'token_malformed', 'not allowed');
  });

  test('Envoy itself refuses what it cannot verify; nothing of it gets to the gate or the model', async () => {
    const before = stack.model.arrived.length;
    const good = await token();
    for (const bad of [`${good.slice(0, -4)}AAAA`, await token({ iss: 'https://nobody.mesh.test' }), 'nonsense'])
      expect((await call(stack, bearer(bad))).status).toBe(401);
    expect(stack.model.arrived.length).toBe(before);
  });

  test('none at all is a missing credential', async () => {
    await refused(stack, {}, 'token_missing', '');
  });

  test('is nothing that a client could write', async () => {
    const payload = Buffer.from(JSON.stringify({ iss: ISSUER, sub: 'jane', groups: ['ml-eng'] })).toString('base64url');
    for (const name of ['x-jwt-payload', 'x-endpoint-api-userinfo', 'x-envoy-jwt-authn', 'x-jwt-assertion'])
      await refused(stack, { [name]: payload }, 'token_missing', '');
  });
});

describe('a token beside what Envoy has verified', () => {
  test('of the same person passes, and the token decides', async () => {
    const { status } = await call(stack, { ...bearer(await token()), 'x-side-token': await token() });
    expect(status).toBe(200);
  });
  test.each<[string, Claims]>([
    ['of another person', { sub: 'sam' }],
    ['of another issuer', { iss: OTHER }],
  ])('%s is refused', async (_name, over) => {
    const headers = { ...bearer(await token(over)), 'x-side-token': await token() };
    await refused(stack, headers, 'token_invalid', 'different issuers or subjects');
  });
  test('that is none is refused: what Envoy has verified does not stand in for it', async () => {
    await refused(stack, { ...bearer('nonsense'), 'x-side-token': await token() }, 'token_malformed', '');
  });
});

describe('where identity.jwtAuthn is off, as it is by default', () => {
  let off: Stack;
  beforeAll(async () => {
    off = await start({ enabled: false }, (bootstrap) => {
      withJwtAuthn(bootstrap);
      const { http_filters } = bootstrap.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
      http_filters.find(({ name }) => name.endsWith('ext_authz'))!.typed_config['metadata_context_namespaces'] = [
        NAMESPACE,
      ];
    });
    off.model.answer = answerJson('ok');
  });
  afterAll(() => off.close());

  test('what Envoy has verified is not looked at, good or bad', async () => {
    await refused(off, bearer(await token()), 'token_missing', '');
    await refused(off, bearer(await token({ aud: 'another' })), 'token_missing', '');
  });
  test('a token that reaches the gate decides, whatever lies beside it', async () => {
    const headers = { ...bearer(await token()), 'x-side-token': await token({ sub: 'sam' }) };
    expect((await call(off, headers)).status).toBe(200);
  });
});

test('with jwtAuthn on and Envoy not asked to send anything, everybody without a token is refused', async () => {
  const silent = await start({ enabled: true, providers: ['login'] }, (bootstrap) => {
    withJwtAuthn(bootstrap);
    const { http_filters } = bootstrap.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
    delete http_filters.find(({ name }) => name.endsWith('ext_authz'))!.typed_config['metadata_context_namespaces'];
  });
  try {
    await refused(silent, bearer(await token()), 'token_missing', '');
  } finally {
    await silent.close();
  }
});
