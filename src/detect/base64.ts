import { SKIP, symbolOf } from './fold.ts';
import { hexValue, pointAt } from './units.ts';

/** Shortest run that is decoded, in characters: twelve bytes. */
export const SHORTEST_RUN = 16;
/** A word of so many characters, or of a multiple of four, may go on after white space: base64 is wrapped. */
const LINE_LENGTH = 16;
/** Longest white space inside of a run. */
const LONGEST_GAP = 16;
/** Fewest characters in a row that are text: the shortest match there is. */
const SHORTEST_TEXT = 7;
/** Units, or bytes, looked at in one step: some tenth of a millisecond. */
const SLICE_LENGTH = 16_384;

// What a symbol (fold.ts) is; below 64, its six bits.
const PADDING = 64;
const SPACE = 65;
const BACKSLASH = 66;
const NEITHER = 67;

const kinds = new Uint8Array(256).fill(NEITHER);
[...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].forEach((char, bits) => {
  kinds[char.charCodeAt(0)] = bits;
});
// RFC 4648 section 5: the alphabet for URLs and file names. Mixed ones are read, too.
kinds['-'.charCodeAt(0)] = 62;
kinds['_'.charCodeAt(0)] = 63;
kinds['='.charCodeAt(0)] = PADDING;
kinds['\\'.charCodeAt(0)] = BACKSLASH;
for (const space of ' \t\n\v\f\r') kinds[space.charCodeAt(0)] = SPACE;

// What a byte is in text.
const TEXT = 1;
/** Every other byte of UTF-16. */
const NUL = 2;
/** Begins a character of UTF-8 of 2, 3 or 4 bytes: the kind is that plus 1. */
const LEADS = 3;
const bytesAre = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++)
  if ((byte >= 32 && byte < 127) || (byte >= 9 && byte <= 13)) bytesAre[byte] = TEXT;
  else if (byte >= 0xc2 && byte <= 0xf4) bytesAre[byte] = byte < 0xe0 ? LEADS : byte < 0xf0 ? LEADS + 1 : LEADS + 2;
bytesAre[0] = NUL;

/** A stretch of decoded bytes that is text. `from` and `to`: its bytes, from the place where decoding began. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly units: Uint16Array;
}

/** One word of a run: where it begins in the run and in the text, and where it ends in the text. */
interface Word {
  readonly first: number;
  readonly start: number;
  readonly end: number;
}

/** Bytes of a run that is decoded in one go. */
const shared = Buffer.allocUnsafeSlow(SLICE_LENGTH + 3);

/**
 * Walks a text once, from run to run. What is seen of the text is what fold.ts makes of it: a zero-width space does not end a
 * run. `next` goes on; after it, `isWhole` says whether a run is there to be decoded, or only a slice of the text is done.
 */
export class Base64Runs {
  isWhole = false;
  readonly #units: Uint16Array;
  /** Read so far. */
  #at = 0;
  /** The run's characters, six bits each. */
  #bits: Uint8Array;
  #count = 0;
  #words: Word[] = [];
  // The word that is being read: where it begins in the run and the text.
  #first = 0;
  #start = 0;
  /** Of the text: behind the last character of the run. */
  #end = 0;
  #gap = 0;
  /** The character read next is a slash behind its backslash. */
  #escaped = false;

  constructor(units: Uint16Array) {
    this.#units = units;
    // Most texts are short: room for all of one, as `#begin` wants it.
    this.#bits = new Uint8Array(Math.min(256, units.length + 8));
  }

  /** Offset in the text, read so far. */
  get at(): number {
    return this.#at;
  }

