/**
 * Signing in by SAML in a browser, for `sallyport login`: an OAuth authorization endpoint (RFC 6749 §4.1, for one public client
 * on the loopback, RFC 8252 §7.3, with PKCE) in front of SAML's POST binding.
 */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { AddressPace } from './address-pace.ts';
import { answerQuestion, type OauthError, plain, Refused } from './answers.ts';
import { type GoodForm, parseForm } from './form.ts';
import { type Place, recordRefused } from './place.ts';
import { signInCode } from './sign-in-code.ts';
import type { KnownCaller, OauthSources, SamlEnd, SignInRequest } from './sources.ts';
import { clientId, required } from './token.ts';

const cookieSeconds = 600;
const maxCookies = 32;
/** The loopback, by address: a name may lead elsewhere (RFC 8252 §8.3). One path: what else listens there gets no code. */
const loopback = /^http:\/\/(127\.0\.0\.1|\[::1\]):([1-9]\d{0,4})\/callback$/;
const secretShape = /^[A-Za-z0-9_-]{43}$/;

const startAgain = 'This sign-in has expired, was finished already, or did not begin at this gateway.';

/** `GET /oauth/authorize`: to the SAML provider. Throws Refused where the client is not known to be who is to be told. */
export async function authorizeEndpoint<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  pace: AddressPace,
  c: Context,
  place: Place,
): Promise<Response> {
  const query = new URL(c.req.url).search.slice(1);
  const form = parseForm(query);
  if (!form.ok) throw new Refused(400, 'invalid_request', form.problem);
  const { fields } = form;
  if (fields.get('client_id') !== clientId)
    throw new Refused(400, 'invalid_request', `The only client that may sign people in here is ${clientId}.`);
  const redirectUri = required(fields, 'redirect_uri');
  const port = Number(loopback.exec(redirectUri)?.[2] ?? '0');
  if (port < 1 || port > 65_535)
    throw new Refused(
      400,
      'invalid_request',
      'redirect_uri must be http://127.0.0.1:PORT/callback or http://[::1]:PORT/callback: codes go to this machine only.',
    );
  try {
    return await begin(sources, pace, c, { fields, redirectUri, clientAddress: place.clientAddress });
  } catch (error) {
    const refused = error instanceof Refused ? error : outage(sources, place, error);
    recordRefused(sources, place, refused);
    return back(c, redirectUri, {
      error: refused.error,
      error_description: plain(refused.description),
      ...stateOf(fields),
      iss: sources.publicUrl,
    });
  }
}

async function begin<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  pace: AddressPace,
  c: Context,
  asking: {
    readonly fields: ReadonlyMap<string, string>;
    readonly redirectUri: string;
    readonly clientAddress: string;
  },
): Promise<Response> {
  const { fields, redirectUri, clientAddress } = asking;
  if (required(fields, 'response_type') !== 'code')
    throw new Refused(400, 'unsupported_response_type', 'response_type must be code.');
  if (fields.has('scope')) throw new Refused(400, 'invalid_scope', 'This gateway has no scopes: leave scope out.');
  // RFC 7636 §4.3; `plain` would let whoever sees the request redeem the code.
  const codeChallenge = required(fields, 'code_challenge');
  if (fields.get('code_challenge_method') !== 'S256' || !/^[A-Za-z0-9_-]{43}$/.test(codeChallenge))
    throw new Refused(400, 'invalid_request', 'code_challenge must be one of the method S256 (RFC 7636).');
  const { state } = stateOf(fields);
  if (state === undefined)
    throw new Refused(400, 'invalid_request', 'state must be there, of 512 printable ASCII characters at most.');
  const provider = sources.saml.get(required(fields, 'provider'));
  if (provider === undefined)
    throw new Refused(400, 'invalid_request', 'provider must name a SAML provider of this gateway.');
  if (!pace.take(clientAddress))
    throw new Refused(503, 'temporarily_unavailable', 'Too many people sign in at this moment. Try again shortly.');
  const asked: SignInRequest = { clientId, redirectUri, codeChallenge, state };
  const begun = await sources.signIns.begin(provider, asked);
  if (!begun.ok)
    throw new Refused(503, 'temporarily_unavailable', 'The identity provider cannot be used at this moment.', {
      detail: begun.detail,
    });
  setCookie(c, `${cookiePrefix(sources)}${begun.handle.slice(0, 8)}`, begun.browserSecret, {
    httpOnly: true,
    // Lax: sent when the IdP's answer leads here by a redirect, not with the cross-site POST itself.
    sameSite: 'Lax',
    secure: isSecure(sources),
    path: '/',
    maxAge: cookieSeconds,
  });
  return go(c, begun.url, 302);
}

