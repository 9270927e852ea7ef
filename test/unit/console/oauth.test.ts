import { describe, expect, it } from 'vitest';
import {
  audience,
  bearerGrant,
  exchangeForm,
  exchangeGrant,
  issued,
  jsonOf,
  publicUrl,
  startOauth,
  tokenType,
} from './oauth-gateway.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('POST /oauth/token: token exchange', () => {
  it('gives a token for a provider’s token, as RFC 8693 says, and nobody keeps the answer', async () => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token()));
    expect([response.status, response.headers.get('cache-control'), response.headers.get('pragma')]).toEqual([
      200,
      'no-store',
      'no-cache',
    ]);
    const answer = await jsonOf(response);
    expect(answer).toEqual({
      access_token: expect.any(String),
      issued_token_type: tokenType('access_token'),
      token_type: 'Bearer',
      // As long as the gate takes the provider's token: its `exp` and the leeway.
      expires_in: 620,
    });
    const who = await jsonOf(await gateway.get('/oauth/whoami', bearer(answer.access_token)));
    expect(who).toMatchObject({
      provider: 'corp',
      subject: 'jane',
      team: 'ml-platform',
      proof: 'issued',
      groups: ['ml-eng'],
    });
  });

  it('puts it on the record, durably, before it is given', async () => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token()));
    const [event] = gateway.record.credentials;
    expect(gateway.record.durableEvents).toBe(1);
    expect(event).toMatchObject({
      action: 'issued',
      grant: 'token_exchange',
      caller: { provider: 'corp', subject: 'jane', team: 'ml-platform' },
      clientAddress: '192.0.2.7',
      session: response.headers.get('x-sallyport-session'),
    });
    const { access_token } = await jsonOf(response);
    const claims = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString());
    expect(event).toMatchObject({ tokenId: claims.jti, expiresAtMs: claims.exp * 1000 });
    expect(JSON.stringify(event)).not.toContain(access_token);
  });

  it('gives no token when there is no record', async () => {
    const gateway = await startOauth();
    gateway.record.state = 'failed';
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token()));
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await jsonOf(response)).toEqual({ error: 'temporarily_unavailable', error_description: expect.any(String) });
  });

  it('does not exchange a token that the gateway issued: no life without end', async () => {
    const gateway = await startOauth();
    const own = await issued(gateway);
    for (const type of ['access_token', 'id_token', 'jwt']) {
      const response = await gateway.post('/oauth/token', exchangeForm(own, { subject_token_type: tokenType(type) }));
      expect([response.status, (await jsonOf(response)).error]).toEqual([400, 'invalid_request']);
    }
    expect(gateway.record.credentials.at(-1)).toMatchObject({ action: 'refused', code: 'own_token' });
  });

  it.each([
    ['expired', { exp: 1_768_478_000, iat: 1_768_477_000 }, /expired/, 'token_expired'],
    ['for another service', { aud: 'https://other.example' }, /another service/, 'audience_wrong'],
    [
      'of an issuer that nobody knows',
      { iss: 'https://evil.example' },
      /No configured identity provider/,
      'issuer_unknown',
    ],
    ['with groups that cannot be read', { groups: [{ id: 1 }] }, /groups/, 'groups_unavailable'],
  ])('says that a token is %s', async (_, claims, description, reason) => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token(claims)));
    const answer = await jsonOf(response);
    expect([response.status, answer.error, response.headers.get('cache-control')]).toEqual([
      400,
      'invalid_request',
      'no-store',
    ]);
    expect(answer.error_description).toMatch(description);
    expect(gateway.record.credentials).toMatchObject([
      { action: 'refused', code: reason, detail: expect.stringMatching(/./) },
    ]);
  });

  it('does not say why a signature fails, but to the record', async () => {
    const gateway = await startOauth();
    const [header, claims, signature = ''] = (await gateway.token()).split('.');
    const flipped = Buffer.from(signature, 'base64url');
    flipped[3] = (flipped[3] ?? 0) ^ 1;
    const wrong = await gateway.post(
      '/oauth/token',
      exchangeForm(`${header}.${claims}.${flipped.toString('base64url')}`),
    );
    const unknown = await gateway.post('/oauth/token', exchangeForm(await gateway.token({}, { kid: 'other' })));
    expect(await jsonOf(wrong)).toEqual(await jsonOf(unknown));
    expect(new Set(gateway.record.credentials.map((event) => event.detail)).size).toBe(2);
  });

  it('answers 503 while the provider’s keys cannot be had', async () => {
    const gateway = await startOauth();
    const token = await gateway.token();
    gateway.idp.answers = {};
    const response = await gateway.post('/oauth/token', exchangeForm(token));
    expect([response.status, (await jsonOf(response)).error]).toEqual([503, 'temporarily_unavailable']);
  });

  it('answers 503 once the list of revocations is too old', async () => {
    const gateway = await startOauth();
    gateway.state.isLost = true;
    gateway.pass(31_000);
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token()));
    expect([response.status, (await jsonOf(response)).error]).toEqual([503, 'temporarily_unavailable']);
  });

  it.each([
    ['no grant type', { subject_token: 'x' }, 400, 'invalid_request'],
    ['a grant type of others', { grant_type: 'client_credentials' }, 400, 'unsupported_grant_type'],
    ['a password', { grant_type: 'password', username: 'a', password: 'b' }, 400, 'unsupported_grant_type'],
    ['no token', { grant_type: exchangeGrant, subject_token_type: tokenType('access_token') }, 400, 'invalid_request'],
    ['no token type', { grant_type: exchangeGrant, subject_token: 'x' }, 400, 'invalid_request'],
    ['a token type that is not one', exchangeForm('x', { subject_token_type: 'access_token' }), 400, 'invalid_request'],
    ['a refresh token', exchangeForm('x', { subject_token_type: tokenType('refresh_token') }), 400, 'invalid_request'],
    [
      'the wish for a refresh token',
      exchangeForm('x', { requested_token_type: tokenType('refresh_token') }),
      400,
      'invalid_request',
    ],
    [
      'an actor token',
      exchangeForm('x', { actor_token: 'y', actor_token_type: tokenType('jwt') }),
      400,
      'invalid_request',
    ],
    ['somebody else’s resource', exchangeForm('x', { resource: 'https://other.example' }), 400, 'invalid_target'],
    ['somebody else’s audience', exchangeForm('x', { audience: 'https://other.example' }), 400, 'invalid_target'],
    ['an audience that ours begins with', exchangeForm('x', { audience: `${publicUrl}.evil` }), 400, 'invalid_target'],
    ['a scope', exchangeForm('x', { scope: 'admin' }), 400, 'invalid_scope'],
    ['a client secret', exchangeForm('x', { client_secret: 's' }), 401, 'invalid_client'],
    ['a token that is none', exchangeForm('not.a.jwt'), 400, 'invalid_request'],
  ] as const)('refuses %s', async (_, form, status, error) => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', form);
    expect([response.status, (await jsonOf(response)).error]).toEqual([status, error]);
    expect(gateway.record.credentials).toMatchObject([{ action: 'refused' }]);
  });

  it.each([
    ['JSON', '{"grant_type":"x"}', { 'content-type': 'application/json' }, 415],
    ['no type', 'grant_type=x', { 'content-type': 'text/plain' }, 415],
    ['multipart', 'x', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
    ['a compressed body', 'grant_type=x', { 'content-encoding': 'gzip' }, 415],
    ['a parameter twice', 'grant_type=a&grant_type=b', {}, 400],
    ['a parameter twice, written differently', 'subject_token=a&subject%5Ftoken=b&grant_type=c', {}, 400],
    ['a bad escape', 'grant_type=%zz', {}, 400],
    ['an escape that is not UTF-8', 'grant_type=%ff', {}, 400],
    ['bytes that are not ASCII', 'grant_type=é', {}, 400],
    ['many parameters', Array.from({ length: 100 }, (_, n) => `p${n}=1`).join('&'), {}, 400],
    ['Basic credentials', 'grant_type=x', { authorization: 'Basic eDp5' }, 401],
    ['a body of 65 KiB', `grant_type=${exchangeGrant}&subject_token=${'x'.repeat(66_000)}`, {}, 413],
    ['a body of 1 MiB and more', `grant_type=${bearerGrant}&assertion=${'x'.repeat(1_100_000)}`, {}, 413],
    ['a body that is said to be longer than it may be', 'grant_type=x', { 'content-length': '99999999' }, 413],
  ])('refuses %s', async (_, body, headers, status) => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', body, headers as Record<string, string>);
    expect(response.status).toBe(status);
    expect(await jsonOf(response)).toMatchObject({ error: expect.stringMatching(/^invalid_(request|client)$/) });
  });

  it.each([
    ['resource', publicUrl],
    ['resource', `${publicUrl}/`],
    ['audience', publicUrl],
    ['resource', 'https://models.example'],
  ])('takes %s=%s for itself', async (name, value) => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', exchangeForm(await gateway.token(), { [name]: value }));
    expect(response.status).toBe(200);
  });

  it('takes 64 requests at once and says 503 to more', async () => {
    const gateway = await startOauth();
    const token = await gateway.token();
    const all = await Promise.all(Array.from({ length: 100 }, () => gateway.post('/oauth/token', exchangeForm(token))));
    const statuses = all.map(({ status }) => status);
    expect([statuses.filter((s) => s === 200).length, statuses.filter((s) => s === 503).length]).toEqual([64, 36]);
    expect((await gateway.post('/oauth/token', exchangeForm(token))).status).toBe(200);
  });
});

