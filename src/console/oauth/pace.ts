export interface PaceLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Lets so many begin: what anybody may ask for, and what then writes to the control state. */
export class Pace {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #nowMs: () => number;
  #left: number;
  #atMs: number;

  constructor(limit: PaceLimit, nowMs: () => number) {
    this.#perSecond = limit.perSecond;
    this.#burst = limit.burst;
    this.#nowMs = nowMs;
    this.#left = limit.burst;
    this.#atMs = nowMs();
  }

  /** Whether one more may begin now. */
  take(): boolean {
    const nowMs = this.#nowMs();
    const sinceMs = Math.max(0, nowMs - this.#atMs);
    this.#left = Math.min(this.#burst, this.#left + (sinceMs / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
