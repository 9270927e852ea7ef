import type { TextMasker, TextMaskers } from './contract.ts';

/** Counts what is found in one body, and makes its maskers. */
export class Findings {
  readonly counts = new Map<string, number>();
  /** All matches so far. */
  total = 0;
  private readonly makers: TextMaskers;

  constructor(makers: TextMaskers) {
    this.makers = makers;
  }

  readonly add = (detector: string): void => {
    this.total++;
    this.counts.set(detector, (this.counts.get(detector) ?? 0) + 1);
  };

  /** The same maskers with counts of their own. */
  uncounted(): Findings {
    return new Findings(this.makers);
  }

  /** A masker for a new text; `before`: what stands before it (contract.ts). */
  masker(before = ''): TextMasker {
    return this.makers(this.add, before);
  }

  /** Masks a short text that is complete, such as a number: by its patterns, names are in sentences. */
  mask(text: string, before = ''): string {
    if (text === '') return text;
    const masker = (this.makers.patterns ?? this.makers)(this.add, before);
    return masker.push(text) + masker.end();
  }

  /** What would be found in a text, without counting it. */
  look(text: string): readonly string[] {
    const found: string[] = [];
    const masker = (this.makers.patterns ?? this.makers)((detector) => void found.push(detector));
    masker.push(text);
    masker.end();
    return found;
  }
}
