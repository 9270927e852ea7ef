import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identitySection } from '../../../src/identity/config.ts';
import { bearer, epoch, identifierOf, makeKey, type SigningKey } from './provider.ts';

/** A token as the provider publishes its shape, the config that it is for, and who it should be. */
interface Fixture {
  readonly source: string;
  readonly provider: Record<string, unknown>;
  readonly header: { readonly alg: string; readonly kid: string };
  readonly claims: Record<string, unknown>;
  readonly caller: Record<string, unknown>;
}

const folder = new URL('../../fixtures/identity/', import.meta.url);
const names = (await readdir(folder)).map((file) => file.replace(/\.json$/, ''));
const read = async (name: string): Promise<Fixture> =>
  JSON.parse(await readFile(new URL(`${name}.json`, folder), 'utf8')) as Fixture;

let key: SigningKey;
let dir: string;
beforeAll(async () => {
  key = await makeKey('any', 'RS256');
  dir = await mkdtemp(join(tmpdir(), 'sallyport-presets-'));
});
afterAll(() => rm(dir, { recursive: true }));

interface Change {
  readonly claims?: object;
  readonly header?: object;
  readonly provider?: object;
}

/** Signs the fixture's token, with changes; the identifier has the keys in a file: nobody is asked. */
async function signed(fixture: Fixture, change: Change) {
  const header = { ...fixture.header, ...change.header };
  const file = join(dir, `${fixture.header.kid}.json`);
  await writeFile(file, JSON.stringify({ keys: [{ ...key.publicJwk, kid: fixture.header.kid }] }));
  const config = identitySection.parse({
    providers: [{ name: 'corp', ...fixture.provider, keys: { file }, ...change.provider }],
  });
  const token = await new SignJWT({ ...fixture.claims, ...change.claims })
    .setProtectedHeader(header)
    .sign(key.privateKey);
  return { identifier: identifierOf(config, () => epoch), token };
}

async function identified(fixture: Fixture, change: Change = {}) {
  const { identifier, token } = await signed(fixture, change);
  return identifier.identify(bearer(token));
}

test('there is a token of each kind of provider', async () => {
  const presets = await Promise.all(names.map(async (name) => (await read(name)).provider['preset']));
  expect(new Set(presets)).toEqual(new Set(['okta', 'entra', 'google', 'keycloak', 'kubernetes', 'github-actions']));
});

describe.each(names)('%s', (name) => {
  test('says who is calling, with the preset alone', async () => {
    const fixture = await read(name);
    const answer = await identified(fixture);
    expect(answer.ok ? answer.caller : answer).toMatchObject({ provider: 'corp', proof: 'token', ...fixture.caller });
    if (answer.ok && !('email' in fixture.caller)) expect(answer.caller.email).toBeUndefined();
  });

  test.each<[string, (fixture: Fixture) => Parameters<typeof identified>[1], string]>([
    ['of another issuer', ({ claims }) => ({ claims: { iss: `${claims['iss']}/` } }), 'issuer_unknown'],
    ['for another audience', () => ({ claims: { aud: 'https://other.example.com' } }), 'audience_wrong'],
    ['that has expired', () => ({ claims: { exp: epoch / 1000 - 31, iat: epoch / 1000 - 600 } }), 'token_expired'],
    ['with the typ of another purpose', () => ({ header: { typ: 'logout+jwt' } }), 'token_invalid'],
  ])('is refused %s', async (_what, change, reason) => {
    const fixture = await read(name);
    expect(await identified(fixture, change(fixture))).toMatchObject({ ok: false, reason });
  });
});

