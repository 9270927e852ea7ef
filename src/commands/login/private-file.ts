/** Files that only their owner may read: what the CLI keeps of a sign-in, and the key of its local proxy. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { CliError, exitCodes } from '../cli.ts';
import { shellWord } from '../text.ts';

/**
 * `$XDG_CONFIG_HOME/sallyport`, else `~/.config/sallyport`; on Windows `%APPDATA%\sallyport`. A relative XDG_CONFIG_HOME is
 * ignored, as the XDG base directory specification asks.
 */
export function configFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') return join(env['APPDATA'] || join(homedir(), 'AppData', 'Roaming'), 'sallyport');
  const base = env['XDG_CONFIG_HOME'] ?? '';
  return join(isAbsolute(base) ? base : join(env['HOME'] || homedir(), '.config'), 'sallyport');
}

/**
 * Reads a file that nobody else may read; undefined where there is none. Throws CliError.
 * @param options `exposed`: also one that others may read, to take back what is in it
 */
export function readPrivate(path: string, { exposed = false } = {}): string | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new CliError(
      exitCodes.failed,
      `${path} cannot be read (${code}).`,
      'See whose file it is, and its mode.',
      error,
    );
  }
  try {
    if (process.platform !== 'win32') checkOwner(path, fstatSync(file), exposed);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function checkOwner(
  path: string,
  { mode, uid }: { readonly mode: number; readonly uid: number },
  exposed: boolean,
): void {
  if (uid !== process.getuid?.())
    throw new CliError(
      exitCodes.failed,
      `${path} belongs to another user.`,
      'Remove it, or be the user whose file it is.',
    );
  if ((mode & 0o077) !== 0 && !exposed)
    throw new CliError(
      exitCodes.failed,
      `${path} may be read or written by others (mode ${(mode & 0o777).toString(8)}), so it is not used.`,
      `If nobody has seen it: chmod 600 ${shellWord(path)}. Else \`sallyport logout\` takes it back and removes it.`,
    );
}

/**
 * Makes the folder (0700) of a private file. Throws CliError where it cannot be written, or where others could put files
 * into it.
 */
export function makePrivateFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const probe = join(folder, `.probe.${randomBytes(6).toString('hex')}`);
    closeSync(openSync(probe, 'wx', 0o600));
    rmSync(probe);
  } catch (error) {
    throw notWritable(folder, error);
  }
  if (process.platform !== 'win32' && (statSync(folder).mode & 0o022) !== 0)
    throw new CliError(
      exitCodes.failed,
      `Others may write into ${folder}.`,
      `Take that away: chmod 700 ${shellWord(folder)}`,
    );
}

/** Replaces a file in one step: another process sees the old text or the new one. Mode 0600. Throws CliError. */
export function writePrivate(path: string, text: string): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = openSync(draft, 'wx', 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw notWritable(dirname(path), error);
  }
}

/** Removes a file, whatever is in it. Throws CliError. */
export function removePrivate(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw notWritable(dirname(path), error);
  }
}

const notWritable = (folder: string, cause: unknown) =>
  new CliError(
    exitCodes.failed,
    `Nothing can be kept in ${folder} (${(cause as NodeJS.ErrnoException).code}).`,
    'Make it writable, or set XDG_CONFIG_HOME to a folder that is (and that only you can read).',
    cause,
  );