/** `POST /saml/<name>/acs`: the identity provider's answer, brought by the browser. */
export async function acsEndpoint<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  provider: P,
  c: Context,
  place: Place,
  { fields }: GoodForm,
): Promise<Response> {
  const samlResponse = required(fields, 'SAMLResponse');
  const handle = fields.get('RelayState') ?? '';
  const arrived = secretShape.test(handle)
    ? await sources.signIns.arrive(provider, handle, samlResponse)
    : unknownSignIn;
  // The cookie does not come with a cross-site POST: a redirect to ourselves brings it.
  if (arrived.ok) return go(c, `${sources.publicUrl}/oauth/continue?ticket=${arrived.ticket}`, 303);
  if (!('detail' in arrived)) throw new Refused(400, 'invalid_request', startAgain, { reason: arrived.reason });
  const { reason, detail } = arrived;
  const { status, meaning } = sources.refusal(reason, place.session);
  throw status === 503
    ? new Refused(503, 'temporarily_unavailable', meaning, { reason, detail })
    : new Refused(400, 'access_denied', `The identity provider's answer was not accepted. ${meaning}`, {
        reason,
        detail,
      });
}

/**
 * `GET /oauth/continue`: only the browser that began goes on, else people could be signed in as somebody else. It asks: a link
 * that somebody else sent also begins in this browser, and the provider's own session may let it through without a word
 * (RFC 8252 §8.6).
 */
export async function questionEndpoint<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
): Promise<Response> {
  const ticket = c.req.query('ticket') ?? '';
  const presented = secretShape.test(ticket)
    ? await sources.signIns.present(ticket, secretsIn(cookiesOf(sources, c)))
    : unknownSignIn;
  if (!presented.ok) throw notContinued(presented.reason);
  const { caller, asked, seal } = presented;
  const { provider, subject, email } = caller;
  return answerQuestion(c, {
    who: `${provider}/${subject}${email === undefined ? '' : ` (${email})`}`,
    code: signInCode(asked.codeChallenge),
    action: `${sources.publicUrl}/oauth/continue`,
    redirectUri: asked.redirectUri,
    ...{ ticket, seal },
  });
}

/** `POST /oauth/continue`: the person has said yes on the page above, in the same browser. */
export async function continueEndpoint<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  { fields }: GoodForm,
): Promise<Response> {
  const ticket = required(fields, 'ticket');
  const seal = required(fields, 'seal');
  const cookies = cookiesOf(sources, c);
  const proceeded = secretShape.test(ticket)
    ? await sources.signIns.proceed(ticket, secretsIn(cookies), seal)
    : unknownSignIn;
  if (!proceeded.ok) throw notContinued(proceeded.reason);
  const { redirectUri, state } = proceeded.asked;
  for (const [name, value] of cookies)
    if (value === proceeded.browserSecret) deleteCookie(c, name, { path: '/', secure: isSecure(sources) });
  // RFC 9207: the client sees which server it was. 303: the form does not go on to the client.
  return back(c, redirectUri, { code: proceeded.code, state, iss: sources.publicUrl }, 303);
}

const unknownSignIn = { ok: false, reason: 'sign_in_unknown' } as const;

const notContinued = (reason: string): Refused =>
  reason === 'other_browser'
    ? new Refused(400, 'access_denied', 'This sign-in began in another browser, or this one keeps no cookies.', {
        reason,
      })
    : new Refused(400, 'invalid_request', startAgain, { reason });

type Cookie = readonly [name: string, value: string];

/** Those of sign-ins that this browser began. */
function cookiesOf(sources: { readonly publicUrl: string }, c: Context): readonly Cookie[] {
  const prefix = cookiePrefix(sources);
  return Object.entries(getCookie(c))
    .filter(([name]) => name.startsWith(prefix))
    .slice(0, maxCookies);
}

const secretsIn = (cookies: readonly Cookie[]): readonly string[] => cookies.map(([, value]) => value);

function stateOf(fields: ReadonlyMap<string, string>): { readonly state?: string } {
  const state = fields.get('state');
  return state !== undefined && /^[\x20-\x7e]{1,512}$/.test(state) ? { state } : {};
}

const isSecure = ({ publicUrl }: { readonly publicUrl: string }): boolean => publicUrl.startsWith('https:');

/** `__Host-`: no other host, and nobody on the way, can set it. That wants the path `/` (RFC 6265bis §4.1.3.2). */
const cookiePrefix = (sources: { readonly publicUrl: string }): string =>
  `${isSecure(sources) ? '__Host-' : ''}sallyport-sign-in-`;

const back = (
  c: Context,
  redirectUri: string,
  parameters: Readonly<Record<string, string>>,
  status: 302 | 303 = 302,
): Response => go(c, `${redirectUri}?${new URLSearchParams(parameters)}`, status);

function go(c: Context, url: string, status: 302 | 303): Response {
  c.header('cache-control', 'no-store');
  c.header('referrer-policy', 'no-referrer');
  return c.redirect(url, status);
}

/** What was thrown, as the client may hear of it. */
export function outage<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  { session }: Place,
  error: unknown,
): Refused {
  sources.failed(session, error);
  return sources.isOutage(error)
    ? new Refused(503, 'temporarily_unavailable', 'The gateway cannot do this at this moment. Try again.', {
        cause: error,
        detail: 'state or record is out of reach',
      })
    : new Refused(500, 'server_error' satisfies OauthError, 'The gateway failed to answer.', { cause: error });
}
