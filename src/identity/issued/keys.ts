/**
 * The ES256 keys that sign what the gateway issues. Each process has private keys of its own in a file; the public halves of
 * all are in the control state, so that what one replica signed verifies at every other, and after a restart.
 *
 * A key signs from `signsFromMs` until the next one does. The next one is made, and published, an hour and more before it
 * signs; one that has been followed stays published until its last token has expired. An entry in the state,
 * `keys/issued/<kid>/<expiry>`, is good for two to three hours and is put again long before, under a later expiry: a
 * replica that is gone is forgotten once all that it signed has expired.
 */
import { type CryptoKey, calculateJwkThumbprint, importJWK } from 'jose';
import { z } from 'zod';
import type { IdentityState } from '../state.ts';
import {
  IssuedKeysRefused,
  makeKey,
  type PublicJwk,
  publicHalf,
  publicJwk,
  readKeyFile,
  type StoredKey,
  writeKeyFile,
} from './key-file.ts';

/** No token that the gateway issues lives longer, whatever the config says. */
export const maxTokenMs = 3_600_000;

const prefix = 'keys/issued/';
const hourMs = 3_600_000;
/** How long before it signs a key is published, at least. */
const leadMs = hourMs;
/** The next key is made a little earlier than it must be published, so that it signs when it is due. */
const makeAheadMs = leadMs + 5 * 60_000;
/** Replicas' clocks may differ by so much. */
const skewMs = 5 * 60_000;
/** Key ids that nobody knows make the state be read at most so often. */
const rereadAfterMs = 1000;
const pageSize = 1000;
const maxPublished = 1000;

export interface IssuedKeysOptions {
  readonly file: string;
  readonly state: IdentityState;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds that one key signs, an hour at least. */
  readonly rotationMs: number;
}

interface OwnKey extends StoredKey {
  readonly privateKey: CryptoKey;
}

interface PublishedKey {
  readonly jwk: PublicJwk;
  readonly publicKey: CryptoKey;
  /** Epoch milliseconds; Infinity for one of our own. */
  readonly expiresAtMs: number;
}

/** Reads the file, or makes it. Throws IssuedKeysRefused where it is damaged or others may read it. */
export async function openIssuedKeys(options: IssuedKeysOptions): Promise<IssuedKeys> {
  const { file, now } = options;
  let stored = await readKeyFile(file);
  if (stored === undefined) {
    stored = [await makeKey(now())];
    await writeKeyFile(file, stored);
  }
  return new IssuedKeys(options, await Promise.all(stored.map((key) => withPrivateKey(key, file))));
}

/** Throws what the state throws; `maintain` and `refresh` are to be called again then. */
export class IssuedKeys {
  readonly #options: IssuedKeysOptions;
  /** Oldest first. */
  #own: readonly OwnKey[];
  #published = new Map<string, PublishedKey>();
  /** kid → until when it is known to be in the state. */
  readonly #publishedUntil = new Map<string, number>();
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  /** For `openIssuedKeys`. */
  constructor(options: IssuedKeysOptions, own: readonly OwnKey[]) {
    this.#options = options;
    this.#own = own;
  }

