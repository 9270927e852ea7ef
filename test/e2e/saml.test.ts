/** SAML from the browser, and from an API caller, to a model: real identity provider, gateway, Envoy. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signInCode } from '../../src/console/oauth/sign-in-code.ts';
import { readForm, type SamlIdp, signInByBrowser, startSamlIdp } from '../support/saml-idp.ts';
import { chat } from './support/ask.ts';
import { freePort, type Stack, startStack } from './support/stack.ts';

let idp: SamlIdp;
let stack: Stack;
let publicUrl = '';

beforeAll(async () => {
  idp = await startSamlIdp({
    people: { ada: { nameId: 'ada-1', attributes: { email: ['ada@corp.test'], groups: ['ml-eng'] } } },
  });
  const port = await freePort();
  publicUrl = `http://127.0.0.1:${port}`;
  stack = await startStack({
    config: {
      publicUrl,
      listen: { grpc: 'unix:gate.sock', public: `127.0.0.1:${port}`, internal: '127.0.0.1:0' },
      identity: {
        saml: [{ name: 'sso', entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl } }],
        teams: [{ name: 'ml-platform', groups: ['ml-eng'] }],
      },
    },
  });
});
afterAll(async () => {
  await stack.close();
  await idp.close();
});

const ask = (form: Record<string, string>) =>
  fetch(`${publicUrl}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
const call = (token: string) =>
  fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(chat),
  });
const tokenIn = async (response: Response) => ((await response.json()) as { access_token: string }).access_token;

async function calls(token: string) {
  const { status } = await call(token);
  const requests = (await stack.journal()).flatMap((line) =>
    line.kind === 'event' && line.event.type === 'request' ? [line.event] : [],
  );
  return { status, caller: requests.at(-1)?.['caller'] };
}

const redirectUri = 'http://127.0.0.1:43210/callback';

/** A browser with its cookie, and a person who compares the code, from the client's request to the redirect back to it. */
async function signIn(challenge: string): Promise<URL> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'sallyport-cli',
    redirect_uri: redirectUri,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 'mine',
    provider: 'sso',
  });
  const begun = await fetch(`${publicUrl}/oauth/authorize?${query}`, { redirect: 'manual' });
  expect(begun.status).toBe(302);
  const answered = await signInByBrowser(begun.headers.get('location') ?? '');
  expect([answered.status, await answered.text()]).toEqual([303, '']);
  const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const question = await fetch(answered.headers.get('location') ?? '', { headers: { cookie }, redirect: 'manual' });
  const page = await question.text();
  expect([question.status, page]).toEqual([200, expect.stringContaining(`<code>${signInCode(challenge)}</code>`)]);
  const { action, fields } = readForm(page);
  const back = await fetch(action, { method: 'POST', headers: { cookie }, body: fields, redirect: 'manual' });
  expect(back.status).toBe(303);
  return new URL(back.headers.get('location') ?? '');
}

describe('a SAML identity', () => {
  test('signs in by a browser, gets a token, and calls a model through Envoy', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const to = await signIn(createHash('sha256').update(verifier).digest('base64url'));
    expect([to.searchParams.get('state'), to.searchParams.get('iss')]).toEqual(['mine', publicUrl]);
    const response = await ask({
      grant_type: 'authorization_code',
      code: to.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      client_id: 'sallyport-cli',
      code_verifier: verifier,
    });
    expect(await calls(await tokenIn(response))).toEqual({
      status: 200,
      caller: {
        provider: 'sso',
        issuer: expect.stringMatching(/\/metadata$/),
        subject: 'ada-1',
        email: 'ada@corp.test',
        kind: 'person',
        proof: 'issued',
        groups: ['ml-eng'],
        team: 'ml-platform',
      },
    });
  });

  test('of an API caller is an assertion for a token, once (RFC 7522)', async () => {
    const endpoint = `${publicUrl}/oauth/token`;
    const assertion = idp.assertion('ada', { audience: endpoint, recipient: endpoint });
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer', assertion };
    const response = await ask(form);
    expect(await calls(await tokenIn(response))).toMatchObject({
      status: 200,
      caller: { provider: 'sso', subject: 'ada-1' },
    });
    const again = await ask(form);
    expect([again.status, await again.json()]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })]);
  });

  test('is told of to the provider by our metadata', async () => {
    const response = await fetch(`${publicUrl}/saml/sso/metadata`);
    expect(response.headers.get('content-type')).toBe('application/samlmetadata+xml');
    expect(await response.text()).toContain(`${publicUrl}/saml/sso/acs`);
  });
});
