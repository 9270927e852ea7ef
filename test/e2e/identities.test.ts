/** The same request by people of four identity providers, each as that provider shapes identities, through real Envoy. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeGoogle } from '../support/identity-apis/google.ts';
import { FakeGraph, graphError } from '../support/identity-apis/graph.ts';
import { type SamlIdp, startSamlIdp } from '../support/saml-idp.ts';
import { makeKey, type SigningKey, TestProvider } from '../unit/identity/provider.ts';
import { chat } from './support/ask.ts';
import { freePort, type Stack, startStack } from './support/stack.ts';

interface Shape {
  readonly provider: { readonly audience: string };
  readonly header: Readonly<Record<string, string>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A token as the provider documents it (test/fixtures/identity). */
const shape = (name: string): Shape =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/identity', `${name}.json`), 'utf8')) as Shape;

const okta = shape('okta-custom-server-person');
const entra = shape('entra-overage');
const google = shape('google-workspace-person');
/** 250 groups, more than Entra ID puts into a token; one of them counts here. */
const mlGroup = '00000000-aaaa-4bbb-8ccc-000000000249';
const entraGroups = Array.from({ length: 250 }, (_, n) => `00000000-aaaa-4bbb-8ccc-${String(n).padStart(12, '0')}`);
const entraPerson = String(entra.claims['oid']);

let key: SigningKey;
let oktaServer: TestProvider;
let entraServer: TestProvider;
let googleServer: TestProvider;
let graph: FakeGraph;
let directory: FakeGoogle;
let idp: SamlIdp;
let stack: Stack;
let publicUrl = '';
const folder = mkdtempSync(join(tmpdir(), 'sallyport-identities-'));

beforeAll(async () => {
  key = await makeKey('k1', 'RS256');
  oktaServer = await TestProvider.start(key);
  entraServer = await TestProvider.start(key);
  googleServer = await TestProvider.start(key);
  graph = await FakeGraph.start();
  graph.members.set(`users/${entraPerson}`, entraGroups);
  process.env['GRAPH_SECRET'] = graph.clientSecret;
  directory = await FakeGoogle.start();
  directory.members.set('jsmith@example.com', ['everyone@example.com', 'ml-eng@example.com']);
  writeFileSync(join(folder, 'google.json'), directory.keyFile);
  idp = await startSamlIdp({
    people: { ada: { nameId: 'ada-1', attributes: { email: ['ada@corp.test'], groups: ['ml-eng'] } } },
  });
  const port = await freePort();
  publicUrl = `http://127.0.0.1:${port}`;
  stack = await startStack({
    config: { publicUrl, listen: { grpc: 'unix:gate.sock', public: `127.0.0.1:${port}`, internal: '127.0.0.1:0' } },
    providers: [
      { name: 'okta', preset: 'okta', issuer: oktaServer.issuer, audience: okta.provider.audience },
      {
        name: 'entra',
        preset: 'entra',
        issuer: entraServer.issuer,
        audience: entra.provider.audience,
        groups: { graph: graph.section, rename: { [mlGroup]: 'ml-eng' } },
      },
      {
        name: 'google',
        preset: 'google',
        issuer: googleServer.issuer,
        audience: google.provider.audience,
        requiredClaims: { hd: 'example.com' },
        authorizedParties: [String(google.claims['azp']), google.provider.audience],
        groups: {
          google: { ...directory.section, serviceAccountFile: join(folder, 'google.json') },
          rename: { 'ml-eng@example.com': 'ml-eng' },
        },
      },
    ],
    identity: {
      saml: [{ name: 'saml', entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl } }],
      teams: [{ name: 'ml-platform', groups: ['ml-eng'] }],
    },
  });
});
afterAll(async () => {
  await stack.close();
  for (const server of [oktaServer, entraServer, googleServer, graph, directory]) await server.stop();
  await idp.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The documented token, of today, signed by the provider that this test runs. */
function tokenLike({ header, claims }: Shape, server: TestProvider, more: object = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const dates = { iat: now - 10, exp: now + 600, ...('nbf' in claims ? { nbf: now - 10 } : {}) };
  return new SignJWT({ ...claims, ...dates, iss: server.issuer, ...more })
    .setProtectedHeader({ ...header, alg: 'RS256', kid: key.kid })
    .sign(key.privateKey);
}

async function assertionToken(): Promise<string> {
  const endpoint = `${publicUrl}/oauth/token`;
  const assertion = idp.assertion('ada', { audience: endpoint, recipient: endpoint });
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer', assertion });
  const answer = (await (await fetch(endpoint, { method: 'POST', body: form })).json()) as { access_token: string };
  return answer.access_token;
}

const tokens = {
  okta: () => tokenLike(okta, oktaServer),
  entra: () => tokenLike(entra, entraServer, { tid: graph.tenant }),
  google: () => tokenLike(google, googleServer),
  saml: assertionToken,
};

const ask = (token: string) =>
  fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(chat),
  });

