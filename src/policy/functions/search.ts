import type { Budget } from '../budget.ts';
import { checkLength } from './failure.ts';

/** V8 searches longer texts in time that grows with the product of both lengths (250 ms for 1 kB in 1 MB, measured). */
const maxNativeNeedle = 250;

/** Where `needle` is in a text at or after `from`, or -1; in linear time. Offsets are UTF-16 units. */
export type Searcher = (text: string, from: number) => number;

export function searcher(needle: string): Searcher {
  if (needle.length <= maxNativeNeedle) return (text, from) => text.indexOf(needle, from);
  const borders = bordersOf(needle);
  return (text, from) => {
    let matched = 0;
    for (let i = from; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      while (matched > 0 && needle.charCodeAt(matched) !== unit) matched = borders[matched - 1]!;
      if (needle.charCodeAt(matched) === unit) matched += 1;
      if (matched === needle.length) return i - matched + 1;
    }
    return -1;
  };
}

/** Knuth, Morris and Pratt: for each prefix, the length of its longest border. */
function bordersOf(needle: string): Int32Array {
  const borders = new Int32Array(needle.length);
  let length = 0;
  for (let i = 1; i < needle.length; i += 1) {
    const unit = needle.charCodeAt(i);
    while (length > 0 && needle.charCodeAt(length) !== unit) length = borders[length - 1]!;
    if (needle.charCodeAt(length) === unit) length += 1;
    borders[i] = length;
  }
  return borders;
}

/** Units for one pass over a text in search of another. */
export function searchUnits(text: string, needle: string): number {
  return needle.length <= maxNativeNeedle ? text.length >> 9 : (text.length + needle.length) >> 6;
}

export function contains(text: string, needle: string): boolean {
  return searcher(needle)(text, 0) >= 0;
}

/**
 * The parts of a text between occurrences of a separator, at most `limit` (negative: no limit). An empty separator splits
 * into code points.
 */
export function splitText(text: string, separator: string, limit: bigint, budget: Budget): string[] {
  budget.spend(text.length >> 3);
  if (limit === 0n) return [];
  const most = limit < 0n || limit > BigInt(text.length) ? text.length + 1 : Number(limit);
  if (separator === '') {
    const characters = Array.from(text);
    return characters.length <= most
      ? characters
      : [...characters.slice(0, most - 1), characters.slice(most - 1).join('')];
  }
  const find = searcher(separator);
  const parts: string[] = [];
  let from = 0;
  while (parts.length < most - 1) {
    const at = find(text, from);
    if (at < 0) break;
    parts.push(text.slice(from, at));
    from = at + separator.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** The text with the first `limit` occurrences replaced (negative: all). An empty `from` is before each character and at the end. */
export function replaceText(parts: { text: string; from: string; to: string; limit: bigint }, budget: Budget): string {
  const { text, from, to, limit } = parts;
  if (limit === 0n) return text;
  if (from === '') {
    const characters = splitText(text, '', -1n, budget);
    const gaps = characters.length + 1;
    const count = limit < 0n || limit > BigInt(gaps) ? gaps : Number(limit);
    const length = text.length + count * to.length;
    checkLength(length);
    budget.spend(length >> 6);
    return (
      characters.map((character, i) => (i < count ? to + character : character)).join('') + (count === gaps ? to : '')
    );
  }
  const pieces = splitText(text, from, limit < 0n ? -1n : limit + 1n, budget);
  const length = text.length + (pieces.length - 1) * (to.length - from.length);
  checkLength(length);
  budget.spend(pieces.length + (length >> 9));
  return pieces.join(to);
}

/** Joins texts, after a look at how long that would be. */
export function joinTexts(texts: readonly string[], separator: string, budget: Budget): string {
  let length = Math.max(0, texts.length - 1) * separator.length;
  for (const text of texts) length += text.length;
  checkLength(length);
  budget.spend(length >> 9);
  return texts.join(separator);
}
