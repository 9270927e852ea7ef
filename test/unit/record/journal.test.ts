import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type JournalDisk, realDisk } from '../../../src/record/disk.ts';
import { type Journal, type JournalOptions, openJournal } from '../../../src/record/journal.ts';
import { chunk, decision, end, folder, journalOptions, records, request, sessionId } from './events.ts';

async function opened(dir: string, changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await openJournal(journalOptions(dir, changes));
  onTestFinished(() => journal.close().catch(() => {}));
  return journal;
}

describe('a journal', () => {
  it('shows a record in the folder the moment durable() has resolved, in the order of the appends', async () => {
    const dir = folder();
    const journal = await opened(dir);
    expect(journal.event(request(1))).toBe(0);
    expect(journal.event(decision(1))).toBe(1);
    journal.content(chunk(1, 0, 'Hello \u{1f511} wörld'));
    expect(journal.event(end(1))).toBe(2);
    await journal.durable();
    const found = await records(dir);
    expect(found.map((record) => (record.kind === 'event' ? record.type : record.kind))).toEqual([
      'request',
      'decision',
      'content',
      'end',
    ]);
    const [first, , text] = found;
    expect(first).toMatchObject({ leaf: 0, session: sessionId(1), writer: journal.writer, scheme: 1 });
    expect(JSON.parse(String(first?.kind === 'event' && first.body))).toEqual(JSON.parse(JSON.stringify(request(1))));
    expect(text).toMatchObject({ direction: 'response', seq: 0, session: sessionId(1) });
    expect(String(text?.kind === 'content' && text.bytes)).toBe('Hello \u{1f511} wörld');
    expect(journal.state).toBe('open');
  });

  it('gives each event the RFC 6962 leaf hash of its canonical JSON, keys sorted', async () => {
    const dir = folder();
    const journal = await opened(dir);
    journal.event(end(1));
    await journal.written();
    const [record] = await records(dir);
    if (record?.kind !== 'event') throw new Error('no event');
    const body = record.body.toString();
    expect(Object.keys(JSON.parse(body) as object)).toEqual(Object.keys(JSON.parse(body) as object).toSorted());
    const expected = createHash('sha256').update(Buffer.of(0)).update(body).digest('hex');
    expect(record.hash.toString('hex')).toBe(expected);
  });

  it('goes on with the same writer and the next leaf after a clean restart', async () => {
    const dir = folder();
    const first = await opened(dir);
    first.event(request(1));
    first.event(end(1));
    await first.close();
    const second = await opened(dir);
    expect(second.writer).toBe(first.writer);
    expect(second.recovered).toMatchObject({ cut: undefined, damage: [], fenced: [], unended: 0 });
    expect(second.event(request(2))).toBe(2);
  });

  it('keeps its files to itself: 0600 in a 0700 folder', async () => {
    const dir = folder();
    const journal = await opened(dir);
    journal.event(request(1));
    await journal.durable();
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dir)) expect([name, statSync(join(dir, name)).mode & 0o777]).toEqual([name, 0o600]);
  });

  it('refuses a folder that a live journal holds, and takes it once that one is closed', async () => {
    const dir = folder();
    const first = await opened(dir);
    await expect(openJournal(journalOptions(dir))).rejects.toMatchObject({ code: 'journal_locked' });
    await first.close();
    const second = await opened(dir);
    expect(second.state).toBe('open');
  });

  it('throws once it is closed', async () => {
    const journal = await opened(folder());
    await journal.close();
    expect(journal.state).toBe('closed');
    expect(() => journal.event(request(1))).toThrow(expect.objectContaining({ code: 'journal_closed' }));
    expect(() => journal.content(chunk(1, 0, 'x'))).toThrow(expect.objectContaining({ code: 'journal_closed' }));
    await expect(journal.durable()).rejects.toMatchObject({ code: 'journal_closed' });
  });

  it('syncs many callers with few fdatasyncs, each only after its own bytes are down', async () => {
    const disk = countingDisk();
    const journal = await opened(folder(), { disk });
    const before = disk.syncs;
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        journal.event(request(n));
        await journal.durable();
      }),
    );
    expect(disk.syncs - before).toBeLessThanOrEqual(2);
    expect(journal.gauges()).toMatchObject({ unsyncedBytes: 0, pendingBytes: 0, nextLeaf: 200, openSessions: 200 });
  });

  it('writes once for all that was appended in a tick', async () => {
    const disk = countingDisk();
    const journal = await opened(folder(), { disk });
    const before = disk.writes;
    for (let n = 0; n < 50; n++) journal.content(chunk(1, n, 'token '));
    await Promise.all([journal.written(), journal.written()]);
    expect(disk.writes - before).toBe(1);
  });

  it('begins new segments at the size limit and reads back across them without a gap', async () => {
    const dir = folder();
    const journal = await opened(dir, { segmentBytes: 4096 });
    for (let n = 0; n < 40; n++) {
      journal.event(request(n));
      journal.event(end(n));
      await journal.written();
    }
    await journal.durable();
    expect(readdirSync(dir).filter((name) => name.endsWith('.seg')).length).toBeGreaterThan(5);
    const leaves = (await records(dir)).flatMap((record) => (record.kind === 'event' ? [record.leaf] : []));
    expect(leaves).toEqual(Array.from({ length: 80 }, (_, leaf) => leaf));
  });
});

function countingDisk(): JournalDisk & { writes: number; syncs: number } {
  const disk = {
    ...realDisk,
    writes: 0,
    syncs: 0,
    write: (fd: number, data: Uint8Array, position: number) => {
      disk.writes++;
      return realDisk.write(fd, data, position);
    },
    sync: (fd: number) => {
      disk.syncs++;
      return realDisk.sync(fd);
    },
  };
  return disk;
}
