import type { Channel } from './channel.ts';
import { jsonInside } from './escaped-string.ts';

/**
 * The events of a stream differ in little but one string. A shape is an event that was read in full, without that
 * string: `head` ends with its opening quote, `tail` begins with its closing one. Text that is head + string + tail is
 * read exactly as the first one was, so only the string has to be looked at.
 */
interface Shape {
  readonly head: string;
  readonly tail: string;
  /** Undefined where nothing is masked. */
  readonly channel: Channel | undefined;
}

/** Events of as many choices may alternate. */
const maxShapes = 8;
const maxBarren = 16;
const maxShapeLength = 4096;
/** Longer strings are masked in slices, on the long way. */
const maxPieceLength = 1024;

export class Shapes {
  /** After a hit: where the string is (without quotes), what it becomes (undefined: it stays), and where the event ends. */
  start = 0;
  end = 0;
  /** Length of the string as it is written, in UTF-8. */
  bytes = 0;
  becomes: string | undefined;
  next = 0;
  private readonly shapes: Shape[] = [];
  private escaped = false;
  /** Events since the last one of a known shape. */
  private barren = 0;

  /** Remembers an event's shape. `start` and `end` are the string's, with its quotes. */
  learn(event: string, start: number, end: number, channel: Channel | undefined): void {
    const head = event.slice(0, start + 1);
    const tail = event.slice(end - 1);
    if (head.length + tail.length > maxShapeLength) return;
    // A stream whose events all differ elsewhere (random padding, counters) is not worth the copies, but may change.
    if (++this.barren > maxBarren && this.barren % maxBarren !== 0) return;
    // Copies: a slice would keep the chunk that it was cut from.
    this.shapes.unshift({ head: copyOf(head), tail: copyOf(tail), channel });
    if (this.shapes.length > maxShapes) this.shapes.pop();
  }

  /** Reads and masks the event at `at`, when it has a known shape. */
  hit(text: string, at: number): boolean {
    for (const { head, tail, channel } of this.shapes) {
      const start = at + head.length;
      // Faster than startsWith, which compares character by character.
      if (text.slice(at, start) !== head || channel?.ended === true) continue;
      const end = this.stringEnd(text, start);
      if (end < 0 || text.slice(end, end + tail.length) !== tail) continue;
      this.barren = 0;
      this.start = start;
      this.end = end;
      this.next = end + tail.length;
      this.becomes = channel && this.mask(channel, text.slice(start, end));
      return true;
    }
    return false;
  }

  private mask(channel: Channel, raw: string): string | undefined {
    const piece = this.escaped ? (JSON.parse(`"${raw}"`) as string) : raw;
    const out = channel.push(piece);
    return out === piece ? undefined : jsonInside(out);
  }

  /** The place of the closing quote; −1 where the string needs the lexer: long, with `\u`, or not valid. */
  private stringEnd(text: string, from: number): number {
    this.escaped = false;
    let wider = 0;
    const last = Math.min(text.length, from + maxPieceLength);
    for (let i = from; i < last; i++) {
      const c = text.charCodeAt(i);
      if (c === 0x22) {
        this.bytes = i - from + wider;
        return i;
      }
      if (c < 0x20) return -1;
      // Two bytes below U+0800, else three; a pair of surrogates has four.
      if (c >= 0x80) wider += c < 0x800 || (c >= 0xd800 && c < 0xe000) ? 1 : 2;
      if (c !== 0x5c) continue;
      if (!simpleEscapes.includes(text[++i]!)) return -1;
      this.escaped = true;
    }
    return -1;
  }
}

const simpleEscapes = '"\\/bfnrt';

/** A string of its own, flat. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
