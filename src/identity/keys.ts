import { hash } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import type { ProviderConfig } from './config.ts';
import { objectIn } from './discovery.ts';
import type { Http } from './http.ts';
import { type KeySource, KeysUnavailable, keySource, problemIn } from './key-source.ts';

type KeyFinder = ReturnType<typeof createLocalJWKSet>;

/** One key set. `generation` tells it from those before: what an older one verified must be verified again. */
export interface KeySet {
  readonly find: KeyFinder;
  /** `kid` of its keys, where they have one. */
  readonly keyIds: readonly string[];
  readonly generation: number;
}

const maxKeys = 100;
const firstRetryMs = 1000;

/**
 * Signing keys of one provider: found by discovery (OpenID Connect Discovery §4) or in a file, read one at a time, kept for
 * `maxAgeSeconds`. An unknown key id reads again at most once a cooldown; a failed reading is tried again after 1, 2, 4 …
 * seconds, at most the cooldown. Readings are bounded in time and bytes, and follow no redirect.
 */
export class ProviderKeys {
  readonly #source: KeySource;
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  #current: KeySet | undefined;
  #digest = '';
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #pending: Promise<void> | undefined;
  /** Why the last reading failed, for the record; empty when it did not. */
  problem = '';

  constructor(provider: ProviderConfig, parts: { readonly http: Http; readonly now: () => number }) {
    this.#source = keySource(provider, parts.http);
    this.#maxAgeMs = provider.keys.maxAgeSeconds * 1000;
    this.#now = parts.now;
  }

  /** Of the key set in hand; 0 before the first. */
  get generation(): number {
    return this.#current?.generation ?? 0;
  }

  /** Whether the keys in hand may be used now; begins a refresh in the background when they are due for one. */
  usable(): boolean {
    const ageMs = this.#now() - this.#fetchedAtMs;
    // A negative age is a clock that was set back: as good as too old.
    const due = ageMs < 0 || ageMs >= this.#source.refreshAfterMs;
    if (due && this.#mayTry(this.#retryAfterMs())) void this.#refresh();
    return this.#current !== undefined && ageMs >= 0 && ageMs < this.#maxAgeMs;
  }

  /** Keys to verify with, fetched first when there are none that may be used; undefined: there are none. */
  async current(): Promise<KeySet | undefined> {
    if (this.usable()) return this.#current;
    if (this.#pending !== undefined) await this.#pending;
    return this.usable() ? this.#current : undefined;
  }

  /** Reads again because of a key id that nobody knows; undefined inside the cooldown, or when there is nothing new. */
  async newer(than: KeySet): Promise<KeySet | undefined> {
    if (this.#pending !== undefined) await this.#pending;
    else if (this.#mayTry(this.#source.cooldownMs)) await this.#refresh();
    return this.generation !== than.generation && this.usable() ? this.#current : undefined;
  }

  #mayTry(waitMs: number): boolean {
    if (this.#pending !== undefined) return false;
    const sinceMs = this.#now() - this.#triedAtMs;
    return sinceMs < 0 || sinceMs >= waitMs;
  }

  /** Only for a set that is due or missing: made-up key ids wait the whole cooldown also when readings fail. */
  #retryAfterMs(): number {
    const { cooldownMs } = this.#source;
    return this.#failures === 0 ? cooldownMs : Math.min(cooldownMs, firstRetryMs * 2 ** (this.#failures - 1));
  }

  /** Never rejects. */
  #refresh(): Promise<void> {
    this.#triedAtMs = this.#now();
    const pending = this.#load().then(
      () => {
        this.#failures = 0;
        this.problem = '';
      },
      (error: unknown) => {
        this.#failures += 1;
        this.problem = problemIn(error);
      },
    );
    this.#pending = pending.finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #load(): Promise<void> {
    const startedAtMs = this.#now();
    const text = await this.#source.read();
    const digest = hash('sha256', text, 'base64url');
    if (digest !== this.#digest || this.#current === undefined) {
      const set = readKeySet(text);
      const keyIds = set.keys.flatMap(({ kid }) => (typeof kid === 'string' ? [kid] : []));
      this.#current = { find: createLocalJWKSet(set), keyIds, generation: this.generation + 1 };
      this.#digest = digest;
    }
    this.#fetchedAtMs = startedAtMs;
  }
}

function readKeySet(text: string): JSONWebKeySet {
  const { keys } = objectIn(text, 'the key set');
  if (
    !Array.isArray(keys) ||
    keys.length === 0 ||
    keys.length > maxKeys ||
    !keys.every((k) => typeof k === 'object' && k !== null)
  )
    throw new KeysUnavailable(`the key set does not hold 1 to ${maxKeys} keys`);
  return { keys };
}
