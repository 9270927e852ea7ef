/** Content checks of a request that the detectors do not make: word lists and patterns (filters), external classifiers (guards). */

/** What is checked. */
export interface Checked {
  /** All text of the request, in order (`RequestFacts.text`). */
  readonly text: string;
  readonly messages: readonly { readonly role: string; readonly text: string }[];
  /** Something beside the text was not read: without any text there is nothing that a guard could judge. */
  readonly unread?: boolean;
}

export type Verdict =
  | {
      readonly ok: true;
      readonly flagged: boolean;
      readonly categories: readonly string[];
      readonly scores: ReadonlyMap<string, number>;
    }
  | { readonly ok: false; readonly code: string };

/** An external classifier over HTTP. Never rejects: a failure is a verdict, by its config's `onFailure`. */
export interface Guard {
  readonly name: string;
  /** `signal` ends the call when nobody waits any more. */
  check(checked: Checked, signal?: AbortSignal): Promise<Verdict>;
}

/** Word lists and patterns, all in one pass over the normalized text. */
export interface Filters {
  /** 16 hex digits of the SHA-256 over all lists and patterns, as they are written: what the record names them by. */
  readonly revision: string;
  readonly names: readonly string[];
  /** Filter → matches; what did not match has no key. Work in slices, for `paced`. */
  count(text: string): Generator<'long' | undefined, ReadonlyMap<string, number>, undefined>;
}
