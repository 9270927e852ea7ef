import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import { openSqliteState } from '../../../src/state/sqlite.ts';
import { StateUnavailable } from '../../../src/state/store.ts';
import { stateContract } from './contract.ts';

const dir = mkdtempSync(join(tmpdir(), 'state-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const newFile = () => {
  files += 1;
  return join(dir, `${files}.db`);
};
const busyTimeoutMs = 1000;
const open = (file: string, now = () => 1_000) => openSqliteState({ file, busyTimeoutMs, now });

stateContract('the store in SQLite', (now) => open(newFile(), now));

describe('the file', () => {
  test('keeps documents and versions over a restart', async () => {
    const file = newFile();
    const first = open(file);
    await first.putIfAbsent('a', '1', { expiresAtMs: 5_000 });
    const before = await first.get('a');
    await first.close();
    const second = open(file);
    expect(await second.get('a')).toEqual(before);
    expect(await second.replace('a', before!.version, '2')).toMatchObject({ ok: true });
    await second.close();
  });

  test('is shared by two processes: one puts, both see it, one replaces', async () => {
    const file = newFile();
    const [one, two] = [open(file), open(file)];
    const put = await Promise.all([one.putIfAbsent('a', 'one'), two.putIfAbsent('a', 'two')]);
    expect(put.filter(Boolean)).toHaveLength(1);
    const { version } = (await two.get('a'))!;
    const replaced = await Promise.all([one.replace('a', version, '1'), two.replace('a', version, '2')]);
    expect(replaced.filter((r) => r.ok)).toHaveLength(1);
    await one.close();
    await two.close();
  });

  test('is for its owner only, and so are the files beside it', async () => {
    const file = newFile();
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    const store = open(file);
    await store.putIfAbsent('a', '1');
    for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    await store.close();
  });

  test('is in write-ahead mode (bytes 18 and 19 of the header, sqlite.org/fileformat)', async () => {
    const file = newFile();
    const store = open(file);
    await store.putIfAbsent('a', '1');
    expect(readFileSync(file).subarray(18, 20)).toEqual(Buffer.from([2, 2]));
    await store.close();
  });

  test('that another writer holds too long is unavailable, and works again after', async () => {
    const file = newFile();
    const store = openSqliteState({ file, busyTimeoutMs: 20, now: () => 1_000 });
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.putIfAbsent('a', '1')).rejects.toThrow(StateUnavailable);
    expect(await store.get('a')).toBeUndefined();
    other.exec('ROLLBACK');
    other.close();
    expect(await store.putIfAbsent('a', '1')).toBe(true);
    await store.close();
  });

  test.each<[string, (file: string) => void, RegExp]>([
    [
      'is no database',
      (file) => writeFileSync(file, 'not a database, but long enough to have a header'.repeat(50)),
      /cannot be opened/,
    ],
    [
      'is of another program',
      (file) => new DatabaseSync(file).exec('CREATE TABLE t (x); PRAGMA application_id = 7'),
      /of another program/,
    ],
    [
      'is of another program and empty',
      (file) => new DatabaseSync(file).exec('PRAGMA application_id = 7; VACUUM'),
      /of another program/,
    ],
    [
      'has a newer schema',
      (file) =>
        void open(file)
          .close()
          .then(() => {}),
      /has schema 2; this program knows 1/,
    ],
    ['cannot be there', () => {}, /cannot be opened/],
  ])('that %s is refused, and not changed', (what, prepare, expected) => {
    const file = what === 'cannot be there' ? join(dir, 'no', 'such', 'folder.db') : newFile();
    prepare(file);
    if (what === 'has a newer schema') new DatabaseSync(file).exec('PRAGMA user_version = 2');
    const before = what === 'cannot be there' ? '' : readFileSync(file, 'latin1');
    expect(() => open(file)).toThrow(StateUnavailable);
    expect(() => open(file)).toThrow(expected);
    if (what === 'is no database') expect(readFileSync(file, 'latin1')).toBe(before);
  });

  test('that is damaged is refused at once', async () => {
    const file = newFile();
    const store = open(file);
    for (let i = 0; i < 200; i += 1) await store.putIfAbsent(`k/${i}`, 'x'.repeat(500));
    await store.close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, 8192, bytes.length - 4096);
    writeFileSync(file, bytes);
    expect(() => open(file)).toThrow(StateUnavailable);
  });
});

describe('a page of a long list', () => {
  test('costs the same wherever it begins', async () => {
    const file = newFile();
    const store = open(file);
    const db = new DatabaseSync(file);
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
      INSERT INTO documents SELECT 'list/' || printf('%08d', i), '', i, NULL FROM n`);
    db.close();
    await store.putIfAbsent('lisu', 'after all of them');
    const fastest = async (after: string): Promise<number> => {
      let best = Number.POSITIVE_INFINITY;
      for (let n = 0; n < 10; n++) {
        const startedAt = performance.now();
        expect(await store.list('list/', { after, limit: 2 })).toHaveLength(after === '' ? 2 : 1);
        best = Math.min(best, performance.now() - startedAt);
      }
      return best;
    };
    // Seeking from the beginning, the last page took a hundred times as long as the first.
    expect(await fastest('list/00049999')).toBeLessThan(20 * (await fastest('')));
    await store.close();
  });
});
