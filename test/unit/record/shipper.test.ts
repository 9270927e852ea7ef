import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RecordBatch, RecordSink } from '../../../src/record/batch.ts';
import { shippingConfig } from '../../../src/record/config.ts';
import { type Journal, type JournalOptions, openJournal } from '../../../src/record/journal.ts';
import { type Damage, readSegmentFile } from '../../../src/record/reader.ts';
import { Shipper, type ShipperOptions } from '../../../src/record/shipper.ts';
import { chunk, end, folder, journalOptions, request, sessionId } from './events.ts';

/** A store that keeps rows by key, as the real ones do, and can be made to fail. */
class MemorySink implements RecordSink {
  readonly events = new Map<string, string>();
  readonly contents = new Map<string, string>();
  readonly sizes: number[] = [];
  fail: (batch: RecordBatch) => Error | undefined = () => undefined;

  async insert(batch: RecordBatch): Promise<void> {
    const failure = this.fail(batch);
    if (failure !== undefined) throw failure;
    this.sizes.push(batch.events.length + batch.contents.length);
    for (const event of batch.events) this.events.set(`${event.writer} ${event.leaf}`, event.body.toString());
    for (const { session, direction, seq, bytes } of batch.contents)
      this.contents.set(`${session} ${direction} ${seq}`, bytes.toString());
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

async function opened(dir: string, changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await openJournal(journalOptions(dir, changes));
  onTestFinished(() => journal.close().catch(() => {}));
  return journal;
}

function shipping(
  journal: Journal,
  sink: RecordSink,
  changes: Partial<ShipperOptions> = {},
  config: object = {},
): Shipper {
  const shipper = new Shipper({
    journal,
    sink,
    config: shippingConfig.parse({ flushIntervalMs: 10, retryMinMs: 10, retryMaxMs: 100, ...config }),
    ...changes,
  });
  onTestFinished(() => shipper.stop());
  return shipper;
}

async function sessions(journal: Journal, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    journal.event(request(n));
    journal.content(chunk(n, 0, `text ${n}`));
    journal.event(end(n));
    if (n % 10 === 0) await journal.durable();
  }
  await journal.durable();
}

describe('the shipper', () => {
  it('brings every synced record into the store, over many segments, and deletes what is shipped', async () => {
    const dir = folder();
    const sink = new MemorySink();
    const journal = await opened(dir, { segmentBytes: 16 * 1024 });
    const shipper = shipping(journal, sink);
    await sessions(journal, 0, 300);
    await shipper.drained();
    expect([sink.events.size, sink.contents.size]).toEqual([600, 300]);
    expect(sink.contents.get(`${sessionId(7)} response 0`)).toBe('text 7');
    // The one that is written now, and at most the one before it.
    expect(readdirSync(dir).filter((name) => name.endsWith('.seg')).length).toBeLessThanOrEqual(2);
    expect(journal.synced.segment).toBeGreaterThan(10);
    expect(shipper.gauges()).toMatchObject({ records: 900, failures: 0, quarantined: 0 });
  });

  it('ships nothing that is not synced', async () => {
    const sink = new MemorySink();
    const journal = await opened(folder(), { syncIntervalMs: 60_000 });
    const shipper = shipping(journal, sink);
    journal.event(request(1));
    await journal.written();
    await shipper.drained();
    expect(sink.events.size).toBe(0);
    await journal.durable();
    await shipper.drained();
    expect(sink.events.size).toBe(1);
  });

  it('goes on where it was after a restart, and doubles nothing when the position was lost', async () => {
    const dir = folder();
    const sink = new MemorySink();
    const first = await opened(dir);
    const shipper = shipping(first, sink);
    await sessions(first, 0, 20);
    await shipper.drained();
    await shipper.stop();
    await first.close();
    const sent = sink.sizes.reduce((a, b) => a + b);

    const second = await opened(dir);
    const again = shipping(second, sink);
    await sessions(second, 20, 30);
    await again.drained();
    expect(sink.sizes.reduce((a, b) => a + b) - sent).toBe(30);
    expect(sink.events.size).toBe(60);
    await again.stop();
    await second.close();

    writeFileSync(
      join(dir, 'shipped.json'),
      JSON.stringify({ segment: second.synced.segment, offset: 0, writer: second.writer, nextLeaf: 0 }),
    );
    const third = await opened(dir);
    const repeated = shipping(third, sink);
    await repeated.drained();
    expect(sink.events.size).toBe(60);
  });

  it('waits through an outage without losing anything, and tells how far it is behind', async () => {
    const sink = new MemorySink();
    const journal = await opened(folder());
    const tries = Promise.withResolvers<void>();
    let down = true;
    let failures = 0;
    sink.fail = () => (down ? failure('store_unavailable') : undefined);
    const shipper = shipping(journal, sink, {
      now: () => request(0).at + 60_000,
      onFailure: () => {
        if (++failures === 12) tries.resolve();
      },
    });
    await sessions(journal, 0, 50);
    await tries.promise;
    expect(sink.events.size).toBe(0);
    expect(shipper.gauges().bytes).toBeGreaterThan(10_000);
    expect(shipper.gauges().quarantined).toBe(0);
    down = false;
    await shipper.drained();
    expect(sink.events.size).toBe(100);
    expect(shipper.gauges().failures).toBeGreaterThanOrEqual(12);
  });

  it('puts aside, loudly, the records that kill the engine, and ships all others', async () => {
    const dir = folder();
    const sink = new MemorySink();
    const journal = await opened(dir);
    const put: { file: string; records: number }[] = [];
    const deadly = (batch: RecordBatch) => batch.events.some((event) => event.session === sessionId(33));
    sink.fail = (batch) => (deadly(batch) ? failure('engine_died') : undefined);
    const shipper = shipping(journal, sink, { onQuarantined: (file, records) => put.push({ file, records }) });
    await sessions(journal, 0, 100);
    await shipper.drained();
    const lost = put.reduce((sum, { records }) => sum + records, 0);
    expect(put.length).toBeGreaterThanOrEqual(1);
    expect(lost).toBeLessThanOrEqual(10);
    expect(sink.events.size + sink.contents.size + lost).toBe(300);
    const kept: string[] = [];
    for (const { file } of put)
      for await (const record of readSegmentFile(file)) if (record.kind === 'event') kept.push(record.session);
    expect(kept).toContain(sessionId(33));
    expect(shipper.gauges().quarantined).toBe(lost);
  });

  it('keeps a damaged segment in fenced/, reports it, and ships what can be read around the damage', async () => {
    const dir = folder();
    const first = await opened(dir, { segmentBytes: 8 * 1024 });
    await sessions(first, 0, 40);
    await first.close();
    const victim = join(dir, '000000000002.seg');
    const bytes = readFileSync(victim);
    bytes[1000]! ^= 1;
    writeFileSync(victim, bytes);
    const sink = new MemorySink();
    const damages: [number, string | undefined][] = [];
    const second = await opened(dir, { segmentBytes: 8 * 1024 });
    const shipper = shipping(second, sink, { onDamage: (damage, kept) => damages.push([damage.segment, kept]) });
    await shipper.drained();
    expect(damages).toEqual([[2, join(dir, 'fenced', '000000000002.seg')]]);
    expect(readFileSync(join(dir, 'fenced', '000000000002.seg'))).toEqual(bytes);
    expect(existsSync(victim)).toBe(false);
    expect(sink.events.size).toBeGreaterThan(50);
    expect(sink.events.size).toBeLessThan(80);
  });

  it('names a segment that somebody has deleted, and goes on with the next', async () => {
    const dir = folder();
    const first = await opened(dir, { segmentBytes: 8 * 1024 });
    await sessions(first, 0, 40);
    const sink = new MemorySink();
    const damages: Damage[] = [];
    rmSync(join(dir, '000000000002.seg'));
    const shipper = shipping(first, sink, { onDamage: (damage) => damages.push(damage) });
    await shipper.drained();
    expect(damages).toEqual([{ kind: 'damage', reason: 'missing', segment: 2, from: 0, to: 0 }]);
    expect(sink.events.size).toBeGreaterThan(50);
    expect(sink.events.size).toBeLessThan(80);
  });

  it('stops at once while the store is down', async () => {
    const sink = new MemorySink();
    const journal = await opened(folder());
    const failed = Promise.withResolvers<void>();
    sink.fail = () => failure('store_unavailable');
    const shipper = shipping(
      journal,
      sink,
      { onFailure: () => failed.resolve() },
      { retryMinMs: 60_000, retryMaxMs: 60_000 },
    );
    await sessions(journal, 0, 1);
    await failed.promise;
    await shipper.stop();
    expect(sink.events.size).toBe(0);
  });
});
