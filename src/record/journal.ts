/**
 * The journal: everything that passes is on local disk before it passes. One writer a process, one locked folder, one
 * log of leaves that continues over restarts. codec.ts has the format, committer.ts the way to the disk, recovery.ts
 * what a restart does, reader.ts how it is read.
 */
import { rm } from 'node:fs/promises';
import { type CarryOver, Committer, type Position } from './committer.ts';
import type { JournalConfig } from './config.ts';
import { type JournalDisk, realDisk } from './disk.ts';
import type { ContentChunk, RecordEvent, Recorder } from './events.ts';
import type { Refusal } from './flood.ts';
import { type FolderLock, lockFolder, readWriter } from './folder.ts';
import { readPosition, type ShippedPosition } from './position.ts';
import { type Recovered, type RecoveryReport, recover } from './recovery.ts';
import { type RefusalLog, Refusals } from './refusals.ts';
import { createSegment, type OpenSegment, segmentPath } from './segment.ts';
import { OpenSessions } from './sessions.ts';
import { JournalUnavailable } from './unavailable.ts';

export interface JournalOptions extends JournalConfig {
  /** Epoch milliseconds; the system's clock by default. */
  readonly now?: () => number;
  readonly disk?: JournalDisk;
  /**
   * A session's request and its response may be in different processes' logs: it is this log's to end from its `response`
   * on, not from its `request` on. Default false.
   */
  readonly sharedSessions?: boolean;
  /** Called once when a write or fdatasync has failed: the gate is closed until a restart. */
  readonly onFailed?: (error: Error) => void;
  /** Called after each fdatasync with its duration in milliseconds. */
  readonly onSync?: (tookMs: number) => void;
}

/** What the journal shows of itself, for metrics and `/readyz`. */
export interface JournalGauges {
  readonly state: Recorder['state'];
  /** Bytes on disk and in memory, and the limit. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly segments: number;
  readonly pendingBytes: number;
  readonly unsyncedBytes: number;
  readonly syncs: number;
  readonly nextLeaf: number;
  readonly openSessions: number;
  /** Refusals counted together that are not on the record yet. */
  readonly countedRefusals: number;
}