  /** False: the text is over. */
  next(): boolean {
    if (this.isWhole) this.#clear();
    const units = this.#units;
    const { length } = units;
    if (this.#at >= length) return this.#count > 0 && this.#close();
    const until = Math.min(length, this.#at + SLICE_LENGTH);
    while (this.#at < until) {
      const unit = units[this.#at]!;
      if (unit < 128) {
        const kind = kinds[unit]!;
        if (kind < 64) this.#takeAll(until);
        else if (this.#other(kind)) return true;
        else this.#at++;
        continue;
      }
      const point = pointAt(units, this.#at, length);
      const symbol = symbolOf(point);
      // What nobody sees is read over, as part of what it is in.
      const kind = symbol === SKIP ? SKIP : kinds[symbol]!;
      const width = point > 0xffff ? 2 : 1;
      if (kind < 64) this.#take(kind, width);
      else if (kind !== SKIP && this.#other(kind)) return true;
      this.#at += width;
    }
    if (this.#at >= length && this.#count > 0) return this.#close();
    return this.#at < length;
  }

  /** Where in the text a stretch comes from: whole words. */
  partOf(place: number, { from, to }: Stretch): { readonly start: number; readonly end: number } {
    const first = place + Math.floor((from * 4) / 3);
    const last = place + Math.ceil((to * 4) / 3) - 1;
    return { start: this.#wordOf(first).start, end: this.#wordOf(last).end };
  }

  /** The word that a character of the run is in. */
  #wordOf(character: number): Word {
    const words = this.#words;
    let low = 0;
    for (let high = words.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (words[middle]!.first <= character) low = middle;
      else high = middle - 1;
    }
    return words[low]!;
  }

  /** A quick no, for runs that are not long: most are words of a program, paths, hashes. */
  mayHaveText(): boolean {
    if (this.#count > SLICE_LENGTH) return true;
    for (let place = 0; place < 4; place++) {
      const length = this.#length(place);
      this.#decode(place, shared, 0, length);
      if (new TextFinder(shared, length).next(length)) return true;
    }
    return false;
  }

  /** The stretches of text when decoding begins `place` characters into the run. */
  *stretches(place: number): Generator<'long' | undefined, readonly Stretch[], undefined> {
    const length = this.#length(place);
    if (length > SLICE_LENGTH) yield 'long';
    // Not the shared one: another text may have its turn wherever this yields.
    const decoded = Buffer.allocUnsafeSlow(length + 3);
    const step = SLICE_LENGTH - (SLICE_LENGTH % 3);
    for (let from = 0; from < length; from += step) {
      if (from > 0) yield;
      this.#decode(place, decoded, from, Math.min(length, from + step));
    }
    const found: Stretch[] = [];
    const finder = new TextFinder(decoded, length);
    for (let until = Math.min(length, step); ; ) {
      if (finder.next(until)) {
        const { from, to } = finder;
        if (to - from > 4 * SLICE_LENGTH) yield 'long';
        found.push({ from, to, units: unitsOfBytes(decoded, from, to) });
      } else if (until === length) return found;
      else {
        until = Math.min(length, until + step);
        yield;
      }
    }
  }

  /** Bytes when decoding begins there. */
  #length(place: number): number {
    return Math.floor(((this.#count - place) * 6) / 8);
  }

  #decode(place: number, into: Buffer, from: number, to: number): void {
    const bits = this.#bits;
    let at = place + (from / 3) * 4;
    for (let out = from; out < to; out += 3, at += 4) {
      const word = (bits[at]! << 18) | (bits[at + 1]! << 12) | (bits[at + 2]! << 6) | bits[at + 3]!;
      into[out] = word >> 16;
      into[out + 1] = word >> 8;
      into[out + 2] = word;
    }
  }

  #take(kind: number, width: number): void {
    this.#begin();
    this.#bits[this.#count++] = kind;
    this.#end = this.#at + width;
  }

  /** Takes the characters of the alphabet that follow, the first of which is known to be one. */
  #takeAll(until: number): void {
    this.#begin();
    const units = this.#units;
    const bits = this.#bits;
    let count = this.#count;
    let at = this.#at;
    const last = Math.min(until, at + bits.length - 4 - count);
    do {
      bits[count++] = kinds[units[at++]!]!;
    } while (at < last && units[at]! < 128 && kinds[units[at]!]! < 64);
    this.#count = count;
    this.#at = at;
    this.#end = at;
  }

  /** One more character is about to be taken: there is room for it, and the word has its beginning. */
  #begin(): void {
    if (this.#count === this.#first) this.#start = this.#escaped ? this.#at - 1 : this.#at;
    this.#escaped = false;
    this.#gap = 0;
    if (this.#count + 8 <= this.#bits.length) return;
    const more = new Uint8Array(2 * this.#bits.length);
    more.set(this.#bits);
    this.#bits = more;
  }

  /** A character that is not of the alphabet. True: with it, a run is whole. */
  #other(kind: number): boolean {
    let isGap = kind === SPACE;
    if (kind === BACKSLASH) {
      const escaped = this.#units[this.#at + 1];
      if (escaped === 0x2f) {
        this.#escaped = true;
        return false;
      }
      isGap = escaped === 0x6e || escaped === 0x72 || escaped === 0x74;
      this.#at += this.#isUnicodeEscape() ? 5 : 1;
    }
    if (this.#count === 0) return false;
    if (isGap) {
      const length = this.#count - this.#first;
      if (length > 0) {
        this.#endWord();
        if (length >= LINE_LENGTH || length % 4 === 0) return false;
      } else if (++this.#gap < LONGEST_GAP) return false;
    } else if (kind === PADDING) {
      if (symbolOf(this.#units[this.#at + 1] ?? 0) === 0x3d) this.#at++;
      this.#end = this.#at + 1;
    }
    if (!this.#close()) return false;
    this.#at++;
    return true;
  }

  /** A backslash, `u` and four digits, as JSON and source code have them: its digits are not of the run. */
  #isUnicodeEscape(): boolean {
    const units = this.#units;
    if (units[this.#at + 1] !== 0x75) return false;
    for (let i = 2; i < 6; i++) if (hexValue(units[this.#at + i]) < 0) return false;
    return true;
  }

  #endWord(): void {
    if (this.#count > this.#first) this.#words.push({ first: this.#first, start: this.#start, end: this.#end });
    this.#first = this.#count;
  }

  /** Ends the run. True: it is long enough. */
  #close(): boolean {
    this.#endWord();
    this.isWhole = this.#count >= SHORTEST_RUN;
    if (!this.isWhole) this.#clear();
    return this.isWhole;
  }

  #clear(): void {
    this.isWhole = false;
    this.#count = 0;
    this.#first = 0;
    this.#gap = 0;
    this.#escaped = false;
    if (this.#words.length > 0) this.#words = [];
    if (this.#bits.length > 4 * SLICE_LENGTH) this.#bits = new Uint8Array(256);
  }
}

/** Walks decoded bytes from one stretch of text to the next. */
class TextFinder {
  /** The stretch found. */
  from = 0;
  to = 0;
  readonly #bytes: Buffer;
  readonly #length: number;
  #at = 0;
  #begun = 0;
  /** Characters of the stretch that can be seen. */
  #printable = 0;

  constructor(decoded: Buffer, length: number) {
    this.#bytes = decoded;
    this.#length = length;
  }

  /** Goes on to `until` at most (or a few bytes over it). True: a stretch is over. */
  next(until: number): boolean {
    const decoded = this.#bytes;
    const length = this.#length;
    while (this.#at < until) {
      const kind = bytesAre[decoded[this.#at]!]!;
      if (kind === TEXT) {
        this.#printable++;
        this.#at++;
      } else if (kind === NUL && this.#printable > 0) this.#at++;
      else if (kind >= LEADS && isCharacter(decoded, this.#at, kind - LEADS + 1, length)) {
        this.#printable++;
        this.#at += kind - LEADS + 2;
      } else if (this.#ends()) return true;
    }
    return this.#at >= length && this.#begun < length && this.#ends();
  }

  #ends(): boolean {
    const isText = this.#printable >= SHORTEST_TEXT;
    this.from = this.#begun;
    this.to = this.#at;
    this.#printable = 0;
    this.#begun = ++this.#at;
    return isText;
  }
}

function isCharacter(decoded: Buffer, at: number, more: number, length: number): boolean {
  if (at + more >= length) return false;
  for (let i = 1; i <= more; i++) if ((decoded[at + i]! & 0xc0) !== 0x80) return false;
  return true;
}

function unitsOfBytes(decoded: Buffer, from: number, to: number): Uint16Array {
  const text = decoded.toString('utf8', from, to);
  const units = new Uint16Array(text.length);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return units;
}
