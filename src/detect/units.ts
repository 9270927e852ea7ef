/** Text as an array of UTF-16 units: reading one costs the same whatever V8 made of the string. */

/** Copies `text` from `from` to `to` (exclusive) into `units`, at the same offsets plus `shift`. */
export function copyUnits(text: string, from: number, to: number, units: Uint16Array, shift: number): void {
  for (let i = from; i < to; i++) units[i + shift] = text.charCodeAt(i);
}

/** V8 makes a string of this length on that is cut from another one a view of it, which keeps the whole of that in memory. */
const SHORTEST_VIEW = 13;

/** The same text as a string of its own: for what outlives the text that it was cut from. */
export function ownText(text: string): string {
  return text.length < SHORTEST_VIEW ? text : Buffer.from(text, 'utf16le').toString('utf16le');
}

/** The text of the units between two offsets, at most some thousands. */
export function textOf(units: Uint16Array, from: number, to: number): string {
  return String.fromCharCode(...units.subarray(from, to));
}

/** Characters copied in one step: some tenth of a millisecond. */
const SLICE_LENGTH = 65_536;

/** The units of a text, or of one that comes in pieces; as work in slices. */
export function* unitsOf(text: string | readonly string[]): Generator<undefined, Uint16Array, undefined> {
  const pieces = typeof text === 'string' ? [text] : text;
  const units = new Uint16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let before = 0;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; from += SLICE_LENGTH) {
      if (before + from > 0) yield;
      copyUnits(piece, from, Math.min(from + SLICE_LENGTH, piece.length), units, before);
    }
    before += piece.length;
  }
  return units;
}

/** The code point at an offset; of a pair that is not whole before `end`, its half. */
export function pointAt(units: Uint16Array, at: number, end: number): number {
  const high = units[at]!;
  if ((high & 0xfc00) !== 0xd800 || at + 1 >= end) return high;
  const low = units[at + 1]!;
  return (low & 0xfc00) === 0xdc00 ? ((high - 0xd800) << 10) + (low - 0xdc00) + 0x10000 : high;
}

/** What a hexadecimal digit stands for; −1 for any other unit, or none. */
export function hexValue(unit: number | undefined): number {
  if (unit === undefined) return -1;
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const lower = unit | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
