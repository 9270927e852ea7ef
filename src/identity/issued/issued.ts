/** The credentials that the gateway itself issues: short-lived ES256 JWTs (RFC 9068), and what takes them back. */
import type { Caller, Identification } from '../caller.ts';
import type { OpenedToken } from '../token.ts';

export interface IssuedToken {
  readonly token: string;
  readonly tokenId: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

export interface TokenIssuer {
  /** `iss` of its tokens: `publicUrl`. */
  readonly issuer: string;
  /** A token that says who `caller` is, for `identity.tokens.lifetime` at most and never longer than the caller's own proof. */
  issue(caller: Caller): Promise<IssuedToken>;
  /** Verifies one of ours, of any replica that shares the state. Revocation is checked elsewhere, for all callers. */
  verify(token: string, opened: OpenedToken): Promise<Identification>;
  /** Signs a short JWT for a model: who calls it. `audience` is the model's. Kept and reused while it is good for 30 s more. */
  assertion(caller: Caller, audience: string): Promise<string>;
  /** RFC 7517: the keys that verify our tokens now or soon, of all replicas. */
  jwks(): { readonly keys: readonly object[] };
}

/** What has been taken back. In memory, fed from the control state, so that the gate asks without waiting. */
export interface Revocations {
  /** `undefined`: not revoked. `unknown`: the list is too old to say (`state_unavailable`). */
  check(
    caller: Pick<Caller, 'provider' | 'subject' | 'issuedAtMs' | 'tokenId' | 'proof'>,
  ): 'revoked' | 'unknown' | undefined;
  /**
   * Takes one token back until it has expired; in force here at once, at other replicas within seconds. `holder` gives his own
   * back, and only so many; without one it is the operator.
   */
  revokeToken(
    tokenId: string,
    expiresAtMs: number,
    holder?: { readonly provider: string; readonly subject: string },
  ): Promise<void>;
  /** Takes back whatever of this caller was vouched for before now, or is dated ahead as far as clocks may differ. */
  revokeSubject(provider: string, subject: string): Promise<void>;
}
