/**
 * Objects out of a pack, version 2 (gitformat-pack(5)). Whoever may push decides what is in one, signed or not, and a small
 * one can declare terabytes: so nothing is inflated or put together before its declared size was looked at, nor beyond that.
 */
import { inflateSync } from 'node:zlib';
import type { GitObject, ObjectType } from './objects.ts';
import { GitProblem } from './problem.ts';

/** Longest object, bytes: a policy file may have 1 MiB, a tree of very many files a few. */
export const maxObjectBytes = 8_388_608;
/** Longest chain of deltas; git makes them of 50, and made them of 250. */
export const maxChain = 250;

/** Where a pack is read from. */
export interface PackBytes {
  /** So many bytes from `offset` on, fewer at the end. */
  read(offset: number, length: number): Buffer;
}

export interface PackEntry {
  readonly offset: number;
  readonly kind: ObjectType | 'delta';
  /** Declared size of what is inflated, bytes. */
  readonly size: number;
  /** Of a delta, what it is one of: where that is in the pack, or its id. */
  readonly base: number | string | undefined;
  /** Where the zlib stream begins. */
  readonly dataAt: number;
}

export const badPack = (): GitProblem => new GitProblem('a pack of the repository is not well formed');

const kinds: readonly (ObjectType | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag'];
const ofsDelta = 6;
const refDelta = 7;
/** Type and size, and what a delta is of, are shorter. */
const headerBytes = 64;

/** What is at a place of the pack. Throws GitProblem where its size is more than an object may have. */
export function entryAt(pack: PackBytes, offset: number): PackEntry {
  const bytes = pack.read(offset, headerBytes);
  const [first = 0] = bytes;
  let at = 1;
  let size = first & 0x0f;
  let last = first;
  for (let unit = 16; last >= 0x80; unit *= 128) {
    last = byteAt(bytes, at++);
    size += (last & 0x7f) * unit;
    if (at > 9) throw badPack();
  }
  checkSize(size);
  const type = (first >> 4) & 7;
  const found = { offset, size };
  if (type === ofsDelta) {
    const { back, end } = distanceAt(bytes, at);
    if (back < 1 || back >= offset) throw badPack();
    return { ...found, kind: 'delta', base: offset - back, dataAt: offset + end };
  }
  if (type === refDelta)
    return { ...found, kind: 'delta', base: bytes.toString('hex', at, at + 20), dataAt: offset + at + 20 };
  const kind = kinds[type];
  if (kind === undefined) throw badPack();
  return { ...found, kind, base: undefined, dataAt: offset + at };
}

/** How far back the base of an ofs-delta is. */
function distanceAt(bytes: Buffer, from: number): { readonly back: number; readonly end: number } {
  let at = from;
  let last = byteAt(bytes, at++);
  let back = last & 0x7f;
  while (last >= 0x80) {
    last = byteAt(bytes, at++);
    back = (back + 1) * 128 + (last & 0x7f);
    if (at - from > 7) throw badPack();
  }
  return { back, end: at };
}

/** The bytes of an entry, and where the next one begins. Throws GitProblem unless they are as many as declared. */
export function inflateEntry(pack: PackBytes, { size, dataAt }: PackEntry): { bytes: Buffer; end: number } {
  // What does not compress grows by a few bytes in thousands.
  const packed = pack.read(dataAt, size + (size >> 8) + 1024);
  const { bytes, used } = inflate(packed, size);
  if (bytes.length !== size) throw badPack();
  return { bytes, end: dataAt + used };
}

/** Never more than `limit` bytes: a stream that holds more is refused. `used`: of the input. */
export function inflate(packed: Buffer, limit: number): { readonly bytes: Buffer; readonly used: number } {
  try {
    const chunkSize = Math.min(Math.max(limit, 64), 65_536);
    const inflated = inflateSync(packed, { maxOutputLength: Math.max(limit, 1), chunkSize, info: true }) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    return { bytes: inflated.buffer, used: inflated.engine.bytesWritten };
  } catch {
    throw new GitProblem(
      `an object of the repository is not as long as it declares, or longer than ${maxObjectBytes} bytes, or broken`,
    );
  }
}

/** @param offsetOf where in the same pack an object is, or undefined */
export function objectAt(pack: PackBytes, offset: number, offsetOf: (oid: string) => number | undefined): GitObject {
  const deltas: PackEntry[] = [];
  let entry = entryAt(pack, offset);
  while (entry.kind === 'delta') {
    if (deltas.length >= maxChain) throw new GitProblem(`an object is a delta of more than ${maxChain} others`);
    deltas.push(entry);
    const at = typeof entry.base === 'string' ? offsetOf(entry.base) : entry.base;
    if (at === undefined) throw badPack();
    entry = entryAt(pack, at);
  }
  const type = entry.kind;
  let { bytes } = inflateEntry(pack, entry);
  for (const delta of deltas.reverse()) bytes = applyDelta(bytes, inflateEntry(pack, delta).bytes);
  return { type, bytes };
}

/** Sizes of what a delta is of and of what it makes. Throws GitProblem for more than an object may have. */
export function deltaSizes(delta: Buffer): { readonly source: number; readonly target: number; readonly at: number } {
  const source = sizeAt(delta, 0);
  const target = sizeAt(delta, source.end);
  return { source: source.size, target: target.size, at: target.end };
}

function sizeAt(bytes: Buffer, from: number): { readonly size: number; readonly end: number } {
  let at = from;
  let size = 0;
  let last = 0x80;
  for (let unit = 1; last >= 0x80; unit *= 128) {
    last = byteAt(bytes, at++);
    size += (last & 0x7f) * unit;
    if (at - from > 9) throw badPack();
  }
  checkSize(size);
  return { size, end: at };
}

/** What a delta makes of its base. Throws GitProblem unless that is as long as declared, to the byte. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const sizes = deltaSizes(delta);
  if (sizes.source !== base.length) throw badPack();
  const made = Buffer.alloc(sizes.target);
  let { at } = sizes;
  let length = 0;
  const append = (from: Buffer, start: number, count: number): void => {
    if (start + count > from.length || length + count > made.length) throw badPack();
    from.copy(made, length, start, start + count);
    length += count;
  };
  while (at < delta.length) {
    const command = byteAt(delta, at++);
    if (command === 0) throw badPack();
    if (command < 0x80) {
      append(delta, at, command);
      at += command;
      continue;
    }
    // Bits say which bytes of a 4-byte offset and of a 3-byte size there are; the others are 0.
    const field = (firstBit: number, count: number): number => {
      let value = 0;
      for (let i = 0; i < count; i += 1) if (command & (1 << (firstBit + i))) value += byteAt(delta, at++) * 256 ** i;
      return value;
    };
    const start = field(0, 4);
    append(base, start, field(4, 3) || 65_536);
  }
  if (length !== made.length) throw badPack();
  return made;
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw badPack();
  return byte;
}

function checkSize(size: number): void {
  if (size > maxObjectBytes)
    throw new GitProblem(`the repository has an object of more than ${maxObjectBytes} bytes, which is not read`);
}
