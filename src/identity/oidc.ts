import { hash } from 'node:crypto';
import { type CryptoKey, compactVerify, errors } from 'jose';
import { RecentlyUsed } from './cache.ts';
import { type Identification, type Identifier, type IdentityRefusal, refuse } from './caller.ts';
import { checkClaims, checkHeader, readCaller } from './claims.ts';
import type { IdentityConfig, ProviderConfig } from './config.ts';
import { type Fetch, type KeySet, ProviderKeys } from './keys.ts';
import { maxTokenLength, type OpenedToken, openToken } from './token.ts';

export interface IdentifierOptions {
  readonly fetch: Fetch;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

interface Provider {
  readonly config: ProviderConfig;
  readonly keys: ProviderKeys;
}

interface Verified {
  readonly answer: Identification & { readonly ok: true };
  readonly keys: ProviderKeys;
  readonly generation: number;
}

/** Candidates tried when a token names no key id, or one that several keys share. */
const maxCandidates = 4;

/**
 * Verifies OAuth 2.0 access tokens in JWT form (RFC 9068) of any number of OpenID providers. A token that was verified
 * before is answered synchronously until it expires, the provider's key set changes, or its keys are too old to be used.
 * Nothing of a token is ever in a refusal's text.
 */
export function createIdentifier(config: IdentityConfig, options: IdentifierOptions): Identifier {
  const providers = new Map<string, Provider>(
    config.providers.map((provider) => [
      provider.issuer,
      { config: provider, keys: new ProviderKeys(provider, options) },
    ]),
  );
  const verified = new RecentlyUsed<Verified>(config.tokenCacheEntries);
  const running = new Map<string, Promise<Identification>>();

  const verify = async (token: string, opened: OpenedToken, provider: Provider): Promise<Identification> => {
    const signature = await verifySignature(token, provider);
    if (!signature.ok) return signature;
    const caller = readCaller(opened.claims, provider.config, config.teams);
    if ('ok' in caller) return caller;
    const answer = { ok: true, caller } as const;
    verified.set(digestOf(token), { answer, keys: provider.keys, generation: signature.generation });
    return answer;
  };

  return {
    identify({ token }) {
      if (token === undefined) return refuse('token_missing', '');
      if (token.length > maxTokenLength) return refuse('token_malformed', `longer than ${maxTokenLength} bytes`);
      const digest = digestOf(token);
      const known = verified.get(digest);
      if (known !== undefined) {
        if (options.now() >= known.answer.caller.expiresAtMs) {
          verified.delete(digest);
          return refuse('token_expired', 'exp is in the past');
        }
        if (known.keys.usable() && known.generation === known.keys.generation) return known.answer;
        verified.delete(digest);
      }
      const opened = openToken(token);
      if (!opened.ok) return opened;
      const issuer = opened.claims['iss'];
      const provider = typeof issuer === 'string' ? providers.get(issuer) : undefined;
      if (provider === undefined) return refuse('issuer_unknown', 'no provider has this issuer');
      const problem =
        checkHeader(opened.header, provider.config) ?? checkClaims(opened, provider.config, options.now());
      if (problem !== undefined) return problem;
      const already = running.get(digest);
      if (already !== undefined) return already;
      const answer = verify(token, opened, provider).finally(() => running.delete(digest));
      running.set(digest, answer);
      return answer;
    },
  };
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

type SignatureCheck = { readonly ok: true; readonly generation: number } | IdentityRefusal;

async function verifySignature(token: string, { config, keys }: Provider): Promise<SignatureCheck> {
  const unavailable = () => refuse('keys_unavailable', `no signing keys of ${config.name}: ${keys.problem}`);
  const current = await keys.current();
  if (current === undefined) return unavailable();
  const outcome = await tryKeys(token, current, config);
  if (outcome === 'good') return { ok: true, generation: current.generation };
  if (outcome === 'bad') return refuse('token_invalid', 'the signature does not verify');
  const newer = await keys.newer(current);
  if (newer !== undefined && (await tryKeys(token, newer, config)) === 'good')
    return { ok: true, generation: newer.generation };
  return keys.usable() ? refuse('token_invalid', 'no key of the provider verifies it') : unavailable();
}

type Outcome = 'good' | 'bad' | 'no_key';

async function tryKeys(token: string, keySet: KeySet, config: ProviderConfig): Promise<Outcome> {
  const algorithms = [...config.algorithms];
  try {
    await compactVerify(token, keySet.find, { algorithms });
    return 'good';
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return tryEach(token, error, algorithms);
    return error instanceof errors.JWKSNoMatchingKey ? 'no_key' : 'bad';
  }
}

async function tryEach(token: string, candidates: AsyncIterable<CryptoKey>, algorithms: string[]): Promise<Outcome> {
  let tried = 0;
  for await (const key of candidates) {
    if (++tried > maxCandidates) break;
    try {
      await compactVerify(token, key, { algorithms });
      return 'good';
    } catch {
      // the next one may be the right one
    }
  }
  return 'bad';
}
