import {
  type Caller,
  type Identification,
  type Identifier,
  type IdentityRefusal,
  type Proof,
  refuse,
} from './caller.ts';
import type { IdentityConfig } from './config.ts';
import type { Revocations, TokenIssuer } from './issued/issued.ts';
import { disagreement, payloadOf, readMetadata } from './jwt-authn.ts';
import {
  createProviders,
  forIdTokens,
  isVerified,
  type OidcParts,
  type OidcProvider,
  type Verification,
  verifyClaims,
  verifyToken,
} from './oidc.ts';
import { createPeers } from './peers.ts';
import { maxTokenLength, openToken } from './token.ts';
import { createTokenVerifier, type KnownToken } from './verified-tokens.ts';

/** What the identifier is made of. */
export interface IdentifierParts extends OidcParts {
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
  /** Whether each provider's keys may be used now, for `/readyz`; fetches them in the background when they are due. */
  keys(): readonly { readonly provider: string; readonly usable: boolean; readonly problem: string }[];
}

/**
 * Composes all the ways of saying who calls; `Identifier` says which one decides.
 *
 * @throws Error when a provider's CA file cannot be read.
 */
export function createIdentifier(config: IdentityConfig, parts: IdentifierParts): TokenIdentifier {
  const providers = createProviders(config, parts);
  const verify = createTokenVerifier(config, parts, providers);
  const peerOf = createPeers(config);
  const payloads = config.jwtAuthn.enabled ? createPayloads(config, parts, providers) : undefined;

  /** What is asked of everybody each time, however they were identified. */
  const unlessTakenBack = (answer: Identification): Identification =>
    answer.ok ? (takenBack(parts.revocations, answer.caller) ?? answer) : answer;
  const settle = (known: KnownToken | IdentityRefusal, metadata: Metadata | undefined): Identification => {
    if (!known.ok) return known;
    const problem = metadata === undefined ? undefined : payloads?.disagree(metadata, known.claims);
    return problem ?? unlessTakenBack(known.answer);
  };

  return {
    identify({ token, peer, jwtAuthn }) {
      if (token !== undefined) {
        const known = verify(token);
        return known instanceof Promise ? known.then((later) => settle(later, jwtAuthn)) : settle(known, jwtAuthn);
      }
      const byPayload = jwtAuthn === undefined ? undefined : payloads?.identify(jwtAuthn);
      if (byPayload instanceof Promise) return byPayload.then(unlessTakenBack);
      const answer = byPayload ?? (peer === '' ? undefined : peerOf(peer));
      return answer === undefined ? refuse('token_missing', '') : unlessTakenBack(answer);
    },
    keys: () =>
      [...providers.values()].map(({ config: { name }, keys }) => ({
        provider: name,
        usable: keys.usable(),
        problem: keys.problem,
      })),
    async verifySubjectToken(token, type) {
      if (token.length > maxTokenLength) return refuse('token_malformed', `longer than ${maxTokenLength} bytes`);
      const opened = openToken(token);
      if (!opened.ok) return opened;
      const provider = providers.get(opened.claims['iss']);
      if (provider === undefined) return refuse('issuer_unknown', 'no provider has this issuer');
      const taken = exchanged(provider, type);
      if (taken === undefined)
        return refuse('token_invalid', `${provider.config.name} has no ${type} that may be exchanged`);
      const about = { teams: config.teams, nowMs: parts.now() };
      return unlessTakenBack(answerOf(await verifyToken(token, opened, taken, about)));
    },
  };
}

type Metadata = NonNullable<Proof['jwtAuthn']>;

/** What Envoy's jwt_authn filter tells, as far as the config takes it. */
function createPayloads(
  config: IdentityConfig,
  { now }: Pick<OidcParts, 'now'>,
  providers: ReadonlyMap<unknown, OidcProvider>,
): {
  identify(metadata: Metadata): Identification | Promise<Identification> | undefined;
  disagree(metadata: Metadata, token: Caller['claims']): IdentityRefusal | undefined;
} {
  const named = config.providers.filter(({ name }) => config.jwtAuthn.providers.includes(name));
  const issuers = new Set<unknown>(named.map(({ issuer }) => issuer));
  const isKnown = (issuer: unknown) => issuers.has(issuer);
  return {
    identify(read) {
      const told = readMetadata(read);
      if (!told.ok) return told;
      const payload = payloadOf(told.metadata, isKnown);
      if (payload === undefined || !payload.ok) return payload;
      const provider = providers.get(payload.claims['iss']);
      if (provider === undefined) return refuse('issuer_unknown', 'no provider has this issuer');
      const verification = verifyClaims(payload.claims, provider, { teams: config.teams, nowMs: now() });
      return verification instanceof Promise ? verification.then(answerOf) : answerOf(verification);
    },
    disagree(read, token) {
      const told = readMetadata(read);
      return told.ok ? disagreement(told.metadata, isKnown, token) : told;
    },
  };
}

const exchanged = (provider: OidcProvider, type: SubjectTokenType): OidcProvider | undefined => {
  if (type === 'id_token') return forIdTokens(provider);
  return provider.config.tokenType === 'id_token' ? undefined : provider;
};

const answerOf = (verification: Verification): Identification =>
  isVerified(verification) ? verification.answer : verification;

/** Whether the caller has been taken back, of which nobody may be unsure. */
export function takenBack(revocations: Revocations | undefined, caller: Caller): IdentityRefusal | undefined {
  const found = revocations?.check(caller);
  if (found === undefined) return undefined;
  return found === 'revoked'
    ? refuse('token_revoked', 'the token or its subject has been revoked')
    : refuse('state_unavailable', 'the list of revocations is too old');
}
