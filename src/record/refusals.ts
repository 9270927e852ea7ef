import type { JournalConfig } from './config.ts';
import { Flood, type Refusal } from './flood.ts';
import { JournalUnavailable } from './unavailable.ts';

/** What refusals need of the journal. */
export interface RefusalLog {
  readonly full: boolean;
  /** Appends; tells the leaf, the segment that it will be in, and its bytes. Throws JournalUnavailable. */
  append(event: Refusal): { readonly leaf: number; readonly segment: number; readonly bytes: number };
}

/** Refusals without a caller on their way to the journal: bounded in rate, and in their share of its size. */
export class Refusals {
  readonly #log: RefusalLog;
  readonly #maxBytes: number;
  readonly #flood: Flood;
  /** Bytes of refusals in each segment that is still there. */
  readonly #bytes = new Map<number, number>();

  constructor(config: Pick<JournalConfig, 'maxBytes' | 'refusals'>, log: RefusalLog) {
    this.#log = log;
    this.#maxBytes = config.maxBytes * config.refusals.maxShare;
    this.#flood = new Flood(config.refusals);
  }

  /** Refusals counted together that are not on the record yet. */
  get counted(): number {
    return this.#flood.counted;
  }

  /** The leaf, or -1 when the refusal was counted. A full or overloaded journal is no error here: it counts. */
  record(event: Refusal): number {
    if (!this.#flood.admit(event, this.#log.full || this.#usedUp())) return -1;
    return this.#append(event);
  }

  /** Records what was counted. While the journal is full the counts stay in memory and go on growing, until the end. */
  drain(now: number, atTheEnd: boolean): void {
    if (this.#log.full && !atTheEnd) return;
    for (const event of this.#flood.drain(now)) this.#append(event);
  }

  /** A segment is gone. */
  released(segment: number): void {
    this.#bytes.delete(segment);
  }

  #append(event: Refusal): number {
    try {
      const { leaf, segment, bytes } = this.#log.append(event);
      this.#bytes.set(segment, (this.#bytes.get(segment) ?? 0) + bytes);
      return leaf;
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error;
      this.#flood.count(event);
      return -1;
    }
  }

  #usedUp(): boolean {
    let used = 0;
    for (const bytes of this.#bytes.values()) used += bytes;
    return used >= this.#maxBytes;
  }
}
