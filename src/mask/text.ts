import type { Automaton } from '../detect/automaton.ts';
import { SKIP, symbolOf } from '../detect/fold.ts';
import { Scanner, type ScanSink } from '../detect/scanner.ts';
import type { TextMasker, TextMaskers } from './contract.ts';

/**
 * Invisible characters in a row (UTF-16 units) that are delivered; more are dropped. They are read over, so a candidate
 * for a match could otherwise be made to hold back any amount of them.
 */
const MAX_INVISIBLE = 64;

/** Makes maskers that replace each match by its detector's id: `<EMAIL_ADDRESS>`. */
export function createTextMaskers(automaton: Automaton): TextMaskers {
  const labels = automaton.detectors.map((detector) => `<${detector.id.toUpperCase()}>`);
  return (onFinding) => new ReplacingMasker(automaton, labels, onFinding);
}

/** One channel. Kept small: there is one for each text of each live stream. */
class ReplacingMasker implements TextMasker, ScanSink {
  readonly #automaton: Automaton;
  readonly #labels: readonly string[];
  readonly #onFinding: (detector: string) => void;
  readonly #scanner: Scanner;
  /** The end of the text, undecided as yet. */
  #held = '';
  #ended = false;
  #invisible = 0;
  #afterTag = false;
  // Of the push in progress: its text, what is decided of it, and where what was not masked begins.
  #text = '';
  #out = '';
  #clear = 0;

  constructor(automaton: Automaton, labels: readonly string[], onFinding: (detector: string) => void) {
    this.#automaton = automaton;
    this.#labels = labels;
    this.#onFinding = onFinding;
    this.#scanner = new Scanner(automaton, this);
  }

  get held(): number {
    return this.#held.length;
  }

  push(delta: string): string {
    if (this.#ended) throw new Error('a masker was pushed to after its end');
    return this.#advance(this.#squeeze(delta), false);
  }

  end(): string {
    if (this.#ended) return '';
    this.#ended = true;
    return this.#advance('', true);
  }

  open(detector: number, start: number): void {
    this.#out += this.#text.slice(this.#clear, start) + this.#labels[detector]!;
    this.#onFinding(this.#automaton.detectors[detector]!.id);
  }

  close(end: number): void {
    this.#clear = end;
  }

  #advance(delta: string, final: boolean): string {
    const text = this.#held === '' ? delta : this.#held + delta;
    const scanner = this.#scanner;
    this.#text = text;
    this.#out = '';
    this.#clear = 0;
    scanner.run(text, text.length, final);
    const { decided } = scanner;
    const out = scanner.swallowing ? this.#out : this.#out + text.slice(this.#clear, decided);
    this.#held = text.slice(decided);
    this.#text = '';
    this.#out = '';
    scanner.rebase(decided);
    return out;
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
