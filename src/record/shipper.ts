/**
 * Moves synced records from the journal into the store. The position is kept (in `shipped.json`) only after the store
 * has acknowledged, so that a crash anywhere sends a batch again: the store takes rows by key, nothing doubles. The
 * gates never wait for it; while the store is down the journal grows and this tries again, ever more slowly.
 *
 * After each failure the batch is made smaller, so that what cannot be stored is narrowed down to few records. A batch that
 * has killed the engine, or was rejected by it, `quarantineAfter` times is written to a file and passed over, loudly.
 */
import { type ReadBatch, type RecordSink, readBatch } from './batch.ts';
import type { ShippingConfig } from './config.ts';
import type { Journal } from './journal.ts';
import { keepSegment, quarantineFrames } from './keep.ts';
import { type ShippedPosition, writePosition } from './position.ts';
import { type Damage, openSegment, type SegmentFile } from './reader.ts';

export interface ShipperOptions {
  readonly journal: Journal;
  readonly sink: RecordSink;
  readonly config: ShippingConfig;
  readonly now?: () => number;
  /** Each failed try; `pauseMs` until the next. */
  readonly onFailure?: (error: Error, pauseMs: number) => void;
  /** A part of the journal is damaged; it stays in `fenced/`. */
  readonly onDamage?: (damage: Damage, kept: string | undefined) => void;
  /** Records were put aside in `file`. Somebody must look. */
  readonly onQuarantined?: (file: string, records: number, error: Error) => void;
}

