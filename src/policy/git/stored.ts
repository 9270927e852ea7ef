/** Objects of a repository on this machine: loose ones, and those of packs by their indexes, each bounded before it is read. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checked, type GitObject, type Objects, type ObjectType, objectsOf } from './objects.ts';
import { badPack, inflate, maxObjectBytes, objectAt } from './pack.ts';
import { GitProblem } from './problem.ts';

/** Longest index of a pack, bytes: some eight million objects. */
const maxIndexBytes = 268_435_456;
/** `commit 123` and a zero before an object. */
const looseHeaderBytes = 32;

/** @param totalBytes most bytes that all objects may have that are read */
export function openStored(gitdir: string, totalBytes: number): Objects {
  let indexes: readonly Index[] | undefined;
  let spent = 0;
  return objectsOf(async (oid) => {
    let found = looseObject(gitdir, oid);
    if (found === undefined) {
      indexes ??= openIndexes(join(gitdir, 'objects/pack'));
      found = packedObject(indexes, oid);
    }
    if (found === undefined) return undefined;
    spent += found.bytes.length;
    if (spent > totalBytes)
      throw new GitProblem(`what is read of the repository has more than ${totalBytes} bytes, four times maxBytes`);
    return checked(oid, found);
  });
}

function looseObject(gitdir: string, oid: string): GitObject | undefined {
  const packed = readBounded(
    join(gitdir, 'objects', oid.slice(0, 2), oid.slice(2)),
    maxObjectBytes + (maxObjectBytes >> 8) + 1024,
  );
  if (packed === undefined) return undefined;
  const { bytes } = inflate(packed, maxObjectBytes + looseHeaderBytes);
  const end = bytes.indexOf(0);
  const [, type, size] = /^(commit|tree|blob|tag) (\d+)$/.exec(bytes.toString('latin1', 0, Math.max(end, 0))) ?? [];
  if (type === undefined || Number(size) !== bytes.length - end - 1)
    throw new GitProblem(`object ${oid} is not well formed`);
  return { type: type as ObjectType, bytes: bytes.subarray(end + 1) };
}

/** An index of version 2 (gitformat-pack(5)). */
interface Index {
  readonly packFile: string;
  readonly bytes: Buffer;
  readonly count: number;
}

const fanoutAt = 8;
const oidsAt = fanoutAt + 4 * 256;

function openIndexes(folder: string): readonly Index[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.filter((name) => name.endsWith('.idx')).map((name) => openIndex(join(folder, name)));
}

function openIndex(file: string): Index {
  const bytes = readBounded(file, maxIndexBytes) ?? Buffer.alloc(0);
  const count = bytes.length > oidsAt ? bytes.readUInt32BE(oidsAt - 4) : 0;
  // Names, CRCs, places, and two sums at the end.
  if (bytes.length < oidsAt + 28 * count + 40 || bytes.readUInt32BE(0) !== 0xff744f63 || bytes.readUInt32BE(4) !== 2)
    throw new GitProblem('a pack of the repository has no index of version 2');
  return { packFile: file.replace(/idx$/, 'pack'), bytes, count };
}

function packedObject(indexes: readonly Index[], oid: string): GitObject | undefined {
  for (const index of indexes) {
    const offset = offsetIn(index, oid);
    if (offset === undefined) continue;
    const file = openSync(index.packFile, 'r');
    try {
      // Its last 20 bytes are a sum.
      const end = fstatSync(file).size - 20;
      const read = (at: number, length: number): Buffer => {
        const wanted = Buffer.alloc(Math.max(Math.min(length, end - at), 0));
        return wanted.subarray(0, readSync(file, wanted, 0, wanted.length, at));
      };
      return objectAt({ read }, offset, (base) => offsetIn(index, base));
    } finally {
      closeSync(file);
    }
  }
  return undefined;
}

/** Where an object is in the pack of the index. */
function offsetIn({ bytes, count }: Index, oid: string): number | undefined {
  const wanted = Buffer.from(oid, 'hex');
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = oidsAt + 20 * middle;
    const order = wanted.compare(bytes, at, at + 20);
    if (order === 0) return placeOf(bytes, count, middle);
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return undefined;
}

function placeOf(bytes: Buffer, count: number, n: number): number {
  const place = bytes.readUInt32BE(oidsAt + 24 * count + 4 * n);
  if (place < 0x8000_0000) return place;
  // Beyond 2 GiB: in a list of its own.
  const at = oidsAt + 28 * count + 8 * (place - 0x8000_0000);
  if (at + 8 > bytes.length) throw badPack();
  return Number(bytes.readBigUInt64BE(at));
}

/** undefined: there is no such file. Throws GitProblem for one that is too long, or cannot be read. */
function readBounded(file: string, maxBytes: number): Buffer | undefined {
  try {
    if (statSync(file).size <= maxBytes) return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new GitProblem(`a file of the repository cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  throw new GitProblem(`the repository has an object or index of more than ${maxBytes} bytes, which is not read`);
}
