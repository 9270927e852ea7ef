/**
 * The OAuth side of the public listener: tokens (RFC 6749, 7522, 8693), revocation (RFC 7009), keys, metadata (RFC 8414),
 * sign-in by SAML, and who somebody is.
 */
import { type Context, Hono } from 'hono';
import { answerJson, answerPage, answerRefusal, plain, Refused } from './oauth/answers.ts';
import { readForm } from './oauth/form.ts';
import { metadata } from './oauth/metadata.ts';
import { Pace } from './oauth/pace.ts';
import { clientAddressOf, type Place, recordRefused } from './oauth/place.ts';
import { acsEndpoint, authorizeEndpoint, continueEndpoint, outage } from './oauth/sign-in.ts';
import type { Grant, KnownCaller, OauthSources, SamlEnd } from './oauth/sources.ts';
import { maxFormBytes, required, tokenEndpoint } from './oauth/token.ts';

/** Requests in work at once; the next one gets 503. Each may hold a body, check a signature, wait for the disk. */
const maxInWork = 64;
/** Sign-ins that may begin: each is a document in the control state for ten minutes. */
const signInPace = { perSecond: 10, burst: 60 };
/** A key is published an hour before it signs. */
const keysMaxAgeSeconds = 300;

/** Answers under `/oauth`, `/saml` and `/.well-known`; to be put into the public app. */
export function createOauthApp<C extends KnownCaller, P extends SamlEnd>(sources: OauthSources<C, P>): Hono {
  const app = new Hono();
  const pace = new Pace(signInPace, sources.nowMs);
  const answered = endpoint(sources);

  app.post('/oauth/token', (c) =>
    answered(c, 'token_exchange', answerRefusal, (place) => tokenEndpoint(sources, c, place)),
  );
  app.post('/oauth/revoke', (c) => answered(c, 'revocation', answerRefusal, (place) => revoke(sources, c, place)));
  app.get('/oauth/whoami', (c) => answered(c, 'whoami', answerRefusal, (place) => whoami(sources, c, place)));
  app.get('/.well-known/jwks.json', (c) => {
    c.header('cache-control', `public, max-age=${keysMaxAgeSeconds}`);
    return c.json(sources.jwks());
  });
  app.get('/.well-known/oauth-authorization-server', (c) => c.json(metadata(sources)));
  if (sources.saml.size > 0) {
    app.get('/oauth/authorize', (c) =>
      answered(c, 'sign_in', refusalPage, (place) => authorizeEndpoint(sources, pace, c, place)),
    );
    app.get('/oauth/continue', (c) => answered(c, 'sign_in', refusalPage, () => continueEndpoint(sources, c)));
  }
  for (const provider of sources.saml.values()) {
    app.post(`/saml/${provider.name}/acs`, (c) =>
      answered(c, 'sign_in', refusalPage, (place) => acsEndpoint(sources, provider, c, place)),
    );
    app.get(`/saml/${provider.name}/metadata`, (c) =>
      c.body(provider.metadata(), 200, { 'content-type': 'application/samlmetadata+xml' }),
    );
  }
  return app;
}

type AnswerRefusal = (c: Context, refused: Refused, session: string) => Response | Promise<Response>;

/** Runs a handler among a bounded number, and answers and records what it refuses. */
function endpoint<C extends KnownCaller, P extends SamlEnd>(sources: OauthSources<C, P>) {
  let inWork = 0;
  return async (
    c: Context,
    grant: Grant,
    answerNo: AnswerRefusal,
    handle: (place: Place) => Promise<Response>,
  ): Promise<Response> => {
    const place: Place = { session: sources.newSession(), clientAddress: clientAddressOf(c), grant };
    if (inWork >= maxInWork)
      return answerNo(c, new Refused(503, 'temporarily_unavailable', 'Too many requests at once.'), place.session);
    inWork++;
    try {
      return await handle(place);
    } catch (error) {
      const refused = error instanceof Refused ? error : outage(sources, place, error);
      recordRefused(sources, place, refused);
      return await answerNo(c, refused, place.session);
    } finally {
      inWork--;
    }
  };
}

const refusalPage: AnswerRefusal = (c, { status, description }, session) =>
  answerPage(c, status === 401 ? 400 : status, {
    title: 'You are not signed in',
    what: description,
    todo: 'Close this window, and run `sallyport login` again. If it stays, tell whoever runs the gateway.',
    session,
  });

/** RFC 7009: who holds a token may give it back; what is not a good token of ours is as good as given back (§2.2). */
async function revoke<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  { session, clientAddress, grant }: Place,
): Promise<Response> {
  const form = await readForm(c.req.raw, maxFormBytes);
  if (!form.ok) throw new Refused(form.status, 'invalid_request', form.problem);
  const proven = await sources.ownToken(required(form.fields, 'token'));
  if (!proven.ok) {
    const { status, meaning } = sources.refusal(proven.reason, session);
    if (status === 503) throw new Refused(503, 'temporarily_unavailable', meaning, proven);
    return answerJson(c, 200, {});
  }
  const { caller } = proven;
  const { tokenId = '', expiresAtMs } = caller;
  await sources.revokeToken(tokenId, expiresAtMs, caller);
  await sources.record({ session, clientAddress, grant, action: 'revoked', caller, tokenId, expiresAtMs });
  return answerJson(c, 200, {});
}

/** Who sends the request, as the request gate sees it; 401 as the gate answers it. */
async function whoami<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  place: Place,
): Promise<Response> {
  const proven = await sources.identify(c.req.raw);
  if (!proven.ok) {
    const { reason, detail } = proven;
    const { status, headers, body, meaning } = sources.refusal(reason, place.session);
    recordRefused(sources, place, { error: 'access_denied', description: '', reason, detail });
    // The gate's own answer, and what an OAuth client looks for in it.
    const told = JSON.stringify({ ...JSON.parse(body), error_description: plain(meaning) });
    return new Response(told, { status, headers: [...headers.map(([k, v]): [string, string] => [k, v]), noStore] });
  }
  const { provider, issuer, subject, kind, email, groups, team, proof, expiresAtMs } = proven.caller;
  const who = { provider, issuer, subject, kind, email: email ?? null, groups, team: team ?? null, proof, expiresAtMs };
  return answerJson(c, 200, who);
}

const noStore: [string, string] = ['cache-control', 'no-store'];
