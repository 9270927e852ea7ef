/**
 * Segment files: `<number, 12 digits>.seg` in the journal folder. An 80-byte header, then frames (codec.ts).
 *
 *   0 magic "SLYJRNL\n" | 8 u16 format version | 10 u16 header bytes | 12 u32 0 | 16 writer (UUID, 16 bytes) |
 *   32 u64 segment number | 40 u64 first leaf | 48 f64 created at (ms) | 56 8 bytes salt |
 *   64 u64 synced length of the segment before | 72 u32 0 | 76 u32 CRC-32 of bytes 0 to 75
 *
 * Files are 0600, the folder 0700; a new file's folder is synced before anything in it counts.
 */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { FrameBuffer, frameType, readU64, writeU64 } from './codec.ts';
import type { JournalDisk } from './disk.ts';
import { JournalRefused } from './unavailable.ts';

export const formatVersion = 1;
export const segmentHeaderBytes = 80;
const magic = Buffer.from('SLYJRNL\n', 'latin1');

export interface SegmentHeader {
  readonly writer: string;
  readonly number: number;
  readonly firstLeaf: number;
  readonly createdAt: number;
  readonly salt: Buffer;
  /** Length of the segment before, all of it synced; 0 when there was none, or it is not known. */
  readonly previousLength: number;
}

/** A segment that is being written. */
export interface OpenSegment {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  readonly salt: Buffer;
  /** Bytes in the file at creation, all synced. */
  readonly length: number;
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const buffer = Buffer.alloc(segmentHeaderBytes);
  magic.copy(buffer);
  buffer.writeUInt16LE(formatVersion, 8);
  buffer.writeUInt16LE(segmentHeaderBytes, 10);
  buffer.write(header.writer.replaceAll('-', ''), 16, 'hex');
  writeU64(buffer, header.number, 32);
  writeU64(buffer, header.firstLeaf, 40);
  buffer.writeDoubleLE(header.createdAt, 48);
  header.salt.copy(buffer, 56, 0, 8);
  writeU64(buffer, header.previousLength, 64);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 76)), 76);
  return buffer;
}

/** The header, or undefined when it is damaged or not there. Throws JournalRefused for a format that we cannot read. */
export function decodeHeader(buffer: Buffer): SegmentHeader | undefined {
  if (buffer.length < segmentHeaderBytes || !buffer.subarray(0, 8).equals(magic)) return undefined;
  if (buffer.readUInt32LE(76) !== crc32(buffer.subarray(0, 76))) return undefined;
  const version = buffer.readUInt16LE(8);
  if (version !== formatVersion)
    throw new JournalRefused(
      'journal_format_unsupported',
      `segment format ${version} is newer than this version reads (${formatVersion})`,
    );
  const hex = buffer.toString('hex', 16, 32);
  return {
    writer: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
    number: readU64(buffer, 32),
    firstLeaf: readU64(buffer, 40),
    createdAt: buffer.readDoubleLE(48),
    salt: Buffer.from(buffer.subarray(56, 64)),
    previousLength: readU64(buffer, 64),
  };
}

/** Creates a segment that begins with the sessions that are open now; returns once file and folder are synced. */
export async function createSegment(
  disk: JournalDisk,
  dir: string,
  header: Omit<SegmentHeader, 'salt'>,
  openSessions: Uint8Array,
): Promise<OpenSegment> {
  const salt = randomBytes(8);
  const path = segmentPath(dir, header.number);
  const frames = new FrameBuffer(Number.POSITIVE_INFINITY);
  frames.raw(frameType.open, openSessions);
  const first = frames.take(segmentHeaderBytes, salt, 0);
  const bytes = Buffer.concat([encodeHeader({ ...header, salt }), first]);
  const fd = await disk.create(path);
  try {
    await disk.write(fd, bytes, 0);
    await disk.sync(fd);
    await disk.syncFolder(dir);
  } catch (error) {
    await disk.close(fd).catch(() => {});
    throw error;
  }
  return { number: header.number, path, fd, salt, length: bytes.length };
}

export function segmentPath(dir: string, number: number): string {
  return join(dir, `${String(number).padStart(12, '0')}.seg`);
}

/** Numbers of the segments in a folder, ascending. */
export async function listSegments(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names
    .filter((name) => /^\d{12}\.seg$/.test(name))
    .map((name) => Number(name.slice(0, 12)))
    .sort((a, b) => a - b);
}
