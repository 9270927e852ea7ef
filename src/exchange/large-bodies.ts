/** How many large bodies are in work at once: each costs memory by its length, and seconds at its worst. */
import { Abandoned, type Cancelled } from './pace.ts';

export interface LargeBodiesOptions {
  /** Bodies of up to so many bytes are not counted; 256 KiB by default. */
  readonly freeBytes?: number;
  /** Large bodies in work at once; 8 by default. */
  readonly most?: number;
  /** Large bodies that may wait for a place; 64 by default. */
  readonly mostWaiting?: number;
}

/** Gives the place back. More than once does nothing. */
export type Leave = () => void;

interface Waiter {
  readonly cancelled: Cancelled | undefined;
  readonly enter: (leave: Leave) => void;
  readonly abandon: (error: Abandoned) => void;
}

const nothingToLeave: Leave = () => {};

/** Places for large bodies, handed out in the order in which they were asked for. */
export class LargeBodies {
  readonly #freeBytes: number;
  readonly #most: number;
  readonly #mostWaiting: number;
  #inWork = 0;
  #waiters: Waiter[] = [];

  constructor({ freeBytes = 256 * 1024, most = 8, mostWaiting = 64 }: LargeBodiesOptions = {}) {
    this.#freeBytes = freeBytes;
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  get inWork(): number {
    return this.#inWork;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** A place for a body of so many bytes; undefined: too many wait already. Rejects with Abandoned where nobody waits any more. */
  enter(bytes: number, cancelled?: Cancelled): Leave | Promise<Leave> | undefined {
    if (bytes <= this.#freeBytes) return nothingToLeave;
    if (this.#inWork < this.#most) return this.#place();
    if (this.#waiters.length >= this.#mostWaiting) this.#dropAbandoned();
    if (this.#waiters.length >= this.#mostWaiting) return undefined;
    return new Promise((enter, abandon) => this.#waiters.push({ cancelled, enter, abandon }));
  }

  #place(): Leave {
    this.#inWork++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inWork--;
      this.#next();
    };
  }

  #next(): void {
    while (this.#inWork < this.#most) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) return;
      if (waiter.cancelled?.()) waiter.abandon(new Abandoned());
      else waiter.enter(this.#place());
    }
  }

  #dropAbandoned(): void {
    const all = this.#waiters;
    this.#waiters = all.filter(({ cancelled }) => !cancelled?.());
    for (const waiter of all) if (!this.#waiters.includes(waiter)) waiter.abandon(new Abandoned());
  }
}