describe('a preset refuses what its provider issues for other purposes', () => {
  test.each<[string, string, { claims?: object; header?: object; provider?: object }]>([
    ['an Entra ID token of version 1', 'entra-person', { claims: { ver: '1.0' } }],
    ['an Entra ID ID token', 'entra-person', { claims: { nonce: 'n' } }],
    ['an Entra ID ID token without nonce', 'entra-person', { claims: { azp: undefined, scp: undefined } }],
    ['an Entra ID token without object id', 'entra-person', { claims: { oid: undefined } }],
    ['a Keycloak ID token', 'keycloak-person', { claims: { typ: 'ID' } }],
    ['a Keycloak refresh token', 'keycloak-person', { claims: { typ: 'Refresh' } }],
    ['a Keycloak logout token', 'keycloak-person', { claims: { events: {} } }],
    ['an Okta ID token', 'okta-custom-server-person', { claims: { at_hash: 'h' } }],
    ['an Okta access token where ID tokens are taken', 'okta-org-server-id-token', { claims: { scp: ['openid'] } }],
    ['an access token (RFC 9068) where ID tokens are taken', 'google-workspace-person', { header: { typ: 'at+jwt' } }],
    ['a Google account of nobody’s company', 'google-workspace-person', { claims: { hd: undefined } }],
    ['a Google account of another company', 'google-workspace-person', { claims: { hd: 'example.org' } }],
    [
      'a token that Google gave another client',
      'google-workspace-person',
      { claims: { azp: 'x.apps.googleusercontent.com' } },
    ],
    [
      'a service account of another namespace',
      'kubernetes-bound-service-account',
      { claims: { 'kubernetes.io': { namespace: 'kube-system' } } },
    ],
    ['a legacy service account token, without end', 'kubernetes-bound-service-account', { claims: { exp: undefined } }],
    [
      'a token without what Kubernetes binds it to',
      'kubernetes-bound-service-account',
      { claims: { 'kubernetes.io': undefined } },
    ],
    ['a workflow of another owner', 'github-actions', { claims: { repository_owner: 'evil-org' } }],
    ['a workflow on another branch', 'github-actions', { claims: { ref: 'refs/heads/patch-1' } }],
  ])('%s', async (_what, name, change) => {
    expect(await identified(await read(name), change)).toMatchObject({ ok: false, reason: 'token_invalid' });
  });

  test('an Entra ID token with too many groups, when Microsoft Graph cannot be asked', async () => {
    const { provider } = await read('entra-person');
    expect(await identified(await read('entra-overage'), { provider })).toMatchObject({
      ok: false,
      reason: 'groups_unavailable',
    });
  });
});

test('the groups that Kubernetes derives are renamed like any others, and no other provider’s subject has them', async () => {
  const fixture = await read('kubernetes-bound-service-account');
  const groups = { rename: { 'system:serviceaccounts:batch': 'batch' }, onlyRenamed: true };
  const renamed = await identified(fixture, { provider: { groups } });
  expect(renamed.ok && renamed.caller.groups).toEqual(['batch']);
  const elsewhere = await identified(fixture, {
    provider: { preset: 'generic', algorithms: ['RS256'], tokenType: 'JWT' },
  });
  expect(elsewhere).toMatchObject({ ok: true, caller: { groups: [], kind: 'service' } });
});

test('what makes those groups can be overridden, in the preset and without it', async () => {
  const fixture = await read('kubernetes-bound-service-account');
  const without = await identified(fixture, { provider: { groups: { serviceAccountGroups: false } } });
  expect(without).toMatchObject({ ok: true, caller: { groups: [] } });
  const groups = { serviceAccountGroups: true, claims: ['roles'] };
  const generic = { preset: 'generic', algorithms: ['RS256'], tokenType: 'JWT', groups };
  const made = await identified(fixture, { claims: { roles: ['r'] }, provider: generic });
  expect(made.ok && made.caller.groups).toEqual(['r', 'system:serviceaccounts', 'system:serviceaccounts:batch']);
  const own = await identified(fixture, { claims: { groups: ['own'] } });
  expect(own.ok && own.caller.groups).toEqual(['own']);
});

describe('a claim that a preset requires', () => {
  test.each<[string, string, Record<string, unknown>, { claims: object }]>([
    ['azp of Entra ID', 'entra-person', { azp: false }, { claims: { azp: undefined } }],
    ['ver of Entra ID', 'entra-person', { ver: false }, { claims: { ver: '1.0' } }],
    [
      'what Kubernetes binds to',
      'kubernetes-bound-service-account',
      { 'kubernetes.io': false },
      { claims: { 'kubernetes.io': undefined } },
    ],
  ])('is taken away by false: %s', async (_what, name, requiredClaims, change) => {
    const fixture = await read(name);
    expect(await identified(fixture, { ...change, provider: { requiredClaims: {} } })).toMatchObject({
      ok: false,
      reason: 'token_invalid',
    });
    expect(await identified(fixture, { ...change, provider: { requiredClaims } })).toMatchObject({ ok: true });
  });

  test('cannot be taken away where there is none: a claim that must be false is written in a list', () => {
    const provider = { name: 'a', issuer: 'https://id.test', audience: 'a', algorithms: ['ES256'] };
    const problems = (requiredClaims: object) =>
      identitySection
        .safeParse({ providers: [{ ...provider, requiredClaims }] })
        .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    expect(problems({ guest: false })).toEqual([
      'providers.0.requiredClaims.guest: is not of the preset. Write [false] for the value false',
    ]);
    expect(problems({ constructor: false })).toHaveLength(1);
    expect(problems({ guest: [false] })).toBeUndefined();
  });
});

