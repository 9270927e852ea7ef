import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 25;
/** SQLite's primary result code for "somebody else holds the lock". */
const sqliteBusy = 5;

/** The lock was not free in time. */
export class LockTimeout extends Error {
  override readonly name = 'LockTimeout';
  readonly code = 'lock_timeout';
}

/**
 * Runs `work` while no other process (or other call) that names the same file does. The lock is SQLite's, on a database that
 * stays empty: the system gives it back when its process dies, so none is ever stale. Throws LockTimeout.
 */
export async function withFileLock<T>(
  path: string,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path);
  try {
    const giveUpAtMs = performance.now() + options.timeoutMs;
    while (!acquire(database)) {
      if (performance.now() > giveUpAtMs)
        throw new LockTimeout(`another process has held ${path} for ${options.timeoutMs} ms`);
      await sleep(pollMs + Math.random() * pollMs, undefined, options.signal && { signal: options.signal });
    }
    return await work();
  } finally {
    database.close();
  }
}

function acquire(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: unknown }).errcode === sqliteBusy) return false;
    throw error;
  }
}
