import { type CryptoKey, compactVerify, errors } from 'jose';
import { type IdentityRefusal, refuse } from './caller.ts';
import type { ProviderConfig } from './config.ts';
import type { KeySet, ProviderKeys } from './keys.ts';

/** `failed`: how far it got. To the caller, a key that is not there and a signature that does not fit are the same. */
export type SignatureCheck =
  | { readonly ok: true; readonly generation: number }
  | { readonly ok: false; readonly failed: 'keys' | 'key' | 'signature'; readonly refusal: IdentityRefusal };

/** Candidates tried when a token names no key id, or one that several keys share. */
const maxCandidates = 4;

/**
 * Verifies a token's signature with a provider's keys, read again when none of them can be it. Never rejects.
 *
 * @param kid Of the token's header.
 */
export async function verifySignature(
  token: string,
  kid: unknown,
  { config, keys }: { readonly config: ProviderConfig; readonly keys: ProviderKeys },
): Promise<SignatureCheck> {
  const fail = (failed: 'keys' | 'key' | 'signature', detail: string): SignatureCheck => ({
    ok: false,
    failed,
    refusal: refuse(failed === 'keys' ? 'keys_unavailable' : 'token_invalid', detail),
  });
  const unavailable = () => fail('keys', `no signing keys of ${config.name}: ${keys.problem}`);
  const forged = () => fail('signature', 'the signature does not verify');
  const current = await keys.current();
  if (current === undefined) return unavailable();
  const outcome = await tryKeys(token, kid, current, config);
  if (outcome === 'good') return { ok: true, generation: current.generation };
  if (outcome === 'bad') return forged();
  const newer = await keys.newer(current);
  const again = newer === undefined ? 'no_key' : await tryKeys(token, kid, newer, config);
  if (newer !== undefined && again === 'good') return { ok: true, generation: newer.generation };
  if (again === 'bad') return forged();
  return keys.usable() ? fail('key', 'no key of the provider verifies it') : unavailable();
}

type Outcome = 'good' | 'bad' | 'no_key';

async function tryKeys(token: string, kid: unknown, keySet: KeySet, config: ProviderConfig): Promise<Outcome> {
  // Told at once: made-up key ids come in floods, and jose would make an error of each.
  if (typeof kid === 'string' && !keySet.keyIds.includes(kid)) return 'no_key';
  const algorithms = [...config.algorithms];
  try {
    await compactVerify(token, keySet.find, { algorithms });
    return 'good';
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys && (await tryEach(token, error, algorithms))) return 'good';
    // A token that names no key may be of one that is not in hand yet.
    return kid === undefined || error instanceof errors.JWKSNoMatchingKey ? 'no_key' : 'bad';
  }
}

async function tryEach(token: string, candidates: AsyncIterable<CryptoKey>, algorithms: string[]): Promise<boolean> {
  let tried = 0;
  for await (const key of candidates) {
    if (++tried > maxCandidates) break;
    try {
      await compactVerify(token, key, { algorithms });
      return true;
    } catch {
      // the next one may be the right one
    }
  }
  return false;
}
