/**
 * Frames, the units of a segment file. All integers little-endian.
 *
 *   frame    u32 payload length | u32 CRC-32 (seeded with the length) of the rest | u8 type | u8 flags (0) | u16 0 | payload
 *   event    u64 leaf | f64 at (ms) | u8 kind | u8 leaf scheme | u16 session length | 32 bytes leaf hash | session | 0x00 | canonical JSON
 *   content  f64 at (ms) | u32 seq | u8 direction | u8 class (0 = masked) | u16 session length | session | bytes
 *   commit   8 bytes salt of the segment | u64 own offset | u64 offset that was synced before this write
 *   open     JSON: the sessions that were open when the segment began
 *
 * Leaf scheme 1: SHA-256(0x00 || canonical JSON) (RFC 6962 section 2.1). The 0x00 lies in the frame, so that the hash
 * needs no copy. A frame type or an event kind that this version does not know is carried along, not refused.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { canonicalJson } from './canonical.ts';
import type { ContentChunk, RecordEvent } from './events.ts';
import { JournalUnavailable } from './unavailable.ts';

export const frameHeaderBytes = 12;
/** No frame is larger; a length beyond it is damage. */
export const maxFrameBytes = 64 * 1024 * 1024;
export const leafScheme = 1;

export const frameType = { event: 1, content: 2, commit: 3, open: 4 } as const;
const kinds = [
  '',
  'request',
  'decision',
  'response',
  'end',
  'refused',
  'admin',
  'credential',
  'findings',
  'policy',
] as const;
const kindCode = new Map<string, number>(kinds.map((kind, code) => [kind, code]));
const eventHeaderBytes = 52;
const contentHeaderBytes = 16;
export const commitPayloadBytes = 24;
export const commitFrameBytes = frameHeaderBytes + commitPayloadBytes;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
  /** Offsets in the segment file; `end` exclusive. */
  readonly offset: number;
  readonly end: number;
}

export interface EventRecord {
  readonly kind: 'event';
  /** Id of the log that the leaf belongs to. */
  readonly writer: string;
  readonly leaf: number;
  readonly scheme: number;
  readonly hash: Buffer;
  readonly session: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Type of the event, or '' for one that a newer version wrote. */
  readonly type: RecordEvent['type'] | '';
  /** Canonical JSON of the event, UTF-8. */
  readonly body: Buffer;
}

export interface ContentRecord {
  readonly kind: 'content';
  readonly writer: string;
  readonly session: string;
  readonly direction: ContentChunk['direction'];
  readonly seq: number;
  readonly at: number;
  readonly bytes: Buffer;
}

export interface CommitMark {
  readonly offset: number;
  readonly synced: number;
}

/** Frames on their way to the file: one growing buffer, swapped at each write, reused after it. */
export class FrameBuffer {
  #buffer: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  #spare: Buffer | undefined;
  #length = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /** Appends an event and its leaf hash. Throws JournalUnavailable when too much waits already. */
  event(leaf: number, event: RecordEvent): void {
    const json = canonicalJson(event);
    const session = event.session;
    const start = this.#reserve(eventHeaderBytes + 3 * session.length + 1 + 3 * json.length);
    const buffer = this.#buffer;
    let at = start + frameHeaderBytes;
    writeU64(buffer, leaf, at);
    buffer.writeDoubleLE(event.at, at + 8);
    buffer[at + 16] = kindCode.get(event.type) ?? 0;
    buffer[at + 17] = leafScheme;
    const hashAt = at + 20;
    at += eventHeaderBytes;
    const sessionBytes = buffer.write(session, at, 'utf8');
    buffer.writeUInt16LE(sessionBytes, hashAt - 2);
    at += sessionBytes;
    buffer[at] = 0;
    const end = at + 1 + buffer.write(json, at + 1, 'utf8');
    buffer.write(hash('sha256', buffer.subarray(at, end), 'binary'), hashAt, 'latin1');
    this.#seal(start, end, frameType.event);
  }

  content(chunk: ContentChunk): void {
    const start = this.#reserve(contentHeaderBytes + 3 * chunk.session.length + chunk.bytes.length);
    const buffer = this.#buffer;
    const at = start + frameHeaderBytes;
    buffer.writeDoubleLE(chunk.at, at);
    buffer.writeUInt32LE(chunk.seq, at + 8);
    buffer[at + 12] = chunk.direction === 'request' ? 0 : 1;
    buffer[at + 13] = 0;
    const sessionBytes = buffer.write(chunk.session, at + contentHeaderBytes, 'utf8');
    buffer.writeUInt16LE(sessionBytes, at + 14);
    const bytesAt = at + contentHeaderBytes + sessionBytes;
    buffer.set(chunk.bytes, bytesAt);
    this.#seal(start, bytesAt + chunk.bytes.length, frameType.content);
  }

  /** Appends a frame whose payload is ready. Not bounded: only the journal itself calls it. */
  raw(type: number, payload: Uint8Array): void {
    const start = this.#grow(payload.length);
    this.#buffer.set(payload, start + frameHeaderBytes);
    this.#seal(start, start + frameHeaderBytes + payload.length, type);
  }

