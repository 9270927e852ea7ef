export type Category = 'pii' | 'finance' | 'health' | 'secrets' | 'network';

/**
 * What a conclusive opener swallows after its pattern has matched, however long it gets:
 * `until`: everything up to and including the first match of this pattern (or the channel's end);
 * `body`: every character of this class that follows, and a `joint` character where a body character follows it.
 */
type Swallow = { readonly until: string } | { readonly body: string; readonly joint?: string };

/** One kind of sensitive text. One file a family; one row in the registry; one corpus in test/fixtures/detectors. */
export interface Detector {
  /** Presidio's entity name in lower case, or gitleaks' rule id with underscores. */
  readonly id: string;
  readonly categories: readonly Category[];
  /**
   * RegExp source (`u` flag) over folded text (see fold.ts: ASCII only; anything else is one opaque character). No
   * lookaround, no backreference, no lazy or unbounded quantifier; `\b` and `\B` only at the ends of a top-level
   * alternative. The longest match that `validate` confirms wins; with `swallow`, the shortest.
   */
  readonly pattern: string;
  readonly ignoreCase?: boolean;
  /** Shapes that only look like this (an OID beside an IP address): matched by the same rules, and let through whole. */
  readonly decoys?: readonly string[];
  /** Confirms a candidate (Luhn, mod-97, …), given in folded characters. */
  readonly validate?: (candidate: string) => boolean;
  /**
   * A cheap no before `validate`: true only where that would refuse the first `length` characters of `folded`. Asked with
   * the same text for all candidates that begin at one place, so what is worked out for it is worth keeping.
   */
  readonly refuses?: (folded: string, length: number) => boolean;
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
