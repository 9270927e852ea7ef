/**
 * The words before a match (detector.ts, `Context`). Looked for only where a candidate asks, from its beginning backwards,
 * at most `farthest` units: nothing is read ahead, nothing is done for text without candidates.
 */
import type { Context } from './detector.ts';
import { fold, OTHER, SKIP, symbolOf } from './fold.ts';
import { normalize } from './normalize.ts';

const DEFAULT_WITHIN = 64;
const MAX_WITHIN = 120;
/** Longest word, with what is between its parts. */
const MAX_WORD = 48;
/** Between the parts of one word: `tax id`, `tax_id`, `tax - id`. */
const MAX_GAP = 3;
/** Units before a candidate that are enough to say what stands before it: one more than are looked at. */
export const MAX_CONTEXT = MAX_WITHIN + MAX_WORD + 1;

/** Which words, by their number, and how far from the match they may end. */
export interface ContextRule {
  readonly group: number;
  readonly within: number;
}

/** Parts of words, from the last to the first. */
interface Branch {
  readonly next: Map<string, Branch>;
  /** Groups with a word that begins here. */
  readonly groups: number[];
}

interface Part {
  readonly text: string;
  /** Offsets in the window. */
  readonly start: number;
  readonly end: number;
}

/** Where text before a candidate is read from: the unit at an offset, which may be negative. */
export type UnitAt = (offset: number) => number;

/** The words of all rules of an automaton. */
export class ContextWords {
  readonly #root = branch();
  /** Beginnings of last parts: `steuer*`. */
  readonly #beginnings = new Map<string, Branch>();
  #beginningLengths: readonly number[] = [];
  readonly #groups = new Map<string, number>();
  /** Words in other than Latin letters, by group. */
  readonly #others: { readonly word: string; readonly group: number }[] = [];
  #farthest = 0;

