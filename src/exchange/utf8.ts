import { isAscii, isUtf8 } from 'node:buffer';
import type { Work } from './pace.ts';

/** Bytes decoded in one slice: about a millisecond where the text is not ASCII. */
const sliceBytes = 256 * 1024;

/** The text of UTF-8 bytes, or undefined when they are not valid UTF-8. A byte order mark stays in the text. */
export function* decodeUtf8(bytes: Uint8Array): Work<string | undefined> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length > sliceBytes) yield 'long';
  if (isAscii(buffer)) {
    const text = buffer.toString('latin1');
    if (buffer.length > sliceBytes) yield;
    return text;
  }
  const parts: string[] = [];
  for (let from = 0; from < buffer.length; ) {
    const to = characterStart(buffer, Math.min(buffer.length, from + sliceBytes));
    const slice = buffer.subarray(from, to);
    if (!isUtf8(slice)) return undefined;
    parts.push(slice.toString('utf8'));
    from = to;
    if (from < buffer.length) yield;
  }
  if (parts.length === 1) return parts[0]!;
  yield 'long';
  const text = parts.join('');
  yield;
  return text;
}

/** Reads UTF-8 that arrives in pieces cut anywhere. */
export class Utf8Pieces {
  private rest: Buffer = Buffer.alloc(0);

  /** The text of all characters that are complete by now, or undefined when the bytes are not UTF-8. */
  push(chunk: Uint8Array): string | undefined {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, view]) : view;
    const cut = completeLength(bytes);
    // A copy: the chunk's memory belongs to the transport.
    this.rest = Buffer.from(bytes.subarray(cut));
    const whole = bytes.subarray(0, cut);
    if (isAscii(whole)) return whole.toString('latin1');
    return isUtf8(whole) ? whole.toString('utf8') : undefined;
  }

  /** False when the bytes end inside a character. */
  end(): boolean {
    return this.rest.length === 0;
  }
}

/** The last place at or before `at` where a character can begin: at most three bytes back. */
function characterStart(buffer: Buffer, at: number): number {
  if (at === buffer.length) return at;
  for (let back = 0; back <= 3; back++) if ((buffer[at - back]! & 0xc0) !== 0x80) return at - back;
  return at;
}

/** How many bytes hold complete characters; a tail of at most three bytes may still become one. */
function completeLength(buffer: Buffer): number {
  const { length } = buffer;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = buffer[length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const need = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return need > back ? length - back : length;
  }
  return length;
}
