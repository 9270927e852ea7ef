/**
 * Reads segment files. What is readable is given in order; a damaged stretch is given as `damage` where it lies, and
 * reading goes on behind the next genuine commit frame. Nothing is skipped without a word.
 */
import { type FileHandle, open } from 'node:fs/promises';
import {
  type ContentRecord,
  commitFrameBytes,
  commitOf,
  type EventRecord,
  type Frame,
  frameHeaderBytes,
  parseFrame,
  recordOf,
} from './codec.ts';
import { decodeHeader, listSegments, type SegmentHeader, segmentHeaderBytes, segmentPath } from './segment.ts';

/** A stretch of a segment that cannot be read: offsets in the file, `to` exclusive. `missing`: the file is not there. */
export interface Damage {
  readonly kind: 'damage';
  readonly reason: 'unreadable' | 'missing';
  readonly segment: number;
  readonly from: number;
  readonly to: number;
}

export type JournalRecord = EventRecord | ContentRecord;

export interface SegmentFile {
  readonly number: number;
  readonly file: FileHandle;
  readonly header: SegmentHeader | undefined;
  readonly size: number;
}

export function openSegment(dir: string, number: number): Promise<SegmentFile> {
  return openSegmentFile(segmentPath(dir, number), number);
}

async function openSegmentFile(path: string, number: number): Promise<SegmentFile> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Buffer.alloc(Math.min(size, segmentHeaderBytes));
    await file.read(start, 0, start.length, 0);
    return { number, file, header: decodeHeader(start), size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Frames of one segment between two offsets, in windows of about 1 MiB so that nobody waits long for the event loop.
 * A window is a list of frames, and damage where it lies. Without a header, everything is damage.
 */
export async function* readFrames(segment: SegmentFile, from: number, to: number): AsyncGenerator<(Frame | Damage)[]> {
  const { header, number } = segment;
  if (header === undefined) {
    if (to > 0) yield [{ kind: 'damage', reason: 'unreadable', segment: number, from: 0, to }];
    return;
  }
  let at = Math.max(from, segmentHeaderBytes);
  let need = windowBytes;
  while (at < to) {
    const wanted = Math.min(Math.max(need, windowBytes), to - at);
    const buffer = await readAt(segment.file, at, wanted);
    const { frames, end, stop } = parseWindow(buffer, at);
    if (frames.length > 0) yield frames;
    at = end;
    const whole = buffer.length === wanted;
    if (stop === 'window' && whole) need = windowBytes;
    else if (typeof stop === 'number' && whole && at + stop <= to) need = stop;
    else {
      const next = await nextCommit(segment, header, at + 1, to);
      yield [{ kind: 'damage', reason: 'unreadable', segment: number, from: at, to: next }];
      at = next;
      need = windowBytes;
    }
  }
}

const windowBytes = 1024 * 1024;

/** All whole frames in a buffer that starts at file offset `base`; `stop`: why it ended (bytes that the next frame needs). */
function parseWindow(buffer: Buffer, base: number): { frames: Frame[]; end: number; stop: 'window' | 'bad' | number } {
  const frames: Frame[] = [];
  let at = 0;
  while (at < buffer.length) {
    const frame = parseFrame(buffer, at, base);
    if (frame === 'bad') return { frames, end: base + at, stop: 'bad' };
    if ('short' in frame) return { frames, end: base + at, stop: frame.short };
    frames.push(frame);
    at = frame.end - base;
  }
  return { frames, end: base + at, stop: 'window' };
}

/** Offset of the next genuine commit frame at or after `from`, or `to`. Found by the segment's salt. */
async function nextCommit(segment: SegmentFile, header: SegmentHeader, from: number, to: number): Promise<number> {
  for (let at = from; at < to; at += windowBytes) {
    const buffer = await readAt(segment.file, at, Math.min(windowBytes + commitFrameBytes, to - at));
    for (let i = buffer.indexOf(header.salt); i >= 0; i = buffer.indexOf(header.salt, i + 1)) {
      const start = i - frameHeaderBytes;
      const frame = start >= 0 ? parseFrame(buffer, start, at) : 'bad';
      if (frame !== 'bad' && !('short' in frame) && commitOf(frame, header.salt) !== undefined) return frame.offset;
    }
  }
  return to;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/**
 * Every record in a journal folder, oldest first, whether it was synced or not. Takes no lock: a live journal may be
 * read; a last frame that is just being written is then simply not there yet.
 */
export async function* readJournal(dir: string): AsyncGenerator<JournalRecord | Damage> {
  const numbers = await listSegments(dir);
  for (const number of numbers) {
    const segment = await openSegment(dir, number).catch(ignoreMissing);
    if (segment === undefined) continue; // shipped and deleted meanwhile
    const last = number === numbers.at(-1);
    for await (const record of recordsOf(segment)) {
      const unfinished = last && record.kind === 'damage' && record.to === segment.size;
      if (!unfinished) yield record;
    }
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** The records in one file of segment format: a segment that was put in `fenced/`, a batch in `quarantine/`. */
export async function* readSegmentFile(path: string): AsyncGenerator<JournalRecord | Damage> {
  yield* recordsOf(await openSegmentFile(path, 0));
}

async function* recordsOf(segment: SegmentFile): AsyncGenerator<JournalRecord | Damage> {
  try {
    for await (const frames of readFrames(segment, 0, segment.size)) {
      for (const frame of frames) {
        const record = 'kind' in frame ? frame : recordOf(frame, segment.header!.writer);
        if (record !== undefined) yield record;
      }
    }
  } finally {
    await segment.file.close();
  }
}
