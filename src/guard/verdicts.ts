import type { Verdict } from './guard.ts';

/** Verdicts for some time, the ones not asked for longest leave first. */
export class Verdicts {
  readonly #most: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #kept = new Map<string, { readonly verdict: Verdict; readonly until: number }>();

  constructor(most: number, ttlMs: number, now: () => number) {
    this.#most = most;
    this.#ttlMs = ttlMs;
    this.#now = now;
  }

  get(key: string): Verdict | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    if (kept.until <= this.#now()) return undefined;
    this.#kept.set(key, kept);
    return kept.verdict;
  }

  set(key: string, verdict: Verdict): void {
    if (this.#most === 0) return;
    this.#kept.delete(key);
    this.#kept.set(key, { verdict, until: this.#now() + this.#ttlMs });
    if (this.#kept.size > this.#most) this.#kept.delete(this.#kept.keys().next().value!);
  }
}
