/**
 * Long work in slices. A worker is a generator that yields wherever it may be interrupted (at least every half millisecond
 * or so of work); small work never yields and is answered synchronously. It yields `'long'` before a step that cannot be cut
 * and takes longer (putting megabytes together): such a step gets a turn of its own.
 *
 * All work of a process shares one pacer: whatever the number of bodies, a turn of the event loop gives them one slice
 * when they begin and one slice when they go on.
 */
export type Work<T> = Generator<'long' | undefined, T, undefined>;

/** Asked between slices; true: nobody waits for the result any more. */
export type Cancelled = () => boolean;

/** The work was ended early: nobody waits for its result. */
export class Abandoned extends Error {
  override readonly name = 'Abandoned';
  constructor() {
    super('the work was abandoned: nobody waits for its result');
  }
}

export interface PacerOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Calls back in the next turn of the event loop, after it has looked for I/O. */
  readonly nextTurn: (run: () => void) => void;
  /** How long one slice may hold the event loop, in milliseconds: a step that is running is not interrupted. */
  readonly sliceMs: number;
}

interface Task {
  /** Runs up to a moment (at least one step). True: it is done, or has failed, or was abandoned. */
  readonly run: (until: number) => boolean;
}

/** One queue of work, one slice of it a turn. */
export class Pacer {
  readonly #options: PacerOptions;
  /** Work that has not been begun yet goes before what is long: it may be small. */
  readonly #fresh: Task[] = [];
  readonly #begun: Task[] = [];
  /** Milliseconds that went into work at its beginning since the last turn. */
  #spent = 0;
  #turnDue = false;

  constructor(options: PacerOptions) {
    this.#options = options;
  }

  /** Tasks that wait for a slice. */
  get waiting(): number {
    return this.#fresh.length + this.#begun.length;
  }

  /**
   * Runs the work to its end: synchronously where it is done within what is left of this turn's slice, else in turns.
   * Throws, or rejects with, what the work throws; Abandoned once `cancelled` says so.
   */
  run<T>(work: Work<T>, cancelled?: Cancelled): T | Promise<T> {
    const { now, sliceMs } = this.#options;
    if (this.#spent < sliceMs && this.#fresh.length === 0) {
      const began = now();
      try {
        const step = stepUntil(work, began + sliceMs - this.#spent, now, cancelled);
        if (step.done) return step.value;
      } finally {
        this.#spend(now() - began);
      }
      return this.#later(work, cancelled, this.#begun);
    }
    return this.#later(work, cancelled, this.#fresh);
  }

  #later<T>(work: Work<T>, cancelled: Cancelled | undefined, queue: Task[]): Promise<T> {
    return new Promise((resolve, reject) => {
      queue.push({
        run: (until) => {
          try {
            const step = stepUntil(work, until, this.#options.now, cancelled);
            if (step.done) resolve(step.value);
            return step.done === true;
          } catch (error) {
            reject(error);
            return true;
          }
        },
      });
      this.#planTurn();
    });
  }

  #spend(ms: number): void {
    this.#spent += ms;
    // Not for every small request: what they take adds up, and is forgotten together.
    if (this.#spent >= this.#options.sliceMs / 4) this.#planTurn();
  }

  #planTurn(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#options.nextTurn(() => this.#turn());
  }

  /** Half of the slice for work that is new, what is left for the one whose turn it is: neither starves the other. */
  #turn(): void {
    this.#turnDue = false;
    this.#spent = 0;
    const { now, sliceMs } = this.#options;
    const began = now();
    const untilFresh = began + (this.#begun.length === 0 ? sliceMs : sliceMs / 2);
    while (this.#fresh.length > 0 && now() < untilFresh)
      // Enough for what is small; what is long makes room for the next.
      this.#go(this.#fresh.shift()!, now() + sliceMs / 8);
    const turns = this.#begun.length;
    for (let i = 0; i < turns && (i === 0 || now() < began + sliceMs); i++)
      this.#go(this.#begun.shift()!, began + sliceMs);
    if (this.waiting > 0) this.#planTurn();
  }

  #go(task: Task, until: number): void {
    if (!task.run(until)) this.#begun.push(task);
  }
}

function stepUntil<T>(
  work: Work<T>,
  until: number,
  now: () => number,
  cancelled: Cancelled | undefined,
): IteratorResult<'long' | undefined, T> {
  if (cancelled?.()) {
    work.return(undefined as T);
    throw new Abandoned();
  }
  for (;;) {
    const step = work.next();
    if (step.done || step.value === 'long' || now() >= until) return step;
  }
}

const pacer = new Pacer({
  now: () => performance.now(),
  nextTurn: (run) => setImmediate(run),
  sliceMs: 1.5,
});

/** Runs the work on the pacer of this process. */
export function paced<T>(work: Work<T>, cancelled?: Cancelled): T | Promise<T> {
  return pacer.run(work, cancelled);
}
