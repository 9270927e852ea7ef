import type { Automaton } from '../detect/automaton.ts';
import { SKIP, symbolOf } from '../detect/fold.ts';
import { Scanner, type ScanSink } from '../detect/scanner.ts';
import { copyUnits, ownText } from '../detect/units.ts';
import type { TextMasker, TextMaskers } from './contract.ts';
import { type Becomes, labelOf, type MatchText } from './operators.ts';

/**
 * Invisible characters in a row (UTF-16 units) that are delivered; more are dropped. They are read over, so a candidate
 * for a match could otherwise be made to hold back any amount of them.
 */
const MAX_INVISIBLE = 64;

/** Longest text that is looked at in one go; longer deltas are taken in pieces. */
const PIECE_LENGTH = 16_384;

/**
 * Makes maskers that put in the place of each match what `becomes` says of its detector: by default its id,
 * `<EMAIL_ADDRESS>`.
 */
export function createTextMaskers(automaton: Automaton, becomes: (id: string) => Becomes = labelOf): TextMaskers {
  const all = automaton.detectors.map(({ id }) => becomes(id));
  return (onFinding, before) => new ReplacingMasker(automaton, all, onFinding, before);
}

// What is being scanned, of whichever channel: no call of a scanner outlives a push, and a sink must not push.
let scratch = new Uint16Array(2 * PIECE_LENGTH);

/** One channel. Kept small: there is one for each text of each live stream. */
class ReplacingMasker implements TextMasker, ScanSink {
  readonly #automaton: Automaton;
  readonly #becomes: readonly Becomes[];
  readonly #onFinding: (detector: string) => void;
  readonly #scanner: Scanner;
  /** The end of the text, undecided as yet. */
  #held = '';
  #ended = false;
  #invisible = 0;
  #afterTag = false;
  /** The match that is open, where what it becomes depends on its text, and how far that has been told. */
  #match: MatchText | undefined;
  #told = 0;
  // Of the piece in progress: what was pushed, what is decided of it, where what was not masked begins, what was found.
  #delta = '';
  #out = '';
  #clear = 0;
  #found: string[] = [];

  constructor(
    automaton: Automaton,
    becomes: readonly Becomes[],
    onFinding: (detector: string) => void,
    before: string | undefined,
  ) {
    this.#automaton = automaton;
    this.#becomes = becomes;
    this.#onFinding = onFinding;
    this.#scanner = new Scanner(automaton, this, before);
  }

  get held(): number {
    return this.#held.length;
  }

  push(delta: string): string {
    if (this.#ended) throw new Error('a masker was pushed to after its end or a failure');
    // Stays set if a validator or `onFinding` throws: what is held then must not go out.
    this.#ended = true;
    let out = '';
    if (delta.length <= PIECE_LENGTH) out = this.#advance(delta, false);
    else
      for (let at = 0; at < delta.length; at += PIECE_LENGTH)
        out += this.#advance(delta.slice(at, at + PIECE_LENGTH), false);
    this.#ended = false;
    return out;
  }

  end(): string {
    if (this.#ended) return '';
    this.#ended = true;
    const out = this.#advance('', true);
    this.#scanner.done();
    return out;
  }

  open(detector: number, start: number): void {
    const becomes = this.#becomes[detector]!;
    this.#out += this.#slice(this.#clear, start);
    if (typeof becomes === 'string') this.#out += becomes;
    else {
      this.#match = becomes();
      this.#told = start;
    }
    this.#found.push(this.#automaton.detectors[detector]!.id);
  }

  close(end: number): void {
    this.#clear = end;
    if (this.#match === undefined) return;
    this.#tellMatch(this.#match, end);
    this.#out += this.#match.end();
    this.#match = undefined;
  }

  #tellMatch(match: MatchText, to: number): void {
    if (to > this.#told) match.add(this.#slice(this.#told, to));
    this.#told = to;
  }

  #advance(pushed: string, final: boolean): string {
    const scanner = this.#scanner;
    const held = this.#held.length;
    if (held + pushed.length > scratch.length) scratch = new Uint16Array(2 * (held + pushed.length));
    copyUnits(this.#held, 0, held, scratch, 0);
    const delta = copyVisible(pushed, scratch, held) ? this.#seen(pushed) : this.#squeeze(pushed);
    // What was dropped of it is in the copy.
    if (delta.length < pushed.length) copyUnits(delta, 0, delta.length, scratch, held);
    const length = held + delta.length;
    this.#delta = delta;
    this.#out = '';
    this.#clear = 0;
    scanner.run(scratch, length, final);
    const { decided } = scanner;
    const gone = this.#slice(0, decided);
    // Mostly nothing is found: what is decided goes out as it is.
    const rest = this.#clear === 0 ? gone : this.#slice(this.#clear, decided);
    const out = scanner.swallowing ? this.#out : this.#out + rest;
    if (this.#match !== undefined) {
      this.#tellMatch(this.#match, decided);
      this.#told = 0;
    }
    this.#held = ownText(this.#slice(decided, length));
    this.#delta = '';
    this.#out = '';
    scanner.rebase(scratch, decided);
    if (this.#found.length > 0) this.#tell();
    return out;
  }

  #tell(): void {
    const found = this.#found;
    this.#found = [];
    for (const detector of found) this.#onFinding(detector);
  }

  /** A part of what is held and what was pushed, taken together. */
  #slice(from: number, to: number): string {
    const held = this.#held.length;
    if (from >= held) return this.#delta.slice(from - held, to - held);
    return to <= held ? this.#held.slice(from, to) : this.#held.slice(from) + this.#delta.slice(0, to - held);
  }

  /** Nothing in this is invisible. */
  #seen(delta: string): string {
    if (delta !== '') {
      this.#invisible = 0;
      this.#afterTag = false;
    }
    return delta;
  }

  /** Drops what is beyond MAX_INVISIBLE. A surrogate pair stays whole: its second half shares the fate of its first. */
  #squeeze(delta: string): string {
    let kept = '';
    let keptFrom = 0;
    for (let at = 0; at < delta.length; at++) {
      const unit = delta.charCodeAt(at);
      if (unit >= 32 && unit < 127) {
        this.#invisible = 0;
        this.#afterTag = false;
        continue;
      }
      const secondOfTag = this.#afterTag && unit >= 0xdc00 && unit <= 0xdfff;
      this.#afterTag = unit >= 0xdb40 && unit <= 0xdb43;
      if (this.#afterTag) this.#invisible += 2;
      else if (!secondOfTag) this.#invisible = symbolOf(unit) === SKIP ? this.#invisible + 1 : 0;
      if (this.#invisible <= MAX_INVISIBLE) continue;
      kept += delta.slice(keptFrom, at);
      keptFrom = at + 1;
    }
    return keptFrom === 0 ? delta : kept + delta.slice(keptFrom);
  }
}

/** Copies a text into units from an offset on. True: all of it is ASCII that can be seen, or line breaks. */
function copyVisible(text: string, units: Uint16Array, from: number): boolean {
  let isVisible = true;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    units[from + i] = unit;
    if (unit > 126 || (unit < 32 && unit !== 10)) isVisible = false;
  }
  return isVisible;
}
