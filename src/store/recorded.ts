/** Decided sessions as `sallyport policy backtest` reads them: what was asked, what was decided, what was found. */
import type { Statement, Store } from './port.ts';

export interface RecordedFilter {
  /** Epoch milliseconds: not older than this, and not newer. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** The last session of the page before; empty: the first page. Ids are UUIDv7: their order is that of time. */
  readonly after: string;
  /** 1 to 500. */
  readonly limit: number;
}

export interface RecordedRow {
  readonly session: string;
  /** The events as they were recorded; `findings` and `end` where there are any. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly decision: Readonly<Record<string, unknown>>;
  readonly findings: Readonly<Record<string, unknown>> | undefined;
  readonly end: Readonly<Record<string, unknown>> | undefined;
  /** The request's body as recorded; undefined: not kept, or longer than 1 MiB. */
  readonly text: string | undefined;
}

/** Longest body that is read again, bytes: pages stay small. */
const LONGEST_TEXT = 1_048_576;

/** A page of sessions that were decided, oldest first. */
export async function recordedSessions(
  store: Pick<Store, 'query'>,
  { sinceMs, untilMs, after, limit }: RecordedFilter,
  database = 'sallyport',
): Promise<RecordedRow[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 500) throw new RangeError('limit: 1 to 500');
  const asked = { since: Math.max(0, Math.floor(sinceMs)), until: Math.floor(untilMs), after, limit };
  const events = (await store.query(eventsOf(database), asked)) as unknown as {
    session: string;
    type: string;
    body: string;
  }[];
  const texts = (await store.query(textsOf(database), asked)) as unknown as { session: string; base64: string }[];
  const textBySession = new Map(
    texts.map(({ session, base64 }) => [session, Buffer.from(base64, 'base64').toString('utf8')]),
  );
  const rows: RecordedRow[] = [];
  for (const [session, own] of Map.groupBy(events, (event) => event.session)) {
    const find = (type: string) => {
      const event = own.find((one) => one.type === type);
      return event === undefined ? undefined : (JSON.parse(event.body) as Readonly<Record<string, unknown>>);
    };
    const request = find('request');
    const decision = find('decision');
    if (request === undefined || decision === undefined) continue;
    const text = textBySession.get(session);
    rows.push({ session, request, decision, findings: find('findings'), end: find('end'), text });
  }
  return rows;
}

const page = (database: string) => `SELECT DISTINCT session FROM ${database}.events
      WHERE type = 'decision' AND at >= fromUnixTimestamp64Milli({since:Int64}) AND at <= fromUnixTimestamp64Milli({until:Int64}) AND session > {after:String}
      ORDER BY session LIMIT {limit:UInt32}`;

const eventsOf = (database: string): Statement => ({
  name: 'decided sessions',
  sql: `SELECT session, type, body FROM ${database}.events FINAL
    WHERE session IN (${page(database)}) AND type IN ('request', 'decision', 'findings', 'end') ORDER BY session, leaf`,
});

// Base64: what was recorded is bytes.
const textsOf = (database: string): Statement => ({
  name: 'texts of decided sessions',
  sql: `SELECT session, base64Encode(arrayStringConcat(arrayMap(piece -> piece.2, arraySort(groupArray((seq, text)))))) AS base64
    FROM ${database}.contents FINAL
    WHERE direction = 'request' AND session IN (${page(database)}) GROUP BY session HAVING sum(length(text)) <= ${LONGEST_TEXT}`,
});