  /** Makes the next key when it is due, drops what has expired, publishes. To be called every minute or so. */
  async maintain(): Promise<void> {
    const nowMs = this.#options.now();
    const last = this.#own.at(-1);
    const kept = this.#own.filter((_, at) => this.#retiresAtMs(at) > nowMs);
    const next = last === undefined || this.#isNextDue(last, nowMs) ? await this.#makeNext(last, nowMs) : undefined;
    if (next !== undefined || kept.length < this.#own.length) {
      const keys = next === undefined ? kept : [...kept, next];
      await writeKeyFile(this.#options.file, keys);
      this.#own = keys;
    }
    for (const key of this.#own) await this.#publish(key);
  }

  /** Reads what all replicas have published. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** The key that signs now, in the state for longer than a token can live: every replica can verify what it signs. */
  async signing(): Promise<{ readonly kid: string; readonly privateKey: CryptoKey }> {
    const nowMs = this.#options.now();
    // A clock that was set back must not leave us without a key.
    const key = this.#own.findLast(({ signsFromMs }) => signsFromMs <= nowMs) ?? this.#own[0];
    if (key === undefined) throw new IssuedKeysRefused('there is no key to sign with');
    await this.#publish(key);
    return key;
  }

  /** The public key of that id; one that is not known makes the state be read, once a second at most. */
  async find(kid: string): Promise<CryptoKey | undefined> {
    const known = this.#usable(kid);
    if (known !== undefined) return known;
    const sinceMs = this.#options.now() - this.#readAtMs;
    if (this.#reading === undefined && sinceMs >= 0 && sinceMs < rereadAfterMs) return undefined;
    await this.refresh();
    return this.#usable(kid);
  }

  /** RFC 7517: the keys that verify our tokens now or soon, of all replicas. */
  jwks(): { readonly keys: readonly object[] } {
    const nowMs = this.#options.now();
    const keys = new Map<string, PublicJwk>();
    for (const [kid, { jwk, expiresAtMs }] of this.#published) if (expiresAtMs > nowMs) keys.set(kid, jwk);
    for (const key of this.#own) keys.set(key.kid, publicHalf(key));
    return { keys: [...keys].map(([kid, jwk]) => ({ ...jwk, kid, alg: 'ES256', use: 'sig' })) };
  }

  #usable(kid: string): CryptoKey | undefined {
    const found = this.#published.get(kid);
    return found !== undefined && found.expiresAtMs > this.#options.now() ? found.publicKey : undefined;
  }

  /** When the last token that the key at this place signed has expired. */
  #retiresAtMs(at: number): number {
    const follower = this.#own[at + 1];
    return follower === undefined ? Number.POSITIVE_INFINITY : follower.signsFromMs + maxTokenMs + skewMs;
  }

  #isNextDue(last: StoredKey, nowMs: number): boolean {
    return last.signsFromMs <= nowMs && last.signsFromMs + this.#options.rotationMs - makeAheadMs <= nowMs;
  }

  async #makeNext(last: StoredKey | undefined, nowMs: number): Promise<OwnKey> {
    const signsFromMs =
      last === undefined ? nowMs : Math.max(last.signsFromMs + this.#options.rotationMs, nowMs + leadMs);
    return withPrivateKey(await makeKey(signsFromMs), this.#options.file);
  }

  async #publish(key: OwnKey): Promise<void> {
    const nowMs = this.#options.now();
    if ((this.#publishedUntil.get(key.kid) ?? 0) > nowMs + maxTokenMs + skewMs + 10 * 60_000) return;
    const expiresAtMs = Math.ceil(nowMs / hourMs) * hourMs + 2 * hourMs;
    await this.#options.state.putIfAbsent(`${prefix}${key.kid}/${expiresAtMs}`, JSON.stringify(publicHalf(key)), {
      expiresAtMs,
    });
    this.#publishedUntil.set(key.kid, expiresAtMs);
    this.#published.set(key.kid, await readable(publicHalf(key), Number.POSITIVE_INFINITY));
  }

  async #read(): Promise<void> {
    this.#readAtMs = this.#options.now();
    const found = new Map<string, PublishedKey>();
    for (const key of this.#own) found.set(key.kid, await readable(publicHalf(key), Number.POSITIVE_INFINITY));
    const seen = new Set<string>();
    let after = '';
    for (;;) {
      const page = await this.#options.state.list(prefix, { after, limit: pageSize });
      for (const entry of page) {
        seen.add(entry.key.slice(prefix.length).split('/')[0] ?? '');
        await this.#take(found, entry);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize || found.size >= maxPublished) break;
      after = last.key;
    }
    this.#published = found;
    // A state that was emptied does not have ours any more: they are put again before they sign.
    for (const kid of this.#publishedUntil.keys()) if (!seen.has(kid)) this.#publishedUntil.delete(kid);
  }

  async #take(found: Map<string, PublishedKey>, entry: { readonly key: string; readonly value: string }) {
    const [kid = '', expiry = ''] = entry.key.slice(prefix.length).split('/');
    const expiresAtMs = Number(expiry);
    const known = found.get(kid);
    if (known !== undefined && known.expiresAtMs >= expiresAtMs) return;
    const before = this.#published.get(kid);
    const jwk = published.safeParse(entry.value);
    if (!jwk.success || !Number.isSafeInteger(expiresAtMs)) return;
    const key = before !== undefined && sameKey(before.jwk, jwk.data) ? { ...before, expiresAtMs } : undefined;
    if (key === undefined && (await calculateJwkThumbprint(jwk.data)) !== kid) return;
    const taken = key ?? (await readable(jwk.data, expiresAtMs).catch(() => undefined));
    if (taken !== undefined) found.set(kid, taken);
  }
}

/** As in the state: JSON text of a public key, and nothing private in it. */
const published = z
  .string()
  .transform((text, ctx): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      ctx.addIssue({ code: 'custom', message: 'is not JSON' });
      return z.NEVER;
    }
  })
  .pipe(publicJwk);

const sameKey = (a: PublicJwk, b: PublicJwk): boolean => a.x === b.x && a.y === b.y;

async function readable(jwk: PublicJwk, expiresAtMs: number): Promise<PublishedKey> {
  return { jwk, publicKey: (await importJWK({ ...jwk }, 'ES256')) as CryptoKey, expiresAtMs };
}

async function withPrivateKey(key: StoredKey, file: string): Promise<OwnKey> {
  try {
    return { ...key, privateKey: (await importJWK({ ...key.jwk }, 'ES256', { extractable: false })) as CryptoKey };
  } catch (error) {
    throw new IssuedKeysRefused(
      `${file}: it holds what is not a P-256 key. Remove it: then new keys are made, and tokens that were signed with the old ones are refused.`,
      { cause: error },
    );
  }
}
