import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Gateway, jsonOf, publicUrl, startOauth } from './oauth-gateway.ts';

const verifier = 'a-verifier-that-is-long-enough-for-rfc-7636-_~.';
const challenge = createHash('sha256').update(verifier).digest('base64url');
const redirectUri = 'http://127.0.0.1:43210/callback';
const asked = {
  response_type: 'code',
  client_id: 'sallyport-cli',
  redirect_uri: redirectUri,
  code_challenge: challenge,
  code_challenge_method: 'S256',
  state: 'state-of-the-client',
  provider: 'sso',
};

const authorize = (gateway: Gateway, changes: Record<string, string | undefined> = {}) => {
  const query = Object.entries({ ...asked, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return gateway.get(`/oauth/authorize?${new URLSearchParams(query)}`);
};

const locationOf = (response: Response) => new URL(response.headers.get('location') ?? 'about:blank');
const cookieOf = (response: Response) => (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

/** A browser that signs in, up to the redirect to the client. */
async function signIn(gateway: Gateway) {
  const begun = await authorize(gateway);
  const cookie = cookieOf(begun);
  const handle = locationOf(begun).searchParams.get('RelayState') ?? '';
  const answered = await gateway.post('/saml/sso/acs', { SAMLResponse: 'Z29vZA==', RelayState: handle });
  const next = locationOf(answered);
  const back = () => gateway.get(`${next.pathname}${next.search}`, { cookie });
  return { begun, cookie, handle, answered, next, back };
}

const redeem = (gateway: Gateway, code: string, changes: Record<string, string> = {}) =>
  gateway.post('/oauth/token', {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    client_id: 'sallyport-cli',
    code_verifier: verifier,
    ...changes,
  });

const codeOf = async (gateway: Gateway) => {
  const { back } = await signIn(gateway);
  return locationOf(await back()).searchParams.get('code') ?? '';
};

describe('signing in by SAML', () => {
  it('leads the browser to the provider, back, and with a code to the client, which gets a token', async () => {
    const gateway = await startOauth();
    const { begun, handle, answered, next, back } = await signIn(gateway);
    expect([begun.status, locationOf(begun).origin]).toEqual([302, 'https://sso.example']);
    expect(handle).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(begun.headers.get('set-cookie')).toMatch(
      /^__Host-sallyport-sign-in-[\w-]{8}=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    expect([answered.status, next.origin, next.pathname]).toEqual([303, publicUrl, '/oauth/continue']);
    const done = await back();
    const to = locationOf(done);
    expect([done.status, `${to.origin}${to.pathname}`, done.headers.get('referrer-policy')]).toEqual([
      302,
      redirectUri,
      'no-referrer',
    ]);
    expect([to.searchParams.get('state'), to.searchParams.get('iss')]).toEqual(['state-of-the-client', publicUrl]);
    const response = await redeem(gateway, to.searchParams.get('code') ?? '');
    expect(response.status).toBe(200);
    const { access_token } = await jsonOf(response);
    const who = await jsonOf(await gateway.get('/oauth/whoami', { authorization: `Bearer ${access_token}` }));
    expect(who).toMatchObject({ subject: 'ada', proof: 'issued', team: 'ml-platform' });
    expect(gateway.record.credentials).toMatchObject([
      { action: 'issued', grant: 'authorization_code', caller: { subject: 'ada' } },
    ]);
  });

  it('keeps no secret in the state: neither handle, cookie, ticket nor code', async () => {
    const gateway = await startOauth();
    const { cookie, handle, next, back } = await signIn(gateway);
    const seen = [cookie.split('=')[1] ?? '', handle, next.searchParams.get('ticket') ?? ''];
    seen.push(locationOf(await back()).searchParams.get('code') ?? '');
    const kept = JSON.stringify(await gateway.state.list('sign-in/', { limit: 100 }));
    for (const secret of seen) {
      expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(kept).not.toContain(secret);
    }
  });

  it.each([
    ['another host', 'http://evil.example:1/'],
    ['https on the loopback', 'https://127.0.0.1:1/'],
    ['localhost, which a resolver may lead elsewhere', 'http://localhost:1/cb'],
    ['a user before the host', 'http://127.0.0.1:1@evil.example/'],
    ['no port', 'http://127.0.0.1/'],
    ['port 0', 'http://127.0.0.1:0/'],
    ['a port too high', 'http://127.0.0.1:70000/'],
    ['a query', 'http://127.0.0.1:1/?next=evil'],
    ['a fragment', 'http://127.0.0.1:1/#x'],
    ['a line break', 'http://127.0.0.1:1/\r\nset-cookie:x'],
    ['another address of this machine', 'http://127.0.0.2:1/'],
    ['a scheme of its own', 'javascript:alert(1)'],
  ])('redirects nobody to %s', async (_, redirect_uri) => {
    const gateway = await startOauth();
    const response = await authorize(gateway, { redirect_uri });
    expect([response.status, response.headers.get('location'), gateway.saml.begun]).toEqual([400, null, []]);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).toContain('sallyport login');
  });

  it.each(['http://127.0.0.1:1/', 'http://[::1]:65535/oauth/cb'])('redirects to %s', async (redirect_uri) => {
    const gateway = await startOauth();
    expect((await authorize(gateway, { redirect_uri })).status).toBe(302);
    expect(gateway.saml.begun).toHaveLength(1);
  });

  it.each([
    ['no PKCE', { code_challenge: undefined }, 'invalid_request'],
    ['PKCE that hides nothing', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['PKCE without a method', { code_challenge_method: undefined }, 'invalid_request'],
    ['a short challenge', { code_challenge: 'x' }, 'invalid_request'],
    ['an implicit token', { response_type: 'token' }, 'unsupported_response_type'],
    ['no state', { state: undefined }, 'invalid_request'],
    ['a provider that is not there', { provider: 'other' }, 'invalid_request'],
    ['a scope', { scope: 'openid' }, 'invalid_scope'],
  ])('tells the client that %s is refused', async (_, changes, error) => {
    const gateway = await startOauth();
    const response = await authorize(gateway, changes);
    const { origin, searchParams } = locationOf(response);
    expect([response.status, origin, searchParams.get('error'), searchParams.get('iss')]).toEqual([
      302,
      'http://127.0.0.1:43210',
      error,
      publicUrl,
    ]);
    expect(gateway.saml.begun).toEqual([]);
  });

  it('refuses a parameter that is there twice, and another client', async () => {
    const gateway = await startOauth();
    const twice = await gateway.get(
      `/oauth/authorize?${new URLSearchParams(asked)}&redirect_uri=http%3A%2F%2Fevil.example%3A1%2F`,
    );
    expect([twice.status, twice.headers.get('location')]).toEqual([400, null]);
    expect((await authorize(gateway, { client_id: 'other' })).status).toBe(400);
  });

  it('does not let a flood of sign-ins fill the state', async () => {
    const gateway = await startOauth();
    const all: Response[] = [];
    for (let n = 0; n < 100; n++) all.push(await authorize(gateway));
    const refused = all.filter(
      (response) => locationOf(response).searchParams.get('error') === 'temporarily_unavailable',
    );
    expect(refused).toHaveLength(40);
    expect(await gateway.state.list('sign-in/pending/', { limit: 1000 })).toHaveLength(60);
  });
});

describe('the answer of the identity provider', () => {
  it('that nobody asked for is refused', async () => {
    const gateway = await startOauth();
    for (const RelayState of [undefined, '', 'x', 'A'.repeat(43)]) {
      const response = await gateway.post('/saml/sso/acs', {
        SAMLResponse: 'Z29vZA==',
        ...(RelayState !== undefined && { RelayState }),
      });
      expect([response.status, await response.text()]).toEqual([
        400,
        expect.stringContaining('did not begin at this gateway'),
      ]);
    }
  });

  it('counts once', async () => {
    const gateway = await startOauth();
    const { handle } = await signIn(gateway);
    expect((await gateway.post('/saml/sso/acs', { SAMLResponse: 'Z29vZA==', RelayState: handle })).status).toBe(400);
  });

  it('comes too late after ten minutes', async () => {
    const gateway = await startOauth();
    const handle = locationOf(await authorize(gateway)).searchParams.get('RelayState') ?? '';
    gateway.pass(600_000);
    expect((await gateway.post('/saml/sso/acs', { SAMLResponse: 'Z29vZA==', RelayState: handle })).status).toBe(400);
  });

  it('that is bad is refused without its reason, escaped; the record has it', async () => {
    const gateway = await startOauth();
    const handle = locationOf(await authorize(gateway)).searchParams.get('RelayState') ?? '';
    const response = await gateway.post('/saml/sso/acs', { SAMLResponse: 'YmFk', RelayState: handle });
    const page = await response.text();
    expect(response.status).toBe(400);
    expect(page).not.toContain('<b>');
    expect(page).not.toContain('signature <');
    expect(gateway.record.credentials).toMatchObject([
      { action: 'refused', grant: 'sign_in', code: 'token_invalid', detail: 'the signature <b>is</b> bad' },
    ]);
  });

  it('is read up to 1 MiB', async () => {
    const gateway = await startOauth();
    const response = await gateway.post('/saml/sso/acs', `SAMLResponse=${'x'.repeat(1_100_000)}`);
    expect(response.status).toBe(413);
  });
});

describe('the browser that comes back', () => {
  it.each([
    ['without its cookie', {}],
    ['with another cookie', { cookie: `__Host-sallyport-sign-in-aaaaaaaa=${'A'.repeat(43)}` }],
    ['with a cookie that another host could have set', 'renamed'],
  ])('%s is refused: nobody is signed in as somebody else', async (_, headers) => {
    const gateway = await startOauth();
    const { next, cookie, back } = await signIn(gateway);
    const sent =
      headers === 'renamed' ? { cookie: cookie.replace('__Host-', '') } : (headers as Record<string, string>);
    const response = await gateway.get(`${next.pathname}${next.search}`, sent);
    expect([response.status, response.headers.get('location')]).toEqual([400, null]);
    expect(await response.text()).toContain('another browser');
    expect((await back()).status).toBe(400);
  });

  it('is let through once, and within two minutes', async () => {
    const gateway = await startOauth();
    const { back } = await signIn(gateway);
    expect((await back()).status).toBe(302);
    expect((await back()).status).toBe(400);
    const late = await signIn(gateway);
    gateway.pass(120_000);
    expect((await late.back()).status).toBe(400);
  });

  it('keeps no cookie of a sign-in that is over, and those of others', async () => {
    const gateway = await startOauth();
    const [one, other] = [await signIn(gateway), await signIn(gateway)];
    const both = { cookie: `${other.cookie}; ${one.cookie}` };
    const response = await gateway.get(`${one.next.pathname}${one.next.search}`, both);
    expect(response.headers.getSetCookie()).toEqual([`${one.cookie.split('=')[0]}=; Max-Age=0; Path=/; Secure`]);
  });

  it('finds its cookie among those of other sign-ins', async () => {
    const gateway = await startOauth();
    const [one, other] = [await signIn(gateway), await signIn(gateway)];
    expect(one.cookie.split('=')[0]).not.toBe(other.cookie.split('=')[0]);
    const both = { cookie: `${other.cookie}; theme=dark; ${one.cookie}` };
    expect((await gateway.get(`${one.next.pathname}${one.next.search}`, both)).status).toBe(302);
  });
});

describe('the code', () => {
  it('is good once: used again it takes back what it gave', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    const { access_token } = await jsonOf(await redeem(gateway, code));
    const again = await redeem(gateway, code);
    expect([again.status, (await jsonOf(again)).error]).toEqual([400, 'invalid_grant']);
    const who = await gateway.get('/oauth/whoami', { authorization: `Bearer ${access_token}` });
    expect(await jsonOf(who)).toMatchObject({ error: { code: 'token_revoked' } });
    expect(gateway.record.credentials.map(({ action }) => action)).toEqual(['issued', 'revoked', 'refused', 'refused']);
  });

  it('that is used again and again takes back once, and then is refused like any other', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    await redeem(gateway, code);
    for (let n = 0; n < 20; n++) expect((await redeem(gateway, code)).status).toBe(400);
    expect(await gateway.state.list('revoked/token/', { limit: 100 })).toHaveLength(1);
    expect(gateway.record.credentials.filter(({ action }) => action === 'revoked')).toHaveLength(1);
  });

  it.each([
    ['another verifier', { code_verifier: `${verifier}x` }],
    ['another redirect_uri', { redirect_uri: 'http://127.0.0.1:43211/callback' }],
    ['another client', { client_id: 'other' }],
  ])('that was used takes nothing back from who comes with %s', async (_, changes) => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    const { access_token } = await jsonOf(await redeem(gateway, code));
    expect((await redeem(gateway, code, changes)).status).toBe(400);
    const who = await gateway.get('/oauth/whoami', { authorization: `Bearer ${access_token}` });
    expect(who.status).toBe(200);
    expect((await redeem(gateway, code)).status).toBe(400);
    const gone = await gateway.get('/oauth/whoami', { authorization: `Bearer ${access_token}` });
    expect(await jsonOf(gone)).toMatchObject({ error: { code: 'token_revoked' } });
  });

  it('that was used takes back what it gave at the next try when the state was out of reach', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    await redeem(gateway, code);
    const { putIfAbsent } = gateway.state;
    Object.assign(gateway.state, {
      putIfAbsent: async () => Promise.reject(Object.assign(new Error('cut'), { code: 'state_unavailable' })),
    });
    expect((await redeem(gateway, code)).status).toBe(503);
    Object.assign(gateway.state, { putIfAbsent });
    expect((await redeem(gateway, code)).status).toBe(400);
    expect(await gateway.state.list('revoked/token/', { limit: 100 })).toHaveLength(1);
  });

  it('gives one token to a hundred at once', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    const all = await Promise.all(Array.from({ length: 60 }, () => redeem(gateway, code)));
    expect(all.filter(({ status }) => status === 200).length).toBe(1);
  });

  it('is good for a minute', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    gateway.pass(60_000);
    expect((await redeem(gateway, code)).status).toBe(400);
  });

  it.each([
    ['another verifier', { code_verifier: `${verifier}x` }],
    ['the challenge as verifier', { code_verifier: challenge }],
    ['a short verifier', { code_verifier: 'x' }],
    ['another redirect_uri', { redirect_uri: 'http://127.0.0.1:43211/callback' }],
    ['another client', { client_id: 'other' }],
  ])('is of no use with %s', async (_, changes) => {
    const gateway = await startOauth();
    const response = await redeem(gateway, await codeOf(gateway), changes);
    expect(response.status).toBe(400);
    expect(gateway.record.credentials.every(({ action }) => action === 'refused')).toBe(true);
  });

  it('is used up by a try that fails', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    expect((await redeem(gateway, code, { code_verifier: `${verifier}x` })).status).toBe(400);
    expect((await redeem(gateway, code)).status).toBe(400);
  });

  it('gives nothing to a caller who was taken back meanwhile', async () => {
    const gateway = await startOauth();
    const code = await codeOf(gateway);
    await gateway.identity.revocations.revokeSubject('corp', 'ada');
    expect((await redeem(gateway, code)).status).toBe(400);
  });
});

describe('GET /saml/<name>/metadata', () => {
  it('is the metadata of this gateway for that provider', async () => {
    const gateway = await startOauth();
    const response = await gateway.get('/saml/sso/metadata');
    expect([response.headers.get('content-type'), await response.text()]).toEqual([
      'application/samlmetadata+xml',
      '<EntityDescriptor/>',
    ]);
    expect((await gateway.get('/saml/other/metadata')).status).toBe(404);
  });
});
