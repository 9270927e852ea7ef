import { hash } from 'node:crypto';
import { RecentlyUsed } from './cache.ts';
import { type Identification, type IdentityRefusal, refuse } from './caller.ts';
import type { IdentityConfig } from './config.ts';
import type { TokenIssuer } from './issued/issued.ts';
import type { ProviderKeys } from './keys.ts';
import { isVerified, type OidcProvider, verifyToken } from './oidc.ts';
import { maxTokenLength, type OpenedToken, openToken } from './token.ts';

/** A token that was verified, with the claims that say whose it is. */
export interface KnownToken {
  readonly ok: true;
  readonly answer: Identification & { readonly ok: true };
  readonly claims: OpenedToken['claims'];
  /** Epoch milliseconds: then it must be verified again. */
  readonly goodUntilMs: number;
  /** Undefined: one of ours. */
  readonly keys: ProviderKeys | undefined;
  readonly generation: number;
}

type Outcome = KnownToken | IdentityRefusal;

export interface TokenVerifierParts {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly issuer?: TokenIssuer | undefined;
}

/**
 * @returns what verifies the tokens of callers, ours and those of providers. A token that was verified before is answered
 * synchronously until it expires, its groups are to be read again, the provider's key set changes, or its keys are too old.
 * The same token is not verified twice at once. Refusals are not kept.
 */
export function createTokenVerifier(
  config: Pick<IdentityConfig, 'teams' | 'tokenCacheEntries'>,
  parts: TokenVerifierParts,
  providers: ReadonlyMap<unknown, OidcProvider>,
): (token: string) => Outcome | Promise<Outcome> {
  const known = new RecentlyUsed<KnownToken>(config.tokenCacheEntries);
  const running = new Map<string, Promise<Outcome>>();
  const by = { issuer: parts.issuer, providers, teams: config.teams, now: parts.now };

  const verify = async (digest: string, outcome: Promise<Outcome>): Promise<Outcome> => {
    try {
      const verified = await outcome;
      if (verified.ok) known.set(digest, verified);
      return verified;
    } finally {
      running.delete(digest);
    }
  };

  return (token) => {
    if (token.length > maxTokenLength) return refuse('token_malformed', `longer than ${maxTokenLength} bytes`);
    const digest = hash('sha256', token, 'base64url');
    const before = known.get(digest);
    if (before !== undefined) {
      if (stillHolds(before, parts.now())) return before;
      known.delete(digest);
    }
    const already = running.get(digest);
    if (already !== undefined) return already;
    const opened = openToken(token);
    if (!opened.ok) return opened;
    const outcome = verifyOpened(token, opened, by);
    if (!(outcome instanceof Promise)) return outcome;
    const answer = verify(digest, outcome);
    running.set(digest, answer);
    return answer;
  };
}

function stillHolds({ answer, goodUntilMs, keys, generation }: KnownToken, nowMs: number): boolean {
  if (nowMs >= answer.caller.expiresAtMs || nowMs >= goodUntilMs) return false;
  return keys === undefined || (keys.usable() && keys.generation === generation);
}

interface By {
  readonly issuer: TokenIssuer | undefined;
  readonly providers: ReadonlyMap<unknown, OidcProvider>;
  readonly teams: IdentityConfig['teams'];
  readonly now: () => number;
}

function verifyOpened(token: string, opened: OpenedToken, by: By): IdentityRefusal | Promise<Outcome> {
  const { claims } = opened;
  if (by.issuer !== undefined && claims['iss'] === by.issuer.issuer)
    return by.issuer.verify(token, opened).then((answer) => {
      if (!answer.ok) return answer;
      return { ok: true, answer, claims, goodUntilMs: answer.caller.expiresAtMs, keys: undefined, generation: 0 };
    });
  const provider = by.providers.get(claims['iss']);
  if (provider === undefined) return refuse('issuer_unknown', 'no provider has this issuer');
  const verification = verifyToken(token, opened, provider, { teams: by.teams, nowMs: by.now() });
  if (!(verification instanceof Promise)) return verification;
  return verification.then((verified) =>
    isVerified(verified) ? { ok: true, claims, keys: provider.keys, ...verified } : verified,
  );
}
