import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseFrame, recordOf } from '../../../src/record/codec.ts';
import { type JournalDisk, realDisk } from '../../../src/record/disk.ts';
import type { EndEvent } from '../../../src/record/events.ts';
import { type Journal, type JournalOptions, openJournal } from '../../../src/record/journal.ts';
import {
  chunk,
  decision,
  end,
  folder,
  journalOptions,
  records,
  request,
  response,
  sessionId,
  startMs,
} from './events.ts';

async function opened(dir: string, changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await openJournal(journalOptions(dir, changes));
  onTestFinished(() => journal.close().catch(() => {}));
  return journal;
}

/** What a kill -9 leaves: the folder of a live journal as it is now, in a folder of its own. */
function killed(dir: string): string {
  const copy = join(folder(), 'journal');
  cpSync(dir, copy, { recursive: true });
  return copy;
}

function lastSegment(dir: string): string {
  return join(
    dir,
    readdirSync(dir)
      .filter((name) => name.endsWith('.seg'))
      .toSorted()
      .at(-1)!,
  );
}

function leaves(found: Awaited<ReturnType<typeof records>>): number[] {
  return found.flatMap((record) => (record.kind === 'event' ? [record.leaf] : []));
}

/** Session 1 is synced whole; session 2 is written after it but not synced. */
async function twoBatches(): Promise<{ dir: string; synced: number; size: number }> {
  const source = folder();
  const journal = await opened(source, { syncIntervalMs: 60_000 });
  journal.event(request(1));
  journal.content(chunk(1, 0, 'first'));
  journal.event(end(1));
  await journal.durable();
  const synced = journal.synced.offset;
  journal.event(request(2));
  journal.event(end(2));
  await journal.written();
  const dir = killed(source);
  return { dir, synced, size: statSync(lastSegment(dir)).size };
}

/** Recovery does the same with and without waiting for the disk. */
const withoutSync: JournalDisk = { ...realDisk, sync: async () => {}, syncFolder: async () => {} };

/** What a reader may find in the file's bytes from one frame boundary up to `length`. */
function wholeFrames(bytes: Buffer, from: number, length: number): { end: number; leaves: number[] } {
  const found: number[] = [];
  let at = from;
  for (;;) {
    const frame = parseFrame(bytes.subarray(0, length), at, 0);
    if (frame === 'bad' || 'short' in frame) return { end: at, leaves: found };
    const record = recordOf(frame, '');
    if (record?.kind === 'event') found.push(record.leaf);
    at = frame.end;
  }
}

