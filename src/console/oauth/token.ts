/** `POST /oauth/token`: other people's tokens and assertions, and codes of a sign-in, for one of ours. */
import type { Context } from 'hono';
import { answerJson, plain, Refused } from './answers.ts';
import type { GoodForm } from './form.ts';
import type { Place } from './place.ts';
import type { Disproven, Grant, KnownCaller, OauthSources, Proven, SamlEnd } from './sources.ts';

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const saml2Bearer = 'urn:ietf:params:oauth:grant-type:saml2-bearer';
export const authorizationCode = 'authorization_code';

/** The one OAuth client of the gateway: public, so that its name protects nothing. */
export const clientId = 'sallyport-cli';

const tokenTypes = 'urn:ietf:params:oauth:token-type:';
const accessToken = `${tokenTypes}access_token`;
/** RFC 8693 §3 → what is verified. */
const subjectTypes = new Map<string, 'access_token' | 'id_token'>([
  [accessToken, 'access_token'],
  [`${tokenTypes}jwt`, 'access_token'],
  [`${tokenTypes}id_token`, 'id_token'],
]);

export const maxFormBytes = 65_536;
/** A SAML response or assertion, in base64. */
export const maxSamlFormBytes = 1_048_576;

const grants = new Map<string, Grant>([
  [tokenExchange, 'token_exchange'],
  [saml2Bearer, 'saml2_bearer'],
  [authorizationCode, 'authorization_code'],
]);

type Fields = ReadonlyMap<string, string>;

/** Throws Refused. */
export async function tokenEndpoint<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  place: Place,
  { fields, bytes }: GoodForm,
): Promise<Response> {
  if (c.req.header('authorization') !== undefined || fields.has('client_secret') || fields.has('client_assertion'))
    throw new Refused(401, 'invalid_client', 'Clients of this gateway are public: send no client credential.');
  const grantType = required(fields, 'grant_type');
  const grant = grants.get(grantType);
  if (grant === undefined || (grant === 'saml2_bearer' && sources.assertion === undefined))
    throw new Refused(400, 'unsupported_grant_type', 'This gateway does not have this grant type.');
  place.grant = grant;
  if (grant !== 'saml2_bearer' && bytes > maxFormBytes)
    throw new Refused(413, 'invalid_request', `The body is longer than ${maxFormBytes} bytes.`);
  if (fields.has('scope')) throw new Refused(400, 'invalid_scope', 'This gateway has no scopes: leave scope out.');
  checkTarget(sources.targets, fields);
  if (grant === 'token_exchange') return give(sources, c, place, await exchanged(sources, fields), true);
  if (grant === 'saml2_bearer') {
    const proven = await sources.assertion?.(required(fields, 'assertion'));
    if (proven === undefined) throw new Refused(400, 'unsupported_grant_type', 'Assertions are not taken.');
    return give(sources, c, place, proven, false);
  }
  return redeemed(sources, c, place, fields);
}

/** RFC 8707 §2, RFC 8693 §2.1: a token for somebody else is not ours to give. */
function checkTarget(targets: readonly string[], fields: Fields): void {
  for (const name of ['resource', 'audience']) {
    const value = fields.get(name);
    if (value !== undefined && !targets.includes(value.replace(/\/$/, '')))
      throw new Refused(400, 'invalid_target', `This gateway issues tokens for itself only: leave ${name} out.`);
  }
}

async function exchanged<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  fields: Fields,
): Promise<Proven<C>> {
  const token = required(fields, 'subject_token');
  const type = subjectTypes.get(required(fields, 'subject_token_type'));
  if (type === undefined)
    throw new Refused(400, 'invalid_request', 'subject_token_type must be access_token, id_token or jwt.');
  const wanted = fields.get('requested_token_type') ?? accessToken;
  if (wanted !== accessToken && wanted !== `${tokenTypes}jwt`)
    throw new Refused(400, 'invalid_request', 'requested_token_type can only be an access token.');
  if (fields.has('actor_token') || fields.has('actor_token_type'))
    throw new Refused(400, 'invalid_request', 'This gateway does not take actor tokens.');
  return sources.subjectToken(token, type);
}

