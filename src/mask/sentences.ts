/** Where a sentence ends: a function of the text alone, not of how it comes. */

/** A part of a text that is looked at together. Offsets in the whole text, UTF-16. */
export interface Sentence {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Cuts one text into sentences as it comes: behind a line break; behind `.`, `?`, `!` or `…` where white space follows (with
 * that); behind `。`, `？`, `！`; and where none comes, at the last white space before `maxLength`, or there.
 */
export class Sentences {
  readonly #maxLength: number;
  #open = '';
  #start = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** Characters of the sentence that is not over. */
  get held(): number {
    return this.#open.length;
  }

  /** The sentences that are over with this piece. */
  push(piece: string): readonly Sentence[] {
    const over: Sentence[] = [];
    for (let from = 0; from < piece.length; from += this.#maxLength) {
      // What was looked at before is looked at again only at its end: a full stop waits for what follows.
      let at = Math.max(0, this.#open.length - 1);
      this.#open += piece.slice(from, from + this.#maxLength);
      for (let end = this.#endFrom(at); end > 0; end = this.#endFrom(at)) {
        over.push(this.#take(end));
        at = 0;
      }
    }
    return over;
  }

  end(): readonly Sentence[] {
    return this.#open === '' ? [] : [this.#take(this.#open.length)];
  }

  #take(length: number): Sentence {
    const start = this.#start;
    this.#start += length;
    const text = this.#open.slice(0, length);
    this.#open = this.#open.slice(length);
    return { start, end: this.#start, text };
  }

  /** Length of the first sentence, known to be longer than `from`; 0: it is not over. */
  #endFrom(from: number): number {
    const text = this.#open;
    const limit = Math.min(text.length, this.#maxLength);
    for (let i = from; i < limit; i++) {
      const c = text[i]!;
      if (c === '\n' || c === '\u2028' || c === '\u2029' || '。？！'.includes(c)) return i + 1;
      if ('.?!…'.includes(c) && i + 1 < limit && isSpace(text[i + 1]!)) return i + 2;
    }
    return text.length <= this.#maxLength ? 0 : this.#cut();
  }

  #cut(): number {
    const text = this.#open;
    for (let i = this.#maxLength; i > 1; i--) if (isSpace(text[i - 1]!)) return i;
    return (text.charCodeAt(this.#maxLength - 1) & 0xfc00) === 0xd800 ? this.#maxLength - 1 : this.#maxLength;
  }
}

const isSpace = (c: string): boolean => /\s/.test(c);
