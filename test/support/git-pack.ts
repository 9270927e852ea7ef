/** Packs as somebody may make them who means no good: every size in them says what it is told to. */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

export type PackKind = 'commit' | 'tree' | 'blob' | 'tag' | 'ofs-delta' | 'ref-delta';
const numbers: Readonly<Record<PackKind, number>> = {
  ...{ commit: 1, tree: 2, blob: 3, tag: 4 },
  ...{ 'ofs-delta': 6, 'ref-delta': 7 },
};

export interface PackItem {
  readonly kind: PackKind;
  readonly bytes: Buffer;
  /** Size in the header; left out: the true one. */
  readonly declared?: number;
  /** Of an ofs-delta: number of the item that it is of. Of a ref-delta: an id. */
  readonly base?: number | string;
  /** The zlib stream; left out: that of the bytes. */
  readonly packed?: Buffer;
}

export function makePack(items: readonly PackItem[], count: number = items.length): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  header.writeUInt32BE(count, 8);
  const parts = [header];
  const offsets: number[] = [];
  let at = header.length;
  for (const { kind, bytes, declared = bytes.length, base, packed = deflateSync(bytes) } of items) {
    offsets.push(at);
    const below =
      typeof base === 'number'
        ? distance(at - (offsets[base] ?? at))
        : Buffer.from(kind === 'ref-delta' ? (base ?? '') : '', 'hex');
    const part = Buffer.concat([typeAndSize(numbers[kind], declared), below, packed]);
    parts.push(part);
    at += part.length;
  }
  return summed(Buffer.concat(parts));
}

export const summed = (bytes: Buffer): Buffer => Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);

export const idOf = (kind: string, bytes: Buffer): string =>
  createHash('sha1').update(`${kind} ${bytes.length}\0`).update(bytes).digest('hex');

/** Groups of seven bits, the lowest first. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    if (rest < 128) return Buffer.from(bytes);
  }
}

function typeAndSize(type: number, size: number): Buffer {
  const rest = Math.floor(size / 16);
  const first = Buffer.of((type << 4) | (size % 16) | (rest > 0 ? 0x80 : 0));
  return rest > 0 ? Buffer.concat([first, varint(rest)]) : first;
}

function distance(back: number): Buffer {
  const bytes = [back % 128];
  for (let rest = Math.floor(back / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1;
    bytes.unshift((rest % 128) | 0x80);
  }
  return Buffer.from(bytes);
}

/** A command of a delta that copies `size` bytes, at most 65,535, from `offset` on. */
export function copy(offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(7);
  bytes[0] = 0xbf;
  bytes.writeUInt32LE(offset, 1);
  bytes.writeUInt16LE(size, 5);
  return bytes;
}

export const insert = (text: string): Buffer => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);

export const delta = (source: number, target: number, ...commands: readonly Buffer[]): Buffer =>
  Buffer.concat([varint(source), varint(target), ...commands]);