/** Opens the folder, recovers what a dead process left, ends its sessions. Throws JournalRefused. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const lock = lockFolder(options.dir);
  try {
    const disk = options.disk ?? realDisk;
    const position = await readPosition(options.dir);
    const open = () => new OpenSessions(options.maxOpenSessions, options.sharedSessions ?? false);
    const found = await recover(options.dir, await readWriter(options.dir), position, disk, open);
    const first = await createSegment(
      disk,
      options.dir,
      {
        writer: found.writer,
        number: found.nextSegment,
        firstLeaf: found.nextLeaf,
        createdAt: (options.now ?? Date.now)(),
        previousLength: found.previousLength,
      },
      new OpenSessions(0, false).encode(),
    );
    const journal = new Journal(options, lock, found, position, first);
    await journal.durable();
    return journal;
  } catch (error) {
    lock.release();
    throw error;
  }
}

export class Journal implements Recorder {
  readonly writer: string;
  readonly dir: string;
  readonly recovered: RecoveryReport;
  /** Where the shipper left off in an earlier run. */
  readonly shipped: ShippedPosition | undefined;
  readonly #options: JournalOptions;
  readonly #disk: JournalDisk;
  readonly #now: () => number;
  readonly #lock: FolderLock;
  readonly #committer: Committer;
  readonly #sessions: OpenSessions;
  readonly #refusals: Refusals;
  readonly #drainTimer: NodeJS.Timeout;
  readonly #syncedListeners = new Set<(position: Position) => void>();
  /** Length of each finished segment on disk. */
  readonly #segments: Map<number, number>;
  #finishedBytes = 0;
  #nextLeaf: number;
  #failed = false;
  #closing: Promise<void> | undefined;

  /** For `openJournal`, which gives it a locked folder, what recovery found, and a first segment. */
  constructor(
    options: JournalOptions,
    lock: FolderLock,
    found: Recovered,
    shipped: ShippedPosition | undefined,
    first: OpenSegment,
  ) {
    this.writer = found.writer;
    this.dir = options.dir;
    this.recovered = found.report;
    this.shipped = shipped;
    this.#options = options;
    this.#disk = options.disk ?? realDisk;
    this.#now = options.now ?? Date.now;
    this.#lock = lock;
    this.#nextLeaf = found.nextLeaf;
    this.#segments = new Map(found.segments);
    for (const bytes of found.segments.values()) this.#finishedBytes += bytes;
    this.#sessions = new OpenSessions(options.maxOpenSessions, options.sharedSessions ?? false);
    this.#refusals = new Refusals(options, this.#refusalLog());
    this.#drainTimer = setInterval(() => this.#drainRefusals(false), options.refusals.windowMs).unref();
    this.#committer = new Committer(first, {
      disk: this.#disk,
      segmentBytes: options.segmentBytes,
      maxPendingBytes: options.maxPendingBytes,
      syncIntervalMs: options.syncIntervalMs,
      durability: options.durability,
      carryOver: () => this.#carryOver(),
      nextSegment: (previous, carried) => this.#nextSegment(previous, carried),
      onSynced: (position, tookMs) => {
        if (tookMs > 0) options.onSync?.(tookMs);
        for (const listener of this.#syncedListeners) listener(position);
      },
      onFailed: (error) => {
        this.#failed = true;
        options.onFailed?.(error);
      },
    });
    // Past the limits: a journal that was left full must still open, so that it can be shipped.
    for (const end of found.endings) this.#append(end);
  }

  get state(): Recorder['state'] {
    if (this.#closing !== undefined) return 'closed';
    if (this.#failed) return 'failed';
    return this.#bytes >= this.#options.maxBytes ? 'full' : 'open';
  }

  /**
   * Appends an event; returns its leaf, or -1 for a refusal that is counted together with its like. When the journal is
   * full, no session may begin and no caller be given a credential or give one back, but those that run may finish on the record, within a reserve.
   */
  event(event: RecordEvent): number {
    if (isRefusal(event)) {
      this.#admitAnything();
      return this.#refusals.record(event);
    }
    // What callers take back comes as often as they like; only the operator's may use the reserve.
    this.#admit(event.type === 'request' || (event.type === 'credential' && event.grant !== 'admin'));
    return this.#append(event);
  }

  content(chunk: ContentChunk): void {
    this.#admit(false);
    const before = this.#committer.frames.length;
    this.#committer.frames.content(chunk);
    this.#committer.appended(this.#committer.frames.length - before);
    this.#sessions.content(chunk);
  }

  written(): Promise<void> {
    return this.#committer.written();
  }

  durable(): Promise<void> {
    return this.#committer.durable();
  }

  /** End of what is synced: the shipper reads up to here, never further. */
  get synced(): Position {
    return this.#committer.synced;
  }

  /** Calls `listener` whenever more is synced; returns how to stop it. */
  onSynced(listener: (position: Position) => void): () => void {
    this.#syncedListeners.add(listener);
    return () => this.#syncedListeners.delete(listener);
  }

  /** Length of a segment that may be read up to there: of the current one, what is synced. Undefined: it is not there. */
  readable(segment: number): number | undefined {
    const { synced } = this;
    return segment === synced.segment ? synced.offset : this.#segments.get(segment);
  }

  /** Number of the oldest segment. */
  get oldest(): number {
    let oldest = this.synced.segment;
    for (const segment of this.#segments.keys()) oldest = Math.min(oldest, segment);
    return oldest;
  }

  /** Deletes all segments before this one: the store has acknowledged them. */
  async release(before: number): Promise<void> {
    for (const [segment, bytes] of this.#segments) {
      if (segment >= before) continue;
      await rm(segmentPath(this.dir, segment), { force: true });
      this.#segments.delete(segment);
      this.#refusals.released(segment);
      this.#finishedBytes -= bytes;
    }
  }

  gauges(): JournalGauges {
    return {
      state: this.state,
      bytes: this.#bytes,
      maxBytes: this.#options.maxBytes,
      segments: this.#segments.size + 1,
      pendingBytes: this.#committer.frames.length,
      unsyncedBytes: this.#committer.unsyncedBytes,
      syncs: this.#committer.syncCount,
      nextLeaf: this.#nextLeaf,
      openSessions: this.#sessions.size,
      countedRefusals: this.#refusals.counted,
    };
  }

  /** Syncs all that was appended and lets the folder go. Appending throws from now on. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#closing = promise;
      this.#close().then(resolve, reject);
    }
    return this.#closing;
  }

  get #bytes(): number {
    return this.#finishedBytes + this.#committer.current.offset;
  }

  get #reserveBytes(): number {
    return Math.max(2 * this.#options.segmentBytes, this.#options.maxBytes / 8);
  }

  #admitAnything(): void {
    if (this.#closing !== undefined) throw new JournalUnavailable('journal_closed');
    if (this.#failed) throw new JournalUnavailable('journal_failed');
  }

  #admit(beginsSession: boolean): void {
    this.#admitAnything();
    const bytes = this.#bytes;
    if (bytes < this.#options.maxBytes) return;
    if (beginsSession || bytes >= this.#options.maxBytes + this.#reserveBytes)
      throw new JournalUnavailable('journal_full');
  }

  #append(event: RecordEvent): number {
    const leaf = this.#nextLeaf;
    const { frames } = this.#committer;
    const before = frames.length;
    frames.event(leaf, event);
    this.#nextLeaf = leaf + 1;
    this.#committer.appended(frames.length - before);
    this.#sessions.event(event, leaf);
    return leaf;
  }

  #appendRefused(event: Refusal): { leaf: number; segment: number; bytes: number } {
    const { frames, current } = this.#committer;
    const before = frames.length;
    const leaf = this.#append(event);
    return { leaf, segment: current.segment, bytes: frames.length - before };
  }

  #drainRefusals(atTheEnd: boolean): void {
    if (!this.#failed) this.#refusals.drain(this.#now(), atTheEnd);
  }

  #refusalLog(): RefusalLog {
    const isFull = () => this.#bytes >= this.#options.maxBytes;
    return {
      get full() {
        return isFull();
      },
      append: (event) => this.#appendRefused(event),
    };
  }

  #carryOver(): CarryOver {
    this.#sessions.forgetBefore(this.#now() - longestSessionMs);
    return { firstLeaf: this.#nextLeaf, openSessions: this.#sessions.encode() };
  }

  async #nextSegment(previous: Position, carried: CarryOver): Promise<OpenSegment> {
    const header = {
      writer: this.writer,
      number: previous.segment + 1,
      firstLeaf: carried.firstLeaf,
      createdAt: this.#now(),
      previousLength: previous.offset,
    };
    const next = await createSegment(this.#disk, this.dir, header, carried.openSessions);
    this.#segments.set(previous.segment, previous.offset);
    this.#finishedBytes += previous.offset;
    return next;
  }

  async #close(): Promise<void> {
    clearInterval(this.#drainTimer);
    this.#drainRefusals(true);
    try {
      await this.#committer.close();
    } finally {
      this.#lock.release();
    }
  }
}

const isRefusal = (event: RecordEvent): event is Refusal =>
  event.type === 'refused' || (event.type === 'credential' && event.action === 'refused');

/** No stream lasts longer (Envoy's max_stream_duration is far below it); older open sessions end in another log. */
const longestSessionMs = 24 * 60 * 60 * 1000;