describe('recovery', () => {
  it('cuts a tail that was torn at any byte beyond what was synced, and keeps all before it', async () => {
    const source = folder();
    const live = await opened(source, { syncIntervalMs: 60_000 });
    live.event(request(1));
    live.event(end(1));
    await live.durable();
    const synced = live.synced.offset;
    live.content(chunk(2, 0, 'torn'));
    live.event(response(2));
    await live.written();
    const dir = killed(source);
    const size = statSync(lastSegment(dir)).size;
    const whole = readFileSync(lastSegment(dir));
    for (let length = synced; length < size; length++) {
      const copy = killed(dir);
      writeFileSync(lastSegment(copy), whole.subarray(0, length));
      const journal = await openJournal(journalOptions(copy, { disk: withoutSync }));
      const { cut, damage, abandonedWriter } = journal.recovered;
      const expected = wholeFrames(whole, synced, length);
      expect({ length, damage, abandonedWriter, cut }).toEqual({
        length,
        damage: [],
        abandonedWriter: undefined,
        cut: expected.end === length ? undefined : { segment: 1, offset: expected.end, bytes: length - expected.end },
      });
      await journal.close();
      expect([length, leaves(await records(copy))]).toEqual([
        length,
        Array.from({ length: 2 + expected.leaves.length }, (_, leaf) => leaf),
      ]);
      rmSync(copy, { recursive: true });
    }
  }, 60_000);

  it('cuts a tail of zeros or garbage, as a power cut leaves it', async () => {
    const { dir, size } = await twoBatches();
    for (const tail of [Buffer.alloc(4096), Buffer.alloc(4096, 0xa5)]) {
      const copy = killed(dir);
      writeFileSync(lastSegment(copy), Buffer.concat([readFileSync(lastSegment(copy)), tail]));
      const journal = await opened(copy);
      expect(journal.recovered.cut).toEqual({ segment: 1, offset: size, bytes: 4096 });
      expect(journal.recovered.damage).toEqual([]);
      expect(journal.event(request(9))).toBe(4);
    }
  });

  it('reports damage in what was synced as corruption, keeps the bytes, and begins a new log', async () => {
    const { dir, synced } = await twoBatches();
    const path = lastSegment(dir);
    const bytes = readFileSync(path);
    const at = synced - 300;
    bytes[at]! ^= 0x10;
    writeFileSync(path, bytes);
    const before = readFileSync(join(dir, 'journal.json'), 'utf8');
    const journal = await opened(dir);
    expect(journal.recovered.damage).toHaveLength(1);
    const [damage] = journal.recovered.damage;
    expect(damage!.from).toBeLessThanOrEqual(at);
    expect(damage!.to).toBeGreaterThan(at);
    expect(journal.recovered.abandonedWriter).toBe((JSON.parse(before) as { writer: string }).writer);
    expect(journal.writer).not.toBe(journal.recovered.abandonedWriter);
    // The damage hit the end of session 1: it is ended as unknown, at leaf 0 of the new log.
    expect(journal.recovered.unended).toBe(1);
    expect(journal.event(request(9))).toBe(1);
    expect(readFileSync(path)).toEqual(bytes);
    // What lies behind the damage is still read.
    const found = await records(dir);
    expect(found.map((record) => record.kind)).toContain('damage');
    expect(leaves(found)).toEqual(expect.arrayContaining([0, 2, 3]));
  });

  it('is not fooled by delivered text that looks like a commit frame', async () => {
    const source = folder();
    const journal = await opened(source, { syncIntervalMs: 60_000 });
    journal.event(request(1));
    await journal.durable();
    // An earlier commit frame of this very segment, replayed as content by a caller who has seen it.
    const seen = readFileSync(lastSegment(source)).subarray(-36);
    journal.content({ ...chunk(1, 0, ''), bytes: seen });
    journal.content(chunk(1, 1, 'x'.repeat(200)));
    await journal.written();
    const dir = killed(source);
    truncateSync(lastSegment(dir), statSync(lastSegment(dir)).size - 100);
    const again = await opened(dir);
    expect(again.recovered.damage).toEqual([]);
    expect(again.recovered.cut?.segment).toBe(1);
    expect(again.writer).toBe(journal.writer);
  });

  it('fences a segment whose header is damaged and begins a new log', async () => {
    const { dir } = await twoBatches();
    const path = lastSegment(dir);
    const bytes = readFileSync(path);
    bytes[20]! ^= 1;
    writeFileSync(path, bytes);
    const journal = await opened(dir);
    expect(journal.recovered.fenced).toEqual([join(dir, 'fenced', '000000000001.seg')]);
    expect(readFileSync(journal.recovered.fenced[0]!)).toEqual(bytes);
    expect(journal.recovered.abandonedWriter).toBeDefined();
    expect(existsSync(lastSegment(dir))).toBe(true);
  });

  it('passes over a segment file that was torn at its creation, in the same log', async () => {
    const { dir } = await twoBatches();
    writeFileSync(join(dir, '000000000002.seg'), '');
    const journal = await opened(dir);
    expect(journal.recovered).toMatchObject({ fenced: [], abandonedWriter: undefined, damage: [] });
    expect(journal.event(request(9))).toBe(4);
  });

  it('refuses a journal of a newer format instead of guessing', async () => {
    const { dir } = await twoBatches();
    const known = JSON.parse(readFileSync(join(dir, 'journal.json'), 'utf8')) as object;
    writeFileSync(join(dir, 'journal.json'), JSON.stringify({ ...known, format: 2 }));
    await expect(openJournal(journalOptions(dir))).rejects.toMatchObject({ code: 'journal_format_unsupported' });
    writeFileSync(join(dir, 'journal.json'), '{"format":1,');
    await expect(openJournal(journalOptions(dir))).rejects.toMatchObject({ code: 'journal_unreadable' });
  });

  it('ends every session of a dead process as unknown, with what was delivered by then', async () => {
    const source = folder();
    const journal = await opened(source);
    journal.event(request(1));
    journal.event(request(2));
    journal.event(end(2));
    journal.content(chunk(1, 0, 'the prompt', 'request'));
    journal.content(chunk(1, 0, 'Hello '));
    journal.content(chunk(1, 1, 'world'));
    await journal.durable();
    const dir = killed(source);
    const again = await opened(dir);
    expect(again.recovered.unended).toBe(1);
    const last = (await records(dir)).at(-1);
    const body = JSON.parse(String(last?.kind === 'event' && last.body)) as EndEvent;
    expect(body).toMatchObject({
      type: 'end',
      session: sessionId(1),
      how: 'unknown',
      bytes: 11,
      chunks: 2,
      firstByteMs: 40,
      durationMs: 41,
      at: startMs + 1 + 41,
      request: { writer: journal.writer, leaf: 0 },
    });
    await again.close();
    const third = await opened(dir);
    expect(third.recovered.unended).toBe(0);
  });

  it('where sessions are shared, ends those whose stream it took, whoever said yes to them, and no others', async () => {
    const source = folder();
    const journal = await opened(source, { sharedSessions: true, segmentBytes: 4096 });
    const elsewhere = { writer: '3f0c2b1a-0000-4000-8000-00000000000b', leaf: 41 };
    // 1: the yes was ours, the stream another process's. 2: the reverse. 3: both ours. 4: ours, and over.
    journal.event(request(1));
    journal.event(response(2, { request: elsewhere }));
    journal.content(chunk(2, 0, 'Hello'));
    const leaf = journal.event(request(3));
    journal.event(response(3, { request: { writer: journal.writer, leaf } }));
    journal.event(response(4, { request: elsewhere }));
    journal.event(end(4));
    await journal.durable();
    // They are remembered over segments as well.
    for (let n = 10; n < 40; n++) journal.event(request(n));
    await journal.durable();
    const again = await opened(killed(source), { sharedSessions: true });
    expect(again.recovered.unended).toBe(2);
    const ends = (await records(again.dir)).flatMap((record) => {
      const body = record.kind === 'event' ? (JSON.parse(String(record.body)) as EndEvent) : undefined;
      return body?.type === 'end' && body.how === 'unknown' ? [body] : [];
    });
    expect(ends).toEqual([
      expect.objectContaining({ session: sessionId(2), request: elsewhere, bytes: 5, chunks: 1 }),
      expect.objectContaining({ session: sessionId(3), request: { writer: journal.writer, leaf }, bytes: 0 }),
    ]);
  });

  it('finds sessions that were open when their segment had long been full, reading the last segment only', async () => {
    const source = folder();
    const journal = await opened(source, { segmentBytes: 4096 });
    journal.event(request(1));
    for (let n = 2; n < 30; n++) {
      journal.event(request(n));
      journal.event(decision(n));
      journal.event(end(n));
      await journal.written();
    }
    await journal.durable();
    const dir = killed(source);
    const segments = readdirSync(dir)
      .filter((name) => name.endsWith('.seg'))
      .toSorted();
    expect(segments.length).toBeGreaterThan(3);
    // The first segments are shipped and gone.
    for (const name of segments.slice(0, -2)) rmSync(join(dir, name));
    const again = await opened(dir);
    expect(again.recovered.unended).toBe(1);
    expect(again.event(request(99))).toBe(1 + 28 * 3 + 1);
  });

  it('loses no session between two segments, whenever it is killed', async () => {
    const source = folder();
    const journal = await opened(source, { segmentBytes: 2048 });
    for (let n = 0; n < 60; n++) {
      journal.event(request(n));
      if (n % 3 === 0) journal.event(end(n));
      if (n % 7 === 0) await journal.durable();
    }
    await journal.durable();
    const expected = Array.from({ length: 60 }, (_, n) => n).filter((n) => n % 3 !== 0).length;
    const again = await opened(killed(source));
    expect(again.recovered.unended).toBe(expected);
  });

  it('never uses a leaf again that was shipped, even when the tail that held it is gone', async () => {
    const { dir } = await twoBatches();
    const { writer } = JSON.parse(readFileSync(join(dir, 'journal.json'), 'utf8')) as { writer: string };
    const shipped = { segment: 1, offset: 0, writer, nextLeaf: 17 };
    writeFileSync(join(dir, 'shipped.json'), JSON.stringify(shipped));
    const journal = await opened(dir);
    expect(journal.event(request(9))).toBe(17);
  });

  it('takes no position that it cannot read', async () => {
    const { dir } = await twoBatches();
    writeFileSync(join(dir, 'shipped.json'), '{"segment":-1}');
    await expect(openJournal(journalOptions(dir))).rejects.toMatchObject({ code: 'journal_unreadable' });
    // The lock was let go: the folder opens once the file is put right.
    copyFileSync(join(dir, 'shipped.json'), join(dir, 'shipped.bad'));
    rmSync(join(dir, 'shipped.json'));
    expect((await opened(dir)).state).toBe('open');
  });
});
