/**
 * How words are compared: normalized (detect/normalize.ts), and everything that is no letter, mark, digit or `_` is one space,
 * however much of it there is. So `Drop  the-BOMB!` reads ` drop the bomb `, and a phrase is found as it is in a sentence. In
 * scripts that put no spaces between words each character counts as a word.
 */
const SPACE = 0x20;

const SEPARATOR = 0;
const WORD = 1;
/** A word of its own. */
const ALONE = 2;

const word = /^[\p{L}\p{M}\p{N}_]$/u;
const alone =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

// Filled page by page at first use: 256 code points each.
const pages: (Uint8Array | undefined)[] = new Array(0x1100).fill(undefined);

function kindOf(point: number): number {
  let page = pages[point >> 8];
  if (page === undefined) {
    page = new Uint8Array(256);
    for (let low = 0; low < 256; low++) {
      const char = String.fromCodePoint((point & ~255) | low);
      page[low] = alone.test(char) ? ALONE : word.test(char) ? WORD : SEPARATOR;
    }
    pages[point >> 8] = page;
  }
  return page[point & 255]!;
}

/** Reads normalized text piece by piece, and keeps where it is. Each word comes with a space before it. */
export class WordReader {
  /** What the last call of `read` made of its piece; `length` units of it. */
  units = new Uint16Array(0);
  length = 0;
  /** What came last: a separator, or the beginning of the text. */
  #last = SEPARATOR;
  #begun = false;

  read(piece: string): void {
    // A character of its own may bring two spaces.
    if (this.units.length < 3 * piece.length + 2) this.units = new Uint16Array(3 * piece.length + 2);
    const { units } = this;
    let length = 0;
    let last = this.#last;
    if (!this.#begun) {
      units[length++] = SPACE;
      this.#begun = true;
    }
    for (let at = 0; at < piece.length; at++) {
      const unit = piece.charCodeAt(at);
      const isPair = (unit & 0xfc00) === 0xd800 && at + 1 < piece.length;
      const kind = kindOf(isPair ? piece.codePointAt(at)! : unit);
      // The space after a word is written when the word is over; what follows finds it there.
      if (kind !== WORD && last !== SEPARATOR) units[length++] = SPACE;
      else if (kind === WORD && last === ALONE) units[length++] = SPACE;
      if (kind !== SEPARATOR) {
        units[length++] = unit;
        if (isPair && piece.codePointAt(at)! > 0xffff) units[length++] = piece.charCodeAt(++at);
      }
      last = kind;
    }
    this.#last = last;
    this.length = length;
  }

  /** As it was at first. */
  reset(): void {
    this.#last = SEPARATOR;
    this.#begun = false;
  }

  /** The space behind the last word. */
  end(): void {
    this.length = 0;
    if (this.#last !== SEPARATOR) this.units[this.length++] = SPACE;
    this.#last = SEPARATOR;
  }
}
