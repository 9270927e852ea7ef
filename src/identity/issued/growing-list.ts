/** One list of numbered entries in the control state, `<prefix><n>`, that several replicas write to and read. */
import { setImmediate as tick } from 'node:timers/promises';
import type { IdentityState } from '../state.ts';

const pageSize = 1000;
/** Others get their turn after so long, and one piece of reading it all again ends after the second. */
const sliceMs = 10;
const pieceMs = 50;

export class GrowingList {
  readonly #state: IdentityState;
  readonly #prefix: string;
  readonly #keptMs: number;
  readonly #take: (text: string) => void;
  #last = 0;
  /** How far all of it has been read again. */
  #again = '';

  constructor(state: IdentityState, prefix: string, keptMs: number, take: (text: string) => void) {
    this.#state = state;
    this.#prefix = prefix;
    this.#keptMs = keptMs;
    this.#take = take;
  }

  /** The next reading takes everything. */
  restart(): void {
    this.#last = 0;
    this.#again = '';
  }

  /** Takes what comes after the last entry that was read. */
  async read(): Promise<void> {
    let startedAt = performance.now();
    let after: string | undefined = this.#last === 0 ? '' : this.#keyOf(this.#last);
    for (;;) {
      after = await this.#page(after);
      if (after === undefined) return;
      if (performance.now() - startedAt < sliceMs) continue;
      await tick();
      startedAt = performance.now();
    }
  }

  /** Takes a piece of all there is, where the last piece ended; says whether that was the last one. */
  async readAgain(): Promise<boolean> {
    const startedAt = performance.now();
    do {
      const after = await this.#page(this.#again);
      this.#again = after ?? '';
      if (after === undefined) return true;
      await tick();
    } while (performance.now() - startedAt < pieceMs);
    return false;
  }

  /** Puts an entry after all others. */
  async append(text: string, nowMs: number): Promise<void> {
    for (;;) {
      await this.read();
      const number = this.#last === 0 ? nowMs : this.#last + 1;
      const expiry = { expiresAtMs: nowMs + this.#keptMs };
      // Somebody else may have put this number; then it is read, and the next one tried.
      if (await this.#state.putIfAbsent(this.#keyOf(number), text, expiry)) return;
    }
  }

  /** Takes one page; answers its last key, or undefined when nothing comes after it. */
  async #page(after: string): Promise<string | undefined> {
    const page = await this.#state.list(this.#prefix, { after, limit: pageSize });
    for (const { key, value } of page) {
      this.#take(value);
      this.#last = Math.max(this.#last, Number(key.slice(this.#prefix.length)));
    }
    return page.length < pageSize ? undefined : page.at(-1)?.key;
  }

  #keyOf(number: number): string {
    return `${this.#prefix}${String(number).padStart(16, '0')}`;
  }
}
