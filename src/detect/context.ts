/**
 * The words before a match (detector.ts, `Context`): all of them as trees of letters, read from the last one back, so that
 * finding them costs the same however many there are. context-cursor.ts walks them over a text.
 */
import type { Context } from './detector.ts';
import { fold, OTHER, symbolOf } from './fold.ts';
import { normalize } from './normalize.ts';

const DEFAULT_WITHIN = 120;
const MAX_WITHIN = 120;
/** Longest word, with what is between its parts. */
export const MAX_WORD = 48;
/** Units before a candidate that are enough to say what stands before it: one more than are looked at. */
export const MAX_CONTEXT = MAX_WITHIN + MAX_WORD + 1;

/** Letters and digits. */
const COLUMNS = 36;
export const NO_NODE = 0;

/** Which words, by their number, and how far from the match they may end. */
export interface ContextRule {
  readonly group: number;
  readonly within: number;
}

/** What a part of a word is: all of it, or the end of one whose other parts stand before it. */
export interface WordEnd {
  readonly groups: number[];
  /** Root of the tree of the parts that may stand before this one; NO_NODE: there are none. */
  before: number;
}

/** A word in other than Latin letters. */
interface OtherWord {
  readonly word: string;
  readonly group: number;
}

/** Column of a letter or digit, either case; −1: it is neither. */
export function columnOf(symbol: number): number {
  if (symbol >= 97 && symbol <= 122) return symbol - 97;
  if (symbol >= 65 && symbol <= 90) return symbol - 65;
  return symbol >= 48 && symbol <= 57 ? symbol - 22 : -1;
}

/** The words of all rules of an automaton. */
export class ContextWords {
  /** Per node and column: the next node. Node 0 is none. */
  #next = new Int32Array(64 * COLUMNS);
  #nodes = 1;
  readonly #ends = new Map<number, WordEnd>();
  readonly #groups = new Map<string, number>();
  readonly others: OtherWord[] = [];
  /** Trees of last parts: read backwards; and forwards, of those that may go on (`steuer*`). */
  readonly root = this.#node();
  readonly beginnings = this.#node();
  /** The widest context. */
  farthest = 0;

  /** Adds the words of a rule. Throws RangeError for a context that cannot be looked for. */
  add(context: Context): ContextRule {
    const within = context.within ?? DEFAULT_WITHIN;
    if (!Number.isInteger(within) || within < 1 || within > MAX_WITHIN)
      throw new RangeError(`a context reaches from 1 to ${MAX_WITHIN} characters back, not ${within}`);
    if (context.words.length === 0) throw new RangeError('a context has no words');
    this.farthest = Math.max(this.farthest, within);
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

  /** The node after a letter or digit. */
  step(node: number, column: number): number {
    return this.#next[node * COLUMNS + column]!;
  }

  endAt(node: number): WordEnd | undefined {
    return this.#ends.get(node);
  }

  #addWord(word: string, group: number): void {
    if (word.length === 0 || word.length > MAX_WORD)
      throw new RangeError(`a context word has 1 to ${MAX_WORD} characters: "${word}"`);
    const text = word.endsWith('*') ? word.slice(0, -1) : word;
    if ([...text].some((char) => /\p{L}/u.test(char) && symbolOf(char.codePointAt(0)!) === OTHER)) {
      this.others.push({ word: normalize(text), group });
      return;
    }
    const parts = fold(text)
      .toLowerCase()
      .match(/[a-z]+|[0-9]+/g);
    if (parts === null) throw new RangeError(`a context word has no letter: "${word}"`);
    const joined = parts.join('');
    const last = parts.pop()!;
    if (text !== word) {
      this.#addBefore(this.#grow(this.beginnings, last), parts, group);
      return;
    }
    // Written as one word, too: `taxid`.
    if (parts.length > 0 && !/\d/.test(text)) this.#addBefore(this.#grow(this.root, reversed(joined)), [], group);
    this.#addBefore(this.#grow(this.root, reversed(last)), parts, group);
  }

  #addBefore(end: WordEnd, parts: string[], group: number): void {
    const last = parts.pop();
    if (last === undefined) {
      if (!end.groups.includes(group)) end.groups.push(group);
      return;
    }
    if (end.before === NO_NODE) end.before = this.#node();
    this.#addBefore(this.#grow(end.before, reversed(last)), parts, group);
  }

  #grow(root: number, letters: string): WordEnd {
    let node = root;
    for (const letter of letters) {
      const place = node * COLUMNS + columnOf(letter.charCodeAt(0));
      const next = this.#next[place]! || this.#node();
      this.#next[place] = next;
      node = next;
    }
    const end = this.#ends.get(node) ?? { groups: [], before: NO_NODE };
    this.#ends.set(node, end);
    return end;
  }

  #node(): number {
    const node = this.#nodes++;
    if (this.#nodes * COLUMNS > this.#next.length) {
      const larger = new Int32Array(2 * this.#next.length);
      larger.set(this.#next);
      this.#next = larger;
    }
    return node;
  }
}

const reversed = (text: string): string => [...text].reverse().join('');