/** RFC 6749 §4.1.3. A code that comes a second time takes back what it gave (§4.1.2). */
async function redeemed<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  place: Place,
  fields: Fields,
): Promise<Response> {
  const codeVerifier = required(fields, 'code_verifier');
  // RFC 7636 §4.1.
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(codeVerifier))
    throw new Refused(
      400,
      'invalid_request',
      'code_verifier is not 43 to 128 characters of those that RFC 7636 allows.',
    );
  const outcome = await sources.signIns.redeem({
    code: required(fields, 'code'),
    clientId: required(fields, 'client_id'),
    redirectUri: required(fields, 'redirect_uri'),
    codeVerifier,
  });
  const bad = (detail: string) =>
    new Refused(400, 'invalid_grant', 'The code is not good, or not any more. Sign in again.', { detail });
  if (outcome.ok)
    return give(sources, c, place, { ok: true, caller: outcome.caller }, false, async (tokenId, expiresAtMs) => {
      if (!(await outcome.claim(tokenId, expiresAtMs))) throw bad('the code was used at the same time');
    });
  const { gave } = outcome;
  if (gave !== undefined) {
    const { tokenId, expiresAtMs } = gave;
    await sources.revokeToken(tokenId, expiresAtMs, gave);
    const { session, clientAddress, grant } = place;
    // Once for a code: later uses are refusals like others, which are counted together.
    if (await gave.forget())
      await sources.record({
        ...{ session, clientAddress, grant, tokenId, expiresAtMs },
        action: 'revoked',
        detail: outcome.detail,
      });
  }
  throw bad(outcome.detail);
}

/** Issues a token once that is on the record. */
async function give<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  c: Context,
  { session, clientAddress, grant }: Place,
  proven: Proven<C>,
  isExchange: boolean,
  claim?: (tokenId: string, expiresAtMs: number) => Promise<void>,
): Promise<Response> {
  if (!proven.ok) throw notProven(sources, proven, session, grant);
  const { caller } = proven;
  // A token says whole seconds: what is left of less than one is nothing.
  if (caller.expiresAtMs - sources.nowMs() < 1000)
    throw notProven(sources, { ok: false, reason: 'token_expired', detail: 'it expires this second' }, session, grant);
  const { token, tokenId, expiresAtMs } = await sources.issue(caller);
  await claim?.(tokenId, expiresAtMs);
  await sources.record({ session, clientAddress, grant, action: 'issued', caller, tokenId, expiresAtMs });
  c.header('x-sallyport-session', session);
  return answerJson(c, 200, {
    access_token: token,
    ...(isExchange ? { issued_token_type: accessToken } : {}),
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((expiresAtMs - sources.nowMs()) / 1000)),
  });
}

/**
 * Says what was wrong as the gate does. `invalid_grant` for an assertion (RFC 7521 §4.1.1); a subject token that is not good
 * must be `invalid_request` (RFC 8693 §2.2.2), so the description alone tells it from a malformed request.
 */
function notProven<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  { reason, detail }: Disproven,
  session: string,
  grant: Grant,
): Refused {
  if (reason === 'own_token')
    return new Refused(400, 'invalid_request', 'A token of this gateway is not exchanged for another one.', {
      reason,
      detail,
    });
  const { status, meaning } = sources.refusal(reason, session);
  return status === 503
    ? new Refused(503, 'temporarily_unavailable', meaning, { reason, detail })
    : new Refused(400, grant === 'token_exchange' ? 'invalid_request' : 'invalid_grant', meaning, { reason, detail });
}

export function required(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value === undefined) throw new Refused(400, 'invalid_request', plain(`${name} is missing.`));
  return value;
}
