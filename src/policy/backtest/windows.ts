/**
 * Limits on recorded traffic: the fixed UTC windows, counted in the order in which the sessions came. A window that began
 * before the traffic is not counted: what went before is not known.
 */
import type { LimitCharge } from '../decision.ts';

export class Windows {
  readonly #sinceMs: number;
  readonly #used = new Map<string, number>();

  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** Charges a session that is let through. Returns `policy/rule` of the enforced limit that refuses it; nothing is charged then. */
  charge(limits: readonly LimitCharge[], tokens: number, nowMs: number): string | undefined {
    const taken: [counter: string, used: number][] = [];
    for (const { policy, rule, mode, key, windows } of limits) {
      if (mode !== 'enforce') continue;
      for (const { unit, amount, windowMs } of windows) {
        const start = Math.floor(nowMs / windowMs) * windowMs;
        if (start < this.#sinceMs) continue;
        const counter = JSON.stringify([policy, rule, key, unit, windowMs, start]);
        const used = (this.#used.get(counter) ?? 0) + (unit === 'requests' ? 1 : tokens);
        if (used > amount) return `${policy}/${rule}`;
        taken.push([counter, used]);
      }
    }
    for (const [counter, used] of taken) this.#used.set(counter, used);
    return undefined;
  }
}
