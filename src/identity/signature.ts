import { type CryptoKey, compactVerify, errors } from 'jose';
import { type IdentityRefusal, refuse } from './caller.ts';
import type { ProviderConfig } from './config.ts';
import type { KeySet, ProviderKeys } from './keys.ts';

/** `failed`: how far it got. To the caller, a key that is not there and a signature that does not fit are the same. */
export type SignatureCheck =
  | { readonly ok: true; readonly generation: number }
  | (IdentityRefusal & { readonly failed: 'keys' | 'key' | 'signature' });

/** Candidates tried when a token names no key id, or one that several keys share. */
const maxCandidates = 4;

/** Verifies a token's signature with a provider's keys, read again when none of them can be it. Never rejects. */
export async function verifySignature(
  token: string,
  { config, keys }: { readonly config: ProviderConfig; readonly keys: ProviderKeys },
): Promise<SignatureCheck> {
  const unavailable = (): SignatureCheck => ({
    ...refuse('keys_unavailable', `no signing keys of ${config.name}: ${keys.problem}`),
    failed: 'keys',
  });
  const current = await keys.current();
  if (current === undefined) return unavailable();
  const outcome = await tryKeys(token, current, config);
  if (outcome === 'good') return { ok: true, generation: current.generation };
  if (outcome === 'bad') return { ...refuse('token_invalid', 'the signature does not verify'), failed: 'signature' };
  const newer = await keys.newer(current);
  const again = newer === undefined ? 'no_key' : await tryKeys(token, newer, config);
  if (newer !== undefined && again === 'good') return { ok: true, generation: newer.generation };
  if (again === 'bad') return { ...refuse('token_invalid', 'the signature does not verify'), failed: 'signature' };
  return keys.usable()
    ? { ...refuse('token_invalid', 'no key of the provider verifies it'), failed: 'key' }
    : unavailable();
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
