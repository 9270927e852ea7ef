import type { Automaton } from './automaton.ts';
import type { Finding } from './detector.ts';
import { Scanner, type ScanSink } from './scanner.ts';
import { copyUnits } from './units.ts';

/** Characters read in one step: some 0.2 ms of the worst text that was measured. */
const SLICE_LENGTH = 512;

class Findings implements ScanSink {
  readonly found: Finding[] = [];
  readonly #automaton: Automaton;
  #detector = '';
  #start = 0;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  open(detector: number, start: number): void {
    this.#detector = this.#automaton.detectors[detector]!.id;
    this.#start = start;
  }

  close(end: number): void {
    this.found.push({ detector: this.#detector, start: this.#start, end });
  }
}

/** Everything sensitive in a whole text, in order, without overlaps. Offsets are UTF-16 units of the text as given. */
export function scan(automaton: Automaton, text: string): Finding[] {
  const findings = new Findings(automaton);
  const units = new Uint16Array(text.length);
  copyUnits(text, 0, text.length, units, 0);
  new Scanner(automaton, findings).run(units, text.length, true);
  return findings.found;
}

/** As `scan`, as work that may be interrupted wherever it yields: whoever drives it decides when the event loop turns. */
export function* scanSliced(automaton: Automaton, text: string): Generator<undefined, Finding[], undefined> {
  const units = new Uint16Array(text.length);
  return yield* scanUnits(automaton, units, (from, to) => copyUnits(text, from, to, units, 0));
}

/** As `scanSliced`, of UTF-16 units. `fill` is called for each part of them before it is read. */
export function* scanUnits(
  automaton: Automaton,
  units: Uint16Array,
  fill?: (from: number, to: number) => void,
): Generator<undefined, Finding[], undefined> {
  const findings = new Findings(automaton);
  const scanner = new Scanner(automaton, findings);
  const { length } = units;
  for (let from = 0; from < length; from += SLICE_LENGTH) {
    const end = Math.min(from + SLICE_LENGTH, length);
    fill?.(from, end);
    scanner.run(units, end, end === length);
    if (end < length) yield;
  }
  return findings.found;
}
