/**
 * Rows as TabSeparated bytes: the one text format that both engines take raw and that carries any byte, so that a chunk
 * that ends inside a character arrives as it was. Works in slices: a batch never holds the event loop for long.
 */
import { setImmediate as tick } from 'node:timers/promises';
import type { RecordBatch } from '../record/batch.ts';
import type { ContentRecord, EventRecord } from '../record/codec.ts';

export interface Retention {
  readonly eventDays: number;
  readonly contentDays: number;
}

/** One INSERT: columns, with their types in schema.ts, in the order of the fields in `tsv`. */
export interface TableRows {
  readonly table: 'events' | 'contents';
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly tsv: Buffer;
}

/** Columns that an insert names; every other one is computed by the engine, or has its default. */
export const insertedColumns: Readonly<Record<TableRows['table'], TableRows['columns']>> = {
  contents: [
    { name: 'session', type: 'String' },
    { name: 'direction', type: 'LowCardinality(String)' },
    { name: 'seq', type: 'UInt32' },
    { name: 'at', type: "DateTime64(3, 'UTC')" },
    { name: 'text', type: 'String' },
    { name: 'expires_at', type: "DateTime('UTC')" },
  ],
  events: [
    { name: 'writer', type: 'UUID' },
    { name: 'leaf', type: 'UInt64' },
    { name: 'leaf_scheme', type: 'UInt8' },
    { name: 'leaf_hash', type: 'FixedString(32)' },
    { name: 'body', type: 'String' },
    { name: 'expires_at', type: "DateTime('UTC')" },
  ],
};

/** Contents first: whoever sees the end of a session finds its text. Tables without rows are left out. */
export async function encodeBatch(batch: RecordBatch, retention: Retention): Promise<TableRows[]> {
  const tables: TableRows[] = [];
  if (batch.contents.length > 0) {
    const tsv = await encode(batch.contents, (out, row) => content(out, row, retention.contentDays));
    tables.push({ table: 'contents', columns: insertedColumns.contents, tsv });
  }
  if (batch.events.length > 0) {
    const tsv = await encode(batch.events, (out, row) => event(out, row, retention.eventDays));
    tables.push({ table: 'events', columns: insertedColumns.events, tsv });
  }
  return tables;
}

/** `write` yields where it may be interrupted. */
async function encode<T extends EventRecord | ContentRecord>(
  rows: readonly T[],
  write: (out: Output, row: T) => Iterable<void>,
): Promise<Buffer> {
  const out = new Output(rows.reduce((sum, row) => sum + estimate(row), 0));
  let nextTick = sliceBytes;
  for (const row of rows) {
    for (const _ of write(out, row)) {
      if (out.length < nextTick) continue;
      await tick();
      nextTick = out.length + sliceBytes;
    }
  }
  return out.bytes();
}

/** Bytes of a row, with some room for escapes: growing by megabytes would hold the event loop, memory not touched costs nothing. */
function estimate(row: EventRecord | ContentRecord): number {
  const text = row.kind === 'event' ? row.body : row.bytes;
  return 256 + text.length + (text.length >> 3);
}

/** Escaped at about 3 ns a byte: a slice takes less than a millisecond. */
const sliceBytes = 256 * 1024;

function* event(out: Output, row: EventRecord, days: number): Iterable<void> {
  out.text(`${row.writer}\t${row.leaf}\t${row.scheme}\t`);
  out.escaped(row.hash);
  out.text('\t');
  out.escaped(row.body);
  out.text(`\t${expiry(row.at, row.type === 'policy' ? days + policyDays : days)}\n`);
  yield;
}

/**
 * What is in force is put on the record once more every day (gateway/policies.ts): with these days more, a revision is there
 * for as long as any session that cites it.
 */
const policyDays = 2;

function* content(out: Output, row: ContentRecord, days: number): Iterable<void> {
  out.escaped(Buffer.from(row.session));
  out.text(`\t${row.direction}\t${row.seq}\t${(row.at / 1000).toFixed(3)}\t`);
  for (let at = 0; at < row.bytes.length; at += sliceBytes) {
    out.escaped(row.bytes.subarray(at, at + sliceBytes));
    yield;
  }
  out.text(`\t${expiry(row.at, days)}\n`);
  yield;
}

/** ClickHouse's DateTime ends in 2106. */
function expiry(atMs: number, days: number): number {
  return Math.min(4_294_967_295, Math.floor(atMs / 1000) + days * 86_400);
}

class Output {
  #buffer: Buffer;
  length = 0;

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafe(expectedBytes);
  }

  text(ascii: string): void {
    this.#room(ascii.length);
    this.length += this.#buffer.write(ascii, this.length, 'latin1');
  }

  /** Any bytes, as a TabSeparated field. By way of a string of as many characters: twice as fast as byte by byte. */
  escaped(bytes: Buffer): void {
    this.text(bytes.toString('latin1').replace(special, (character) => escapes[character]!));
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  #room(more: number): void {
    if (this.length + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.length + more, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}

const special = /[\\\t\n\r\0]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\0': '\\0' };

/** A parameter's value in the form that both engines read `{name:String}` from (TabSeparated escapes). */
export function parameterText(value: string | number): string {
  return typeof value === 'number' ? String(value) : value.replace(special, (character) => escapes[character]!);
}
