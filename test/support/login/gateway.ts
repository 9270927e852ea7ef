/**
 * A gateway's OAuth endpoints for tests of the command line: verifies tokens of a real provider, issues its own. Small and
 * strict, and breaks on request. The real ones are tested in e2e.
 */
import { createHash, randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { type Listening, listenTcp } from '../../../src/console/listen.ts';

export interface TestGateway {
  readonly url: string;
  /** Seconds that tokens are good. */
  lifetimeSeconds: number;
  /** How far its clock is ahead of the real one. */
  clockAheadMs: number;
  /** Members of the answers to exchanges, instead of the truth. */
  answer: Record<string, unknown>;
  /** Members of the answers of whoami. */
  who: Record<string, unknown>;
  /** What it says at the next requests, instead of the truth. */
  metadata: Record<string, unknown>;
  /** Answer to every exchange while it is set. */
  refusal: { readonly status: number; readonly error: string; readonly error_description: string } | undefined;
  readonly exchanged: { readonly type: string; readonly subject: string; readonly token: string }[];
  readonly issued: string[];
  readonly revoked: string[];
  close(): Promise<void>;
}

/** @param providers entries of `sallyport_providers`, whose issuers are asked for keys */
export async function startTestGateway(
  providers: readonly Record<string, unknown>[],
  modelsUrl?: string,
): Promise<TestGateway> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'own', alg: 'ES256', use: 'sig' };
  const codes = new Map<string, { challenge: string; redirect: string }>();
  const app = new Hono();
  let listening: Listening | undefined;
  const url = () => listening?.url ?? '';
  const gateway: TestGateway = {
    url: '',
    lifetimeSeconds: 900,
    clockAheadMs: 0,
    metadata: {},
    answer: {},
    who: {},
    refusal: undefined,
    exchanged: [],
    issued: [],
    revoked: [],
    close: async () => listening?.close(),
  };
  const issue = async (claims: Record<string, unknown>) => {
    const token = await new SignJWT({ ...claims, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'own' })
      .setIssuer(url())
      .setAudience(url())
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + gateway.lifetimeSeconds)
      .sign(privateKey);
    gateway.issued.push(token);
    return { access_token: token, token_type: 'Bearer', expires_in: gateway.lifetimeSeconds };
  };
  const refuse = (error: string, error_description = '') => ({ error, error_description });

  app.get('/.well-known/oauth-authorization-server', (c) => {
    c.header('date', new Date(Date.now() + gateway.clockAheadMs).toUTCString());
    return c.json({
      issuer: url(),
      token_endpoint: `${url()}/oauth/token`,
      authorization_endpoint: `${url()}/oauth/authorize`,
      revocation_endpoint: `${url()}/oauth/revoke`,
      jwks_uri: `${url()}/.well-known/jwks.json`,
      authorization_response_iss_parameter_supported: true,
      sallyport_providers: providers,
      ...(modelsUrl === undefined ? {} : { sallyport_models_url: modelsUrl }),
      ...gateway.metadata,
    });
  });
  app.get('/.well-known/jwks.json', (c) => c.json({ keys: [jwk] }));
  app.get('/oauth/authorize', (c) => {
    const query = c.req.query();
    const code = randomUUID();
    codes.set(code, { challenge: query['code_challenge'] ?? '', redirect: query['redirect_uri'] ?? '' });
    const back = new URL(query['redirect_uri'] ?? '');
    back.search = String(new URLSearchParams({ code, state: query['state'] ?? '', iss: url() }));
    return query['provider'] === 'adfs' && query['client_id'] === 'sallyport-cli'
      ? c.redirect(back.href)
      : c.text('no such provider', 400);
  });
  app.post('/oauth/token', async (c) => {
    const form = Object.fromEntries(new URLSearchParams(await c.req.text()));
    if (gateway.refusal !== undefined)
      return c.json(refuse(gateway.refusal.error, gateway.refusal.error_description), gateway.refusal.status as 400);
    if (form['grant_type'] === 'authorization_code') {
      const known = codes.get(form['code'] ?? '');
      codes.delete(form['code'] ?? '');
      const challenge = createHash('sha256')
        .update(form['code_verifier'] ?? '')
        .digest('base64url');
      return known?.challenge === challenge && known.redirect === form['redirect_uri']
        ? c.json(await issue({ sub: 'ada', provider: 'adfs' }))
        : c.json(refuse('invalid_grant', 'the code is no good'), 400);
    }
    if (form['grant_type'] !== 'urn:ietf:params:oauth:grant-type:token-exchange')
      return c.json(refuse('unsupported_grant_type'), 400);
    const subject = form['subject_token'] ?? '';
    const claims = await verified(subject).catch(() => undefined);
    if (claims === undefined) return c.json(refuse('invalid_grant', 'The signature or a claim does not hold.'), 400);
    const type = form['subject_token_type']?.split(':').at(-1) ?? '';
    gateway.exchanged.push({ type, subject: String(claims.sub), token: subject });
    const { sub, email, groups } = claims as Record<string, unknown>;
    const answer = await issue({ sub, email, groups, provider: 'demo' });
    return c.json({ ...answer, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', ...gateway.answer });
  });
  app.post('/oauth/revoke', async (c) => {
    gateway.revoked.push(new URLSearchParams(await c.req.text()).get('token') ?? '');
    return c.body(null, 200);
  });
  app.get('/oauth/whoami', async (c) => {
    const token = (c.req.header('authorization') ?? '').replace('Bearer ', '');
    try {
      const { payload } = await jwtVerify(token, publicKey, { issuer: url(), audience: url() });
      const { sub, email, groups = [], provider } = payload as Record<string, unknown>;
      return c.json({ provider, subject: sub, kind: 'person', email, groups, team: 'ml', ...gateway.who });
    } catch {
      return c.json(refuse('invalid_token', 'The token has expired.'), 401);
    }
  });
  async function verified(token: string) {
    const issuer = providers.find((provider) => provider['issuer'] === decodeJwt(token).iss)?.['issuer'];
    const keys = createRemoteJWKSet(new URL(`${String(issuer)}/jwks`));
    return (await jwtVerify(token, keys, { issuer: String(issuer) })).payload;
  }
  listening = await listenTcp(app, { host: '127.0.0.1', port: 0 });
  return Object.assign(gateway, { url: listening.url });
}
