/**
 * What must hold for a token besides its signature, check by check in order. The gate takes the first that fails as its
 * answer; `sallyport inspect-token` shows them all. Nothing of a token is ever in a refusal's text.
 */
import { type IdentityRefusal, refuse } from './caller.ts';
import { claimAt } from './claim-path.ts';
import type { ProviderConfig } from './config.ts';
import { dateAt } from './dates.ts';
import { isPlainText } from './plain-text.ts';
import type { ReadToken } from './token.ts';
import { checkType } from './token-type.ts';

const maxKidLength = 512;
const maxSubjectLength = 1024;

type Claims = Readonly<Record<string, unknown>>;

export type StaticCheckName =
  | 'algorithm'
  | 'header'
  | 'type'
  | 'issuer'
  | 'audience'
  | 'dates'
  | 'authorized party'
  | 'required claims'
  | 'subject';

export interface StaticCheck {
  readonly name: StaticCheckName;
  check(token: ReadToken, provider: ProviderConfig, nowMs: number): IdentityRefusal | undefined;
}

export const staticChecks: readonly StaticCheck[] = [
  { name: 'algorithm', check: checkAlgorithm },
  { name: 'header', check: checkHeader },
  { name: 'type', check: checkType },
  { name: 'issuer', check: checkIssuer },
  { name: 'audience', check: checkAudience },
  { name: 'dates', check: checkDates },
  { name: 'authorized party', check: checkParty },
  { name: 'required claims', check: checkRequired },
  { name: 'subject', check: checkSubject },
];

