import type { Automaton, CompiledSwallow } from './automaton.ts';
import { MAX_CONTEXT } from './context.ts';
import { ContextCursor, NO_CONTEXT, RECENT } from './context-cursor.ts';
import { ACCEPTS, ACCEPTS_AT_EDGE, DEAD, type Dfa, FINAL, OPENS } from './dfa.ts';
import { foldedLength, foldUnits, SKIP, symbolOf } from './fold.ts';
import { pointAt, textOf } from './units.ts';

/**
 * Told of each confirmed match, in order. Offsets are those of the text given to `run`. Called in the middle of `run`:
 * must not run a scanner itself.
 */
export interface ScanSink {
  open(detector: number, start: number): void;
  /** The match opened last ends here. For a swallow, possibly many calls of `run` later. */
  close(end: number): void;
}

const nothing = new Int32Array(0);

// Of texts that are over, for the next ones: most are short, and there are many. What is in them is written before it is read.
const rings: Uint16Array[] = [];
const MOST_RINGS = 256;

/** Result of reading one symbol: nothing visible yet. */
const NOTHING = -1;

/**
 * Walks one text, once, from left to right, as far as it is known. From each position that is not in a match it follows
 * the automaton until that is dead; the longest candidate that its validator confirms is the match, and the walk goes
 * on behind it. So position i is undecided exactly while the automaton is alive from it, and what is found does not
 * depend on how much of the text was known when. Costs at most `maxLength` steps a character, two on plain prose.
 */
export class Scanner {
  readonly #automaton: Automaton;
  readonly #dfa: Dfa;
  readonly #sink: ScanSink;
  /** All text before this offset is decided. */
  #from = 0;
  /** Next offset to read; `#from` or later. */
  #at = 0;
  /** Whether the symbol before `#from` is a word character. */
  #afterWord = 0;
  #state = DEAD;
  // What `#state` is, should the automaton drop its cache before the next call.
  #set: Int32Array = nothing;
  #generation = 0;
  /** Class of the symbol at `#from`, and its length in units, once a match may begin there. */
  #first = 0;
  #firstWidth = 1;
  /** Class of the symbol read last, and where it ended. */
  #read = 0;
  #readEnd = 0;
  /** Accepted so far from `#from`: rule, end, class of the last symbol; ends ascend. */
  #candidates: number[] = [];
  #swallow: CompiledSwallow | undefined;
  // Set by #wide.
  #width = 0;
  /** How much text was before offset 0, and the end of it: what context words are looked for in. */
  #base = 0;
  #recent: Uint16Array | undefined;
  readonly #least: number;
  #cursor: ContextCursor | undefined;

  /** `before`: what stands before the text, such as the name of the field that it is the value of. */
  constructor(automaton: Automaton, sink: ScanSink, before = '') {
    this.#automaton = automaton;
    this.#dfa = automaton.dfa;
    this.#sink = sink;
    const said = automaton.context === undefined ? '' : before.slice(-MAX_CONTEXT);
    this.#least = -said.length;
    if (said !== '') this.#recent = rings.pop() ?? new Uint16Array(RECENT);
    for (let i = 0; i < said.length; i++) this.#recent![(i - said.length) & (RECENT - 1)] = said.charCodeAt(i);
  }

  /** Everything before this offset is decided. */
  get decided(): number {
    return this.#from;
  }

  /** True inside of a match that has begun and whose end is not known yet: what is decided there is not text. */
  get swallowing(): boolean {
    return this.#swallow !== undefined;
  }

