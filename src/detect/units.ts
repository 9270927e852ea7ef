/** Text as an array of UTF-16 units: reading one costs the same whatever V8 made of the string. */

/** Copies `text` from `from` to `to` (exclusive) into `units`, at the same offsets plus `shift`. */
export function copyUnits(text: string, from: number, to: number, units: Uint16Array, shift: number): void {
  for (let i = from; i < to; i++) units[i + shift] = text.charCodeAt(i);
}

/** The code point at an offset; of a pair that is not whole before `end`, its half. */
export function pointAt(units: Uint16Array, at: number, end: number): number {
  const high = units[at]!;
  if ((high & 0xfc00) !== 0xd800 || at + 1 >= end) return high;
  const low = units[at + 1]!;
  return (low & 0xfc00) === 0xdc00 ? ((high - 0xd800) << 10) + (low - 0xdc00) + 0x10000 : high;
}
