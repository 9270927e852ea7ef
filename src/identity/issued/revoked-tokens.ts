/** The tokens that have been taken back, by hash, in memory. */

interface Entry {
  /** By the clock that nobody sets: the wall clock, set ahead for a moment, would have them forgotten. */
  forgetAtTick: number;
  /** Whether it is in the control state. */
  isListed: boolean;
  /** Hash of the holder who gave it back; undefined: the operator. */
  readonly by: string | undefined;
}

export class RevokedTokens {
  readonly #monotonic: () => number;
  readonly #keptMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #perHolder = new Map<string, number>();
  readonly #writing = new Map<string, Promise<void>>();

  /** @param keptMs how long each is kept */
  constructor(monotonic: () => number, keptMs: number) {
    this.#monotonic = monotonic;
    this.#keptMs = keptMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(token: string): boolean {
    return this.#entries.has(token);
  }

  /** How many this holder gave back. */
  of(holder: string): number {
    return this.#perHolder.get(holder) ?? 0;
  }

  /** An entry of the control state. */
  listed(token: string, forMs: number, by: string | undefined): void {
    if (forMs > 0) this.#put(token, forMs, by).isListed = true;
  }

  /**
   * Refused here at once. Written once: a token that is in the control state, or on its way there, is not put there again.
   * Throws what `admit` throws, rejects as `write` does.
   */
  async revoke(
    token: string,
    by: string | undefined,
    admit: (by: string | undefined) => void,
    write: () => Promise<void>,
  ): Promise<void> {
    const known = this.#entries.get(token);
    if (known?.isListed) return;
    const writing = this.#writing.get(token);
    if (writing !== undefined) return writing;
    if (known === undefined) admit(by);
    const entry = this.#put(token, this.#keptMs, by);
    const written = write()
      .then(() => {
        entry.isListed = true;
      })
      .finally(() => this.#writing.delete(token));
    this.#writing.set(token, written);
    return written;
  }

  /** Drops what has expired. */
  forget(): void {
    const tick = this.#monotonic();
    for (const [token, { forgetAtTick, by }] of this.#entries) {
      if (forgetAtTick > tick) continue;
      this.#entries.delete(token);
      if (by === undefined) continue;
      const left = this.of(by) - 1;
      if (left > 0) this.#perHolder.set(by, left);
      else this.#perHolder.delete(by);
    }
  }

  #put(token: string, forMs: number, by: string | undefined): Entry {
    const forgetAtTick = this.#monotonic() + Math.min(forMs, this.#keptMs);
    const known = this.#entries.get(token);
    if (known !== undefined) {
      known.forgetAtTick = Math.max(known.forgetAtTick, forgetAtTick);
      return known;
    }
    const entry: Entry = { forgetAtTick, isListed: false, by };
    this.#entries.set(token, entry);
    if (by !== undefined) this.#perHolder.set(by, this.of(by) + 1);
    return entry;
  }
}
