import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { CliError, exitCodes } from '../cli.ts';
import { makePrivateFolder, readPrivate } from '../login/private-file.ts';

const keyPattern = /^sk-sallyport-local-[\w-]{43}$/;

/** The key of the local proxy, made at its first start: whatever may use it acts as the user. Throws CliError. */
export function localKey(path: string): string {
  const found = readPrivate(path) ?? create(path);
  const key = found.trim();
  if (keyPattern.test(key)) return key;
  throw new CliError(
    exitCodes.failed,
    `${path} is not a key that \`sallyport proxy\` made.`,
    'Remove the file: a new key is made, which your tools then need.',
  );
}

function create(path: string): string {
  makePrivateFolder(dirname(path));
  const key = `sk-sallyport-local-${randomBytes(32).toString('base64url')}`;
  try {
    const file = openSync(path, 'wx', 0o600);
    writeSync(file, `${key}\n`);
    closeSync(file);
    return key;
  } catch (error) {
    // Another proxy has made it at the same moment.
    const theirs = (error as NodeJS.ErrnoException).code === 'EEXIST' ? readPrivate(path) : undefined;
    if (theirs !== undefined) return theirs;
    throw error;
  }
}

/** Compares in a time that does not tell where they differ. */
export function isKey(given: string, key: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(key));
}