  /** Goes on in `text` (UTF-16), whose first `end` units are known; `final`: there will be no more. */
  run(text: Uint16Array, end: number, final: boolean): void {
    if (this.#state !== DEAD && this.#generation !== this.#dfa.generation) this.#state = this.#dfa.resume(this.#set);
    let going = true;
    while (going) {
      if (this.#swallow !== undefined)
        going =
          this.#swallow.how === 'until'
            ? this.#swallowUntil(text, end, final)
            : this.#swallowBody(this.#swallow.roles, text, end, final);
      else if (this.#state === DEAD) going = this.#seek(text, end, final);
      else going = this.#follow(text, end, final);
    }
    if (this.#state !== DEAD) {
      this.#set = this.#dfa.setOf(this.#state);
      this.#generation = this.#dfa.generation;
    }
  }

  /** The first `length` units of `text`, as given to `run`, are not shown again: offsets of the next `run` count from there. */
  rebase(text: Uint16Array, length: number): void {
    if (length === 0) return;
    if (this.#automaton.context !== undefined) {
      const base = this.#base;
      this.#recent ??= rings.pop() ?? new Uint16Array(RECENT);
      const recent = this.#recent;
      for (let i = length > MAX_CONTEXT ? length - MAX_CONTEXT : 0; i < length; i++)
        recent[(base + i) & (RECENT - 1)] = text[i]!;
      this.#base = base + length;
    }
    this.#from -= length;
    this.#at -= length;
    this.#readEnd -= length;
    const candidates = this.#candidates;
    for (let i = 1; i < candidates.length; i += 3) candidates[i]! -= length;
  }

  /** The text is over: `run` is not called again. */
  done(): void {
    if (this.#recent !== undefined && rings.length < MOST_RINGS) rings.push(this.#recent);
    this.#recent = undefined;
  }

  /** Class of the symbol at an offset beyond ASCII, its width in `#width`; NOTHING when half of it is not known yet. */
  #wide(text: Uint16Array, at: number, end: number, final: boolean): number {
    const point = pointAt(text, at, end);
    this.#width = point > 0xffff ? 2 : 1;
    if (!final && at + 1 === end && (point & 0xfffffc00) === 0xd800) return NOTHING;
    return this.#automaton.classes[symbolOf(point)]!;
  }

  /** Looks for a position where a match may begin. False: there is none in what is known. */
  #seek(text: Uint16Array, end: number, final: boolean): boolean {
    const { classes, word } = this.#automaton;
    const dfa = this.#dfa;
    let at = this.#from;
    let afterWord = this.#afterWord;
    while (at < end) {
      const unit = text[at]!;
      let width = 1;
      let symbol: number;
      if (unit < 128) symbol = classes[unit]!;
      else if ((unit & 0xf800) !== 0xd800) symbol = classes[symbolOf(unit)]!;
      else {
        symbol = this.#wide(text, at, end, final);
        if (symbol === NOTHING) break;
        width = this.#width;
      }
      if (symbol !== SKIP) {
        const state = dfa.begin(afterWord, symbol);
        if (state !== DEAD) {
          this.#from = at;
          this.#afterWord = afterWord;
          this.#first = symbol;
          this.#firstWidth = width;
          this.#enter(state, symbol, at + width, text);
          return true;
        }
        afterWord = word[symbol]!;
      }
      at += width;
    }
    this.#from = at;
    this.#at = at;
    this.#afterWord = afterWord;
    return false;
  }

  /** Follows the automaton from `#from`. True: the position is decided, or an opener has begun to swallow. */
  #follow(text: Uint16Array, end: number, final: boolean): boolean {
    const { classes } = this.#automaton;
    const dfa = this.#dfa;
    let at = this.#at;
    let state = this.#state;
    let read = this.#read;
    let readEnd = this.#readEnd;
    while (at < end) {
      const unit = text[at]!;
      let width = 1;
      let symbol: number;
      if (unit < 128) symbol = classes[unit]!;
      else if ((unit & 0xf800) !== 0xd800) symbol = classes[symbolOf(unit)]!;
      else {
        symbol = this.#wide(text, at, end, final);
        if (symbol === NOTHING) break;
        width = this.#width;
      }
      at += width;
      if (symbol === SKIP) continue;
      if ((state & ACCEPTS_AT_EDGE) !== 0) this.#noteEdges(state, read, readEnd, this.#automaton.word[symbol]!);
      state = dfa.step(state, symbol);
      if (state === DEAD) {
        this.#settle(text);
        return true;
      }
      read = symbol;
      readEnd = at;
      if ((state & (ACCEPTS | OPENS | FINAL)) !== 0 && this.#enter(state, symbol, at, text)) return true;
    }
    this.#at = at;
    this.#state = state;
    this.#read = read;
    this.#readEnd = readEnd;
    if (!final) return false;
    if ((state & ACCEPTS_AT_EDGE) !== 0) this.#noteEdges(state, read, readEnd, 0);
    this.#settle(text);
    return true;
  }

  /** Enters a state that has something to say. True: that decided the position. */
  #enter(state: number, symbol: number, at: number, text: Uint16Array): boolean {
    this.#state = state;
    this.#at = at;
    this.#read = symbol;
    this.#readEnd = at;
    if ((state & OPENS) !== 0) {
      this.#open(state);
      return true;
    }
    if ((state & ACCEPTS) !== 0) for (const rule of this.#dfa.acceptsOf(state)) this.#note(rule, symbol, at);
    if ((state & (FINAL | ACCEPTS_AT_EDGE)) !== FINAL) return false;
    this.#settle(text);
    return true;
  }

  #noteEdges(state: number, read: number, readEnd: number, wordFollows: number): void {
    const boundary = this.#automaton.word[read] !== wordFollows;
    const edges = this.#dfa.edgesOf(state);
    for (let i = 0; i < edges.length; i++)
      if ((edges[i]!.right === 'boundary') === boundary) this.#note(edges[i]!.rule, read, readEnd);
  }

  #note(rule: number, read: number, readEnd: number): void {
    const candidates = this.#candidates;
    // A candidate that needs no confirmation beats every shorter one.
    if (candidates.length > 0 && this.#automaton.rules[rule]!.certain)
      if (candidates[candidates.length - 2]! < readEnd) candidates.length = 0;
    candidates.push(rule, readEnd, read);
  }

  /** The automaton is dead from `#from`: take the longest confirmed candidate, or go on one character further. */
  #settle(text: Uint16Array): void {
    if (this.#candidates.length === 0) {
      this.#giveUp();
      return;
    }
    const { rules } = this.#automaton;
    const candidates = this.#candidates;
    let best = -1;
    let bestEnd = 0;
    let bestDistance = 0;
    const { refused } = this.#automaton;
    const stamp = ++this.#automaton.settled.count;
    let unread = 0;
    let hasLooked = this.#cursor?.isNear(this.#base + this.#from) === true;
    let last = 0;
    // Folded once, from the longest candidate down: the others are its beginnings.
    let folded = '';
    let length = 0;
    let foldedTo = 0;
    for (let i = candidates.length - 3; i >= 0; i -= 3) {
      const rule = candidates[i]!;
      const end = candidates[i + 1]!;
      if (best >= 0 && end < bestEnd) break;
      // The words before a place are the same for all that begins there.
      if (refused[rule] === stamp) continue;
      const found = rules[rule]!;
      let distance = NO_CONTEXT;
      if (!found.certain) {
        // The words are looked for once for all candidates; only for what holds without them where that is much to read.
        const asksWords = found.context !== undefined || found.unless !== undefined;
        if (asksWords && !hasLooked) hasLooked = ++unread > MOST_UNREAD;
        if (asksWords && hasLooked) {
          distance = this.#distance(text, rule, stamp);
          if (distance < 0) continue;
        }
        const { validate, refuses, confirms } = found;
        if (validate !== undefined) {
          if (length === 0) {
            folded = foldUnits(text, this.#from, end);
            length = folded.length;
            foldedTo = end;
          } else if (end < foldedTo) {
            length -= foldedLength(text, end, foldedTo);
            foldedTo = end;
          }
          if (refuses?.(folded, length)) continue;
          if (!validate(length === folded.length ? folded : folded.slice(0, length))) continue;
        }
        if (asksWords && !hasLooked) {
          hasLooked = true;
          distance = this.#distance(text, rule, stamp);
          if (distance < 0) continue;
        }
        if (confirms !== undefined && !confirms(textOf(text, this.#from, end))) continue;
      }
      if (best >= 0 && !isBetter(found, distance, rule, rules[best]!, bestDistance, best)) continue;
      best = rule;
      bestEnd = end;
      bestDistance = distance;
      last = candidates[i + 2]!;
    }
    candidates.length = 0;
    if (best < 0) {
      this.#giveUp();
      return;
    }
    const { detector } = rules[best]!;
    if (detector >= 0) {
      this.#sink.open(detector, this.#from);
      this.#sink.close(bestEnd);
    }
    this.#afterWord = this.#automaton.word[last]!;
    this.#state = DEAD;
    this.#from = bestEnd;
    this.#at = bestEnd;
  }

  /** How far the words of a rule are; negative: they refuse it, which is noted by `stamp`. */
  #distance(text: Uint16Array, rule: number, stamp: number): number {
    const { context: words, rules, refused } = this.#automaton;
    const { context, unless } = rules[rule]!;
    this.#cursor ??= new ContextCursor(words!, this.#least);
    const distance = this.#cursor.distance(text, this.#from, this.#recent ?? text, this.#base, context, unless);
    if (distance < 0) refused[rule] = stamp;
    return distance;
  }

  /** No match begins at `#from`. */
  #giveUp(): void {
    this.#afterWord = this.#automaton.word[this.#first]!;
    this.#state = DEAD;
    this.#from += this.#firstWidth;
    this.#at = this.#from;
  }

  #open(state: number): void {
    const { rules } = this.#automaton;
    let opener = Number.POSITIVE_INFINITY;
    for (const rule of this.#dfa.acceptsOf(state))
      if (rules[rule]!.swallow !== undefined && rule < opener) opener = rule;
    const { detector, swallow } = rules[opener]!;
    this.#candidates.length = 0;
    this.#swallow = swallow;
    this.#state = swallow?.how === 'until' ? this.#dfa.resume(swallow.start) : DEAD;
    this.#sink.open(detector, this.#from);
    this.#from = this.#at;
  }

  #closeAt(at: number): void {
    this.#sink.close(at);
    this.#swallow = undefined;
    this.#state = DEAD;
    this.#from = at;
    this.#at = at;
    this.#afterWord = this.#automaton.word[this.#read]!;
  }

  /** Reads on to the closer. False: it is not in what is known. */
  #swallowUntil(text: Uint16Array, end: number, final: boolean): boolean {
    const { classes } = this.#automaton;
    while (this.#at < end) {
      const unit = text[this.#at]!;
      this.#width = 1;
      const symbol = unit < 128 ? classes[unit]! : this.#wide(text, this.#at, end, final);
      if (symbol === NOTHING) break;
      this.#at += this.#width;
      if (symbol === SKIP) continue;
      this.#read = symbol;
      this.#state = this.#dfa.step(this.#state, symbol);
      if ((this.#state & ACCEPTS) === 0) continue;
      this.#closeAt(this.#at);
      return true;
    }
    this.#from = this.#at;
    if (final) this.#closeAt(this.#at);
    return false;
  }

  /** Reads over body characters, and joints between them. False: all that is known is swallowed. */
  #swallowBody(roles: Uint8Array, text: Uint16Array, end: number, final: boolean): boolean {
    const { classes } = this.#automaton;
    // `#from` is before `#at` while a joint waits for what follows it.
    while (this.#at < end) {
      const unit = text[this.#at]!;
      this.#width = 1;
      const symbol = unit < 128 ? classes[unit]! : this.#wide(text, this.#at, end, final);
      if (symbol === NOTHING) break;
      const waiting = this.#from < this.#at;
      const role = symbol === SKIP ? 1 : roles[symbol]!;
      if (role === 0 || (role === 2 && waiting)) {
        this.#closeAt(this.#from);
        return true;
      }
      this.#at += this.#width;
      if (role === 2 || (symbol === SKIP && waiting)) continue;
      if (symbol !== SKIP) this.#read = symbol;
      this.#from = this.#at;
    }
    if (final) this.#closeAt(this.#from);
    return final && this.#from < end;
  }
}

/** Candidates from one place that may be validated before the words before it are read. */
const MOST_UNREAD = 2;

type Ranked = Pick<Automaton['rules'][number], 'weak' | 'conclusive'>;

/**
 * Of two rules that match the same characters: not weak, then the one whose pattern alone is enough, then the nearer word, then
 * the order of detectors.
 */
function isBetter(
  found: Ranked,
  distance: number,
  rule: number,
  other: Ranked,
  otherDistance: number,
  otherRule: number,
): boolean {
  if (found.weak !== other.weak) return other.weak;
  if (found.conclusive !== other.conclusive) return found.conclusive;
  return distance !== otherDistance ? distance < otherDistance : rule < otherRule;
}
