export type Category = 'pii' | 'finance' | 'health' | 'secrets' | 'network';

/**
 * What a conclusive opener swallows after its pattern has matched, however long it gets:
 * `until`: everything up to and including the first match of this pattern (or the channel's end);
 * `body`: every character of this class that follows, and a `joint` character where a body character follows it.
 */
type Swallow = { readonly until: string } | { readonly body: string; readonly joint?: string };

/**
 * Words that must stand before a match, at most `within` UTF-16 units (default and most: 120) between their end and it.
 * Compared without case, accents and look-alike letters; a word begins and ends where letters do (`taxId` is `tax id`), and
 * a plural `s` may follow. A space in a word is any of ` `, line break, `_`, `-`, `.`, `/`, or nothing: `tax id` is also
 * `tax_id` and `taxid`. A word ending in `*` may go on: `steuer*`. Words in other than Latin letters are looked for anywhere.
 * Only backwards: what follows a match must never be waited for.
 */
export interface Context {
  readonly words: readonly string[];
  readonly within?: number;
}

/** One way in which a kind of text is written. */
export interface Pattern {
  /**
   * RegExp source (`u` flag) over folded text (see fold.ts: ASCII only; anything else is one opaque character). No
   * lookaround, no backreference, no lazy or unbounded quantifier; `\b` and `\B` only at the ends of a top-level
   * alternative. The longest match that `validate` and `context` confirm wins; with `swallow`, the shortest.
   */
  readonly pattern: string;
  readonly ignoreCase?: boolean;
  /** Confirms a candidate (Luhn, mod-97, …), given in folded characters. */
  readonly validate?: (candidate: string) => boolean;
  /**
   * A cheap no before `validate`: true only where that would refuse the first `length` characters of `folded`. Asked with
   * the same text for all candidates that begin at one place, so what is worked out for it is worth keeping.
   */
  readonly refuses?: (folded: string, length: number) => boolean;
  /** Confirms, at last, a candidate by the text as it is: not folded, with what is invisible in it. */
  readonly confirms?: (original: string) => boolean;
  /**
   * A match only after one of these words. Of two detectors for the same characters, the one whose pattern is enough by itself
   * wins, then the one whose word is nearer.
   */
  readonly context?: Context;
  /** No match where one of these words stands before it (`order`, `isbn`), as near as any word of `context` or nearer. */
  readonly unless?: Context;
  /** Next to nothing but its context speaks for it (bare digits): any other detector of the same characters wins. */
  readonly weak?: boolean;
}

/** One kind of sensitive text. One file a family; one row in the registry; one corpus in test/fixtures/detectors. */
export interface Detector extends Pattern {
  /** Presidio's entity name in lower case, or gitleaks' rule id with underscores. */
  readonly id: string;
  readonly categories: readonly Category[];
  /** Where it is given out: ISO 3166-1 alpha-2 in lower case (`us`, `gb`). None: anywhere. */
  readonly regions?: readonly string[];
  /** Other ways in which it is written, with validator and context of their own. Not with `swallow`. */
  readonly also?: readonly Pattern[];
  /** Shapes that only look like this (an OID beside an IP address): matched by the same rules, and let through whole. */
  readonly decoys?: readonly string[];
  /** Makes this a conclusive opener: masks at once when the pattern has matched, and swallows what follows. */
  readonly swallow?: Swallow;
  readonly doc: string;
  readonly examples: readonly string[];
  /** Where the format is published. */
  readonly source: string;
}

/** A match in a text: UTF-16 offsets, `end` exclusive. */
export interface Finding {
  readonly detector: string;
  readonly start: number;
  readonly end: number;
}

/** Finds names in a text by what it means. Elsewhere, so asynchronously; presidio.ts of guard/ is one. */
export interface NameFinder {
  /** Names of its detectors, such as `person`. */
  readonly ids: readonly string[];
  /** Longest text that it is asked about, in UTF-16 units, and so what is held back at most. */
  readonly maxHoldback: number;
  /**
   * Names in a text: in order, apart, with UTF-16 offsets. Undefined: there is no answer, and the text goes on. Rejects where
   * there is no answer and it must not.
   */
  find(text: string): Promise<readonly Finding[] | undefined>;
}
