/** Tokens of OpenID providers: OAuth 2.0 access tokens in JWT form (RFC 9068), and ID tokens where a provider takes those. */
import { type Caller, type Identification, type IdentityRefusal, refuse } from './caller.ts';
import { checkStatically } from './checks.ts';
import { callerFrom, groupsOf } from './claims.ts';
import type { IdentityConfig, ProviderConfig } from './config.ts';
import type { Groups, GroupsReader } from './groups/groups.ts';
import type { Http } from './http.ts';
import { ProviderKeys } from './keys.ts';
import { verifySignature } from './signature.ts';
import type { OpenedToken } from './token.ts';

export interface OidcParts {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** The client that fetches a provider's discovery and keys: `providerHttp` (provider-http.ts). */
  readonly httpFor: (provider: ProviderConfig) => Http;
  readonly groupsOf: (provider: ProviderConfig) => GroupsReader;
}

export interface OidcProvider {
  readonly config: ProviderConfig;
  readonly keys: ProviderKeys;
  readonly groups: GroupsReader;
}

/** The providers of the config by issuer. Throws where a provider's CA file cannot be read. */
export function createProviders(config: IdentityConfig, parts: OidcParts): ReadonlyMap<unknown, OidcProvider> {
  return new Map(
    config.providers.map((provider) => [
      provider.issuer,
      {
        config: provider,
        keys: new ProviderKeys(provider, { http: parts.httpFor(provider), now: parts.now }),
        groups: parts.groupsOf(provider),
      },
    ]),
  );
}

export interface VerifiedToken {
  readonly answer: Identification & { readonly ok: true };
  /** Epoch milliseconds: then the groups must be read again. */
  readonly goodUntilMs: number;
  /** Of the key set that verified it; 0 where Envoy did. */
  readonly generation: number;
}

export type Verification = VerifiedToken | IdentityRefusal;

export const isVerified = (verification: Verification): verification is VerifiedToken => 'answer' in verification;

interface About {
  readonly teams: IdentityConfig['teams'];
  readonly nowMs: number;
}

/** Checks all of a token, cheap things first: a bad one costs no signature, no question to anybody, and is told at once. */
export function verifyToken(
  token: string,
  opened: OpenedToken,
  provider: OidcProvider,
  about: About,
): IdentityRefusal | Promise<Verification> {
  return checkStatically(opened, provider.config, about.nowMs) ?? verifySigned(token, opened, provider, about);
}

async function verifySigned(
  token: string,
  opened: OpenedToken,
  provider: OidcProvider,
  { teams }: About,
): Promise<Verification> {
  const signature = await verifySignature(token, opened.header['kid'], provider);
  if (!signature.ok) return signature.refusal;
  const groups = await groupsOf(opened.claims, provider.config, provider.groups, token);
  return finish(opened.claims, provider, groups, { teams, proof: 'token', generation: signature.generation });
}

/** What Envoy's jwt_authn filter has verified: all is checked again but the signature and the header, which it keeps. */
export function verifyClaims(
  claims: Caller['claims'],
  provider: OidcProvider,
  { teams, nowMs }: About,
): Verification | Promise<Verification> {
  const problem = checkStatically({ header: undefined, claims }, provider.config, nowMs);
  if (problem !== undefined) return problem;
  const about = { teams, proof: 'jwt_authn', generation: 0 } as const;
  const groups = groupsOf(claims, provider.config, provider.groups, undefined);
  return groups instanceof Promise
    ? groups.then((later) => finish(claims, provider, later, about))
    : finish(claims, provider, groups, about);
}

function finish(
  claims: Caller['claims'],
  provider: OidcProvider,
  groups: Groups,
  about: {
    readonly teams: IdentityConfig['teams'];
    readonly proof: 'token' | 'jwt_authn';
    readonly generation: number;
  },
): Verification {
  if (!groups.ok) return refuse('groups_unavailable', groups.detail);
  const caller = callerFrom(claims, provider.config, groups, about);
  return { answer: { ok: true, caller }, goodUntilMs: groups.goodUntilMs, generation: about.generation };
}

/**
 * The provider as it is for exchanging its ID tokens: those for the client that people sign in with, and those that callers
 * may send anyway. Undefined: it takes none.
 */
export function forIdTokens(provider: OidcProvider): OidcProvider | undefined {
  const { config } = provider;
  const { login, tokenType } = config;
  const client = login?.exchange === 'id_token' ? [login.clientId] : [];
  const audience = [...(tokenType === 'id_token' ? [config.audience].flat() : []), ...client];
  if (audience.length === 0) return undefined;
  const authorizedParties = config.authorizedParties && [...config.authorizedParties, ...client];
  const requiredClaims = tokenType === 'id_token' ? config.requiredClaims : withoutAnyAzp(config.requiredClaims);
  return { ...provider, config: { ...config, tokenType: 'id_token', audience, authorizedParties, requiredClaims } };
}

/** That there is an `azp` is asked of access tokens (preset `entra`); ID tokens are for their audience, and most have none. */
const withoutAnyAzp = (required: ProviderConfig['requiredClaims']): ProviderConfig['requiredClaims'] =>
  Object.fromEntries(Object.entries(required).filter(([name, wanted]) => name !== 'azp' || wanted !== true));
