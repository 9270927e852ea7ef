import { GroupsProblem } from './problem.ts';

/** Runs so many tasks at once and lets so many wait, first come, first served; one more is refused. */
export class Turns {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Rejects as the task does, or with GroupsProblem when too many wait. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    else if (this.#waiting.length < this.#maxWaiting)
      // Whoever ends hands the turn over: the number of running tasks stays.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else throw new GroupsProblem('too many callers wait for their groups', { mayBeKept: false });
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
