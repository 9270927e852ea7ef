/**
 * Server-sent events (WHATWG HTML, section 9.2.5), read and written so that framing stays byte for byte: CR, LF, CRLF,
 * comments, ids, data over several lines, a byte order mark. Only data that changed is written anew.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { GrowingBuffer } from './growing-buffer.ts';
import { UnreadableBody } from './unreadable.ts';

const LF = 0x0a;
const CR = 0x0d;

/** Cuts a stream of bytes after its last complete event. */
export class SseFraming {
  private readonly maxEventBytes: number;
  private readonly pending = new GrowingBuffer();
  /** Bytes of the event in progress, the line in progress has none yet, and the byte before was a CR. */
  private eventBytes = 0;
  private lineEmpty = true;
  private afterCr = false;

  /** `maxEventBytes`: longest event, blank line included. */
  constructor(maxEventBytes: number) {
    this.maxEventBytes = maxEventBytes;
  }

  /**
   * All bytes up to the end of the last event that is complete by now; may be a view of the chunk. An event that ends
   * with a CR is complete there; a LF that follows it comes by itself. Throws UnreadableBody beyond the limit.
   */
  push(chunk: Uint8Array): Buffer {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const complete = this.boundary(bytes);
    if (this.pending.length === 0 && complete > 0) {
      if (complete === bytes.length) return bytes;
      this.pending.append(bytes.subarray(complete));
      return bytes.subarray(0, complete);
    }
    const before = this.pending.length;
    this.pending.append(bytes);
    return complete === 0 ? nothing : this.pending.take(before + complete);
  }

  /** The last event, when the body ends without its blank line. */
  end(): Buffer {
    return this.pending.take(this.pending.length);
  }

  private boundary(bytes: Buffer): number {
    const { length } = bytes;
    if (this.quick(bytes)) return length;
    let { lineEmpty, afterCr, eventBytes } = this;
    let complete = 0;
    let lineFrom = 0;
    for (let i = 0; i < length; i++) {
      const byte = bytes[i]!;
      eventBytes++;
      if (byte === LF && afterCr) {
        afterCr = false;
        // The rest of a CRLF: when its CR ended an event, it belongs to that event.
        if (eventBytes === 1) complete = i + 1;
        else continue;
      } else if (byte === LF || byte === CR) {
        afterCr = byte === CR;
        lineFrom = i + 1;
        if (lineEmpty) complete = i + 1;
        lineEmpty = true;
        if (complete !== i + 1) continue;
      } else {
        lineEmpty = false;
        afterCr = false;
        if (i - lineFrom < nearLength) continue;
        const end = lineEnd(bytes, i);
        eventBytes += end - i - 1;
        i = end - 1;
        continue;
      }
      this.checkSize(eventBytes);
      eventBytes = 0;
    }
    this.checkSize(eventBytes);
    this.lineEmpty = lineEmpty;
    this.afterCr = afterCr;
    this.eventBytes = eventBytes;
    return complete;
  }

  /** The usual case: the chunk begins and ends with events, in LF. */
  private quick(bytes: Buffer): boolean {
    const { length } = bytes;
    if (this.eventBytes > 0 || this.afterCr || length < 2 || length > this.maxEventBytes) return false;
    return bytes[length - 1] === LF && bytes[length - 2] === LF;
  }

  private checkSize(eventBytes: number): void {
    if (eventBytes > this.maxEventBytes)
      throw new UnreadableBody(`an event is longer than ${this.maxEventBytes} bytes`);
  }
}

const nothing = Buffer.alloc(0);
/** From here on the end of a line is not looked for byte by byte: a call costs as much as some hundred bytes. */
const nearLength = 1024;
/** How far one such call looks: a text without one of the two line ends must not be read to its end for each line. */
const windowLength = 8 * 1024;

/** The text of complete events. */
export function sseText(bytes: Buffer): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new UnreadableBody('an event is not valid UTF-8');
  return bytes.toString('utf8');
}

/** Where the event that begins at `from` ends, its blank line included; the text's end when there is none. */
export function sseEventEnd(text: string, from: number): number {
  for (let line = from; line < text.length; ) {
    const end = textLineEnd(text, line);
    const next = afterLineEnd(text, end);
    if (end === line) return next;
    line = next;
  }
  return text.length;
}

/** One line of an event. `text` is what a mask may change; `prefix + text + eol` are its bytes. */
export interface SseLine {
  readonly field: 'data' | 'event' | 'id' | 'retry' | 'comment' | 'blank' | 'unknown';
  readonly prefix: string;
  readonly text: string;
  readonly eol: string;
}

/** The lines of one event. */
export function sseLines(event: string): SseLine[] {
  const lines: SseLine[] = [];
  for (let at = 0; at < event.length; ) {
    const end = textLineEnd(event, at);
    const next = afterLineEnd(event, end);
    lines.push(sseLine(event.slice(at, end), event.slice(end, next)));
    at = next;
  }
  return lines;
}

function sseLine(line: string, eol: string): SseLine {
  if (line === '') return { field: 'blank', prefix: '', text: '', eol };
  const colon = line.indexOf(':');
  if (colon === 0) return { field: 'comment', prefix: ':', text: line.slice(1), eol };
  const name = colon < 0 ? line : line.slice(0, colon);
  if (name !== 'data' && name !== 'event' && name !== 'id' && name !== 'retry')
    return { field: 'unknown', prefix: '', text: line, eol };
  // One space after the colon is not part of the value.
  const value = colon < 0 ? line.length : line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
  return { field: name, prefix: line.slice(0, value), text: line.slice(value), eol };
}

/** The event's data: its data lines, joined by newlines; undefined when it has none. */
export function sseData(lines: readonly SseLine[]): string | undefined {
  let data: string | undefined;
  for (const line of lines) if (line.field === 'data') data = data === undefined ? line.text : `${data}\n${line.text}`;
  return data;
}

/** The event with other data. Data lines keep their form; where there are fewer, or more, they go at the end. */
export function withSseData(lines: readonly SseLine[], data: string): string {
  const texts = data.split('\n');
  const places = lines.filter((line) => line.field === 'data').length;
  let place = 0;
  let event = '';
  for (const line of lines) {
    if (line.field !== 'data') {
      event += line.prefix + line.text + line.eol;
      continue;
    }
    const last = ++place === places;
    for (const text of texts.splice(0, last ? texts.length : 1))
      event += (line.prefix === 'data' && text !== '' ? 'data: ' : line.prefix) + text + line.eol;
  }
  return event;
}

/** The place of the first LF or CR of a text from `from` on; its end where there is none. */
export function textLineEnd(text: string, from: number): number {
  const near = Math.min(text.length, from + nearLength);
  for (let i = from; i < near; i++) {
    const c = text.charCodeAt(i);
    if (c === LF || c === CR) return i;
  }
  return lineEnd(text, near);
}

/** The same, for what is likely far away. */
function lineEnd(text: string | Buffer, from: number): number {
  for (let at = from; at < text.length; at += windowLength) {
    const window = typeof text === 'string' ? text.slice(at, at + windowLength) : text.subarray(at, at + windowLength);
    const lf = window.indexOf('\n');
    const cr = (lf < 0 ? window : window.slice(0, lf)).indexOf('\r');
    if (cr >= 0) return at + cr;
    if (lf >= 0) return at + lf;
  }
  return text.length;
}

function afterLineEnd(text: string, end: number): number {
  if (end >= text.length) return end;
  return text.charCodeAt(end) === CR && text.charCodeAt(end + 1) === LF ? end + 2 : end + 1;
}
