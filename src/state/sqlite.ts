import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  checkExpiry,
  checkKey,
  checkLimit,
  checkPrefix,
  checkValue,
  type Expiry,
  type StateStore,
  StateUnavailable,
  type StoredDocument,
} from './store.ts';

export interface SqliteStateOptions {
  /** Path of the file; its folder exists. Made with mode 0600, as are the `-wal` and `-shm` files beside it. */
  readonly file: string;
  readonly busyTimeoutMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** "Sal1": marks the file as ours (`PRAGMA application_id`); no other program's file is written to. */
const applicationId = 0x53616c31;
const schemaVersion = 1;

/** Versions come from one counter that only grows, so that a document put again is never taken for the old one. */
const schema = `
CREATE TABLE documents (
  key TEXT PRIMARY KEY COLLATE BINARY,
  value TEXT NOT NULL,
  version INTEGER NOT NULL,
  expires_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_by_expiry ON documents (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE TABLE counter (last INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
`;

const columns = 'key, value, version, expires_at_ms AS expiresAtMs';
const live = '(expires_at_ms IS NULL OR expires_at_ms > :now)';
const queries = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  next: 'UPDATE counter SET last = last + 1 RETURNING last',
  last: 'SELECT last FROM counter',
  get: `SELECT ${columns} FROM documents WHERE key = :key AND ${live}`,
  put: `INSERT OR REPLACE INTO documents VALUES (:key, :value, :version, :expiresAtMs)`,
  remove: `DELETE FROM documents WHERE key = :key AND version = :version AND ${live}`,
  // One lower bound: with two, SQLite seeks from the first of them and steps over what lies between.
  list: `SELECT ${columns} FROM documents WHERE key >= :from AND key < :to AND ${live} ORDER BY key LIMIT :limit`,
  deleteExpired:
    'DELETE FROM documents WHERE key IN (SELECT key FROM documents WHERE expires_at_ms <= :now LIMIT :limit)',
} as const;

/**
 * Control state in one SQLite file (WAL, synchronous=FULL: a commit survives power loss). Several processes of one machine
 * may share it. Throws StateUnavailable when the file cannot be used: damaged, of a newer schema, or not ours.
 */
export function openSqliteState(options: SqliteStateOptions): StateStore {
  const db = guard('the state file cannot be opened', () => open(options));
  const statements = Object.fromEntries(
    Object.entries(queries).map(([name, sql]) => [name, db.prepare(sql)]),
  ) as Record<keyof typeof queries, StatementSync>;
  const read = (key: string) => toDocument(statements.get.get({ key, now: options.now() }));
  const write = (key: string, value: string, { expiresAtMs = null }: { expiresAtMs?: number | null | undefined }) => {
    const version = Number(statements.next.get()?.['last']);
    statements.put.run({ key, value, version, expiresAtMs });
    return version;
  };
  const transaction = <T>(work: () => T): T =>
    guard('the state cannot be written', () => {
      statements.begin.run();
      try {
        const result = work();
        statements.commit.run();
        return result;
      } catch (error) {
        if (db.isTransaction) statements.rollback.run();
        throw error;
      }
    });

  return {
    async get(key) {
      checkKey(key);
      return guard('the state cannot be read', () => read(key));
    },
    async putIfAbsent(key, value, expiry = {}) {
      check(key, value, expiry);
      return transaction(() => read(key) === undefined && write(key, value, expiry) > 0);
    },
    async replace(key, version, value, expiry = {}) {
      check(key, value, expiry);
      return transaction(() => {
        const current = read(key);
        if (current?.version !== version) return { ok: false, current };
        return { ok: true, version: write(key, value, expiry) };
      });
    },
    async remove(key, version) {
      checkKey(key);
      return transaction(() => statements.remove.run({ key, version, now: options.now() }).changes === 1);
    },
    async list(prefix, { after = '', limit }) {
      checkPrefix(prefix);
      checkPrefix(after);
      checkLimit(limit);
      // '\x01' is below every character of a key, '\x7f' above.
      const from = after < prefix ? prefix : `${after}\x01`;
      const rows = guard('the state cannot be read', () =>
        statements.list.all({ from, to: `${prefix}\x7f`, limit, now: options.now() }),
      );
      return rows.map((row) => toDocument(row)).filter((document) => document !== undefined);
    },
    async deleteExpired(limit) {
      checkLimit(limit);
      return transaction(() => Number(statements.deleteExpired.run({ now: options.now(), limit }).changes));
    },
    health() {
      try {
        guard('the state file cannot be read', () => statements.last.get());
        return { ready: true, detail: 'SQLite' };
      } catch (error) {
        return { ready: false, reason: error instanceof Error ? error.message : 'unknown' };
      }
    },
    async close() {
      if (db.isOpen) db.close();
    },
  };
}

function check(key: string, value: string, expiry: Expiry): void {
  checkKey(key);
  checkValue(value);
  checkExpiry(expiry);
}

function open({ file, busyTimeoutMs }: SqliteStateOptions): DatabaseSync {
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const db = new DatabaseSync(file, { timeout: busyTimeoutMs, allowExtension: false });
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;');
    migrate(db);
    const check = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (check !== 'ok') throw new StateUnavailable('the state file is damaged');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Makes the schema in a new file; refuses a file that is not ours or newer than this program. */
function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE');
  const pragma = (name: string) => db.prepare(`PRAGMA ${name}`).get()?.[name];
  const isEmpty = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0;
  if (isEmpty && pragma('application_id') === 0) db.exec(schema);
  else if (pragma('application_id') !== applicationId)
    throw new StateUnavailable('the state file is of another program');
  else if (pragma('user_version') !== schemaVersion)
    throw new StateUnavailable(
      `the state file has schema ${String(pragma('user_version'))}; this program knows ${schemaVersion}`,
    );
  db.exec('COMMIT');
}

function toDocument(row: Record<string, unknown> | undefined): StoredDocument | undefined {
  if (row === undefined) return undefined;
  const { key, value, version, expiresAtMs } = row;
  if (typeof key !== 'string' || typeof value !== 'string' || typeof version !== 'number')
    throw new StateUnavailable('the state file is damaged');
  return Object.freeze({ key, value, version, expiresAtMs: typeof expiresAtMs === 'number' ? expiresAtMs : undefined });
}

function guard<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StateUnavailable) throw error;
    throw new StateUnavailable(what, { cause: error });
  }
}