async function callerOnRecord(session: string) {
  for (const line of await stack.journal())
    if (line.kind === 'event' && line.event.session === session && line.event.type === 'request')
      return line.event['caller'] as { groups: string[] };
  throw new Error(`session ${session} is not on the record`);
}

describe('the same request passes', () => {
  test.each([
    ['okta', { provider: 'okta', subject: 'jane.doe@example.com', email: 'jane.doe@example.com', proof: 'token' }],
    ['entra', { provider: 'entra', subject: entraPerson, email: 'jane.doe@example.com', proof: 'token' }],
    ['google', { provider: 'google', subject: google.claims['sub'], email: 'jsmith@example.com', proof: 'token' }],
    ['saml', { provider: 'saml', subject: 'ada-1', email: 'ada@corp.test', proof: 'issued' }],
  ] as const)('as a person of %s, by name, groups and team on the record', async (name, who) => {
    const response = await ask(await tokens[name]());
    expect(response.status).toBe(200);
    const caller = await callerOnRecord(response.headers.get('x-sallyport-session') ?? '');
    expect(caller).toMatchObject({ ...who, kind: 'person', team: 'ml-platform' });
    expect(caller.groups).toContain('ml-eng');
  });

  test('and all 250 groups of an Entra person are known, also in a token of the gateway', async () => {
    const exchange = await fetch(`${publicUrl}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: await tokens.entra(),
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      }),
    });
    const { access_token: issued } = (await exchange.json()) as { access_token: string };
    expect(issued.length).toBeLessThan(4096);
    const response = await ask(issued);
    expect(response.status).toBe(200);
    const caller = await callerOnRecord(response.headers.get('x-sallyport-session') ?? '');
    expect(caller).toMatchObject({ provider: 'entra', subject: entraPerson, proof: 'issued' });
    expect(new Set(caller.groups)).toEqual(new Set(entraGroups.map((id) => (id === mlGroup ? 'ml-eng' : id))));
  });
});

describe('is refused', () => {
  test('as a person of Entra whose groups Microsoft Graph does not tell: 401 groups_unavailable, not a caller without groups', async () => {
    const stranger = '11111111-2222-4333-8444-555555555555';
    graph.instead(
      new RegExp(`/users/${stranger}/`),
      graphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.'),
    );
    const response = await ask(await tokenLike(entra, entraServer, { tid: graph.tenant, oid: stranger }));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(await response.json()).toMatchObject({ error: { code: 'groups_unavailable' } });
  });

  test('as a person of Google with a private account, verified, that carries a company address', async () => {
    expect(google.claims).toMatchObject({ email: 'jsmith@example.com', email_verified: true });
    const response = await ask(await tokenLike(google, googleServer, { hd: undefined }));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'token_invalid' } });
  });

  test('as a person of Google whose company address is not verified', async () => {
    const response = await ask(await tokenLike(google, googleServer, { email_verified: false }));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'groups_unavailable' } });
  });

  test('as a person of one provider with a token for the audience of another', async () => {
    const response = await ask(await tokenLike(entra, entraServer, { tid: graph.tenant, aud: okta.provider.audience }));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'audience_wrong' } });
  });

  test('as a person of Okta without a group that a rule allows', async () => {
    const response = await ask(await tokenLike(okta, oktaServer, { groups: ['Everyone'] }));
    expect([response.status, await response.json()]).toMatchObject([403, { error: { code: 'no_rule_allows' } }]);
  });
});
