/**
 * Work that belongs to a session's record and is done after its yes has been answered. The end of the session waits for
 * it, so that no answer is complete whose request is not on the record.
 */
import type { Afterwards } from '../checkpoint/stages.ts';

export interface LateWorkOptions {
  /** Pieces of work that wait at once; 1,000 by default. */
  readonly most?: number;
  /** Bytes of the bodies that wait, 4 MiB by default: a second or two of work, as the end of an answer waits for it. */
  readonly mostBytes?: number;
  /** Work failed: whoever waits for the session gets the error too. */
  readonly failed: (session: string, error: unknown) => void;
}

/** A session that was refused never ends: its failure is forgotten for a later one's. */
const MOST_FAILED = 10_000;

export class LateWork {
  readonly #options: Required<LateWorkOptions>;
  readonly #open = new Map<string, Promise<void>>();
  /** A failure stays: the session must not end as if it were on the record. */
  readonly #failed = new Map<string, Promise<void>>();
  #bytes = 0;

  constructor({ most = 1_000, mostBytes = 4 * 1024 * 1024, failed }: LateWorkOptions) {
    this.#options = { most, mostBytes, failed };
  }

  /** What begins the work once the answer has gone; false: too much waits already. What never begins is forgotten. */
  plan(session: string, bytes: number, work: () => Promise<void>): Afterwards | false {
    const { most, mostBytes } = this.#options;
    if (this.#open.size >= most || (this.#bytes > 0 && this.#bytes + bytes > mostBytes)) return false;
    return () => this.#begin(session, bytes, work);
  }

  #begin(session: string, bytes: number, work: () => Promise<void>): void {
    this.#bytes += bytes;
    // The next turn: Envoy's answer is written first.
    const done = new Promise<void>((turn) => setImmediate(turn)).then(work);
    this.#open.set(session, done);
    done
      .catch((error: unknown) => {
        this.#fail(session, done);
        this.#options.failed(session, error);
      })
      .finally(() => {
        this.#bytes -= bytes;
        this.#open.delete(session);
      });
  }

  /** Resolves once the session's work is done, rejects if it failed; undefined: there is none. */
  pending(session: string): Promise<void> | undefined {
    return this.#open.get(session) ?? this.#failed.get(session);
  }

  /** The session is over: nobody asks for it again. */
  forget(session: string): void {
    this.#failed.delete(session);
  }

  #fail(session: string, done: Promise<void>): void {
    if (this.#failed.size >= MOST_FAILED) this.#failed.delete(this.#failed.keys().next().value as string);
    this.#failed.set(session, done);
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#open.values());
  }
}
