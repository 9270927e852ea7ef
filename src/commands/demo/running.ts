import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a running demo can be reached; written when it is up, removed when it stops. */
export interface Running {
  readonly issuer: string;
}

const fileOf = (stateDir: string) => join(stateDir, 'demo', 'running.json');

export async function writeRunning(stateDir: string, running: Running): Promise<void> {
  await mkdir(join(stateDir, 'demo'), { recursive: true, mode: 0o700 });
  await writeFile(`${fileOf(stateDir)}.new`, JSON.stringify(running), { mode: 0o600 });
  await rename(`${fileOf(stateDir)}.new`, fileOf(stateDir));
}

export const removeRunning = (stateDir: string): Promise<void> => rm(fileOf(stateDir), { force: true });

/** Undefined when no demo has been started on this state folder. It may still be gone: a killed one leaves its file. */
export async function readRunning(stateDir: string): Promise<Running | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(stateDir), 'utf8')) as Running;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
