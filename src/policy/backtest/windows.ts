/**
 * Limits on recorded traffic, counted in the order in which the sessions came. What is not known stays so: a window that began
 * before the traffic may have been full already, and a session that may have been refused may have been charged.
 */
import type { LimitCharge } from '../decision.ts';

/** Epoch milliseconds at which the window that `nowMs` is in began, as the gate counts (src/limits/windows.ts). */
export type WindowStart = (windowMs: number, nowMs: number) => number;

/** What limits say of one session; `by`: `policy/rule` of the limit that refuses it, or may. */
export type Limited = { readonly how: 'passes' } | { readonly how: 'refused' | 'unknown'; readonly by: string };

/** What a counter says at least, and at most. */
interface Used {
  readonly least: number;
  readonly most: number;
}

export class Windows {
  readonly #sinceMs: number;
  readonly #windowStart: WindowStart;
  readonly #used = new Map<string, Used>();

  constructor(sinceMs: number, windowStart: WindowStart) {
    this.#sinceMs = sinceMs;
    this.#windowStart = windowStart;
  }

  /** Charges a session that everything else lets through; one that is refused is not charged. */
  charge(limits: readonly LimitCharge[], tokens: number, nowMs: number): Limited {
    const charged: [counter: string, amount: number, used: Used][] = [];
    let unknown: string | undefined;
    for (const { policy, rule, mode, key, windows } of limits) {
      if (mode !== 'enforce') continue;
      const by = `${policy}/${rule}`;
      for (const { unit, amount: limit, windowMs } of windows) {
        const start = this.#windowStart(windowMs, nowMs);
        const counter = JSON.stringify([policy, rule, key, unit, windowMs, start]);
        const used = this.#used.get(counter) ?? {
          least: 0,
          most: start < this.#sinceMs ? Number.POSITIVE_INFINITY : 0,
        };
        const amount = unit === 'requests' ? 1 : tokens;
        if (used.least + amount > limit) return { how: 'refused', by };
        if (used.most + amount > limit) unknown ??= by;
        charged.push([counter, amount, used]);
      }
    }
    for (const [counter, amount, { least, most }] of charged)
      this.#used.set(counter, { least: unknown === undefined ? least + amount : least, most: most + amount });
    return unknown === undefined ? { how: 'passes' } : { how: 'unknown', by: unknown };
  }
}
