export type Category = 'pii' | 'finance' | 'health' | 'secrets' | 'network';

/** One kind of sensitive text. One file a family; one row in the registry; one corpus in test/fixtures/detectors. */
export interface Detector {
  /** Presidio's entity name in lower case, or gitleaks' rule id with underscores. */
  readonly id: string;
  readonly category: Category;
  /** RegExp source over folded text; no lookaround, no backreference, no unbounded length. `\b` at either end only. */
  readonly pattern: string;
  /** Longest match in characters (UTF-16 units of the folded text). */
  readonly maxLength: number;
  /** Confirms a candidate (Luhn, mod-97, …). */
  readonly validate?: (candidate: string) => boolean;
  /** A conclusive opener: masks from here at once and swallows up to `closer` (or the channel's end), however long. */
  readonly swallow?: { readonly closer: string };
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
