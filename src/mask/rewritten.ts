/** A text with places of it replaced, encoded as it grows. */
import type { Work } from '../exchange/pace.ts';
import { jsonInside, wholeEnd } from './escaped-string.ts';
import { joined } from './joined.ts';

/** Characters of output that are encoded together. */
const encodeSlice = 256 * 1024;
/** Pieces of a long string that are rewritten together. */
const piecesTogether = 64;

export class Rewritten {
  /** How far the text has been copied or replaced. */
  copied = 0;
  private text: string;
  private parts: Buffer[] = [];
  private out = '';

  constructor(text: string) {
    this.text = text;
  }

  get changed(): boolean {
    return this.copied > 0;
  }

  *replace(start: number, end: number, becomes: string): Work<void> {
    yield* this.copy(start);
    this.out += becomes;
    this.copied = end;
    if (this.out.length < encodeSlice) return;
    this.encode();
    yield;
  }

  /** A string, whose new text comes in pieces. */
  *replaceString(start: number, end: number, pieces: readonly string[]): Work<void> {
    yield* this.copy(start);
    this.out += '"';
    for (let at = 0; at < pieces.length; at += piecesTogether) {
      this.out += jsonInside(pieces.slice(at, at + piecesTogether).join(''));
      if (this.out.length >= encodeSlice) this.encode();
      yield;
    }
    this.out += '"';
    this.copied = end;
  }

  *finish(): Work<Buffer> {
    yield* this.copy(this.text.length);
    this.encode();
    return yield* joined(this.parts);
  }

  /** The text as it is, up to a place: nothing before it is replaced any more. */
  *copy(to: number): Work<void> {
    for (let from = this.copied; from < to; ) {
      const next = Math.min(to, wholeEnd(this.text, from + encodeSlice));
      this.out += this.text.slice(from, next);
      this.copied = from = next;
      if (this.out.length < encodeSlice) continue;
      this.encode();
      yield;
    }
  }

  /** Of a text that flows: what came out so far, taken out. */
  take(): readonly Buffer[] {
    this.encode();
    const { parts } = this;
    this.parts = [];
    return parts;
  }

  /** The text has lost its first characters, which are copied, and has more at its end. */
  moved(gone: number, text: string): void {
    this.copied -= gone;
    this.text = text;
  }

  private encode(): void {
    if (this.out !== '') this.parts.push(Buffer.from(this.out));
    this.out = '';
  }
}
