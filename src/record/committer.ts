/**
 * Brings frames from memory to the disk. At most one write and one fdatasync are in flight; what arrives meanwhile goes
 * in the next one (group commit). A write batch ends with a commit frame that carries the offset that was synced before
 * it: at recovery, damage beyond the last known synced offset is a torn tail, damage before it is corruption.
 *
 * A failed write or fdatasync is final: after it, nobody knows what the page cache and the disk hold (fsyncgate), so
 * the segment is retired, every waiter is rejected and nothing is tried again.
 */
import { FrameBuffer } from './codec.ts';
import type { JournalDisk } from './disk.ts';
import type { OpenSegment } from './segment.ts';
import { JournalUnavailable } from './unavailable.ts';
import { Waiters } from './waiters.ts';

/** What nobody waits for is written after this long, milliseconds. */
const LAZY_WRITE_MS = 20;

/** Longest that an fdatasync waits for company, milliseconds. */
const GATHER_MS = 1;

export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** State of the log between two segments: the first leaf of the new one, and the sessions that are open. */
export interface CarryOver {
  readonly firstLeaf: number;
  readonly openSessions: Buffer;
}

export interface CommitterOptions {
  readonly disk: JournalDisk;
  readonly segmentBytes: number;
  readonly maxPendingBytes: number;
  /** Longest time that written bytes stay unsynced when nobody waits, in milliseconds. */
  readonly syncIntervalMs: number;
  /** `os`: `durable` waits for the write only. */
  readonly durability: 'fsync' | 'os';
  /** What the next segment must begin with, taken at the moment the last batch of this one is handed over. */
  readonly carryOver: () => CarryOver;
  /** Creates the segment after the one that ended at `previous`. */
  readonly nextSegment: (previous: Position, carried: CarryOver) => Promise<OpenSegment>;
  readonly onSynced: (position: Position, tookMs: number) => void;
  readonly onFailed: (error: Error) => void;
}

export class Committer {
  readonly frames: FrameBuffer;
  readonly #options: CommitterOptions;
  #segment: OpenSegment;
  /** Offsets in the current segment. */
  #written: number;
  #synced: number;
  /** Bytes appended, written and synced since the start, over all segments; what waiters count in. */
  #appendedTotal = 0;
  #writtenTotal = 0;
  #syncedTotal = 0;
  readonly #writeWaiters = new Waiters();
  readonly #syncWaiters = new Waiters();
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #failure: JournalUnavailable | undefined;
  #syncCount = 0;
  /** Positions that the last fdatasync was waited for. */
  #served = 0;
  #gathered = false;
  #gatherTimer: NodeJS.Timeout | undefined;
  #lazyTimer: NodeJS.Timeout | undefined;

  constructor(segment: OpenSegment, options: CommitterOptions) {
    this.frames = new FrameBuffer(options.maxPendingBytes);
    this.#options = options;
    this.#segment = segment;
    this.#written = segment.length;
    this.#synced = segment.length;
  }

  /** Number of the segment that is written now, and its length with all that waits. */
  get current(): Position {
    return { segment: this.#segment.number, offset: this.#written + this.frames.length };
  }

  get synced(): Position {
    return { segment: this.#segment.number, offset: this.#synced };
  }

  get unsyncedBytes(): number {
    return this.#appendedTotal - this.#syncedTotal;
  }

  get syncCount(): number {
    return this.#syncCount;
  }

  /** To be called after frames were appended: `bytes` more wait now. */
  appended(bytes: number): void {
    this.#appendedTotal += bytes;
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyTimer = undefined;
      this.#schedule();
    }, LAZY_WRITE_MS).unref();
  }

  written(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#writtenTotal >= this.#appendedTotal) return Promise.resolve();
    this.#schedule();
    return this.#writeWaiters.wait(this.#appendedTotal);
  }

