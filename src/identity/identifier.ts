import type { Identification, Identifier } from './caller.ts';
import type { IdentityConfig, ProviderConfig } from './config.ts';
import type { GroupsReader } from './groups/groups.ts';
import type { Http } from './http.ts';
import type { Revocations, TokenIssuer } from './issued/issued.ts';

/** What the identifier is made of. */
export interface IdentifierParts {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** The client that fetches a provider's discovery and keys: `providerHttp` (provider-http.ts). */
  readonly httpFor: (provider: ProviderConfig) => Http;
  readonly groupsOf: (provider: ProviderConfig) => GroupsReader;
  /** Verifies our own tokens; without it they are of an unknown issuer. */
  readonly issuer?: TokenIssuer | undefined;
  /** Asked for every caller, from every path. Without it nothing is revoked. */
  readonly revocations?: Revocations | undefined;
}

/** RFC 8693 §3: `urn:ietf:params:oauth:token-type:…`, the last part. */
export type SubjectTokenType = 'access_token' | 'id_token';

export interface TokenIdentifier extends Identifier {
  /**
   * Verifies a token that is to be exchanged for one of ours (RFC 8693): access tokens as they are when somebody calls with
   * them; ID tokens where the provider says `login.exchange: id_token` (`aud` is then `login.clientId`) or takes nothing
   * else. Our own tokens are not exchanged. Never rejects.
   */
  verifySubjectToken(token: string, type: SubjectTokenType): Promise<Identification>;
}

/** Composes all the ways of saying who calls; see `Identifier` for which one decides. */
export type CreateIdentifier = (config: IdentityConfig, parts: IdentifierParts) => TokenIdentifier;