describe('POST /oauth/token: SAML assertions (RFC 7522)', () => {
  it('gives a token for an assertion', async () => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', { grant_type: bearerGrant, assertion: 'Z29vZA' });
    const answer = await jsonOf(response);
    expect([response.status, 'issued_token_type' in answer, answer.expires_in]).toEqual([200, false, 900]);
    expect(gateway.record.credentials).toMatchObject([
      { action: 'issued', grant: 'saml2_bearer', caller: { subject: 'ada' } },
    ]);
  });

  it('says invalid_grant to a bad one', async () => {
    const gateway = await startOauth();
    const response = await gateway.post('/oauth/token', { grant_type: bearerGrant, assertion: 'YmFk' });
    expect([response.status, (await jsonOf(response)).error]).toEqual([400, 'invalid_grant']);
  });
});

describe('POST /oauth/revoke', () => {
  it('takes a token back for whoever holds it, at once, and puts that on the record', async () => {
    const gateway = await startOauth();
    const [one, other] = [await issued(gateway), await issued(gateway)];
    expect((await gateway.get('/oauth/whoami', bearer(one))).status).toBe(200);
    const response = await gateway.post('/oauth/revoke', { token: one, token_type_hint: 'access_token' });
    expect(response.status).toBe(200);
    const gone = await gateway.get('/oauth/whoami', bearer(one));
    expect([gone.status, gone.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ]);
    expect(await jsonOf(gone)).toMatchObject({ error: { code: 'token_revoked' } });
    expect((await gateway.get('/oauth/whoami', bearer(other))).status).toBe(200);
    expect(gateway.record.credentials.find(({ action }) => action === 'revoked')).toMatchObject({
      grant: 'revocation',
      caller: { subject: 'jane' },
    });
  });

  it('says 200 to what is no token of ours, and does nothing', async () => {
    const gateway = await startOauth();
    const own = await issued(gateway);
    await gateway.post('/oauth/revoke', { token: own });
    const before = gateway.record.events.length;
    for (const token of ['x', 'a.b.c', await gateway.token(), own, `${own}x`])
      expect((await gateway.post('/oauth/revoke', { token })).status).toBe(200);
    expect(gateway.record.events.length).toBe(before);
  });

  it('says 503 when it could not be kept', async () => {
    const gateway = await startOauth();
    const own = await issued(gateway);
    gateway.state.isLost = true;
    expect((await gateway.post('/oauth/revoke', { token: own })).status).toBe(503);
  });

  it('refuses a request without a token', async () => {
    const gateway = await startOauth();
    expect((await gateway.post('/oauth/revoke', {})).status).toBe(400);
  });
});