  /** Ends the batch with a commit frame for the file offset it will be written to, and hands it over. */
  take(fileOffset: number, salt: Uint8Array, synced: number): Buffer {
    const payload = Buffer.allocUnsafe(commitPayloadBytes);
    payload.set(salt, 0);
    writeU64(payload, fileOffset + this.#length, 8);
    writeU64(payload, synced, 16);
    this.raw(frameType.commit, payload);
    const batch = this.#buffer.subarray(0, this.#length);
    this.#buffer = this.#spare ?? Buffer.allocUnsafeSlow(initialBytes);
    this.#spare = undefined;
    this.#length = 0;
    return batch;
  }

  /** Gives a written batch back for reuse. */
  recycle(batch: Buffer): void {
    if (batch.buffer.byteLength <= keptBytes) this.#spare = Buffer.from(batch.buffer);
  }

  #reserve(payloadBytes: number): number {
    if (this.#length + payloadBytes > this.#maxBytes && this.#length > 0)
      throw new JournalUnavailable('journal_overloaded');
    return this.#grow(payloadBytes);
  }

  #grow(payloadBytes: number): number {
    const start = this.#length;
    const needed = start + frameHeaderBytes + payloadBytes;
    if (payloadBytes > maxFrameBytes) throw new RangeError(`a record of ${payloadBytes} bytes does not fit a frame`);
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, start);
      this.#buffer = larger;
    }
    return start;
  }

  #seal(start: number, end: number, type: number): void {
    const length = end - start - frameHeaderBytes;
    const buffer = this.#buffer;
    buffer.writeUInt32LE(length, start);
    buffer.writeUInt32LE(type, start + 8); // type, flags 0, reserved 0
    buffer.writeUInt32LE(crc32(buffer.subarray(start + 8, end), length), start + 4);
    this.#length = end;
  }
}

const initialBytes = 256 * 1024;
const keptBytes = 4 * 1024 * 1024;

/**
 * Reads the frame at `at`. `short`: the buffer ends before the frame does and `need` bytes from `at` would show more;
 * `bad`: no frame starts here. `base` is the file offset of the buffer.
 */
export function parseFrame(buffer: Buffer, at: number, base: number): Frame | { readonly short: number } | 'bad' {
  if (at + frameHeaderBytes > buffer.length) return { short: frameHeaderBytes };
  const length = buffer.readUInt32LE(at);
  if (length === 0 || length > maxFrameBytes) return 'bad';
  const end = at + frameHeaderBytes + length;
  if (end > buffer.length) return { short: frameHeaderBytes + length };
  if (crc32(buffer.subarray(at + 8, end), length) !== buffer.readUInt32LE(at + 4)) return 'bad';
  const payload = buffer.subarray(at + frameHeaderBytes, end);
  return { type: buffer[at + 8]!, payload, offset: base + at, end: base + end };
}

/** The record in a frame, or undefined for frames that carry none (commit, open, a newer version's). */
export function recordOf(frame: Frame, writer: string): EventRecord | ContentRecord | undefined {
  const { payload } = frame;
  if (frame.type === frameType.event && payload.length > eventHeaderBytes) {
    const bodyAt = eventHeaderBytes + payload.readUInt16LE(18) + 1;
    return {
      kind: 'event',
      writer,
      leaf: readU64(payload, 0),
      at: payload.readDoubleLE(8),
      type: kinds[payload[16]!] ?? '',
      scheme: payload[17]!,
      hash: payload.subarray(20, 52),
      session: payload.toString('utf8', eventHeaderBytes, bodyAt - 1),
      body: payload.subarray(bodyAt),
    };
  }
  if (frame.type === frameType.content && payload.length >= contentHeaderBytes) {
    const bytesAt = contentHeaderBytes + payload.readUInt16LE(14);
    return {
      kind: 'content',
      writer,
      at: payload.readDoubleLE(0),
      seq: payload.readUInt32LE(8),
      direction: payload[12] === 0 ? 'request' : 'response',
      session: payload.toString('utf8', contentHeaderBytes, bytesAt),
      bytes: payload.subarray(bytesAt),
    };
  }
  return undefined;
}

/**
 * The commit mark in a frame, if it is a genuine one: it bears the segment's salt, which no caller knows, and its own
 * offset. Text in a content frame therefore cannot pass for one.
 */
export function commitOf(frame: Frame, salt: Uint8Array): CommitMark | undefined {
  if (frame.type !== frameType.commit || frame.payload.length !== commitPayloadBytes) return undefined;
  if (frame.payload.compare(salt, 0, salt.length, 0, 8) !== 0) return undefined;
  const offset = readU64(frame.payload, 8);
  return offset === frame.offset ? { offset, synced: readU64(frame.payload, 16) } : undefined;
}

/** RFC 6962 leaf hash of a canonical event (scheme 1). */
export function leafHash(body: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([Buffer.of(0), body]), 'buffer');
}

export function writeU64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value % 0x1_0000_0000, at);
  buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

export function readU64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at + 4) * 0x1_0000_0000 + buffer.readUInt32LE(at);
}
