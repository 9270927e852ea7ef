/**
 * A folder of policies, read as one: what changes while it is read is read again, until two listings of it agree. Links
 * inside the folder are followed, so that a Kubernetes ConfigMap (`..data` → a folder with a time for its name, swapped in one
 * step) is a folder like any other. One that leads out is refused: complaints quote what they read, and who may write a policy
 * may not read the gateway's files. A link back to a folder that it lies in is refused, too, as is everything too large.
 */
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { PolicyFile } from './document.ts';
import type { Problem } from './problem.ts';
import { isPolicyPath, limits, problemWithName, textOf } from './snapshot.ts';

/** Entries of all folders together, policies or not. */
const maxEntries = 10_000;
/** How often a folder that changes is read before that is an error. */
const tries = 5;
/** File systems count time in steps of up to some milliseconds. */
const settledMs = 50;

export type ReadFiles =
  | {
      readonly ok: true;
      readonly files: readonly PolicyFile[];
      readonly fingerprint: string;
    }
  | { readonly ok: false; readonly problem: Problem; readonly fingerprint: string };

/** What is in the folder, without what is in the files: cheap, and different whenever a file is. */
export interface Listing {
  readonly files: readonly ListedFile[];
  /** Names, inodes, sizes and times; equal while nothing changes. */
  readonly fingerprint: string;
  /** False just after a change: another one might leave the same times. Such a folder is read once more at the next look. */
  readonly isSettled: boolean;
}

interface ListedFile {
  /** Below the folder, with `/`. */
  readonly path: string;
  /** Where it is, links followed. */
  readonly at: string;
  /** Device and inode: what is opened must still be what was listed. */
  readonly identity: string;
}

/** Something about the folder that is wrong; `file` is where, below the folder. */
class Wrong extends Error {
  readonly file: string;
  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }

  /** The same as long as nothing changes. */
  get fingerprint(): string {
    return `${this.file}: ${this.message}`;
  }
}

/**
 * Reads every `.yaml` and `.yml` file of a folder. Names that begin with a dot are left out (a ConfigMap keeps its copies
 * there); what lives beside the policies (models, teams, cases) is, too.
 */
export async function readPolicyFiles(dir: string): Promise<ReadFiles> {
  let fingerprint = '';
  try {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const before = await listPolicyFiles(dir);
      fingerprint = before.fingerprint;
      const files = await readAll(before.files);
      const after = await listPolicyFiles(dir);
      if (files !== undefined && after.fingerprint === fingerprint)
        return { ok: true, files, fingerprint: after.isSettled ? fingerprint : '' };
    }
    throw new Wrong('', 'the folder changes while it is read');
  } catch (error) {
    const message = error instanceof Wrong ? error.message : `the policies cannot be read (${codeOf(error)})`;
    const file = error instanceof Wrong && error.file !== '' ? error.file : dir;
    return { ok: false, problem: { file, line: 1, column: 1, message }, fingerprint: fingerprint || troubleOf(error) };
  }
}

/** The fingerprint of the folder now; never rejects: a folder that cannot be listed has one, too. */
export async function fingerprintOf(dir: string): Promise<string> {
  try {
    return (await listPolicyFiles(dir)).fingerprint;
  } catch (error) {
    return troubleOf(error);
  }
}

const troubleOf = (error: unknown): string => (error instanceof Wrong ? error.fingerprint : codeOf(error));

async function listPolicyFiles(dir: string): Promise<Listing> {
  const root = await realpath(dir);
  const walk: Walk = { root, files: [], marks: [], entries: 0, changedNs: 0n };
  await listFolder(walk, { dir, below: '', chain: [] });
  const sinceMs = Date.now() - Number(walk.changedNs / 1_000_000n);
  return {
    files: walk.files,
    fingerprint: ['files', ...walk.marks].join('\n'),
    isSettled: Math.abs(sinceMs) > settledMs,
  };
}

interface Walk {
  readonly root: string;
  readonly files: ListedFile[];
  readonly marks: string[];
  entries: number;
  /** The latest change of a file, epoch nanoseconds. */
  changedNs: bigint;
}

interface Folder {
  readonly dir: string;
  readonly below: string;
  /** Device and inode of the folders that it lies in, itself included once it is entered. */
  readonly chain: readonly string[];
}

const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