describe('an operator', () => {
  it('takes back all that a subject holds: tokens of the gateway and of the provider, and what they would be exchanged for', async () => {
    const gateway = await startOauth();
    const upstream = await gateway.token();
    const own = await issued(gateway);
    const outcome = await gateway.revoker.revoke({ provider: 'corp', subject: 'jane' }, 'root');
    if (!outcome.ok) throw new Error('not revoked');
    await outcome.recorded;
    for (const token of [own, upstream])
      expect(await jsonOf(await gateway.get('/oauth/whoami', bearer(token)))).toMatchObject({
        error: { code: 'token_revoked' },
      });
    const again = await gateway.post('/oauth/token', exchangeForm(upstream));
    expect([again.status, (await jsonOf(again)).error]).toEqual([400, 'invalid_request']);
    expect(gateway.record.credentials).toContainEqual(
      expect.objectContaining({
        action: 'revoked',
        grant: 'admin',
        by: 'root',
        caller: { provider: 'corp', subject: 'jane' },
      }),
    );
    const now = () => Math.floor(Date.now() / 1000);
    const datedAhead = await gateway.token({ iat: now() + 29 });
    gateway.pass(31_000);
    await gateway.identity.revocations.refresh();
    expect((await gateway.post('/oauth/token', exchangeForm(datedAhead))).status).toBe(400);
    expect((await gateway.post('/oauth/token', exchangeForm(await gateway.token({ iat: now() })))).status).toBe(200);
  });

  it.each(['upstream-1', 'a', '_assertion-of-a-saml-provider-0123456789'])(
    'is told that %s is the id of no token of the gateway, instead of taking it back for an hour only',
    async (tokenId) => {
      const gateway = await startOauth();
      expect(await gateway.revoker.revoke({ tokenId }, 'root')).toEqual({ ok: false, code: 'not_our_token' });
      expect([gateway.record.events, await gateway.state.list('revoked/', { limit: 1 })]).toEqual([[], []]);
    },
  );

  it('takes back one token that the gateway issued', async () => {
    const gateway = await startOauth();
    const own = await issued(gateway);
    const tokenId = gateway.record.credentials.at(-1)?.tokenId ?? '';
    expect(await gateway.revoker.revoke({ tokenId }, 'root')).toMatchObject({ ok: true });
    expect(await jsonOf(await gateway.get('/oauth/whoami', bearer(own)))).toMatchObject({
      error: { code: 'token_revoked' },
    });
  });

  it('is told that a provider is unknown, and nothing is revoked', async () => {
    const gateway = await startOauth();
    expect(await gateway.revoker.revoke({ provider: 'copr', subject: 'jane' }, 'root')).toEqual({
      ok: false,
      code: 'unknown_provider',
    });
    expect(gateway.record.events).toEqual([]);
  });
});

