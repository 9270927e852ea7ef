import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RecordSink } from '../../src/record/batch.ts';
import { journalConfig, shippingConfig } from '../../src/record/config.ts';
import { type Journal, openJournal } from '../../src/record/journal.ts';
import { Shipper, type ShipperOptions } from '../../src/record/shipper.ts';
import { type EmbeddedConfig, storeConfig } from '../../src/store/config.ts';
import { type EmbeddedEvents, type EmbeddedStore, openEmbedded } from '../../src/store/embedded.ts';
import { listSessions, showSession } from '../../src/store/queries.ts';
import { chunk, end, request, sessionId } from '../unit/record/events.ts';

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-crash-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function openedStore(dir: string, events: EmbeddedEvents = {}): Promise<EmbeddedStore> {
  const config = storeConfig.parse({ engine: 'embedded', dir: join(dir, 'store') }) as EmbeddedConfig;
  const store = await openEmbedded(config, { restartMinMs: 20, restartMaxMs: 200, ...events });
  onTestFinished(() => store.close());
  await store.migrate();
  return store;
}

async function openedJournal(dir: string): Promise<Journal> {
  const journal = await openJournal(journalConfig.parse({ dir: join(dir, 'journal') }));
  onTestFinished(() => journal.close());
  return journal;
}

function shipping(journal: Journal, sink: RecordSink, changes: Partial<ShipperOptions> = {}): Shipper {
  const config = shippingConfig.parse({ flushIntervalMs: 10, maxBatchRecords: 200, retryMinMs: 20, retryMaxMs: 200 });
  const shipper = new Shipper({ journal, sink, config, ...changes });
  onTestFinished(() => shipper.stop());
  return shipper;
}

async function write(journal: Journal, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    journal.event(request(n));
    journal.content(chunk(n, 0, `begin ${n} `));
    journal.content(chunk(n, 1, 'end'));
    journal.event(end(n));
  }
  await journal.durable();
}

/** Rows as a reader sees them, and distinct keys: they differ when something is doubled. */
async function counted(store: EmbeddedStore): Promise<number[]> {
  const events = await store.sql('SELECT count(), uniqExact(writer, leaf), max(leaf) + 1 FROM sallyport.events FINAL', {
    format: 'TabSeparated',
  });
  const contents = await store.sql('SELECT count(), uniqExact(session, direction, seq) FROM sallyport.contents FINAL', {
    format: 'TabSeparated',
  });
  return `${events.trim()}\t${contents.trim()}`.split('\t').map(Number);
}

