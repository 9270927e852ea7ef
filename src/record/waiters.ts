/** Promises that wait for a byte count. Everyone who waits for the same count shares one promise. */
export class Waiters {
  readonly #queue: { upTo: number; promise: Promise<void>; resolve: () => void; reject: (error: Error) => void }[] = [];

  wait(upTo: number): Promise<void> {
    const last = this.#queue.at(-1);
    if (last?.upTo === upTo) return last.promise;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A caller that does not look must not end the process; one that awaits still gets the rejection.
    promise.catch(() => {});
    this.#queue.push({ upTo, promise, resolve, reject });
    return promise;
  }

  /** The lowest count that somebody waits for; infinite when nobody waits. */
  get first(): number {
    return this.#queue[0]?.upTo ?? Number.POSITIVE_INFINITY;
  }

  /** Releases everyone up to this count; returns how many positions were waited for. */
  release(upTo: number): number {
    let released = 0;
    while (this.#queue.length > 0 && this.#queue[0]!.upTo <= upTo) {
      this.#queue.shift()!.resolve();
      released++;
    }
    return released;
  }

  fail(error: Error): void {
    for (const waiter of this.#queue.splice(0)) waiter.reject(error);
  }
}
