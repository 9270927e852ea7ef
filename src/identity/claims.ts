import { type Caller, type IdentityRefusal, refuse } from './caller.ts';
import { claimAt } from './claim-path.ts';
import type { ProviderConfig, TeamConfig } from './config.ts';
import { readClaimGroups } from './groups/claims.ts';
import { mapGroups } from './groups/mapping.ts';
import { isPlainText } from './plain-text.ts';
import type { OpenedToken } from './token.ts';

/** 9999-12-31T23:59:59Z; a date beyond it is a mistake or an attack, not a date. */
const lastSecond = 253_402_300_799;
const maxSubjectLength = 1024;
const maxKidLength = 512;

type Claims = Readonly<Record<string, unknown>>;

/**
 * The JOSE header (RFC 7515 §4). Keys in the token itself (`jwk`, `jku`, `x5u`, `x5c`) are never looked at: keys come from
 * the provider alone. `crit` is refused whatever it lists: we understand no extension, `b64` (RFC 7797) included.
 */
export function checkHeader(header: Claims, provider: ProviderConfig): IdentityRefusal | undefined {
  const { alg, typ, kid } = header;
  if (typeof alg !== 'string' || !(provider.algorithms as readonly string[]).includes(alg))
    return refuse('token_invalid', 'the algorithm is not on the list');
  if ('crit' in header || 'b64' in header)
    return refuse('token_invalid', 'critical header extensions are not supported');
  if ('cty' in header || 'enc' in header || 'zip' in header)
    return refuse('token_invalid', 'nested or encrypted token');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > maxKidLength))
    return refuse('token_invalid', 'the key id is not a short string');
  if (typ !== undefined && typeof typ !== 'string') return refuse('token_invalid', 'typ is not a string');
  const type = typ?.toLowerCase().replace(/^application\//, '');
  if (type === 'at+jwt' || (provider.tokenType === 'JWT' && (type === undefined || type === 'jwt'))) return undefined;
  return refuse('token_invalid', `typ does not say that it is an access token (${provider.tokenType} expected)`);
}

/**
 * Tells an ID, refresh or logout token where `typ` cannot (tokenType `JWT`). OpenID Connect Core §2 and §3.3.2.11 (nonce,
 * at_hash, c_hash), FAPI (s_hash), Logout (events); Keycloak writes the kind into a `typ` claim, Cognito into `token_use`.
 */
function isOtherKindOfToken(claims: Claims): boolean {
  if (['nonce', 'at_hash', 'c_hash', 's_hash', 'events'].some((name) => name in claims)) return true;
  if ('typ' in claims && (typeof claims['typ'] !== 'string' || !/^(bearer|dpop|jwt)$/i.test(claims['typ'])))
    return true;
  return 'token_use' in claims && claims['token_use'] !== 'access';
}

function date(claims: Claims, name: string): number | undefined {
  const value = claims[name];
  return typeof value === 'number' && value >= 0 && value <= lastSecond ? value : undefined;
}

/** RFC 7519 §4.1, RFC 9068 §4: issuer, audience and dates. Dates may have fractions (NumericDate); strings are refused. */
export function checkClaims(opened: OpenedToken, provider: ProviderConfig, nowMs: number): IdentityRefusal | undefined {
  const { claims, header } = opened;
  if (claims['iss'] !== provider.issuer) return refuse('issuer_unknown', 'iss is not the issuer');
  const audiences = typeof claims['aud'] === 'string' ? [claims['aud']] : claims['aud'];
  if (!Array.isArray(audiences) || !audiences.every((a) => typeof a === 'string'))
    return refuse('audience_wrong', 'aud is missing or not a string or list of strings');
  const accepted = typeof provider.audience === 'string' ? [provider.audience] : provider.audience;
  if (!audiences.some((a) => accepted.includes(a))) return refuse('audience_wrong', 'aud does not name this gateway');

  const exp = date(claims, 'exp');
  const iat = date(claims, 'iat');
  if (exp === undefined || iat === undefined)
    return refuse('token_invalid', 'exp or iat is missing or not a date in seconds');
  const nbf = 'nbf' in claims ? date(claims, 'nbf') : iat;
  if (nbf === undefined) return refuse('token_invalid', 'nbf is not a date in seconds');
  const now = nowMs / 1000;
  if (now >= exp + provider.leewaySeconds) return refuse('token_expired', 'exp is in the past');
  if (Math.max(nbf, iat) > now + provider.leewaySeconds)
    return refuse('token_not_yet_valid', 'nbf or iat is in the future');
  if (exp <= iat) return refuse('token_invalid', 'exp is not after iat');

  if (!isPlainText(claims['sub'], maxSubjectLength))
    return refuse('token_invalid', 'sub is missing or not a short plain string');
  if (!isAccessTokenByType(header) && isOtherKindOfToken(claims))
    return refuse('token_invalid', 'an ID, refresh or logout token is not an access token');
  return undefined;
}

function isAccessTokenByType(header: Claims): boolean {
  const typ = header['typ'];
  return typeof typ === 'string' && /^(application\/)?at\+jwt$/i.test(typ);
}

/**
 * A token that a service got for itself (client credentials): RFC 9068 §5 makes `sub` the client's id; Auth0 says `gty`,
 * Entra ID `idtyp`; Keycloak names the user `service-account-<client>`.
 */
function isService(claims: Claims): boolean {
  const { sub, client_id: clientId, azp, gty, idtyp, preferred_username: username } = claims;
  if (sub === clientId || sub === azp || gty === 'client-credentials' || idtyp === 'app') return true;
  return typeof clientId === 'string' && username === `service-account-${clientId}`;
}

/** Who the (verified and checked) claims speak of. */
export function readCaller(
  claims: Claims,
  provider: ProviderConfig,
  teams: readonly TeamConfig[],
): Caller | IdentityRefusal {
  const found = readClaimGroups(claims, provider.groups.claims);
  if (found.problem !== undefined) return refuse('token_invalid', found.problem);
  const groups = mapGroups(found.groups, provider.groups);
  const email = claimAt(claims, provider.emailClaim);
  return Object.freeze({
    provider: provider.name,
    issuer: provider.issuer,
    subject: claims['sub'] as string,
    kind: isService(claims) ? 'service' : 'person',
    email: isPlainText(email, 320) && claims['email_verified'] !== false ? email : undefined,
    groups,
    team: teams.find((team) => team.groups.some((group) => groups.includes(group)))?.name,
    claims: Object.freeze(claims),
    proof: 'token',
    tokenId: typeof claims['jti'] === 'string' ? claims['jti'] : undefined,
    issuedAtMs: (claims['iat'] as number) * 1000,
    expiresAtMs: ((claims['exp'] as number) + provider.leewaySeconds) * 1000,
  });
}
