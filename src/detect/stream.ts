import type { Automaton } from './automaton.ts';
import type { Finding } from './detector.ts';
import { Scanner, type ScanSink } from './scanner.ts';
import { copyUnits } from './units.ts';

/** A match, and where people look for it. */
export interface PlacedFinding extends Finding {
  /** Offsets in Unicode code points; `end` exclusive. Half of a surrogate pair counts as one. */
  readonly startPoint: number;
  readonly endPoint: number;
  /** From 1; columns count code points. */
  readonly line: number;
  readonly column: number;
  /** The match itself; of a longer one its first `longestShown` UTF-16 units. */
  readonly text: string;
}

/** What a swallow takes may have any length, and need not be kept. */
const longestShown = 256;
/** Longest text that is looked at in one go. */
const pieceLength = 16_384;

/** Finds what is sensitive in one text as it comes. What is found does not depend on how the text was cut. */
export class StreamScan implements ScanSink {
  readonly #automaton: Automaton;
  readonly #scanner: Scanner;
  #units = new Uint16Array(2 * pieceLength);
  /** What is known and not decided, then what was pushed. */
  #window = '';
  /** Offset of the window in the whole text. */
  #base = 0;
  #found: PlacedFinding[] = [];
  #detector = '';
  #open: Omit<PlacedFinding, 'detector' | 'end' | 'endPoint'> | undefined;
  // How far lines and code points are counted: an offset in the window, and what is there.
  #at = 0;
  #points = 0;
  #line = 1;
  #column = 1;
  #afterHigh = false;

  /** `before`: what stands before the text (scanner.ts). */
  constructor(automaton: Automaton, before?: string) {
    this.#automaton = automaton;
    this.#scanner = new Scanner(automaton, this, before);
  }

  /** Nothing will be found before this offset (UTF-16) that has not been told, but for the match that is open. */
  get decided(): number {
    return this.#base;
  }

  /** Where a match began of which the end is not known, however far it goes. */
  get openFrom(): number | undefined {
    return this.#open?.start;
  }

  /** What is certain by now, in order. */
  push(text: string): readonly PlacedFinding[] {
    const found: PlacedFinding[] = [];
    for (let at = 0; at < text.length; at += pieceLength) {
      this.#advance(text.slice(at, at + pieceLength), false);
      found.push(...this.#found.splice(0));
    }
    return found;
  }

  end(): readonly PlacedFinding[] {
    this.#advance('', true);
    return this.#found.splice(0);
  }

  open(detector: number, start: number): void {
    this.#pass(start);
    this.#detector = this.#automaton.detectors[detector]!.id;
    this.#open = {
      start: this.#base + start,
      startPoint: this.#points,
      line: this.#line,
      column: this.#column,
      text: '',
    };
  }

  close(end: number): void {
    this.#pass(end);
    this.#found.push({ detector: this.#detector, ...this.#open!, end: this.#base + end, endPoint: this.#points });
    this.#open = undefined;
  }

  #advance(delta: string, final: boolean): void {
    const held = this.#window.length;
    this.#window += delta;
    const { length } = this.#window;
    if (length > this.#units.length) this.#units = new Uint16Array(2 * length);
    copyUnits(this.#window, 0, held + delta.length, this.#units, 0);
    const scanner = this.#scanner;
    scanner.run(this.#units, length, final);
    const { decided } = scanner;
    this.#pass(decided);
    scanner.rebase(this.#units, decided);
    this.#window = this.#window.slice(decided);
    this.#base += decided;
    this.#at -= decided;
  }

  /** Counts lines and code points up to an offset in the window; what lies in an open match is its text. */
  #pass(to: number): void {
    const units = this.#units;
    const open = this.#open;
    if (open !== undefined && open.text.length < longestShown)
      this.#open = { ...open, text: (open.text + this.#window.slice(this.#at, to)).slice(0, longestShown) };
    for (let at = this.#at; at < to; at++) {
      const unit = units[at]!;
      const isSecondHalf = this.#afterHigh && (unit & 0xfc00) === 0xdc00;
      this.#afterHigh = (unit & 0xfc00) === 0xd800;
      if (isSecondHalf) continue;
      this.#points++;
      if (unit === 0x0a) {
        this.#line++;
        this.#column = 1;
      } else this.#column++;
    }
    this.#at = Math.max(this.#at, to);
  }
}