  durable(): Promise<void> {
    if (this.#options.durability === 'os') return this.written();
    return this.#durableEnd();
  }

  /** Writes and syncs all that was appended, leaves a last commit mark, closes the file. */
  async close(): Promise<void> {
    try {
      await this.#durableEnd().catch(() => {});
      await this.#writing;
      await this.#syncing;
      if (this.#failure === undefined) {
        // Says that everything before it was synced; needs no sync of its own.
        const batch = this.frames.take(this.#written, this.#segment.salt, this.#synced);
        await this.#options.disk.write(this.#segment.fd, batch, this.#written);
      }
    } finally {
      clearTimeout(this.#syncTimer);
      clearTimeout(this.#gatherTimer);
      clearTimeout(this.#lazyTimer);
      this.#failure ??= new JournalUnavailable('journal_closed');
      await this.#options.disk.close(this.#segment.fd);
    }
  }

  async #durableEnd(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#syncedTotal >= this.#appendedTotal) return;
    const wait = this.#syncWaiters.wait(this.#appendedTotal);
    this.#advance();
    await wait;
  }

  #schedule(): void {
    if (this.#scheduled || this.#writing !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#writing !== undefined || this.#failure !== undefined || this.frames.length === 0) return;
      clearTimeout(this.#lazyTimer);
      this.#lazyTimer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.frames.length > 0) this.#advance();
      });
    });
  }

  async #write(): Promise<void> {
    try {
      do {
        const upTo = this.#appendedTotal;
        const batch = this.frames.take(this.#written, this.#segment.salt, this.#synced);
        const carried =
          this.#written + batch.length >= this.#options.segmentBytes ? this.#options.carryOver() : undefined;
        await this.#options.disk.write(this.#segment.fd, batch, this.#written);
        this.#written += batch.length;
        this.#writtenTotal = upTo;
        this.frames.recycle(batch);
        this.#writeWaiters.release(upTo);
        if (carried !== undefined) await this.#rotate(carried);
        this.#maybeSync();
      } while (this.#writeWaiters.first <= this.#appendedTotal && this.#failure === undefined);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Somebody waits for the disk, or something is there for it. What nobody waits to see written goes with the next sync. */
  #advance(): void {
    if (this.#failure !== undefined) return;
    const unwritten = this.frames.length > 0;
    if (unwritten && this.#writeWaiters.first <= this.#appendedTotal) this.#schedule();
    else if (!unwritten) this.#maybeSync();
    else if (this.#syncWaiters.first <= this.#appendedTotal && this.#syncing === undefined) {
      if (this.#served > 1 && !this.#gathered) this.#gather();
      else this.#schedule();
    }
  }

  /** Starts an fdatasync if somebody waits for one and something is there to sync; else sees to it that one comes. */
  #maybeSync(): void {
    if (this.#syncing !== undefined || this.#failure !== undefined || this.#synced >= this.#written) return;
    // Who waits for bytes that are still in memory is served by the sync after their write, not by one before it.
    if (this.#syncWaiters.first <= this.#writtenTotal) {
      if (this.#served > 1 && !this.#gathered) this.#gather();
      else void this.#sync();
      return;
    }
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      if (this.#syncing === undefined && this.#failure === undefined && this.#synced < this.#written) void this.#sync();
    }, this.#options.syncIntervalMs).unref();
  }

  /**
   * Under load, waits a moment for more to join: an fdatasync costs some 100 µs of CPU, whoever it serves. Only while the
   * last one served several, so that a lone request never waits (PostgreSQL's commit_delay and commit_siblings).
   * Keeps the process alive, unlike the other timers: somebody waits for this one.
   */
  #gather(): void {
    this.#gatherTimer ??= setTimeout(() => {
      this.#gatherTimer = undefined;
      this.#gathered = true;
      this.#advance();
    }, GATHER_MS);
  }

  #sync(): Promise<void> {
    this.#gathered = false;
    const segment = this.#segment;
    const upTo = this.#written;
    const total = this.#writtenTotal;
    const start = performance.now();
    this.#syncing = this.#options.disk
      .sync(segment.fd)
      .then(
        () => {
          this.#synced = upTo;
          this.#syncedTotal = total;
          this.#syncCount++;
          this.#served = this.#syncWaiters.release(total);
          this.#options.onSynced({ segment: segment.number, offset: upTo }, performance.now() - start);
        },
        (error: Error) => this.#fail(error),
      )
      .finally(() => {
        this.#syncing = undefined;
        this.#advance();
      });
    return this.#syncing;
  }

  async #rotate(carried: CarryOver): Promise<void> {
    await this.#syncing;
    if (this.#failure === undefined && this.#synced < this.#written) await this.#sync();
    if (this.#failure !== undefined) return;
    const old = this.#segment;
    const next = await this.#options.nextSegment({ segment: old.number, offset: this.#written }, carried);
    this.#segment = next;
    this.#written = next.length;
    this.#synced = next.length;
    await this.#options.disk.close(old.fd);
    this.#options.onSynced(this.synced, 0);
  }

  #fail(cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = new JournalUnavailable('journal_failed', cause);
    clearTimeout(this.#syncTimer);
    this.#writeWaiters.fail(this.#failure);
    this.#syncWaiters.fail(this.#failure);
    this.#options.onFailed(cause);
  }
}
