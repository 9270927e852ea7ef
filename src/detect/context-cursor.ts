/**
 * Finds the words before a candidate: from it backwards to where the last candidate was, so that each character is read
 * once or so, and text without candidates not at all. Nothing is read ahead.
 */
import { type ContextRule, type ContextWords, columnOf, MAX_WORD, NO_NODE, type WordEnd } from './context.ts';
import { OTHER, SKIP, symbolOf } from './fold.ts';
import { normalize } from './normalize.ts';

/** Between the parts of one word: `tax id`, `tax_id`, `tax - id`. */
const MAX_GAP = 3;

/** Units that cost less to look at than a validator. */
const NEAR = 48;

/** Of a match that no word stands before: farther than any. */
export const NO_CONTEXT = 1000;

/** Where a word of a group ended last, in units from the beginning of the whole text; and where the longest such began. */
interface Hit {
  start: number;
  end: number;
  longest: number;
}

/** A run of letters or of digits. */
interface Part {
  start: number;
  end: number;
  /** Nodes of the tree after all of its letters, and without a plural `s`; NO_NODE: no word ends so. */
  whole: number;
  singular: number;
  length: number;
  /** It may have begun before what was looked at. */
  isCut: boolean;
}

/**
 * Units of the text before the one in hand that are kept, each at its offset in the whole modulo this: a power of two, and enough
 * for all that is looked at.
 */
export const RECENT = 256;

export class ContextCursor {
  readonly #words: ContextWords;
  /** Where the whole text begins: what was said before it has negative offsets. */
  readonly #least: number;
  #text: Uint16Array = nothing;
  #recent: Uint16Array = nothing;
  #base = 0;
  // What was looked for last: before `#from`, an offset in the whole text; parts before `#to` cannot go on.
  #from = Number.NEGATIVE_INFINITY;
  #to = Number.NEGATIVE_INFINITY;
  #lastOther = Number.NEGATIVE_INFINITY;
  readonly #hits = new Map<number, Hit>();
  /** Of words whose last part may go on: good for `#from` alone. */
  readonly #passing = new Map<number, Hit>();
  #others: ReadonlyMap<number, number> = new Map();
  /** Where the word began that `#distanceOf` found last. */
  #longest = 0;

  /** `least`: offset of the beginning of what is before the whole text; 0 or less. */
  constructor(words: ContextWords, least: number) {
    this.#words = words;
    this.#least = least;
  }

  /** Whether little is to be read for an offset in the whole text. */
  isNear(at: number): boolean {
    return at - this.#from <= NEAR;
  }

