/**
 * The journal folder: one live process at a time. The lock is SQLite's on the file `lock` (fcntl): the kernel lets it go
 * however its owner dies, so that a kill -9 leaves no stale lock and no process id has to be guessed at.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { replaceFile } from './replace-file.ts';
import { formatVersion } from './segment.ts';
import { JournalRefused } from './unavailable.ts';

export interface FolderLock {
  release(): void;
}

/** Makes the folder (0700) and takes its lock. Throws JournalRefused `journal_locked` while another process has it. */
export function lockFolder(dir: string): FolderLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const path = join(dir, 'lock');
  const database = new DatabaseSync(path);
  try {
    chmodSync(path, 0o600);
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== sqliteBusy)
      throw new JournalRefused(
        'journal_unreadable',
        `the journal folder ${dir} cannot be locked: ${(error as Error).message}`,
        error,
      );
    throw new JournalRefused(
      'journal_locked',
      `another live process writes the journal in ${dir}; each gateway process needs a folder of its own (record.journal.dir)`,
    );
  }
  return { release: () => database.close() };
}

const sqliteBusy = 5;

/** Id of the log in this folder; a new one where there is none. */
export async function readWriter(dir: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(join(dir, 'journal.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return startWriter(dir);
  }
  const known = parse(text, dir);
  if (known.format > formatVersion)
    throw new JournalRefused(
      'journal_format_unsupported',
      `the journal in ${dir} has format ${known.format}; this version knows ${formatVersion}`,
    );
  return known.writer;
}

/** Begins a new log in this folder. */
export async function startWriter(dir: string): Promise<string> {
  const writer = randomUUID();
  await replaceFile(join(dir, 'journal.json'), `${JSON.stringify({ format: formatVersion, writer })}\n`);
  return writer;
}

function parse(text: string, dir: string): { format: number; writer: string } {
  try {
    const { format, writer } = JSON.parse(text) as { format?: unknown; writer?: unknown };
    if (typeof format === 'number' && typeof writer === 'string' && /^[0-9a-f-]{36}$/.test(writer))
      return { format, writer };
  } catch {
    // Falls through: the file is not ours to guess at.
  }
  throw new JournalRefused('journal_unreadable', `journal.json in ${dir} is damaged`);
}
