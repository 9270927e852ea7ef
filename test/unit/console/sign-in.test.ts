import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signInCode } from '../../../src/console/oauth/sign-in-code.ts';
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
async function signIn(gateway: Gateway, changes: Record<string, string> = {}) {
  const begun = await authorize(gateway, changes);
  const cookie = cookieOf(begun);
  const handle = locationOf(begun).searchParams.get('RelayState') ?? '';
  const answered = await gateway.post('/saml/sso/acs', { SAMLResponse: 'Z29vZA==', RelayState: handle });
  const next = locationOf(answered);
  const ask = (headers: Record<string, string> = { cookie }) => gateway.get(`${next.pathname}${next.search}`, headers);
  /** The person looks at the page, and says yes. */
  const back = async () => {
    const page = await ask();
    return page.status === 200 ? confirm(gateway, await page.text(), { cookie }) : page;
  };
  return { begun, cookie, handle, answered, next, ask, back };
}

const fieldsOf = (page: string): Record<string, string> =>
  Object.fromEntries(
    [...page.matchAll(/<input type="hidden" name="(\w+)" value="([\w-]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
const confirm = (gateway: Gateway, page: string, headers: Record<string, string>) =>
  gateway.post('/oauth/continue', fieldsOf(page), headers);

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
      303,
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
    ['another host', 'http://evil.example:1/callback'],
    ['https on the loopback', 'https://127.0.0.1:1/callback'],
    ['localhost, which a resolver may lead elsewhere', 'http://localhost:1/callback'],
    ['a user before the host', 'http://127.0.0.1:1@evil.example/callback'],
    ['no port', 'http://127.0.0.1/callback'],
    ['port 0', 'http://127.0.0.1:0/callback'],
    ['a port too high', 'http://127.0.0.1:70000/callback'],
    ['a query', 'http://127.0.0.1:1/callback?next=evil'],
    ['a fragment', 'http://127.0.0.1:1/callback#x'],
    ['a line break', 'http://127.0.0.1:1/callback\r\nset-cookie:x'],
    ['another address of this machine', 'http://127.0.0.2:1/callback'],
    ['another path, where something else may listen', 'http://127.0.0.1:1/'],
    ['a path below', 'http://127.0.0.1:1/callback/x'],
    ['a path above', 'http://127.0.0.1:1/callback/../x'],
    ['a path with two slashes', 'http://127.0.0.1:1//callback'],
    ['a scheme of its own', 'javascript:alert(1)'],
  ])('redirects nobody to %s', async (_, redirect_uri) => {
    const gateway = await startOauth();
    const response = await authorize(gateway, { redirect_uri });
    expect([response.status, response.headers.get('location'), gateway.saml.begun]).toEqual([400, null, []]);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).toContain('sallyport login');
  });

  it.each(['http://127.0.0.1:1/callback', 'http://[::1]:65535/callback'])('redirects to %s', async (redirect_uri) => {
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

describe('a flood of sign-ins from one address', () => {
  const ask = (gateway: Gateway, remoteAddress: string) =>
    gateway.app.request(
      `/oauth/authorize?${new URLSearchParams(asked)}`,
      {},
      { incoming: { socket: { remoteAddress } } },
    );
  const begins = async (gateway: Gateway, address: string) =>
    locationOf(await ask(gateway, address)).searchParams.get('error') === null;

  it('stops nobody at another', async () => {
    const gateway = await startOauth();
    for (let n = 0; n < 70; n++) await ask(gateway, '198.51.100.1');
    expect(await begins(gateway, '198.51.100.1')).toBe(false);
    expect(await begins(gateway, '::ffff:198.51.100.1')).toBe(false);
    expect(await begins(gateway, '198.51.100.2')).toBe(true);
  });

  it('is one flood, whichever address of its IPv6 network it takes', async () => {
    const gateway = await startOauth();
    for (let n = 0; n < 70; n++) await ask(gateway, `2001:db8::${n.toString(16)}`);
    expect(await begins(gateway, '2001:db8:0:0:ffff::1')).toBe(false);
    expect(await begins(gateway, '2001:db8:0:1::1')).toBe(true);
  });

  it('is bounded when it comes from many: the state does not fill', async () => {
    const gateway = await startOauth();
    let begun = 0;
    for (let n = 0; n < 520; n++) if (await begins(gateway, `198.51.${n >> 8}.${n & 255}`)) begun++;
    expect(begun).toBe(500);
    gateway.pass(1000);
    expect(await begins(gateway, '203.0.113.1')).toBe(true);
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
    const { ask, cookie, back } = await signIn(gateway);
    const sent =
      headers === 'renamed' ? { cookie: cookie.replace('__Host-', '') } : (headers as Record<string, string>);
    const response = await ask(sent);
    expect([response.status, response.headers.get('location')]).toEqual([400, null]);
    expect(await response.text()).toContain('another browser');
    expect((await back()).status).toBe(400);
  });

  it('is let through once, and within five minutes', async () => {
    const gateway = await startOauth();
    const { back } = await signIn(gateway);
    expect((await back()).status).toBe(303);
    expect((await back()).status).toBe(400);
    const late = await signIn(gateway);
    gateway.pass(300_000);
    expect((await late.back()).status).toBe(400);
  });

  it('gets no code before the person has said yes to the code of the terminal (RFC 8252 §8.6)', async () => {
    const gateway = await startOauth();
    const { ask } = await signIn(gateway);
    const asked = await ask();
    const page = await asked.text();
    expect([asked.status, asked.headers.get('location')]).toEqual([200, null]);
    expect(page).toContain(`<code>${signInCode(challenge)}</code>`);
    expect(page).toContain('corp/ada');
    expect(page).not.toContain('<script');
    expect(asked.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' http://127.0.0.1:43210",
    );
    expect(await gateway.state.list('sign-in/code/', { limit: 10 })).toEqual([]);
    expect((await ask()).status).toBe(200);
  });

  it('can be led on to an IPv6 address, which no policy can name', async () => {
    const gateway = await startOauth();
    const { ask } = await signIn(gateway, { redirect_uri: 'http://[::1]:43210/callback' });
    expect((await ask()).headers.get('content-security-policy')).toMatch(/form-action 'self' http:$/);
  });

  it.each([
    ['without the seal of its page', { seal: '' }, true],
    ['with another seal', { seal: 'A'.repeat(43) }, true],
    ['without its cookie, as a form of another site comes', {}, false],
    ['without a ticket', { ticket: '' }, true],
    ['with another ticket', { ticket: 'A'.repeat(43) }, true],
  ])('gets no code %s', async (_, changes, withCookie) => {
    const gateway = await startOauth();
    const { ask, cookie } = await signIn(gateway);
    const fields = { ...fieldsOf(await (await ask()).text()), ...changes };
    const response = await gateway.post('/oauth/continue', fields, withCookie ? { cookie } : {});
    expect([response.status, response.headers.get('location')]).toEqual([400, null]);
    expect(await gateway.state.list('sign-in/code/', { limit: 10 })).toEqual([]);
  });

  it('is not sent on by the seal of another sign-in of the same browser', async () => {
    const gateway = await startOauth();
    const [one, other] = [await signIn(gateway), await signIn(gateway)];
    const { seal = '' } = fieldsOf(await (await other.ask()).text());
    const cookie = `${one.cookie}; ${other.cookie}`;
    const fields = { ...fieldsOf(await (await one.ask()).text()), seal };
    expect((await gateway.post('/oauth/continue', fields, { cookie })).status).toBe(400);
  });

  it('is shown names as text, whatever is in them', async () => {
    const gateway = await startOauth();
    gateway.saml.answer = { ok: true, caller: { ...gateway.caller, subject: '"><b>ada', email: '<i>@x' } };
    const page = await (await (await signIn(gateway)).ask()).text();
    expect(page).toContain('corp/&quot;&gt;&lt;b&gt;ada (&lt;i&gt;@x)');
  });

  it('keeps no cookie of a sign-in that is over, and those of others', async () => {
    const gateway = await startOauth();
    const [one, other] = [await signIn(gateway), await signIn(gateway)];
    const both = { cookie: `${other.cookie}; ${one.cookie}` };
    const response = await confirm(gateway, await (await one.ask(both)).text(), both);
    expect(response.headers.getSetCookie()).toEqual([`${one.cookie.split('=')[0]}=; Max-Age=0; Path=/; Secure`]);
  });

  it('finds its cookie among those of other sign-ins', async () => {
    const gateway = await startOauth();
    const [one, other] = [await signIn(gateway), await signIn(gateway)];
    expect(one.cookie.split('=')[0]).not.toBe(other.cookie.split('=')[0]);
    const both = { cookie: `${other.cookie}; theme=dark; ${one.cookie}` };
    expect((await one.ask(both)).status).toBe(200);
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
