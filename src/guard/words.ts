/**
 * How words are compared: normalized (detect/normalize.ts), without accents and other marks, and everything that is no letter or
 * digit is one space, however much of it there is. So `Drop  the-BOMB!` and `_drop_the_bo\u0336mb_` read ` drop the bomb `, and a
 * phrase is found as it is in a sentence. In scripts that put no spaces between words each character counts as a word.
 *
 * Marks that people read over are gone: those of no script (accents, strokes through letters, circles around them), and those of
 * Latin, Greek, Cyrillic, Hebrew, Arabic and Syriac. Vowels of other scripts are marks, too: they stay behind letters of such
 * scripts, and only there.
 */
const SPACE = 0x20;

const SEPARATOR = 0;
const WORD = 1;
/** A word of its own. */
const ALONE = 2;
/** Read over. */
const MARK = 3;
/** Added to WORD and ALONE: a mark that stays behind letters of its kind of script. */
const MAY_GO = 4;
/** Added to WORD: another character is read instead. */
const ACCENTED = 8;

/** Letters of Latin, Greek, Cyrillic and Armenian are before it: the scripts whose accents are written with the letter, too. */
const OTHER_SCRIPTS = 0x590;

const word = /^[\p{L}\p{M}\p{N}]$/u;
const mark = /^\p{M}$/u;
const accents = /^\p{M}+$/u;
const scriptless =
  /^[\p{Script=Inherited}\p{Script=Common}\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}]$/u;
const alone =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

// Filled page by page at first use: 256 code points each.
const pages: (Uint8Array | undefined)[] = new Array(0x1100).fill(undefined);

function kindOf(point: number): number {
  let page = pages[point >> 8];
  if (page === undefined) {
    page = new Uint8Array(256);
    for (let low = 0; low < 256; low++) page[low] = workOutKind(String.fromCodePoint((point & ~255) | low));
    pages[point >> 8] = page;
  }
  return page[point & 255]!;
}

function workOutKind(char: string): number {
  const isMark = mark.test(char);
  if (isMark && scriptless.test(char)) return MARK;
  const kind = alone.test(char) ? ALONE : word.test(char) ? WORD : SEPARATOR;
  if (isMark) return kind | MAY_GO;
  return kind === WORD && withoutAccents(char) !== undefined ? WORD | ACCENTED : kind;
}

/** The letter below the accents, where it is of a script whose accents do not count. */
function withoutAccents(char: string): number | undefined {
  const parts = char.normalize('NFD');
  const base = parts.codePointAt(0)!;
  return base < OTHER_SCRIPTS && accents.test(parts.slice(1)) ? base : undefined;
}

const bases = new Map<number, number>();

function baseOf(point: number): number {
  let base = bases.get(point);
  if (base === undefined) {
    base = withoutAccents(String.fromCodePoint(point)) ?? point;
    bases.set(point, base);
  }
  return base;
}

/** Reads normalized text piece by piece, and keeps where it is. Each word comes with a space before it. */
export class WordReader {
  /** What the last call of `read` made of its piece; `length` units of it. */
  units = new Uint16Array(0);
  length = 0;
  /** What came last: a separator, or the beginning of the text. */
  #last = SEPARATOR;
  /** The last unit that was no separator's; SPACE behind one. */
  #lastUnit = SPACE;
  #begun = false;

  read(piece: string): void {
    // A character of its own may bring two spaces.
    if (this.units.length < 3 * piece.length + 2) this.units = new Uint16Array(3 * piece.length + 2);
    const { units } = this;
    let length = 0;
    let last = this.#last;
    let lastUnit = this.#lastUnit;
    if (!this.#begun) {
      units[length++] = SPACE;
      this.#begun = true;
    }
    for (let at = 0; at < piece.length; at++) {
      const unit = piece.charCodeAt(at);
      const isPair = (unit & 0xfc00) === 0xd800 && at + 1 < piece.length;
      let kind = kindOf(isPair ? piece.codePointAt(at)! : unit);
      let written = unit;
      if (kind > ALONE) {
        if (kind === MARK || ((kind & MAY_GO) !== 0 && lastUnit < OTHER_SCRIPTS)) {
          if (isPair) at++;
          continue;
        }
        if ((kind & ACCENTED) !== 0) written = baseOf(unit);
        kind &= WORD | ALONE;
      }
      // The space after a word is written when the word is over; what follows finds it there.
      if (kind !== WORD && last !== SEPARATOR) units[length++] = SPACE;
      else if (kind === WORD && last === ALONE) units[length++] = SPACE;
      if (kind !== SEPARATOR) {
        units[length++] = written;
        if (isPair && piece.codePointAt(at)! > 0xffff) units[length++] = piece.charCodeAt(++at);
      }
      last = kind;
      lastUnit = kind === SEPARATOR ? SPACE : written;
    }
    this.#last = last;
    this.#lastUnit = lastUnit;
    this.length = length;
  }

  /** As it was at first. */
  reset(): void {
    this.#last = SEPARATOR;
    this.#lastUnit = SPACE;
    this.#begun = false;
  }

  /** The space behind the last word. */
  end(): void {
    this.length = 0;
    if (this.#last !== SEPARATOR) this.units[this.length++] = SPACE;
    this.#last = SEPARATOR;
  }
}
