/** Tells access tokens from ID, refresh and logout tokens: each is good for one purpose, and signed by the same keys. */
import { type IdentityRefusal, refuse } from './caller.ts';
import type { ProviderConfig } from './config.ts';
import type { ReadToken } from './token.ts';

type Claims = Readonly<Record<string, unknown>>;

/** By `typ` (RFC 8725 §3.11, RFC 9068 §2.1), and where that cannot tell, by claims that only the other kind has. */
export function checkType({ header, claims }: ReadToken, provider: ProviderConfig): IdentityRefusal | undefined {
  const typ = header?.['typ'];
  if (typ !== undefined && typeof typ !== 'string') return refuse('token_invalid', 'typ is not a string');
  const type = typ?.toLowerCase().replace(/^application\//, '');
  const saysNothing = type === undefined || type === 'jwt';
  if (provider.tokenType === 'id_token')
    return saysNothing && !isNoIdToken(claims)
      ? undefined
      : refuse('token_invalid', 'the token is not an ID token (id_token expected)');
  if (type === 'at+jwt') return undefined;
  // Envoy's jwt_authn tells no header: then the claims decide, whatever the provider's typ is.
  if (!saysNothing || (header !== undefined && provider.tokenType !== 'JWT'))
    return refuse('token_invalid', `typ does not say that it is an access token (${provider.tokenType} expected)`);
  return isNoAccessToken(claims)
    ? refuse('token_invalid', 'an ID, refresh or logout token is not an access token')
    : undefined;
}

/**
 * OpenID Connect Core §2 and §3.3.2.11 (nonce, at_hash, c_hash), FAPI (s_hash), Logout (events); Cognito writes the kind into
 * `token_use`, Keycloak into a `typ` claim, and then that decides: its access tokens used to have a nonce, too.
 */
function isNoAccessToken(claims: Claims): boolean {
  if ('events' in claims || ('token_use' in claims && claims['token_use'] !== 'access')) return true;
  const kind = claims['typ'];
  if (typeof kind === 'string' && /^(bearer|dpop)$/i.test(kind)) return false;
  if ('typ' in claims && (typeof kind !== 'string' || kind.toLowerCase() !== 'jwt')) return true;
  return ['nonce', 'at_hash', 'c_hash', 's_hash'].some((name) => name in claims);
}

/** RFC 9068 §2.2.3 and Okta and Entra ID: only access tokens have a scope. */
function isNoIdToken(claims: Claims): boolean {
  if (['events', 'scope', 'scp'].some((name) => name in claims)) return true;
  if ('token_use' in claims && claims['token_use'] !== 'id') return true;
  const kind = claims['typ'];
  return 'typ' in claims && (typeof kind !== 'string' || !/^(id|jwt)$/i.test(kind));
}
