/**
 * The operator `pseudonym`: a value of a request has a token in its place before the model (`<EMAIL_ADDRESS_1>`), and is put
 * back where the answer has that token. What stands for what is known to one stream, and to nothing else.
 */
import type { TextMasker, TextMaskers } from './contract.ts';
import { type Becomes, keeping, labelOf } from './operators.ts';

/** As long as a detector's name may be, and a number that no request reaches. */
const written = /<[A-Z0-9_]{1,64}_[0-9]{1,9}>/g;
const longestToken = 76;

/** The values of one request, numbered by detector in the order in which they are met. Equal texts are one value. */
export class Pseudonyms {
  readonly #tokens = new Map<string, string>();
  readonly #values = new Map<string, { readonly detector: string; readonly value: string }>();
  readonly #last = new Map<string, number>();
  readonly #taken: ReadonlySet<string>;

  /** `taken`: tokens that the request has itself. They stand for nothing. */
  constructor(taken: ReadonlySet<string>) {
    this.#taken = taken;
  }

  /** What matches of a detector become. */
  becomes(detector: string): Becomes {
    return keeping(labelOf(detector), (value) => this.tokenOf(detector, value));
  }

  tokenOf(detector: string, value: string): string {
    const key = `${detector} ${value}`;
    let token = this.#tokens.get(key);
    if (token !== undefined) return token;
    let number = this.#last.get(detector) ?? 0;
    do {
      number++;
      token = `<${detector.toUpperCase()}_${number}>`;
    } while (this.#taken.has(token));
    this.#last.set(detector, number);
    this.#tokens.set(key, token);
    this.#values.set(token, { detector, value });
    return token;
  }

  /** What is put back in an answer that is masked with these detectors, by token: their own values stay hidden. */
  backFor(masked: readonly string[]): Restored | undefined {
    const values = new Map([...this.#values].filter(([, { detector }]) => !masked.includes(detector)));
    return values.size === 0 ? undefined : new Restored(values);
  }
}

/** Puts values back, and counts them. */
export class Restored {
  /** Detector id → values put back. */
  readonly counts = new Map<string, number>();
  private readonly values: ReadonlyMap<string, { readonly detector: string; readonly value: string }>;
  /** In order: a beginning of any of them is found by halving. */
  private readonly tokens: readonly string[];

  constructor(values: ReadonlyMap<string, { readonly detector: string; readonly value: string }>) {
    this.values = values;
    this.tokens = [...values.keys()].sort();
  }

  /** They find nothing, in the sense of a mask. */
  readonly maskers: TextMaskers = () => new RestoringMasker(this);

  take(token: string): string | undefined {
    const found = this.values.get(token);
    if (found !== undefined) this.counts.set(found.detector, (this.counts.get(found.detector) ?? 0) + 1);
    return found?.value;
  }

  /** Whether a token begins like this. */
  isBegun(text: string): boolean {
    let low = 0;
    let high = this.tokens.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tokens[middle]! < text) low = middle + 1;
      else high = middle;
    }
    return this.tokens[low]?.startsWith(text) === true;
  }
}

/** Holds back what could become a token, and nothing else. */
class RestoringMasker implements TextMasker {
  private readonly restored: Restored;
  private tail = '';

  constructor(restored: Restored) {
    this.restored = restored;
  }

  get held(): number {
    return this.tail.length;
  }

  push(delta: string): string {
    const text = this.tail + delta;
    this.tail = '';
    let out = '';
    let copied = 0;
    for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at + 1)) {
      let end = at + 1;
      while (end < text.length && isInside(text.charCodeAt(end))) end++;
      if (end === text.length) {
        // No other `<` is behind it.
        if (!this.restored.isBegun(text.slice(at))) break;
        this.tail = text.slice(at);
        return out + text.slice(copied, at);
      }
      const value = text[end] === '>' ? this.restored.take(text.slice(at, end + 1)) : undefined;
      if (value === undefined) continue;
      out += text.slice(copied, at) + value;
      copied = end + 1;
    }
    return out + text.slice(copied);
  }

  end(): string {
    const { tail } = this;
    this.tail = '';
    return tail;
  }
}

/** Characters between the brackets of a token: capitals, digits, `_`. */
function isInside(unit: number): boolean {
  return (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f;
}

/** Lets texts through as they are, and notes what in them is written like a token. */
export class WrittenTokens {
  readonly found = new Set<string>();

  readonly maskers: TextMaskers = () => {
    let tail = '';
    return {
      held: 0,
      push: (delta) => {
        const text = tail + delta;
        for (const [token] of text.matchAll(written)) this.found.add(token);
        tail = text.slice(-longestToken);
        return delta;
      },
      end: () => '',
    };
  };
}