  /**
   * How far the nearest word of a rule is before `from`, an offset in `text`; negative: the rule does not match there. Asked in
   * the order of the text. `base`: how much of the whole text was before the one in hand; `recent`: the end of that.
   */
  distance(
    text: Uint16Array,
    from: number,
    recent: Uint16Array,
    base: number,
    context: ContextRule | undefined,
    unless: ContextRule | undefined,
  ): number {
    if (base + from !== this.#from) {
      this.#text = text;
      this.#recent = recent;
      this.#base = base;
      this.#look(base + from);
      this.#text = nothing;
    }
    const near = context === undefined ? NO_CONTEXT : this.#distanceOf(context);
    if (near < 0) return -1;
    const longest = this.#longest;
    const against = unless === undefined ? -1 : this.#distanceOf(unless);
    if (against < 0) return near;
    // Of two words that end at the same place the longer one counts: `public key` speaks against what `key` speaks for.
    const isNearer = context === undefined || against < near || (against === near && this.#longest < longest);
    return isNearer ? -1 : near;
  }

  /** Also sets `#longest`. */
  #distanceOf({ group, within }: ContextRule): number {
    const first = this.#first(this.#from);
    let nearest = this.#others.get(group) ?? NO_CONTEXT;
    this.#longest = this.#from - nearest;
    for (let i = 0; i < 2; i++) {
      const hit = (i === 0 ? this.#hits : this.#passing).get(group);
      if (hit === undefined || (hit.start <= first && first > this.#least)) continue;
      const distance = this.#from - hit.end;
      if (distance >= nearest) continue;
      nearest = distance;
      this.#longest = hit.longest;
    }
    return nearest > within ? -1 : nearest;
  }

  /** Parts that may go on before here are not looked at. */
  #first(from: number): number {
    return Math.max(this.#least, from - this.#words.farthest - MAX_WORD);
  }

  #unitAt(at: number): number {
    const offset = at - this.#base;
    return offset >= 0 ? this.#text[offset]! : this.#recent[at & (RECENT - 1)]!;
  }

  /** Reads what is new before `from`. */
  #look(from: number): void {
    this.#from = from;
    this.#passing.clear();
    const first = this.#first(from);
    const until = Math.max(first, this.#to);
    const isWhole = until > first || first === this.#least;
    this.#to = from;
    for (let at = from; at > until; ) {
      const part = this.#partBefore(at, until, this.#words.root);
      if (part === undefined) break;
      // What touches `from` may go on behind it.
      const touches = this.#touches(part.end, from);
      if (part.isCut && !isWhole) {
        if (touches) this.#to = Number.NEGATIVE_INFINITY;
        break;
      }
      if (touches) this.#to = part.start;
      this.#find(part, first, touches ? this.#passing : this.#hits);
      at = part.start;
    }
    if (this.#words.others.length > 0) this.#findOthers(from, first);
  }

  /** Whether nothing visible is between the end of a part and `from`, and parts before it that touch it in turn. */
  #touches(end: number, from: number): boolean {
    for (let at = end; at < from; at++) {
      const symbol = symbolOf(this.#unitAt(at));
      if (symbol !== SKIP && columnOf(symbol) < 0) return false;
    }
    return true;
  }

  /** The part that ends last before an offset, as far as it is behind `until`, and where it leads in the tree at `root`. */
  #partBefore(from: number, until: number, root: number): Part | undefined {
    const words = this.#words;
    let part: Part | undefined;
    let next = 0;
    let isCapitals = true;
    for (let at = from - 1; at >= until; at--) {
      const unit = this.#unitAt(at);
      const symbol = unit < 128 ? unit : symbolOf(unit);
      const column = symbol < 128 ? columns[symbol]! : OUTSIDE;
      if (column === INVISIBLE || symbol === SKIP) continue;
      if (symbol === OTHER && at > this.#lastOther) this.#lastOther = at;
      if (part === undefined) {
        if (column < 0) continue;
        const isS = symbol === S || symbol === S - 32;
        // `SSNs` is capitals, too.
        isCapitals = isUpper(symbol) || symbol === S;
        const whole = words.step(root, column);
        part = { start: at, end: at + 1, whole, singular: isS ? root : NO_NODE, length: 1, isCut: true };
      } else {
        if (column < 0 || isSplit(symbol, next, isCapitals)) {
          part.isCut = false;
          return part;
        }
        isCapitals &&= isUpper(symbol);
        part.start = at;
        part.length++;
        part.whole = words.step(part.whole, column);
        part.singular = words.step(part.singular, column);
      }
      next = symbol;
    }
    return part;
  }

  #find(part: Part, first: number, hits: Map<number, Hit>): void {
    const { start, end, whole, singular, length } = part;
    const words = this.#words;
    if (whole !== NO_NODE) this.#hit(words.endAt(whole), start, end, first, hits);
    if (singular !== NO_NODE && length > 2) this.#hit(words.endAt(singular), start, end, first, hits);
    let node = words.beginnings;
    for (let at = start; at < end && node !== NO_NODE; at++) {
      const symbol = symbolOf(this.#unitAt(at));
      if (symbol === SKIP) continue;
      node = words.step(node, columnOf(symbol));
      if (node !== NO_NODE) this.#hit(words.endAt(node), start, end, first, hits);
    }
  }

  /** A part is the end of words; those of several parts must have the others before it. */
  #hit(found: WordEnd | undefined, start: number, end: number, first: number, hits: Map<number, Hit>): void {
    if (found === undefined) return;
    for (const group of found.groups) {
      const hit = hits.get(group);
      if (hit === undefined) hits.set(group, { start, end, longest: start });
      else if (hit.end < end) {
        hit.start = start;
        hit.end = end;
        hit.longest = start;
      } else if (hit.end === end) {
        hit.start = Math.max(hit.start, start);
        hit.longest = Math.min(hit.longest, start);
      }
    }
    if (found.before === NO_NODE) return;
    const before = this.#partBefore(start, first, found.before);
    if (before === undefined || start - before.end > MAX_GAP || before.whole === NO_NODE) return;
    if (before.isCut && first !== this.#least) return;
    this.#hit(this.#words.endAt(before.whole), before.start, end, first, hits);
  }

  /** Words in other letters are looked for anywhere in the text before. */
  #findOthers(from: number, first: number): void {
    const earliest = Math.max(first, from - this.#words.farthest);
    if (this.#lastOther < earliest) {
      if (this.#others.size > 0) this.#others = new Map();
      return;
    }
    const units: number[] = [];
    for (let at = earliest; at < from; at++) units.push(this.#unitAt(at));
    const text = normalize(String.fromCharCode(...units));
    const nearest = new Map<number, number>();
    for (const { word, group } of this.#words.others) {
      const at = text.lastIndexOf(word);
      const distance = text.length - at - word.length;
      if (at >= 0 && distance < (nearest.get(group) ?? NO_CONTEXT)) nearest.set(group, distance);
    }
    this.#others = nearest;
  }
}

const OUTSIDE = -1;
const INVISIBLE = -2;
/** Per ASCII character: its column in the trees, or that it has none. */
const columns = Int8Array.from({ length: 128 }, (_, unit) =>
  symbolOf(unit) === SKIP ? INVISIBLE : columnOf(symbolOf(unit)),
);

const nothing = new Uint16Array(0);
const S = 115;

const isUpper = (symbol: number): boolean => symbol >= 65 && symbol <= 90;
const isLower = (symbol: number): boolean => symbol >= 97 && symbol <= 122;
const isDigit = (symbol: number): boolean => symbol >= 48 && symbol <= 57;

/** Whether a part begins between two characters: `4a`, `taxId`, and `IDNumber` before its `N`. */
function isSplit(symbol: number, next: number, isCapitals: boolean): boolean {
  if (isDigit(symbol) !== isDigit(next)) return true;
  return isUpper(next) && (isLower(symbol) || !isCapitals);
}