  /** Adds the words of a rule. Throws RangeError for a context that cannot be looked for. */
  add(context: Context): ContextRule {
    const within = context.within ?? DEFAULT_WITHIN;
    if (!Number.isInteger(within) || within < 1 || within > MAX_WITHIN)
      throw new RangeError(`a context reaches from 1 to ${MAX_WITHIN} characters back, not ${within}`);
    if (context.words.length === 0) throw new RangeError('a context has no words');
    this.#farthest = Math.max(this.#farthest, within);
    const key = context.words.join('\n');
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = this.#groups.size;
      this.#groups.set(key, group);
      for (const word of context.words) this.#addWord(word, group);
    }
    return { group, within };
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  #addWord(word: string, group: number): void {
    if (word.length === 0 || word.length > MAX_WORD)
      throw new RangeError(`a context word has 1 to ${MAX_WORD} characters: "${word}"`);
    const text = word.endsWith('*') ? word.slice(0, -1) : word;
    if ([...text].some((char) => /\p{L}/u.test(char) && symbolOf(char.codePointAt(0)!) === OTHER)) {
      this.#others.push({ word: normalize(text), group });
      return;
    }
    const parts = partsOf(fold(text)).reverse();
    if (parts.length === 0) throw new RangeError(`a context word has no letter: "${word}"`);
    if (text !== word) {
      const [last, ...rest] = parts as [string, ...string[]];
      const begun = this.#beginnings.get(last) ?? branch();
      this.#beginnings.set(last, begun);
      this.#beginningLengths = [...new Set([...this.#beginnings.keys()].map(({ length }) => length))];
      grow(begun, rest, group);
    } else {
      grow(this.#root, parts, group);
      // Written as one word: `taxid`.
      if (parts.length > 1 && !/\d/.test(text)) grow(this.#root, [parts.toReversed().join('')], group);
    }
  }

  /**
   * The nearest word of each group before `from`: group → units between its end and `from`. `least`: the first offset that
   * there is.
   */
  before(unitAt: UnitAt, from: number, least: number): ReadonlyMap<number, number> {
    const nearest = new Map<number, number>();
    const first = Math.max(least, from - this.#farthest - MAX_WORD);
    const { parts, hasOthers } = partsBefore(unitAt, from, first, least);
    parts.forEach((part, index) => {
      const distance = from - part.end;
      if (distance > this.#farthest) return;
      const found = (group: number) => {
        if (!nearest.has(group)) nearest.set(group, distance);
      };
      this.#follow(this.#root.next.get(part.text), parts, index, found);
      if (part.text.length > 2 && part.text.endsWith('s'))
        this.#follow(this.#root.next.get(part.text.slice(0, -1)), parts, index, found);
      for (const length of this.#beginningLengths)
        if (part.text.length >= length)
          this.#follow(this.#beginnings.get(part.text.slice(0, length)), parts, index, found);
    });
    if (hasOthers && this.#others.length > 0) this.#findOthers(unitAt, from, first, nearest);
    return nearest;
  }

  #follow(from: Branch | undefined, parts: readonly Part[], index: number, found: (group: number) => void): void {
    let at = from;
    for (let i = index; at !== undefined; i++) {
      for (const group of at.groups) found(group);
      const before = parts[i + 1];
      if (at.next.size === 0 || before === undefined || parts[i]!.start - before.end > MAX_GAP) return;
      at = at.next.get(before.text);
    }
  }

  #findOthers(unitAt: UnitAt, from: number, first: number, nearest: Map<number, number>): void {
    const units: number[] = [];
    for (let at = Math.max(first, from - this.#farthest); at < from; at++) units.push(unitAt(at));
    const text = normalize(String.fromCharCode(...units));
    for (const { word, group } of this.#others) {
      const at = text.lastIndexOf(word);
      if (at < 0) continue;
      const distance = text.length - at - word.length;
      if (distance < (nearest.get(group) ?? Number.POSITIVE_INFINITY)) nearest.set(group, distance);
    }
  }
}

function branch(): Branch {
  return { next: new Map(), groups: [] };
}

function grow(from: Branch, parts: readonly string[], group: number): void {
  let at = from;
  for (const part of parts) {
    const next = at.next.get(part) ?? branch();
    at.next.set(part, next);
    at = next;
  }
  if (!at.groups.includes(group)) at.groups.push(group);
}

/** The parts of a folded word, first to last. */
function partsOf(folded: string): string[] {
  const { parts } = partsBefore((offset) => folded.charCodeAt(offset), folded.length, 0, 0);
  return parts.map(({ text }) => text).reverse();
}

const isLower = (symbol: number) => symbol >= 97 && symbol <= 122;
const isUpper = (symbol: number) => symbol >= 65 && symbol <= 90;
const isDigit = (symbol: number) => symbol >= 48 && symbol <= 57;

/**
 * Runs of letters and runs of digits before an offset, the nearest first, in lower case; `taxId` is two. A part that may go
 * on before `first` is left out, unless that is where the text begins.
 */
function partsBefore(
  unitAt: UnitAt,
  from: number,
  first: number,
  least: number,
): { readonly parts: readonly Part[]; readonly hasOthers: boolean } {
  const parts: Part[] = [];
  let hasOthers = false;
  // Of the part in progress, from its last character on.
  let text = '';
  let end = from;
  let start = from;
  let next = 0;
  let isCapitals = true;
  for (let at = from - 1; at >= first; at--) {
    const symbol = symbolOf(unitAt(at));
    if (symbol === SKIP) continue;
    const isPart = isLower(symbol) || isUpper(symbol) || isDigit(symbol);
    hasOthers ||= symbol === OTHER;
    if (text !== '' && (!isPart || isSplit(symbol, next, isCapitals))) {
      parts.push({ text, start, end });
      text = '';
    }
    if (!isPart) continue;
    if (text === '') {
      end = at + 1;
      isCapitals = true;
    }
    // `SSNs` is capitals, too.
    isCapitals &&= isUpper(symbol) || (text === '' && symbol === 115);
    text = String.fromCharCode(isUpper(symbol) ? symbol + 32 : symbol) + text;
    start = at;
    next = symbol;
  }
  if (text !== '' && first === least) parts.push({ text, start, end });
  return { parts, hasOthers };
}

/** Whether a part begins between two characters: `4a`, `taxId`, and `IDNumber` before its `N`. */
function isSplit(symbol: number, next: number, isCapitals: boolean): boolean {
  if (isDigit(symbol) !== isDigit(next)) return true;
  return isUpper(next) && (isLower(symbol) || !isCapitals);
}
