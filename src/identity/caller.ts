/** Who is calling. One type for every way of proving it; what the rules see as `caller`. */
export interface Caller {
  /** Name of the identity provider in `identity.providers`; two providers with the same `sub` are two people. */
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  readonly kind: 'person' | 'service';
  readonly email: string | undefined;
  readonly groups: readonly string[];
  /** From `identity.teams` in the config; owns models and policies. */
  readonly team: string | undefined;
  /** The verified claims, as JSON values. Never logged. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds after which this identity is no longer good. */
  readonly expiresAtMs: number;
}

/** Why a credential was refused. `reason` goes to the caller, `detail` only to the record. */
export interface IdentityRefusal {
  readonly ok: false;
  readonly reason:
    | 'token_malformed'
    | 'token_expired'
    | 'token_not_yet_valid'
    | 'issuer_unknown'
    | 'audience_wrong'
    | 'token_invalid'
    | 'keys_unavailable';
  readonly detail: string;
}

export type Identification = { readonly ok: true; readonly caller: Caller } | IdentityRefusal;

/** Verifies one bearer credential. Answers from its cache synchronously when it can. Never throws for a bad token. */
export interface Identifier {
  identify(token: string): Identification | Promise<Identification>;
}
