/**
 * Names, places, organisations: found by an analyzer elsewhere, a sentence at a time, so asynchronously. Maskers are
 * synchronous, and stay so: each chunk of a body is read twice. First by maskers that change nothing and note the sentences
 * that are over with it; these are asked about, all together; then by the maskers that count, which find every answer there.
 * What a text holds back is the sentence that is not over, `maxHoldback` characters at most.
 *
 * Patterns and names are looked for in the same text. Where they overlap the pattern's match stands, and what is left of the
 * name on either side of it is masked as the name: nothing of either comes out, whichever is the longer.
 */
import type { Automaton } from '../detect/automaton.ts';
import type { Finding, NameFinder } from '../detect/detector.ts';
import { type PlacedFinding, StreamScan } from '../detect/stream.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { BodyMasker, ClosingError, Released, TextMasker, TextMaskers } from './contract.ts';
import type { Becomes } from './operators.ts';
import { type Sentence, Sentences } from './sentences.ts';

/** What is counted for each sentence that went on without an answer, where the failure of the analyzer is open. */
export const UNREAD = 'names_unread';

/** Answers to short sentences that one body keeps: ids and roles are the same in each event. */
const MAX_KEPT = 256;
const LONGEST_KEPT = 256;
/** Questions of one body that are under way at once. */
const TOGETHER = 4;

/** Nobody asked about this sentence: the two readings of a body differ, which is a bug. Closes the gate. */
class NotAsked extends Error {
  override readonly name = 'NotAsked';
}

export interface NamesOptions {
  readonly finder: NameFinder;
  /** Which of its names are masked. */
  readonly ids: ReadonlySet<string>;
  readonly automaton: Automaton;
  /** What makes labels of matches. */
  readonly patterns: TextMaskers;
  /** What a name becomes. */
  readonly becomes: (id: string) => Becomes;
}

/** What one body is asked about and told. */
export class NamesOfBody {
  /** Note the sentences, and change every text: nothing may be remembered as clean. */
  readonly noting: TextMaskers;
  /** Mask by the answers. */
  readonly masking: TextMaskers;
  readonly #options: NamesOptions;
  #noted = new Set<string>();
  /** Sentence → names in it; undefined: it could not be read, and goes on. */
  readonly #answers = new Map<string, readonly Finding[] | undefined>();

