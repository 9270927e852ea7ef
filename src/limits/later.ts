/** Work that the counters could not take just now, tried again in the background. */

export interface LaterOptions {
  /** Pause between attempts, in milliseconds. */
  readonly pauseMs: number;
  /** What may wait at most; what comes on top is given up at once. */
  readonly most: number;
  /** Attempts on one piece of work. */
  readonly attempts: number;
  /** A piece of work was given up. */
  readonly givenUp: () => void;
}

interface Waiting {
  readonly work: () => Promise<void>;
  attempts: number;
}

/** Each attempt stops at the first failure: the others would fail as well, and each costs a timeout. */
export class Later {
  readonly #options: LaterOptions;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #attempting: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: LaterOptions) {
    this.#options = options;
  }

  add(work: () => Promise<void>): void {
    if (this.#isClosed || this.#waiting.length >= this.#options.most) {
      this.#options.givenUp();
      return;
    }
    this.#waiting.push({ work, attempts: 0 });
    this.#schedule();
  }

  /** Tries everything once more; what fails is given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#attempting;
    await this.#attempt();
    for (const _ of this.#waiting.splice(0)) this.#options.givenUp();
  }

  #schedule(): void {
    if (this.#isClosed || this.#waiting.length === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(async () => {
      this.#attempting = this.#attempt();
      await this.#attempting;
      this.#timer = undefined;
      this.#schedule();
    }, this.#options.pauseMs);
    this.#timer.unref();
  }

  async #attempt(): Promise<void> {
    for (let first = this.#waiting.shift(); first !== undefined; first = this.#waiting.shift()) {
      const done = await first.work().then(
        () => true,
        () => false,
      );
      if (done) continue;
      // To the end: one that always fails holds up no other.
      this.#waiting.push(first);
      break;
    }
    for (const waiting of this.#waiting) waiting.attempts += 1;
    const live = this.#waiting.filter(({ attempts }) => attempts < this.#options.attempts);
    const gone = this.#waiting.length - live.length;
    this.#waiting = live;
    for (let i = 0; i < gone; i += 1) this.#options.givenUp();
  }
}