describe('GET /oauth/whoami', () => {
  it('says who a provider’s token is, as the gate sees it', async () => {
    const gateway = await startOauth();
    const response = await gateway.get('/oauth/whoami', bearer(await gateway.token({ email: 'jane@example.com' })));
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await jsonOf(response)).toEqual({
      provider: 'corp',
      issuer: gateway.idp.issuer,
      subject: 'jane',
      kind: 'person',
      email: 'jane@example.com',
      groups: ['ml-eng'],
      team: 'ml-platform',
      proof: 'token',
      expiresAtMs: expect.any(Number),
    });
    // As docs/identity.md says: nothing was given out, nothing changed.
    expect(gateway.record.events).toEqual([]);
  });

  it.each([
    ['no credential', {}, 'token_missing', 'Bearer realm="sallyport"'],
    ['two credentials', { authorization: 'Bearer a', 'x-api-key': 'b' }, 'credentials_conflict', 'invalid_request'],
    ['junk', { authorization: 'Bearer x.y.z' }, 'token_malformed', 'invalid_token'],
  ])('says 401 as the gate does to %s', async (_, headers, code, challenge) => {
    const gateway = await startOauth();
    const response = await gateway.get('/oauth/whoami', headers as Record<string, string>);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining(challenge),
    ]);
    expect(await jsonOf(response)).toMatchObject({ error: { code }, error_description: expect.stringMatching(/./) });
    expect(gateway.record.credentials).toMatchObject([{ action: 'refused', grant: 'whoami', code }]);
  });

  it('knows nobody once it cannot be known who was taken back', async () => {
    const gateway = await startOauth();
    const own = await issued(gateway);
    gateway.state.isLost = true;
    gateway.pass(31_000);
    const response = await gateway.get('/oauth/whoami', bearer(own));
    expect([response.status, await jsonOf(response)]).toEqual([
      503,
      expect.objectContaining({ error: expect.objectContaining({ code: 'state_unavailable' }) }),
    ]);
  });

  it('takes no credential from the query', async () => {
    const gateway = await startOauth();
    const response = await gateway.get(`/oauth/whoami?access_token=${await gateway.token()}`);
    expect(await jsonOf(response)).toMatchObject({ error: { code: 'credential_in_query' } });
  });
});

describe('metadata', () => {
  it('is as RFC 8414 says, and tells how to sign in', async () => {
    const gateway = await startOauth();
    expect(await jsonOf(await gateway.get('/.well-known/oauth-authorization-server'))).toEqual({
      issuer: publicUrl,
      token_endpoint: `${publicUrl}/oauth/token`,
      authorization_endpoint: `${publicUrl}/oauth/authorize`,
      revocation_endpoint: `${publicUrl}/oauth/revoke`,
      jwks_uri: `${publicUrl}/.well-known/jwks.json`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: [exchangeGrant, bearerGrant, 'authorization_code'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      authorization_response_iss_parameter_supported: true,
      sallyport_whoami_endpoint: `${publicUrl}/oauth/whoami`,
      sallyport_providers: [
        {
          name: 'corp',
          kind: 'oidc',
          issuer: gateway.idp.issuer,
          client_id: 'cli',
          client_secret: 'not-so-secret',
          scopes: ['openid', 'email', 'profile', 'offline_access'],
          flow: 'browser',
          exchange: 'id_token',
          resource: 'https://api.example',
        },
      ],
      sallyport_models_url: 'https://models.example',
    });
  });

  it('has public keys only', async () => {
    const gateway = await startOauth();
    const { keys } = await jsonOf(await gateway.get('/.well-known/jwks.json'));
    expect(keys).toEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        use: 'sig',
        alg: 'ES256',
        kid: expect.any(String),
        x: expect.any(String),
        y: expect.any(String),
      },
    ]);
    expect(audience).not.toBe(publicUrl);
  });
});
