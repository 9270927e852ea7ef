import { GuardFailure } from './client.ts';

/** So many tasks at once; so many more may wait, first come, first served; the next is refused. */
export class Places {
  #free: number;
  readonly #most: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number, waiting: number) {
    this.#free = places;
    this.#most = waiting;
  }

  /** Runs a task once there is a place. Rejects with GuardFailure `guard_busy`, or with the signal's reason while it waits. */
  async take<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      return await reasoned(task(), signal);
    } finally {
      // The place goes on to who waits longest.
      const [next] = this.#waiting;
      if (next === undefined) this.#free++;
      else next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#most) return Promise.reject(new GuardFailure('guard_busy'));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      const go = (): void => {
        this.#waiting.delete(go);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.add(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}

/** What was ended by the signal fails for the signal's reason. */
async function reasoned<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await task;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}