  constructor(options: NamesOptions) {
    this.#options = options;
    const { maxHoldback } = options.finder;
    this.noting = Object.assign(() => new NotingMasker(maxHoldback, (text) => void this.#noted.add(text)), {
      patterns: options.patterns,
    });
    this.masking = Object.assign(
      (onFinding: (detector: string) => void, before?: string) =>
        new NamesMasker(options, (text) => this.#answerTo(text), onFinding, before),
      { patterns: options.patterns },
    );
  }

  /** Asks about what was noted since; undefined: nothing. Rejects where the analyzer fails, and its failure closes the gate. */
  ask(): Promise<void> | undefined {
    this.#forget();
    const open = [...this.#noted].filter((text) => !this.#answers.has(text));
    this.#noted = new Set();
    if (open.length === 0) return undefined;
    const asking = open.values();
    const workers = Math.min(open.length, TOGETHER);
    return Promise.all(Array.from({ length: workers }, () => this.#askAll(asking))).then(() => {});
  }

  /** One question after the other. The first failure ends them all. */
  async #askAll(texts: IteratorObject<string>): Promise<void> {
    const { finder } = this.#options;
    try {
      for (const text of texts) this.#answers.set(text, await finder.find(text));
    } finally {
      texts.return?.();
    }
  }

  #answerTo(text: string): readonly Finding[] | undefined {
    if (!isWorthAsking(text)) return [];
    if (!this.#answers.has(text)) throw new NotAsked('a sentence that the analyzer was not asked about');
    return this.#answers.get(text);
  }

  /** Answers that were noted once more stay. */
  #forget(): void {
    for (const text of this.#answers.keys())
      if (!this.#noted.has(text) && (text.length > LONGEST_KEPT || this.#answers.size > MAX_KEPT))
        this.#answers.delete(text);
  }
}

/** A single word of code (`assistant`, `chatcmpl-9aX`) has no name in it; `Ann` may be one. */
const isWorthAsking = (text: string): boolean =>
  /\p{L}/u.test(text) && (/\s/.test(text.trim()) || /^[A-Z][a-z]/.test(text.trim()) || /[^\0-\x7f]/.test(text));

class NotingMasker implements TextMasker {
  readonly #sentences: Sentences;
  readonly #note: (text: string) => void;

  constructor(maxHoldback: number, note: (text: string) => void) {
    this.#sentences = new Sentences(maxHoldback);
    this.#note = note;
  }

  get held(): number {
    return 0;
  }

  push(delta: string): string {
    this.#take(this.#sentences.push(delta));
    return delta;
  }

  end(): string {
    this.#take(this.#sentences.end());
    return '~';
  }

  #take(over: readonly Sentence[]): void {
    for (const { text } of over) if (isWorthAsking(text)) this.#note(text);
  }
}

/** One channel. */
class NamesMasker implements TextMasker {
  readonly #options: NamesOptions;
  readonly #answerTo: (text: string) => readonly Finding[] | undefined;
  readonly #onFinding: (detector: string) => void;
  readonly #sentences: Sentences;
  readonly #scan: StreamScan;
  readonly #patterns: TextMasker;
  /** The text from `#from` on, which has not gone to `#patterns`. */
  #text = '';
  #from = 0;
  /** How far the sentences are over. */
  #over = 0;
  /** In the whole text, from `#from` on, in order: names, and matches of patterns. */
  #names: Finding[] = [];
  #matches: PlacedFinding[] = [];
  #ended = false;

  constructor(
    options: NamesOptions,
    answerTo: (text: string) => readonly Finding[] | undefined,
    onFinding: (detector: string) => void,
    before: string | undefined,
  ) {
    this.#options = options;
    this.#answerTo = answerTo;
    this.#onFinding = onFinding;
    this.#sentences = new Sentences(options.finder.maxHoldback);
    this.#scan = new StreamScan(options.automaton, before);
    this.#patterns = options.patterns(onFinding, before);
  }

  get held(): number {
    return this.#text.length + this.#patterns.held;
  }

  push(delta: string): string {
    if (this.#ended) throw new Error('a masker was pushed to after its end or a failure');
    // Stays set where an answer is missing: what is held then must not go out.
    this.#ended = true;
    this.#text += delta;
    this.#matches.push(...this.#scan.push(delta));
    this.#take(this.#sentences.push(delta));
    const out = this.#release(Math.min(this.#over, this.#scan.decided));
    this.#ended = false;
    return out;
  }

  end(): string {
    if (this.#ended) return '';
    this.#ended = true;
    this.#matches.push(...this.#scan.end());
    this.#take(this.#sentences.end());
    return this.#release(this.#over) + this.#patterns.end();
  }

  #take(over: readonly Sentence[]): void {
    for (const { text, start, end } of over) {
      this.#over = end;
      const names = this.#answerTo(text);
      if (names === undefined) this.#onFinding(UNREAD);
      for (const name of names ?? [])
        if (this.#options.ids.has(name.detector))
          this.#names.push({ ...name, start: start + name.start, end: start + name.end });
    }
  }

  /** Hands on what is known up to an offset, names replaced. A name that goes on behind it waits with its beginning. */
  #release(upTo: number): string {
    let to = upTo;
    for (const { start, end } of this.#names) if (start < to && end > to) to = start;
    const { openFrom } = this.#scan;
    const open = openFrom === undefined ? [] : [{ start: openFrom, end: Number.POSITIVE_INFINITY }];
    const matches = [...this.#matches, ...open];
    let out = '';
    let at = this.#from;
    const hand = (end: number) => {
      if (end > at) out += this.#patterns.push(this.#text.slice(at - this.#from, end - this.#from));
      at = Math.max(at, end);
    };
    for (const name of this.#names) {
      if (name.end > to) break;
      const parts = without(name, matches).filter((part) => part.start >= at && this.#hasLetter(part));
      for (const part of parts) {
        hand(part.start);
        out += this.#patterns.push(this.#became(name.detector, part));
        at = part.end;
      }
      if (parts.length > 0) this.#onFinding(name.detector);
    }
    hand(to);
    this.#text = this.#text.slice(to - this.#from);
    this.#from = to;
    this.#names = this.#names.filter(({ end }) => end > to);
    this.#matches = this.#matches.filter(({ end }) => end > to);
    return out;
  }

  #became(detector: string, { start, end }: Part): string {
    const becomes = this.#options.becomes(detector);
    if (typeof becomes === 'string') return becomes;
    const match = becomes();
    match.add(this.#text.slice(start - this.#from, end - this.#from));
    return match.end();
  }

  #hasLetter({ start, end }: Part): boolean {
    return /[\p{L}\p{N}]/u.test(this.#text.slice(start - this.#from, end - this.#from));
  }
}

type Part = Pick<Finding, 'start' | 'end'>;

/** What is left of a span beside others, which are in order. */
function without(span: Part, others: readonly Part[]): readonly Part[] {
  const left: Part[] = [];
  let { start } = span;
  for (const other of others) {
    if (other.end <= start || other.start >= span.end) continue;
    if (other.start > start) left.push({ start, end: other.start });
    start = other.end;
  }
  if (start < span.end) left.push({ start, end: span.end });
  return left;
}

/** Reads each chunk twice: to ask, and to mask. */
export class AskingBody implements BodyMasker {
  readonly #noting: BodyMasker;
  readonly #masking: BodyMasker;
  readonly #names: NamesOfBody;

  constructor(noting: BodyMasker, masking: BodyMasker, names: NamesOfBody) {
    this.#noting = noting;
    this.#masking = masking;
    this.#names = names;
  }

  get findings() {
    return this.#masking.findings;
  }

  get usage() {
    return this.#masking.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    return this.#asked(
      () => this.#noting.push(chunk),
      () => this.#masking.push(chunk),
    );
  }

  end(): Released | Promise<Released> {
    return this.#asked(
      () => this.#noting.end(),
      () => this.#masking.end(),
    );
  }

  async salvage(): Promise<Buffer> {
    try {
      return await this.#masking.salvage();
    } catch (error) {
      if (error instanceof NotAsked) return Buffer.alloc(0);
      throw error;
    }
  }

  closing(error: ClosingError, begun: boolean): Buffer | undefined {
    return this.#masking.closing(error, begun);
  }

  #asked(note: () => Released | Promise<Released>, mask: () => Released | Promise<Released>) {
    let noted: Released | Promise<Released>;
    try {
      noted = note();
    } catch (error) {
      return this.#unreadable(error, mask);
    }
    if (noted instanceof Promise)
      return noted.then(
        () => this.#names.ask()?.then(mask) ?? mask(),
        (error: unknown) => this.#unreadable(error, mask),
      );
    return this.#names.ask()?.then(mask) ?? mask();
  }

  /** What was read well may still go out: it is asked about, and then the second reading fails where the first one did. */
  async #unreadable(error: unknown, mask: () => Released | Promise<Released>): Promise<Released> {
    if (!(error instanceof UnreadableBody)) throw error;
    await this.#noting.salvage();
    await this.#names.ask();
    await mask();
    throw error;
  }
}