async function listFolder(walk: Walk, { dir, below, chain }: Folder): Promise<void> {
  const own = await stat(dir, { bigint: true });
  const inside = [...chain, identityOf(own)];
  if (inside.length > limits.depth) throw new Wrong(below, `folders are nested deeper than ${limits.depth}`);
  for (const name of (await readdir(dir)).sort()) {
    walk.entries += 1;
    if (walk.entries > maxEntries) throw new Wrong(below, `there are more than ${maxEntries} entries in the folder`);
    if (name.startsWith('.')) continue;
    const at = join(dir, name);
    const path = below === '' ? name : `${below}/${name}`;
    const found = await followed(at, path);
    if (found === undefined) continue;
    if (found.isDirectory()) {
      if (inside.includes(identityOf(found)))
        throw new Wrong(path, 'is a link to a folder that it lies in: a loop without an end');
      const real = await insideOf(walk, at, path);
      if (real !== undefined) await listFolder(walk, { dir: real, below: path, chain: inside });
      continue;
    }
    const misnamed = problemWithName(path);
    if (misnamed !== undefined) throw new Wrong(path, misnamed);
    if (isPolicyPath(path)) await listFile(walk, at, path);
  }
}

/** Where an entry really is. @returns undefined where it is not there any more */
async function insideOf({ root }: Walk, at: string, path: string): Promise<string | undefined> {
  const real = await realpath(at).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Wrong(path, `cannot be read (${codeOf(error)})`);
  });
  if (real !== undefined && !real.startsWith(root.endsWith(sep) ? root : root + sep))
    throw new Wrong(path, 'is a link that leads out of the policies folder: it is not read. Put the file itself there');
  return real;
}

/** What is there, links followed; undefined for a file that is none of ours and cannot be looked at. */
async function followed(at: string, path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(at, { bigint: true });
  } catch (error) {
    const code = codeOf(error);
    const isLink = await lstat(at).then(
      (entry) => entry.isSymbolicLink(),
      () => false,
    );
    if (code === 'ELOOP') throw new Wrong(path, 'is a link that leads round to itself');
    if (code === 'ENOENT' && isLink) throw new Wrong(path, 'is a link to nothing');
    // Removed between the two looks: the listing after the reading says so.
    if (code === 'ENOENT') return undefined;
    throw new Wrong(path, `cannot be read (${code})`);
  }
}

async function listFile(walk: Walk, at: string, path: string): Promise<void> {
  const real = await insideOf(walk, at, path);
  // What is there without links: nobody can put one there between the two looks.
  const found = real === undefined ? undefined : await lstat(real, { bigint: true }).catch(() => undefined);
  if (real === undefined || found === undefined) return;
  if (!found.isFile()) throw new Wrong(path, 'is not a file');
  if (walk.files.length >= limits.files) throw new Wrong(path, `there are more than ${limits.files} files`);
  if (found.size > limits.fileBytes) throw new Wrong(path, tooLong(Number(found.size)));
  const identity = identityOf(found);
  walk.files.push({ path, at: real, identity });
  if (found.ctimeNs > walk.changedNs) walk.changedNs = found.ctimeNs;
  walk.marks.push([path, identity, found.size, found.mtimeNs, found.ctimeNs].join(' '));
}

/** @returns undefined where a file of the listing is not there any more */
async function readAll(listed: readonly ListedFile[]): Promise<PolicyFile[] | undefined> {
  const files: PolicyFile[] = [];
  let total = 0;
  for (const { path, at, identity } of listed) {
    const bytes = await readOne(path, at, identity);
    if (bytes === undefined) return undefined;
    total += bytes.length;
    if (total > limits.totalBytes)
      throw new Wrong(path, `the files are longer than ${limits.totalBytes} bytes together, up to this one`);
    const text = textOf(bytes);
    if (typeof text !== 'string')
      throw new Wrong(path, `is not UTF-8: byte ${text.badByteAt} (counted from 0) is wrong`);
    files.push({ path, text });
  }
  return files;
}

/** Never waits for a pipe, never reads more than a file may have, whatever its size was a moment ago. */
async function readOne(path: string, at: string, identity: string): Promise<Buffer | undefined> {
  const file = await open(at, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(
    (error: unknown) => {
      // ELOOP: there is a link in its place now.
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP') return undefined;
      throw new Wrong(path, `cannot be read (${codeOf(error)})`);
    },
  );
  if (file === undefined) return undefined;
  try {
    const found = await file.stat({ bigint: true });
    // Another file took its place.
    if (identityOf(found) !== identity) return undefined;
    const size = Number(found.size);
    if (size > limits.fileBytes) throw new Wrong(path, tooLong(size));
    const buffer = Buffer.allocUnsafe(size + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    // It grew or shrank: the second listing will say so, too.
    return length === size ? buffer.subarray(0, length) : undefined;
  } catch (error) {
    if (error instanceof Wrong) throw error;
    throw new Wrong(path, `cannot be read (${codeOf(error)})`);
  } finally {
    await file.close();
  }
}

const tooLong = (bytes: number): string => `has ${bytes} bytes; a policy file may have ${limits.fileBytes}`;

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'error';
}
