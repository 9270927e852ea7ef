import { copyUnits, pointAt } from './units.ts';

/**
 * Folding: what a reader sees as `4111` is matched as `4111`, whatever code points it is written in. One code point
 * becomes one symbol, so offsets in the original are never lost: an ASCII character, OTHER, or SKIP (invisible: read over).
 */

/** Any visible character that does not fold to ASCII. */
export const OTHER = 128;
/** Number of symbols that a pattern can tell apart. */
export const SYMBOLS = 129;
/** An invisible character: zero width, soft hyphen, direction mark, combining mark, control. */
export const SKIP = 255;
/** What OTHER looks like to a validator and to a JavaScript RegExp. */
export const OTHER_SIGN = '¤';
const OTHER_CODE = OTHER_SIGN.charCodeAt(0);

// Letters that look like an ASCII one and have no compatibility decomposition (UTS 39, confusables.txt, the plain ones).
const lookalikes = new Map(
  Object.entries({
    a: 'аα',
    b: 'Ьƅ',
    c: 'сϲ',
    d: 'ԁđ',
    e: 'еҽ',
    g: 'ɡ',
    h: 'һ',
    i: 'іıι',
    j: 'ј',
    k: 'κк',
    l: 'ӏł',
    m: 'м',
    n: 'ո',
    o: 'оοօø',
    p: 'рρ',
    q: 'ԛ',
    s: 'ѕ',
    t: 'т',
    u: 'υս',
    v: 'νѵ',
    w: 'ԝ',
    x: 'хχ',
    y: 'уγ',
    A: 'АΑ',
    B: 'ВΒ',
    C: 'СϹ',
    D: 'Đ',
    E: 'ЕΕ',
    G: 'Ԍ',
    H: 'НΗ',
    I: 'ІΙӀ',
    J: 'Ј',
    K: 'КΚ',
    L: 'Ł',
    M: 'МΜ',
    N: 'Ν',
    O: 'ОΟØ',
    P: 'РΡ',
    S: 'Ѕ',
    T: 'ТΤ',
    X: 'ХΧ',
    Y: 'ҮΥ',
    Z: 'Ζ',
    '-': '−⁃',
    '.': '。｡',
    '/': '⁄∕',
    ':': '∶ː',
  }).flatMap(([ascii, others]) => [...others].map((other) => [other, ascii.charCodeAt(0)] as const)),
);

const invisible = /^[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Mn}\p{Me}\p{Cc}]$/u;
const digit = /^\p{Nd}$/u;

function computeSymbol(point: number): number {
  const char = String.fromCodePoint(point);
  if ((point >= 9 && point <= 13) || (point >= 32 && point < 127)) return point;
  if (point === 0x85 || /^[\p{Zl}\p{Zp}]$/u.test(char)) return 10;
  // Beyond the BMP only the tag characters are read over: a bound on invisible characters can then count UTF-16 units.
  if (point > 0xffff ? point >> 12 === 0xe0 : invisible.test(char)) return SKIP;
  if (/^\p{Zs}$/u.test(char)) return 32;
  if (/^\p{Pd}$/u.test(char)) return 45;
  if (digit.test(char)) return 48 + digitValue(point);
  const bare = char.normalize('NFKD').replace(/\p{M}/gu, '');
  const known = lookalikes.get(char) ?? lookalikes.get(bare);
  if (known !== undefined) return known;
  if (/^[ -~]$/.test(bare)) return bare.charCodeAt(0);
  // `⑴`, `⒈`, `🄁`: one letter or digit dressed in punctuation.
  const core = /^[ -/:-@[-`{-~]*([0-9A-Za-z])[ -/:-@[-`{-~]*$/.exec(bare)?.[1];
  return core === undefined ? OTHER : core.charCodeAt(0);
}

/** Unicode encodes the decimal digits of each script as one ascending run of ten. */
function digitValue(point: number): number {
  const ascii = String.fromCodePoint(point).normalize('NFKD');
  if (/^[0-9]$/.test(ascii)) return ascii.charCodeAt(0) - 48;
  let first = point;
  while (digit.test(String.fromCodePoint(first - 1))) first--;
  return (point - first) % 10;
}

// Filled page by page at first use: 256 code points each, 1.1 MB if a text were to touch every page there is.
const pages: (Uint8Array | undefined)[] = new Array(0x1100).fill(undefined);

/** The symbol of one code point (a lone surrogate is OTHER). */
export function symbolOf(point: number): number {
  let page = pages[point >> 8];
  if (page === undefined) {
    page = new Uint8Array(256);
    for (let low = 0; low < 256; low++) page[low] = computeSymbol((point & ~255) | low);
    pages[point >> 8] = page;
  }
  return page[point & 255]!;
}

/** The folded form of a text, invisible characters left out: what patterns and validators see. */
export function fold(text: string): string {
  const units = new Uint16Array(text.length);
  copyUnits(text, 0, text.length, units, 0);
  return foldUnits(units, 0, text.length);
}

/** Length of the folded form of the UTF-16 units between two offsets. */
export function foldedLength(units: Uint16Array, from: number, to: number): number {
  let length = 0;
  for (let at = from; at < to; ) {
    const unit = units[at]!;
    if (unit >= 32 && unit < 127) {
      length++;
      at++;
      continue;
    }
    const point = pointAt(units, at, to);
    if (symbolOf(point) !== SKIP) length++;
    at += point > 0xffff ? 2 : 1;
  }
  return length;
}

let folded = Buffer.alloc(1024);

/** As `fold`, of the UTF-16 units between two offsets. */
export function foldUnits(units: Uint16Array, from: number, to: number): string {
  // A byte a character: OTHER_SIGN is in Latin-1.
  if (to - from > folded.length) folded = Buffer.alloc(2 * (to - from));
  let length = 0;
  for (let at = from; at < to; ) {
    const unit = units[at]!;
    if (unit >= 32 && unit < 127) {
      folded[length++] = unit;
      at++;
      continue;
    }
    const point = pointAt(units, at, to);
    const symbol = symbolOf(point);
    if (symbol !== SKIP) folded[length++] = symbol === OTHER ? OTHER_CODE : symbol;
    at += point > 0xffff ? 2 : 1;
  }
  return folded.toString('latin1', 0, length);
}