describe('ID tokens of Entra ID, which name no client', () => {
  const change = { claims: { azp: undefined, scp: undefined, nonce: 'n' } };

  test('are taken where ID tokens are', async () => {
    const fixture = await read('entra-person');
    expect(await identified(fixture, { ...change, provider: { tokenType: 'id_token' } })).toMatchObject({ ok: true });
  });

  test('are exchanged where people sign in with them, and are still none to call with', async () => {
    const fixture = await read('entra-person');
    const provider = { login: { clientId: String(fixture.claims['aud']), exchange: 'id_token' } };
    const { identifier, token } = await signed(fixture, { ...change, provider });
    expect(await identifier.verifySubjectToken(token, 'id_token')).toMatchObject({ ok: true });
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: false, reason: 'token_invalid' });
  });
});

describe('a config that would let the world in is refused', () => {
  const problems = (provider: object) =>
    identitySection
      .safeParse({ providers: [{ name: 'p', audience: 'sallyport', ...provider }] })
      .error?.issues.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`);

  const google = { preset: 'google', groups: { source: 'claim' } };
  const github = { preset: 'github-actions' };
  const genericGoogle = { issuer: 'https://accounts.google.com', algorithms: ['RS256'], tokenType: 'id_token' };
  test.each<[string, object, RegExp]>([
    ['Google without more', google, /hd, sub or email a value: any Google account in the world .* \{hd: </],
    ['Google with any organisation', { ...google, requiredClaims: { hd: true } }, /any Google account in the world/],
    ['Google with hd taken away', { ...google, requiredClaims: { hd: false } }, /any Google account in the world/],
    ['Google with another claim', { ...google, requiredClaims: { aud: 'a' } }, /any Google account in the world/],
    ['Google without its preset', genericGoogle, /any Google account in the world/],
    ['GitHub without more', github, /any repository in the world .* \{repository_owner_id: /],
    ['GitHub with a branch', { ...github, requiredClaims: { repository: true, ref: 'main' } }, /any repository/],
  ])('%s', (_what, provider, message) => {
    expect(problems(provider)?.[0]).toMatch(/^requiredClaims: must give /);
    expect(problems(provider)?.[0]).toMatch(message);
  });

  test.each<[string, object]>([
    ['Google with hd', { ...google, requiredClaims: { hd: 'example.com' } }],
    ['Google with one of two domains', { ...google, requiredClaims: { hd: ['a.example', 'b.example'] } }],
    ['Google with an account', { ...google, requiredClaims: { sub: '112010400000000710080' } }],
    ['Google with an address', { ...google, requiredClaims: { email: 'batch@p.iam.gserviceaccount.com' } }],
    ['GitHub with an owner', { ...github, requiredClaims: { repository_owner_id: '65' } }],
  ])('and not %s', (_what, provider) => {
    expect(problems(provider)).toBeUndefined();
  });

  const entra = (tenant: string) => ({
    preset: 'entra',
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    groups: { source: 'claim' },
  });
  test.each<[string, RegExp]>([
    ['common', /^issuer: is in no token: .* "common"\. Write .*<tenant id>/],
    ['organizations', /^issuer: is in no token/],
    ['consumers', /^issuer: is in no token/],
    ['Common', /^issuer: is in no token/],
    ['9188040d-6c67-4c5b-b112-36a304b66dad', /^issuer: is the tenant of all personal Microsoft accounts/],
  ])('Entra ID with the tenant %s', (tenant, message) => {
    expect(problems(entra(tenant))).toEqual([expect.stringMatching(message)]);
    expect(problems(entra('00000000-aaaa-4bbb-8ccc-0123456789ab'))).toBeUndefined();
  });
});

test('a required address counts only where the provider does not say that it is unverified', async () => {
  const fixture = await read('google-workspace-person');
  const provider = { requiredClaims: { email: 'jsmith@example.com' } };
  expect(await identified(fixture, { provider })).toMatchObject({ ok: true });
  for (const email_verified of [false, 'false'])
    expect(await identified(fixture, { provider, claims: { email_verified } })).toMatchObject({
      ok: false,
      reason: 'token_invalid',
    });
});
