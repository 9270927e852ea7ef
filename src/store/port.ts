import type { RecordBatch } from '../record/batch.ts';

/** A fixed statement with `{name:Type}` placeholders. Text from outside is only ever a parameter. */
export interface Statement {
  readonly name: string;
  readonly sql: string;
}

export type Parameters = Readonly<Record<string, string | number>>;
export type Row = Readonly<Record<string, unknown>>;

export type Health = { readonly ok: true; readonly version: string } | { readonly ok: false; readonly error: string };

export interface SqlOptions {
  readonly format?: string;
  readonly write?: boolean;
}

/** The store: the embedded engine, or a ClickHouse server. Both pass test/e2e/store.test.ts. */
export interface Store {
  /** Creates or updates the tables. Safe to run again, and beside a newer version. */
  migrate(): Promise<void>;
  /** Resolves when all rows are durably stored. The same batch twice counts once. Rejects with StoreError. */
  insert(batch: RecordBatch): Promise<void>;
  query(statement: Statement, parameters: Parameters): Promise<readonly Row[]>;
  /**
   * Raw SQL, for the operator's own shell only, never for a request over HTTP. Reads only (ClickHouse's `readonly = 2`)
   * unless `write`. Returns text in a ClickHouse format.
   */
  sql(text: string, options?: SqlOptions): Promise<string>;
  /** Never rejects. */
  health(): Promise<Health>;
  close(): Promise<void>;
}

/**
 * - `store_unavailable`: not reachable, starting, out of space or memory: try again
 * - `engine_died`: the engine's process ended in the middle of this request
 * - `batch_rejected`: the engine refuses these very rows
 * - `query_failed`: the statement is wrong, or took too long
 * - `tables_missing`: somebody has removed the tables: they are made again
 * - `engine_missing`: the optional package `chdb` is not installed, or not for this platform
 */
export class StoreError extends Error {
  readonly code:
    | 'store_unavailable'
    | 'engine_died'
    | 'batch_rejected'
    | 'query_failed'
    | 'tables_missing'
    | 'engine_missing';

  constructor(code: StoreError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreError';
    this.code = code;
  }
}

/** ClickHouse codes that speak about the rows, not about the state of the server: parse, type and size errors. */
const aboutTheRows = new Set([
  6, 25, 26, 27, 32, 33, 38, 41, 43, 49, 53, 69, 70, 72, 117, 128, 131, 349, 376, 407, 636,
]);

/** UNKNOWN_TABLE, UNKNOWN_DATABASE. */
const aboutTheTables = new Set([60, 81]);

/** An insert that failed in the engine. The engine's own text is left out: it quotes the rows. */
export function insertError(clickhouseCode: number, name: string): StoreError {
  const code = aboutTheRows.has(clickhouseCode)
    ? 'batch_rejected'
    : aboutTheTables.has(clickhouseCode)
      ? 'tables_missing'
      : 'store_unavailable';
  return new StoreError(code, `ClickHouse refused an insert: code ${clickhouseCode}${name === '' ? '' : ` (${name})`}`);
}