/** @returns why the token is refused, or undefined where only its signature is left to check. */
export function checkStatically(
  token: ReadToken,
  provider: ProviderConfig,
  nowMs: number,
): IdentityRefusal | undefined {
  for (const { check } of staticChecks) {
    const problem = check(token, provider, nowMs);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkAlgorithm({ header }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  if (header === undefined) return undefined;
  const { alg } = header;
  return typeof alg === 'string' && (provider.algorithms as readonly string[]).includes(alg)
    ? undefined
    : refuse('token_invalid', 'the algorithm is not on the list');
}

/**
 * RFC 7515 §4. Keys in the token itself (`jwk`, `jku`, `x5u`, `x5c`) are never looked at: keys come from the provider alone.
 * `crit` is refused whatever it lists: we understand no extension, `b64` (RFC 7797) included.
 */
function checkHeader({ header }: ReadToken): IdentityRefusal | undefined {
  if (header === undefined) return undefined;
  if ('crit' in header || 'b64' in header)
    return refuse('token_invalid', 'critical header extensions are not supported');
  if ('cty' in header || 'enc' in header || 'zip' in header)
    return refuse('token_invalid', 'nested or encrypted token');
  const { kid } = header;
  return kid === undefined || (typeof kid === 'string' && kid.length <= maxKidLength)
    ? undefined
    : refuse('token_invalid', 'the key id is not a short string');
}

function checkIssuer({ claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  return claims['iss'] === provider.issuer ? undefined : refuse('issuer_unknown', 'iss is not the issuer');
}

/** `aud` as a list (RFC 7519 §4.1.3); undefined where it has another shape. */
export function audiencesOf(claims: Claims): readonly string[] | undefined {
  const aud = claims['aud'];
  const audiences: unknown = typeof aud === 'string' ? [aud] : aud;
  return Array.isArray(audiences) && audiences.every((a) => typeof a === 'string') ? audiences : undefined;
}

const listOf = (value: string | readonly string[]): readonly string[] => (typeof value === 'string' ? [value] : value);

function checkAudience({ claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  const audiences = audiencesOf(claims);
  if (audiences === undefined) return refuse('audience_wrong', 'aud is missing or not a string or list of strings');
  const accepted = listOf(provider.audience);
  return audiences.some((a) => accepted.includes(a))
    ? undefined
    : refuse('audience_wrong', 'aud does not name this gateway');
}

/** RFC 7519 §4.1.4 to 4.1.6. Dates may have fractions; strings are refused. */
function checkDates({ claims }: ReadToken, provider: ProviderConfig, nowMs: number): IdentityRefusal | undefined {
  const exp = dateAt(claims, 'exp');
  const iat = dateAt(claims, 'iat');
  if (exp === undefined || iat === undefined)
    return refuse('token_invalid', 'exp or iat is missing or not a date in seconds');
  const nbf = 'nbf' in claims ? dateAt(claims, 'nbf') : iat;
  if (nbf === undefined) return refuse('token_invalid', 'nbf is not a date in seconds');
  const now = nowMs / 1000;
  if (now >= exp + provider.leewaySeconds) return refuse('token_expired', 'exp is in the past');
  if (Math.max(nbf, iat) > now + provider.leewaySeconds)
    return refuse('token_not_yet_valid', 'nbf or iat is in the future');
  return exp > iat ? undefined : refuse('token_invalid', 'exp is not after iat');
}

/** Claims in which providers name the OAuth client: OpenID Connect Core, RFC 9068, Entra ID v1, Okta. */
export const partyClaims = ['azp', 'client_id', 'appid', 'cid'] as const;

/**
 * Which OAuth client the token was made for. Each claim that says so must be on the list. An ID token's `azp` must be one of
 * its audiences, or on the list, or (Google's service accounts) the subject itself, and be there where `aud` has several
 * (OpenID Connect Core §3.1.3.7); one without `azp` is for its audience, which has been checked.
 */
function checkParty({ claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  const { authorizedParties: listed } = provider;
  const named = partyClaims.filter((name) => claims[name] !== undefined).map((name) => claims[name]);
  const isIdToken = provider.tokenType === 'id_token';
  if (listed !== undefined) {
    if (named.length === 0 && !isIdToken)
      return refuse('token_invalid', 'the token does not say for which client it is');
    if (!named.every((party) => (listed as readonly unknown[]).includes(party)))
      return refuse('token_invalid', 'the client is not an authorized party');
  }
  return isIdToken ? checkAzp(claims, listed ?? []) : undefined;
}

function checkAzp(claims: Claims, listed: readonly string[]): IdentityRefusal | undefined {
  const audiences = audiencesOf(claims) ?? [];
  const { azp, sub } = claims;
  if (azp === undefined)
    return audiences.length <= 1 ? undefined : refuse('token_invalid', 'an ID token for several needs azp');
  const fits = typeof azp === 'string' && (audiences.includes(azp) || listed.includes(azp) || azp === sub);
  return fits ? undefined : refuse('token_invalid', 'azp is neither an audience nor an authorized party');
}

/** The provider says that nobody has shown to own the address (OpenID Connect Core §5.1). */
export const isEmailUnverified = ({ email_verified: verified }: Claims): boolean =>
  verified === false || verified === 'false';

/**
 * What a required claim asks for is there: any value, that value, or one of several; of a list, that it holds one. An
 * address that anybody may have typed in (`email_verified: false`) is not.
 */
export function holdsRequired(claims: Claims, name: string, wanted: ProviderConfig['requiredClaims'][string]): boolean {
  if (name === 'email' && isEmailUnverified(claims)) return false;
  const value = claimAt(claims, name);
  if (wanted === true) return value !== undefined && value !== null;
  const accepted: readonly unknown[] = Array.isArray(wanted) ? wanted : [wanted];
  return Array.isArray(value) ? value.some((v) => accepted.includes(v)) : accepted.includes(value);
}

function checkRequired({ claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  const missing = Object.entries(provider.requiredClaims).find(
    ([name, wanted]) => !holdsRequired(claims, name, wanted),
  );
  return missing === undefined
    ? undefined
    : refuse('token_invalid', `the required claim ${missing[0]} is missing or has another value`);
}

/** What names the caller ends up in headers, logs and rules (RFC 7519 §4.1.2 leaves its form open). */
function checkSubject({ claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  const path = provider.subjectClaim;
  if (!isPlainText(claimAt(claims, path), maxSubjectLength))
    return refuse(
      'token_invalid',
      `${typeof path === 'string' ? path : path.join(' > ')} is missing or not a short plain string`,
    );
  return undefined;
}
