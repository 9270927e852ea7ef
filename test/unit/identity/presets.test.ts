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

/** Signs the fixture's token, with changes, and identifies it with the keys in a file: nobody is asked. */
async function identified(fixture: Fixture, change: { claims?: object; header?: object; provider?: object } = {}) {
  const header = { ...fixture.header, ...change.header };
  const file = join(dir, `${fixture.header.kid}.json`);
  await writeFile(file, JSON.stringify({ keys: [{ ...key.publicJwk, kid: fixture.header.kid }] }));
  const config = identitySection.parse({
    providers: [{ name: 'corp', ...fixture.provider, keys: { file }, ...change.provider }],
  });
  const token = await new SignJWT({ ...fixture.claims, ...change.claims })
    .setProtectedHeader(header)
    .sign(key.privateKey);
  return identifierOf(config, () => epoch).identify(bearer(token));
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

test('a config with GitHub’s preset must name whose repositories may call', () => {
  const provider = { name: 'ci', preset: 'github-actions', audience: 'sallyport' };
  const problems = (more: object) =>
    identitySection
      .safeParse({ providers: [{ ...provider, ...more }] })
      .error?.issues.map(({ path }) => path.join('.'));
  expect(problems({})).toEqual(['providers.0.requiredClaims']);
  expect(problems({ requiredClaims: { repository: true, ref: 'refs/heads/main' } })).toEqual([
    'providers.0.requiredClaims',
  ]);
  expect(problems({ requiredClaims: { repository_owner_id: '65' } })).toBeUndefined();
});
