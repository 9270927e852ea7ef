/** Who is calling. One type for every way of proving it; what the rules see as `caller`. */
export interface Caller {
  /**
   * Name of the identity provider: in `identity.providers` or `identity.saml`, or `mesh` for mTLS peers. Two providers with
   * the same `sub` are two people. A token that the gateway issued keeps the provider that it was exchanged from.
   */
  readonly provider: string;
  /** `iss` of the token, `entityID` of the SAML IdP; of a peer its trust domain. */
  readonly issuer: string;
  /** What names the caller for good at the provider: `sub`, `oid`, NameID; of a peer its SPIFFE id. */
  readonly subject: string;
  readonly kind: 'person' | 'service' | 'peer';
  readonly email: string | undefined;
  readonly groups: readonly string[];
  /** Why there may be more groups than these: they could not be had, and the provider says `required: false`. */
  readonly groupsProblem?: string;
  /** From `identity.teams` in the config; owns models and policies. */
  readonly team: string | undefined;
  /** The verified claims (SAML: attributes), as JSON values. Never logged. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** What was verified: a provider's token, one of the gateway's own, a SAML assertion, an mTLS peer, Envoy's jwt_authn. */
  readonly proof: 'token' | 'issued' | 'saml' | 'peer' | 'jwt_authn';
  /** `jti` of the token (SAML: ID of the assertion), where there is one. */
  readonly tokenId: string | undefined;
  /**
   * Epoch milliseconds when the provider vouched for the caller (`iat`; of an issued token that of what it was exchanged for).
   * Revoking a subject refuses everything from before.
   */
  readonly issuedAtMs: number;
  /** Epoch milliseconds after which this identity is no longer good, leeway included. */
  readonly expiresAtMs: number;
}

/** Why a credential was refused. `reason` goes to the caller, `detail` only to the record. */
export interface IdentityRefusal {
  readonly ok: false;
  readonly reason:
    | 'token_missing'
    | 'token_malformed'
    | 'token_expired'
    | 'token_not_yet_valid'
    | 'token_revoked'
    | 'issuer_unknown'
    | 'audience_wrong'
    | 'token_invalid'
    | 'groups_unavailable'
    | 'keys_unavailable'
    | 'state_unavailable';
  readonly detail: string;
}

export type Identification = { readonly ok: true; readonly caller: Caller } | IdentityRefusal;

/** All that a request brings to say who sends it. */
export interface Proof {
  /** The one credential of the request. */
  readonly token: string | undefined;
  /** URI of the mTLS peer as Envoy verified it (`attributes.source.principal`), empty without. Never from a header. */
  readonly peer: string;
  /** Dynamic metadata of Envoy's `jwt_authn` filter, decoded when it is asked for (throws RangeError); undefined: there is none. */
  readonly jwtAuthn: (() => Readonly<Record<string, unknown>>) | undefined;
}

/**
 * Says who sends a request. A token decides alone; without one `jwtAuthn` does, then the peer, as far as the config takes
 * them; with none of them `token_missing`. Answers from its cache synchronously when it can. Never throws for bad proof.
 */
export interface Identifier {
  identify(proof: Proof): Identification | Promise<Identification>;
}

export const refuse = (reason: IdentityRefusal['reason'], detail: string): IdentityRefusal => ({
  ok: false,
  reason,
  detail,
});
