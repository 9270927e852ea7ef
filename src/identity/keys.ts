import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { isSafeUrl } from './config/values.ts';
import type { ProviderConfig } from './config.ts';

export type Fetch = typeof globalThis.fetch;
type KeyFinder = ReturnType<typeof createLocalJWKSet>;

/** One fetched key set. `generation` tells it from those before: what an older one verified must be verified again. */
export interface KeySet {
  readonly find: KeyFinder;
  readonly generation: number;
}

const maxKeys = 100;
const firstRetryMs = 1000;

/**
 * Signing keys of one provider: found by discovery (OpenID Connect Discovery §4), fetched one at a time, kept for
 * `maxAgeSeconds`. An unknown key id fetches again at most once a cooldown; a failed fetch is tried again after 1, 2, 4 …
 * seconds, at most the cooldown. Fetches follow no redirect and read at most `maxBytes` within `timeoutMs`.
 */
export class ProviderKeys {
  readonly #provider: ProviderConfig;
  readonly #fetch: Fetch;
  readonly #now: () => number;
  #current: KeySet | undefined;
  #digest = '';
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #pending: Promise<void> | undefined;
  /** Why the last fetch failed, for the record; empty when it did not. */
  problem = '';

  constructor(provider: ProviderConfig, options: { readonly fetch: Fetch; readonly now: () => number }) {
    this.#provider = provider;
    this.#fetch = options.fetch;
    this.#now = options.now;
  }

  /** Of the key set in hand; 0 before the first. */
  get generation(): number {
    return this.#current?.generation ?? 0;
  }

  /** Whether the keys in hand may be used now; begins a refresh in the background when they are due for one. */
  usable(): boolean {
    const ageMs = this.#now() - this.#fetchedAtMs;
    // A negative age is a clock that was set back: as good as too old.
    const due = ageMs < 0 || ageMs >= this.#provider.keys.refreshAfterSeconds * 1000;
    if (due && this.#mayTry()) void this.#refresh();
    return this.#current !== undefined && ageMs >= 0 && ageMs < this.#provider.keys.maxAgeSeconds * 1000;
  }

  /** Keys to verify with, fetched first when there are none that may be used; undefined: there are none. */
  async current(): Promise<KeySet | undefined> {
    if (this.usable()) return this.#current;
    if (this.#pending !== undefined) await this.#pending;
    return this.usable() ? this.#current : undefined;
  }

  /** Fetches again because of a key id that nobody knows; undefined inside the cooldown, or when there is nothing new. */
  async newer(than: KeySet): Promise<KeySet | undefined> {
    if (this.#pending !== undefined) await this.#pending;
    else if (this.#mayTry()) await this.#refresh();
    return this.generation !== than.generation && this.usable() ? this.#current : undefined;
  }

  #mayTry(): boolean {
    if (this.#pending !== undefined) return false;
    const cooldownMs = this.#provider.keys.cooldownSeconds * 1000;
    const waitMs = this.#failures === 0 ? cooldownMs : Math.min(cooldownMs, firstRetryMs * 2 ** (this.#failures - 1));
    const sinceMs = this.#now() - this.#triedAtMs;
    return sinceMs < 0 || sinceMs >= waitMs;
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
        this.problem = error instanceof KeysUnavailable ? error.message : 'the provider cannot be reached';
      },
    );
    this.#pending = pending.finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #load(): Promise<void> {
    const startedAtMs = this.#now();
    const url = this.#provider.jwksUri ?? (await this.#discover());
    const text = await this.#read(url);
    const digest = createHash('sha256').update(text).digest('base64url');
    if (digest !== this.#digest || this.#current === undefined) {
      this.#current = { find: createLocalJWKSet(readKeySet(text)), generation: this.generation + 1 };
      this.#digest = digest;
    }
    this.#fetchedAtMs = startedAtMs;
  }

  async #discover(): Promise<string> {
    const { issuer } = this.#provider;
    const text = await this.#read(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const document = parseJson(text, 'the discovery document');
    // OpenID Connect Discovery §4.3: must be identical, or another issuer's keys would be taken for this one's.
    if (document['issuer'] !== issuer) throw new KeysUnavailable('the discovery document names another issuer');
    const uri = document['jwks_uri'];
    if (typeof uri !== 'string' || !isSafeUrl(uri) || leadsInside(uri, issuer))
      throw new KeysUnavailable('the discovery document has no jwks_uri that may be fetched');
    return uri;
  }

  async #read(url: string): Promise<string> {
    const { timeoutMs, maxBytes } = this.#provider.keys;
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await this.#fetch(url, { redirect: 'manual', signal, headers: { accept: 'application/json' } });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      throw new KeysUnavailable(`the provider answered ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new KeysUnavailable(`the provider's answer is longer than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

class KeysUnavailable extends Error {}

function parseJson(text: string, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new KeysUnavailable(`${what} is not a JSON object`);
}

function readKeySet(text: string): JSONWebKeySet {
  const { keys } = parseJson(text, 'the key set');
  if (
    !Array.isArray(keys) ||
    keys.length === 0 ||
    keys.length > maxKeys ||
    !keys.every((k) => typeof k === 'object' && k !== null)
  )
    throw new KeysUnavailable(`the key set does not hold 1 to ${maxKeys} keys`);
  return { keys };
}

/** A public issuer's metadata must not send us to an address of this machine or network (SSRF); its own host is fine. */
function leadsInside(uri: string, issuer: string): boolean {
  const { hostname } = new URL(uri);
  if (hostname === new URL(issuer).hostname) return false;
  const bare = hostname.replace(/^\[|\]$/g, '');
  return hostname === 'localhost' || hostname.endsWith('.localhost') || isIP(bare) !== 0;
}
