/** What `sallyport inspect-token` says of a token: the gate's own checks, each with its outcome, and what to do about it. */
import type { Identification } from './caller.ts';
import type { IdentityConfig } from './config.ts';
import type { IdentifierParts } from './identifier.ts';

export type CheckName =
  | 'form'
  | 'issuer'
  | 'algorithm'
  | 'header'
  | 'type'
  | 'audience'
  | 'dates'
  | 'authorized party'
  | 'required claims'
  | 'subject'
  | 'key'
  | 'signature'
  | 'groups'
  | 'revoked';

export interface ReportedCheck {
  readonly name: CheckName;
  readonly outcome: 'pass' | 'fail' | 'skipped';
  /** One or two sentences for a developer; may quote claims, never the signature. */
  readonly explanation: string;
}

export interface TokenReport {
  /** Decoded; undefined where the token cannot be read. */
  readonly header: Readonly<Record<string, unknown>> | undefined;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** The provider whose issuer the token names; `gateway` for tokens that the gateway issued. */
  readonly provider: { readonly name: string; readonly issuer: string } | undefined;
  /** In the order in which the gate checks. */
  readonly checks: readonly ReportedCheck[];
  /** What the gate answers to a request with this token. */
  readonly verdict: Identification;
}

/** Never rejects; fetches keys, and groups where they are elsewhere. */
export type InspectToken = (token: string, config: IdentityConfig, parts: IdentifierParts) => Promise<TokenReport>;