describe('the embedded engine', () => {
  it('killed in the middle of batches, again and again, loses nothing and doubles nothing', async () => {
    const dir = folder();
    const store = await openedStore(dir);
    let kills = 6;
    const died: string[] = [];
    const sink: RecordSink = {
      insert: async (batch) => {
        const inserting = store.insert(batch);
        const pid = store.enginePid;
        // From "not begun" to "nearly done": 0 to 15 ms into an insert.
        if (kills > 0 && pid !== undefined) {
          kills--;
          setTimeout(() => tryKill(pid), kills * 3);
        }
        return inserting;
      },
    };
    const journal = await openedJournal(dir);
    const shipper = shipping(journal, sink, {
      onFailure: (error) => died.push((error as { code?: string }).code ?? error.message),
    });
    for (let n = 0; n < 1000; n += 100) await write(journal, n, n + 100);
    await shipper.drained();
    expect(kills).toBe(0);
    expect(died).toContain('engine_died');
    expect(shipper.gauges().quarantined).toBe(0);
    await expect
      .poll(() => counted(store).catch(() => []), { timeout: 20_000 })
      .toEqual([2000, 2000, 2000, 2000, 2000]);
    expect((await showSession(store, sessionId(777)))?.response.text).toBe('begin 777 end');
  });

  it('gone for a while keeps nobody waiting, and catches up when it is back', async () => {
    const dir = folder();
    const downs: string[] = [];
    const up = Promise.withResolvers<void>();
    // Long enough that the writes below all happen while it is down.
    const store = await openedStore(dir, {
      restartMinMs: 1500,
      onDown: (error) => downs.push(error.code),
      onUp: () => up.resolve(),
    });
    const journal = await openedJournal(dir);
    const shipper = shipping(journal, store);
    await write(journal, 0, 50);
    await shipper.drained();
    process.kill(store.enginePid!, 'SIGKILL');
    await expect.poll(() => downs).toEqual(['store_unavailable']);
    expect(await store.health()).toMatchObject({ ok: false });
    await expect(listSessions(store, { limit: 1 })).rejects.toMatchObject({ code: 'store_unavailable' });
    const before = performance.now();
    await write(journal, 50, 250);
    expect(performance.now() - before).toBeLessThan(1000);
    expect(journal.state).toBe('open');
    expect(shipper.gauges().bytes).toBeGreaterThan(0);
    await shipper.drained();
    expect(await counted(store)).toEqual([500, 500, 500, 500, 500]);
    expect(shipper.gauges().lagMs).toBeLessThan(60_000);
  });

  it('keeps its rows over a clean restart', async () => {
    const dir = folder();
    const first = await openedStore(dir);
    const journal = await openedJournal(dir);
    const shipper = shipping(journal, first);
    await write(journal, 0, 10);
    await shipper.drained();
    await shipper.stop();
    await first.close();
    expect(first.enginePid).toBeUndefined();
    const second = await openedStore(dir);
    expect(await listSessions(second, { limit: 100 })).toHaveLength(10);
  });

  it('ends when the process that started it is killed', async () => {
    const dir = folder();
    const owner = start('engine-owner.ts', join(dir, 'store'));
    const [line] = (await once(createInterface(owner.stdout!), 'line')) as [string];
    const engine = Number(line);
    expect(isAlive(engine)).toBe(true);
    owner.kill('SIGKILL');
    await expect.poll(() => isAlive(engine), { timeout: 15_000 }).toBe(false);
  });
});

describe('a gateway process killed while it writes the journal', () => {
  it('leaves every durable record to be shipped once, and every session with an end', async () => {
    const dir = folder();
    const acknowledged = new Map<number, string>();
    for (const stopAfter of [40, 400, 1500]) {
      const writer = start('journal-writer.ts', join(dir, 'journal'));
      const lines = createInterface(writer.stdout!);
      let seen = 0;
      lines.on('line', (line) => {
        const [, leaf = '', session = ''] = line.split(' ');
        acknowledged.set(Number(leaf), session);
        if (++seen === stopAfter) writer.kill('SIGKILL');
      });
      await once(lines, 'close');
    }
    const store = await openedStore(dir);
    const journal = await openedJournal(dir);
    expect(journal.recovered.damage).toEqual([]);
    expect(journal.recovered.unended).toBeGreaterThan(0);
    const shipper = shipping(journal, store);
    await shipper.drained();

    const text = await store.sql('SELECT leaf, session FROM sallyport.events FINAL ORDER BY leaf', {
      format: 'TabSeparated',
    });
    const stored = text
      .trim()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(stored.map(([leaf]) => Number(leaf))).toEqual(stored.map((_, index) => index));
    const missing = [...acknowledged].filter(([leaf, session]) => stored[leaf]?.[1] !== session);
    expect(missing).toEqual([]);
    expect(acknowledged.size).toBeGreaterThan(1900);

    const how = await store.sql('SELECT how, count() > 0 FROM sallyport.sessions GROUP BY how ORDER BY how', {
      format: 'TabSeparated',
    });
    expect(how.trim()).toBe('complete\t1\nunknown\t1');
    // A session that is complete on the record has its whole text.
    const texts = await store.sql(
      `SELECT chunks, arrayStringConcat(arrayMap(x -> x.2, arraySort(groupArray((seq, text))))) FROM sallyport.contents FINAL
       INNER JOIN sallyport.sessions USING session WHERE how = 'complete' GROUP BY session, chunks`,
      { format: 'TabSeparated' },
    );
    const complete = texts
      .trim()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(complete.length).toBeGreaterThan(900);
    for (const [chunks, written] of complete)
      expect(written).toBe(Array.from({ length: Number(chunks) }, (_, seq) => `${seq},`).join(''));
  });
});

function start(script: string, dir: string): ChildProcess {
  const path = fileURLToPath(new URL(`./support/${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was faster.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
