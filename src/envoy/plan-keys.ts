import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { PlanKeys } from './plan.ts';

const KEY_BYTES = 32;

/** The files that hold plan keys cannot be used. */
export class PlanKeyError extends Error {
  override readonly name = 'PlanKeyError';
  readonly code = 'plan_key_unusable';
}

/**
 * Reads the keys that sign plans: the first signs, all are accepted. A file holds 32 bytes in base64url. The default file
 * is made (0600) where there is none; files that were named must exist, since replicas share them.
 */
export function loadPlanKeys(named: readonly string[] | undefined, ownFile: string): PlanKeys {
  if (named === undefined) makeKeyFile(ownFile);
  const [first, ...rest] = (named ?? [ownFile]).map(readKey);
  if (first === undefined) throw new PlanKeyError('planKeyFiles names no file');
  return { keys: [first, ...rest] };
}

function readKey(file: string): KeyObject {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new PlanKeyError(`the plan key ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const key = Buffer.from(text, 'base64url');
  if (key.length !== KEY_BYTES) throw new PlanKeyError(`the plan key ${file} is not ${KEY_BYTES} bytes in base64url`);
  return createSecretKey(key);
}

/** Makes a file with a key (32 bytes, base64url) unless it is there; of two processes at once, both use the same. */
export function makeKeyFile(file: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