/** How far the store is behind. */
export interface ShippingGauges {
  readonly bytes: number;
  /** Events that the store does not have yet. */
  readonly events: number;
  /** Age of the oldest record that the store does not have, in milliseconds; 0 when it has all. */
  readonly lagMs: number;
  readonly records: number;
  readonly batches: number;
  readonly failures: number;
  readonly quarantined: number;
}

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #now: () => number;
  #position: ShippedPosition;
  #file: SegmentFile | undefined;
  #limit: number;
  #strikes = 0;
  #pauseMs = 0;
  #behindSince: number | undefined;
  readonly #counts = { records: 0, batches: 0, failures: 0, quarantined: 0 };
  #stopping = false;
  #hurry = 0;
  #wake: (() => void) | undefined;
  readonly #drains: { segment: number; offset: number; resolve: () => void }[] = [];
  readonly #done: Promise<void>;
  readonly #unsubscribe: () => void;

  /** Starts at once. */
  constructor(options: ShipperOptions) {
    const { journal } = options;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#limit = options.config.maxBatchRecords;
    const from = journal.shipped;
    this.#position = {
      segment: from?.segment ?? journal.oldest,
      offset: from?.offset ?? 0,
      writer: journal.writer,
      nextLeaf: from?.writer === journal.writer ? from.nextLeaf : 0,
    };
    this.#unsubscribe = journal.onSynced(() => this.#noticed());
    this.#done = this.#run();
  }

  gauges(): ShippingGauges {
    const lagMs = this.#behindSince === undefined ? 0 : Math.max(0, this.#now() - this.#behindSince);
    const events = Math.max(0, this.#options.journal.gauges().nextLeaf - this.#position.nextLeaf);
    return { ...this.#counts, bytes: this.#behindBytes(), events, lagMs };
  }

  /** Resolves once everything that is synced now is in the store; waits through an outage. */
  drained(): Promise<void> {
    const target = this.#options.journal.synced;
    if (!this.#before(target)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drains.push({ ...target, resolve });
    this.#hurry++;
    this.#wake?.();
    return promise.finally(() => {
      this.#hurry--;
    });
  }

  /** Ends after the insert in flight, without draining: what is left is shipped by the next run. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unsubscribe();
    this.#wake?.();
    await this.#done;
    await this.#file?.file.close();
    this.#file = undefined;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        if (!(await this.#step())) await this.#idle();
      } catch (error) {
        await this.#failed(error as Error);
      }
    }
  }

  /** Ships one batch, or moves on to the next segment. False: nothing is left to do now. */
  async #step(): Promise<boolean> {
    const { journal, config } = this.#options;
    const { segment, offset } = this.#position;
    const end = journal.readable(segment);
    if (end === undefined || offset >= end) return this.#nextSegment(end === undefined);
    this.#behindSince ??= this.#now();
    if (end - offset < config.maxBatchBytes && segment === journal.synced.segment)
      await this.#pause(config.flushIntervalMs);
    if (this.#stopping) return true;
    const file = await this.#open(segment);
    if (file === undefined) return this.#nextSegment(true);
    const limits = { maxRecords: this.#limit, maxBytes: config.maxBatchBytes };
    const batch = await readBatch(file, { from: offset, to: journal.readable(segment) ?? end }, limits);
    for (const damage of batch.damage) this.#options.onDamage?.(damage, await keepSegment(journal.dir, segment));
    await this.#insert(file, batch);
    await this.#advance(batch);
    return true;
  }

  async #insert(file: SegmentFile, batch: ReadBatch): Promise<void> {
    if (batch.events.length + batch.contents.length === 0) return;
    try {
      await this.#options.sink.insert(batch);
    } catch (error) {
      if (!isPoison(error) || ++this.#strikes < this.#options.config.quarantineAfter) throw error;
      const kept = await quarantineFrames(this.#options.journal.dir, file, batch.from, batch.to);
      const records = batch.events.length + batch.contents.length;
      this.#counts.quarantined += records;
      this.#options.onQuarantined?.(kept, records, error as Error);
    }
  }

  async #advance(batch: ReadBatch): Promise<void> {
    let { nextLeaf } = this.#position;
    for (const { writer, leaf } of batch.events)
      if (writer === this.#position.writer && leaf >= nextLeaf) nextLeaf = leaf + 1;
    await this.#moveTo({ ...this.#position, offset: batch.to, nextLeaf });
    const last = batch.events.at(-1) ?? batch.contents.at(-1);
    const more = this.#before(this.#options.journal.synced);
    if (!more) this.#behindSince = undefined;
    else if (last !== undefined) this.#behindSince = last.at;
    this.#strikes = 0;
    this.#pauseMs = 0;
    this.#limit = Math.min(this.#options.config.maxBatchRecords, this.#limit * 2);
    this.#counts.batches++;
    this.#counts.records += batch.events.length + batch.contents.length;
  }

  /** Goes to the next segment that is there, and lets the journal delete what is done. */
  async #nextSegment(missing: boolean): Promise<boolean> {
    const { journal } = this.#options;
    const { segment, offset } = this.#position;
    if (segment >= journal.synced.segment) {
      this.#behindSince = undefined;
      return false;
    }
    if (missing)
      this.#options.onDamage?.({ kind: 'damage', reason: 'missing', segment, from: offset, to: offset }, undefined);
    await this.#file?.file.close();
    this.#file = undefined;
    await this.#moveTo({ ...this.#position, segment: segment + 1, offset: 0 });
    await journal.release(segment + 1);
    return true;
  }

  async #moveTo(position: ShippedPosition): Promise<void> {
    await writePosition(this.#options.journal.dir, position);
    this.#position = position;
    for (let i = this.#drains.length - 1; i >= 0; i--)
      if (!this.#before(this.#drains[i]!)) this.#drains.splice(i, 1)[0]!.resolve();
  }

  async #failed(error: Error): Promise<void> {
    const { retryMinMs, retryMaxMs } = this.#options.config;
    this.#counts.failures++;
    this.#limit = Math.max(1, Math.ceil(this.#limit / (isPoison(error) ? 8 : 2)));
    this.#pauseMs = Math.min(retryMaxMs, Math.max(retryMinMs, this.#pauseMs * 2));
    this.#options.onFailure?.(error, this.#pauseMs);
    await this.#pause(this.#pauseMs, false);
  }

  /** Undefined when somebody has deleted a finished segment; the current one is tried again until it is finished. */
  async #open(number: number): Promise<SegmentFile | undefined> {
    if (this.#file?.number === number) return this.#file;
    await this.#file?.file.close();
    this.#file = undefined;
    try {
      this.#file = await openSegment(this.#options.journal.dir, number);
      return this.#file;
    } catch (error) {
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT' && number < this.#options.journal.synced.segment;
      if (!gone) throw error;
      return undefined;
    }
  }

  #noticed(): void {
    const { segment, offset } = this.#options.journal.synced;
    const bytes = segment === this.#position.segment ? offset - this.#position.offset : Number.POSITIVE_INFINITY;
    if (this.#hurry > 0 || this.#behindSince === undefined || bytes >= this.#options.config.maxBatchBytes)
      this.#wake?.();
  }

  /** Sleeps until something is synced. */
  async #idle(): Promise<void> {
    if (this.#stopping || this.#before(this.#options.journal.synced)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }

  /** Waits; ends early on stop and, where asked for, when a batch is full or somebody drains. */
  async #pause(ms: number, early = true): Promise<void> {
    if (this.#stopping || (early && this.#hurry > 0)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms).unref();
    this.#wake = () => {
      if (early || this.#stopping) resolve();
    };
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  #before(target: { readonly segment: number; readonly offset: number }): boolean {
    const { segment, offset } = this.#position;
    return segment < target.segment || (segment === target.segment && offset < target.offset);
  }

  #behindBytes(): number {
    const { journal } = this.#options;
    let bytes = -this.#position.offset;
    for (let segment = this.#position.segment; segment <= journal.synced.segment; segment++)
      bytes += journal.readable(segment) ?? 0;
    return Math.max(0, bytes);
  }
}

function isPoison(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'engine_died' || code === 'batch_rejected';
}
