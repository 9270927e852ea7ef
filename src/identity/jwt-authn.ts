/**
 * Identities that Envoy's jwt_authn filter has verified. Its dynamic metadata is an object whose values are payloads of JWTs
 * (`payload_in_metadata`), keyed as the operator or Istio chose; JOSE headers (`header_in_metadata`) and failures
 * (`failed_status_in_metadata`) may lie beside them, and are not payloads.
 */
import { type IdentityRefusal, refuse } from './caller.ts';

type Claims = Readonly<Record<string, unknown>>;

function payloadsIn(metadata: Claims): readonly Claims[] {
  return Object.values(metadata).filter(
    (value): value is Claims =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      (Object.hasOwn(value, 'iss') || Object.hasOwn(value, 'sub')),
  );
}

/**
 * The one payload of an issuer that counts. Undefined: no token was verified at all. A token of somebody else is refused,
 * and not taken for none: the peer that brought it must not be taken for who sent it.
 */
export function payloadOf(
  metadata: Claims,
  isKnown: (issuer: unknown) => boolean,
): { readonly ok: true; readonly claims: Claims } | IdentityRefusal | undefined {
  const payloads = payloadsIn(metadata);
  if (payloads.length === 0) return undefined;
  const [payload, ...others] = payloads.filter((each) => isKnown(each['iss']));
  if (payload === undefined)
    return refuse('issuer_unknown', 'what Envoy has verified is of no provider in identity.jwtAuthn.providers');
  if (others.length > 0) return refuse('token_invalid', 'Envoy has verified several tokens of known issuers');
  return { ok: true, claims: payload };
}

/** A token beside what Envoy has verified: both must speak of the same caller, or somebody is being impersonated. */
export function disagreement(
  metadata: Claims,
  isKnown: (issuer: unknown) => boolean,
  token: Claims,
): IdentityRefusal | undefined {
  const agrees = payloadsIn(metadata)
    .filter((payload) => isKnown(payload['iss']))
    .every((payload) => payload['iss'] === token['iss'] && payload['sub'] === token['sub']);
  return agrees
    ? undefined
    : refuse('token_invalid', 'the token and what Envoy has verified (jwt_authn) name different issuers or subjects');
}
