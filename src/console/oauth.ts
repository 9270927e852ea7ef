/**
 * The OAuth side of the public listener: tokens (RFC 6749, 7522, 8693), revocation (RFC 7009), keys, metadata (RFC 8414),
 * sign-in by SAML, and who somebody is.
 */
import { type Context, Hono } from 'hono';
import { AddressPace } from './oauth/address-pace.ts';
import { answerJson, answerPage, answerRefusal, plain, Refused } from './oauth/answers.ts';
import { type GoodForm, readForm, UploadBudget } from './oauth/form.ts';
import { metadata } from './oauth/metadata.ts';
import { clientAddressOf, type Place, recordRefused } from './oauth/place.ts';
import { acsEndpoint, authorizeEndpoint, continueEndpoint, outage, questionEndpoint } from './oauth/sign-in.ts';
import type { Grant, KnownCaller, OauthSources, SamlEnd } from './oauth/sources.ts';
import { maxFormBytes, maxSamlFormBytes, required, tokenEndpoint } from './oauth/token.ts';

/** Requests in work at once at each endpoint; the next one gets 503. Each may check a signature, wait for the disk. */
const maxInWork = 64;
/**
 * Sign-ins that may begin. Each is a write, and a document of half a KiB in the control state for ten minutes: 30 MB at most.
 * `each`: of one client address (of IPv6 a /64), which may be that of an office or a proxy.
 */
const signInPace = { each: { perSecond: 10, burst: 60 }, all: { perSecond: 100, burst: 500 } };
/** A body that takes longer is refused; it takes nobody's place while it is read. */
const bodyMs = 3_000;
/** What bodies beyond 64 KiB, which SAML alone may have, hold together while they are read. */
const longBodiesBytes = 67_108_864;
/** A key is published an hour before it signs. */
const keysMaxAgeSeconds = 300;

/** Answers under `/oauth`, `/saml` and `/.well-known`; to be put into the public app. */
export function createOauthApp<C extends KnownCaller, P extends SamlEnd>(sources: OauthSources<C, P>): Hono {
  const app = new Hono();
  const pace = new AddressPace(signInPace, sources.nowMs);
  const budget = new UploadBudget(longBodiesBytes);
  const formOf = (maxBytes: number) => (c: Context) => formIn(c, maxBytes, budget);
  const noForm = async () => undefined;
  const tokenForm = formOf(sources.assertion === undefined ? maxFormBytes : maxSamlFormBytes);

  app.post(
    '/oauth/token',
    endpoint(sources, { grant: 'token_exchange', answerNo: answerRefusal, read: tokenForm }, (c, place, form) =>
      tokenEndpoint(sources, c, place, form),
    ),
  );
  app.post(
    '/oauth/revoke',
    endpoint(sources, { grant: 'revocation', answerNo: answerRefusal, read: formOf(maxFormBytes) }, (c, place, form) =>
      revoke(sources, c, place, form),
    ),
  );
  app.get(
    '/oauth/whoami',
    endpoint(sources, { grant: 'whoami', answerNo: answerRefusal, read: noForm }, (c, place) =>
      whoami(sources, c, place),
    ),
  );
  app.get('/.well-known/jwks.json', (c) => {
    c.header('cache-control', `public, max-age=${keysMaxAgeSeconds}`);
    return c.json(sources.jwks());
  });
  app.get('/.well-known/oauth-authorization-server', (c) => c.json(metadata(sources)));
  const inBrowser = { grant: 'sign_in', answerNo: refusalPage } as const;
  if (sources.saml.size > 0) {
    app.get(
      '/oauth/authorize',
      endpoint(sources, { ...inBrowser, read: noForm }, (c, place) => authorizeEndpoint(sources, pace, c, place)),
    );
    app.get(
      '/oauth/continue',
      endpoint(sources, { ...inBrowser, read: noForm }, (c) => questionEndpoint(sources, c)),
    );
    app.post(
      '/oauth/continue',
      endpoint(sources, { ...inBrowser, read: formOf(maxFormBytes) }, (c, _place, form) =>
        continueEndpoint(sources, c, form),
      ),
    );
  }
  for (const provider of sources.saml.values()) {
    app.post(
      `/saml/${provider.name}/acs`,
      endpoint(sources, { ...inBrowser, read: formOf(maxSamlFormBytes) }, (c, place, form) =>
        acsEndpoint(sources, provider, c, place, form),
      ),
    );
    app.get(`/saml/${provider.name}/metadata`, (c) =>
      c.body(provider.metadata(), 200, { 'content-type': 'application/samlmetadata+xml' }),
    );
  }
  return app;
}

type AnswerRefusal = (c: Context, refused: Refused, session: string) => Response | Promise<Response>;

/** `read` takes what may come slowly. */
interface Endpoint<T> {
  readonly grant: Grant;
  readonly answerNo: AnswerRefusal;
  readonly read: (c: Context) => Promise<T>;
}

/** Runs a handler among a bounded number of its own, and answers and records what is refused. */
function endpoint<C extends KnownCaller, P extends SamlEnd, T>(
  sources: OauthSources<C, P>,
  { grant, answerNo, read }: Endpoint<T>,
  handle: (c: Context, place: Place, sent: T) => Promise<Response>,
) {
  let inWork = 0;
  const among = async (work: () => Promise<Response>): Promise<Response> => {
    if (inWork >= maxInWork) throw new Refused(503, 'temporarily_unavailable', 'Too many requests at once.');
    inWork++;
    try {
      return await work();
    } finally {
      inWork--;
    }
  };
  return async (c: Context): Promise<Response> => {
    const place: Place = { session: sources.newSession(), clientAddress: clientAddressOf(c), grant };
    try {
      const sent = await read(c);
      return await among(() => handle(c, place, sent));
    } catch (error) {
      const refused = error instanceof Refused ? error : outage(sources, place, error);
      recordRefused(sources, place, refused);
      return answerNo(c, refused, place.session);
    }
  };
}

/** Throws Refused. */
async function formIn(c: Context, maxBytes: number, budget: UploadBudget): Promise<GoodForm> {
  const form = await readForm(c.req.raw, { maxBytes, deadlineMs: bodyMs, budget });
  if (form.ok) return form;
  // What is still on its way is not waited for.
  if (form.status === 408) c.header('connection', 'close');
  throw new Refused(form.status, form.status === 503 ? 'temporarily_unavailable' : 'invalid_request', form.problem);
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
  { fields }: GoodForm,
): Promise<Response> {
  const proven = await sources.ownToken(required(fields, 'token'));
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

/**
 * Who sends the request, as the request gate sees it; 401 as the gate answers it. Not on the record when it is good: it tells
 * a holder what his own credential says, gives nothing out and changes nothing.
 */
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
