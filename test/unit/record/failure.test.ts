import { describe, expect, it, onTestFinished } from 'vitest';
import { type JournalDisk, realDisk } from '../../../src/record/disk.ts';
import { type Journal, type JournalOptions, openJournal } from '../../../src/record/journal.ts';
import { chunk, decision, end, folder, journalOptions, records, refused, request, sessionId } from './events.ts';

async function opened(dir: string, changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await openJournal(journalOptions(dir, changes));
  onTestFinished(() => journal.close().catch(() => {}));
  return journal;
}

/** The real disk until `broken` says otherwise. */
function breakable(): JournalDisk & {
  broken: '' | 'write' | 'sync' | 'create' | 'short';
  syncs: number;
  held: (() => void) | undefined;
} {
  const failure = () => Promise.reject(Object.assign(new Error('injected'), { code: 'EIO' }));
  const disk = {
    ...realDisk,
    broken: '' as '' | 'write' | 'sync' | 'create' | 'short',
    syncs: 0,
    held: undefined as (() => void) | undefined,
    create: (path: string) => (disk.broken === 'create' ? failure() : realDisk.create(path)),
    write: async (fd: number, data: Uint8Array, position: number) => {
      if (disk.broken === 'write') return failure();
      if (disk.broken !== 'short') return realDisk.write(fd, data, position);
      await realDisk.write(fd, data.subarray(0, data.length >> 1), position);
      return failure();
    },
    sync: (fd: number) => {
      disk.syncs++;
      return disk.broken === 'sync' ? failure() : realDisk.sync(fd);
    },
  };
  return disk;
}

describe('a journal whose disk fails', () => {
  it.each(['write', 'sync', 'short'] as const)(
    'closes the gate for good after a failed %s and tells every waiter',
    async (broken) => {
      const disk = breakable();
      const failures: Error[] = [];
      const dir = folder();
      const journal = await opened(dir, { disk, onFailed: (error) => failures.push(error) });
      journal.event(request(1));
      await journal.durable();
      disk.broken = broken;
      journal.event(request(2));
      const waiters = await Promise.allSettled([journal.durable(), journal.durable()]);
      for (const waiter of waiters)
        expect(waiter).toMatchObject({
          status: 'rejected',
          reason: { name: 'JournalUnavailable', code: 'journal_failed', cause: { code: 'EIO' } },
        });
      expect(journal.state).toBe('failed');
      expect(failures).toHaveLength(1);

      // Not tried again, even though the disk is well.
      disk.broken = '';
      const { syncs } = disk;
      expect(() => journal.event(request(3))).toThrow(expect.objectContaining({ code: 'journal_failed' }));
      expect(() => journal.content(chunk(1, 0, 'x'))).toThrow(expect.objectContaining({ code: 'journal_failed' }));
      await expect(journal.durable()).rejects.toMatchObject({ code: 'journal_failed' });
      await expect(journal.written()).rejects.toMatchObject({ code: 'journal_failed' });
      expect(disk.syncs).toBe(syncs);

      // A restart finds what was durable, and goes on.
      await journal.close();
      const again = await opened(dir, { disk });
      expect(again.state).toBe('open');
      expect((await records(dir)).some((record) => record.kind === 'event' && record.session === sessionId(1))).toBe(
        true,
      );
    },
  );

  it('fails when a new segment cannot be made', async () => {
    const disk = breakable();
    const journal = await opened(folder(), { disk, segmentBytes: 1024 });
    disk.broken = 'create';
    for (let n = 0; n < 5; n++) journal.event(request(n));
    await journal.written();
    journal.event(request(9));
    await expect(journal.durable()).rejects.toMatchObject({ code: 'journal_failed' });
    expect(journal.state).toBe('failed');
  });

  it('refuses to pile up in memory when the disk stalls, and goes on when it moves again', async () => {
    const held: (() => void)[] = [];
    let stall = false;
    const disk: JournalDisk = {
      ...realDisk,
      write: async (fd, data, position) => {
        if (stall) await new Promise<void>((resolve) => held.push(resolve));
        return realDisk.write(fd, data, position);
      },
    };
    const journal = await opened(folder(), { disk, maxPendingBytes: 64 * 1024 });
    stall = true;
    const fill = () => {
      for (let n = 0; n < 100; n++) journal.content(chunk(1, n, 'x'.repeat(1000)));
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'journal_overloaded' }));
    expect(journal.state).toBe('open');
    stall = false;
    for (const release of held) release();
    await journal.durable();
    expect(journal.event(request(1))).toBe(0);
  });
});

describe('a journal at its size limit', () => {
  const limits = { segmentBytes: 8 * 1024, maxBytes: 64 * 1024 };

  async function filled(dir: string): Promise<Journal> {
    const journal = await opened(dir, limits);
    journal.event(request(0));
    for (let n = 1; journal.state === 'open'; n++) {
      journal.event(request(n));
      await journal.durable();
    }
    return journal;
  }

  it('lets no session begin, but those that run may end on the record', async () => {
    const journal = await filled(folder());
    expect(journal.state).toBe('full');
    expect(() => journal.event(request(999))).toThrow(expect.objectContaining({ code: 'journal_full' }));
    journal.content(chunk(0, 0, 'still delivered'));
    journal.event(end(0));
    await journal.durable();
  });

  it('takes nothing beyond the reserve', async () => {
    const journal = await filled(folder());
    const fill = () => {
      for (let n = 0; n < 1000; n++) journal.event(decision(n));
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'journal_full' }));
  });

  it('opens again when shipped segments are released', async () => {
    const journal = await filled(folder());
    await journal.release(journal.synced.segment);
    expect(journal.state).toBe('open');
    expect(journal.gauges().segments).toBe(1);
    expect(journal.event(request(999))).toBeGreaterThan(0);
  });

  it('can be opened when it was left full, to be shipped', async () => {
    const dir = folder();
    const journal = await filled(dir);
    await journal.close();
    const again = await opened(dir, limits);
    expect(again.state).toBe('full');
    expect(again.recovered.unended).toBeGreaterThan(0);
  });

  it('counts refusals in memory while it is full, without an error', async () => {
    const journal = await filled(folder());
    expect(journal.event(refused(1))).toBe(-1);
    expect(journal.gauges().countedRefusals).toBe(1);
  });
});

describe('durability "os"', () => {
  it('waits for the write only, and syncs in the background', async () => {
    const disk = breakable();
    const synced = Promise.withResolvers<void>();
    const journal = await opened(folder(), {
      disk,
      durability: 'os',
      syncIntervalMs: 10,
      onSync: () => synced.resolve(),
    });
    const before = disk.syncs;
    journal.event(request(1));
    await journal.durable();
    expect(disk.syncs).toBe(before);
    await synced.promise;
    expect(journal.gauges().unsyncedBytes).toBe(0);
  });
});
