/** A document as stored. `version` is unlike any version that any document of the store had before. */
export interface StoredDocument {
  readonly key: string;
  /** Text, as it was put; JSON by custom. */
  readonly value: string;
  readonly version: number;
  /** Epoch milliseconds from which on the document is gone; undefined: stays. */
  readonly expiresAtMs: number | undefined;
}

export interface Expiry {
  /** Epoch milliseconds; undefined: never. */
  readonly expiresAtMs?: number | undefined;
}

export type Replacement =
  | { readonly ok: true; readonly version: number }
  /** Somebody else was first: the document as it is now, or undefined when it is gone. */
  | { readonly ok: false; readonly current: StoredDocument | undefined };

/**
 * Control state behind a port: small versioned documents under path-like keys (`grants/…`, `replay/…`). Durable once a
 * promise resolves, as far as the store is: Redis by its settings (docs/operations.md). Expired documents are gone for
 * every operation. All methods reject with StateUnavailable when the store cannot be reached, which closes the gate (503),
 * and with RangeError for a key or value out of bounds: a bug. A write that was rejected with StateUnavailable may have
 * taken place all the same.
 */
export interface StateStore {
  get(key: string): Promise<StoredDocument | undefined>;
  /** Puts a document unless there is one; says whether it did. Exactly one of many at once does (replay lists, claims). */
  putIfAbsent(key: string, value: string, expiry?: Expiry): Promise<boolean>;
  /** Puts a new value and expiry in place of the document that has this version (compare and set). */
  replace(key: string, version: number, value: string, expiry?: Expiry): Promise<Replacement>;
  /** Removes the document that has this version; says whether it did. */
  remove(key: string, version: number): Promise<boolean>;
  /** Documents whose keys begin with `prefix` and come after `after`, by key (ASCII order), `limit` at most. */
  list(prefix: string, page: { readonly after?: string; readonly limit: number }): Promise<readonly StoredDocument[]>;
  /** Removes `limit` expired documents at most from the disk; says how many. */
  deleteExpired(limit: number): Promise<number>;
  /** Whether it can be used, for `/readyz`; costs next to nothing. */
  health(): StateHealth;
  close(): Promise<void>;
}

export type StateHealth =
  | { readonly ready: true; readonly detail: string }
  | { readonly ready: false; readonly reason: string };

/** The store cannot be read or written. */
export class StateUnavailable extends Error {
  readonly code = 'state_unavailable';
}

const maxValueLength = 1_048_576;

/** Keys are 1 to 512 printable ASCII characters without spaces, so that every store orders them alike. */
export function checkKey(key: string): void {
  if (!/^[\x21-\x7e]{1,512}$/.test(key)) throw new RangeError('a key is 1 to 512 printable ASCII characters');
}

export function checkPrefix(prefix: string): void {
  if (!/^[\x21-\x7e]{0,512}$/.test(prefix)) throw new RangeError('a prefix is at most 512 printable ASCII characters');
}

export function checkValue(value: string): void {
  if (value.length > maxValueLength || !value.isWellFormed() || value.includes('\0'))
    throw new RangeError(`a value is well-formed text without NUL, ${maxValueLength} characters at most`);
}

export function checkExpiry({ expiresAtMs }: Expiry): void {
  if (expiresAtMs !== undefined && !Number.isSafeInteger(expiresAtMs))
    throw new RangeError('expiresAtMs is whole milliseconds');
}

export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) throw new RangeError('a limit is 1 to 10000');
}
