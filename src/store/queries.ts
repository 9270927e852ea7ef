/**
 * What is asked of the record: fixed statements; text from outside is only ever a parameter. Rows are JSON as they are;
 * times are epoch milliseconds, `null` where there is no value.
 */
import { StringDecoder } from 'node:string_decoder';
import type { Statement, Store } from './port.ts';

export interface SessionRow {
  readonly session: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly provider: string;
  /** Empty when the request was refused before anybody was identified. */
  readonly subject: string;
  readonly email: string;
  readonly kind: string;
  readonly groups: readonly string[];
  readonly team: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly clientAddress: string;
  readonly userAgent: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly model: string;
  readonly modelVersion: string;
  readonly format: string;
  readonly operation: string;
  readonly stream: boolean;
  readonly estimatedTokens: number;
  readonly requestBytes: number;
  readonly tools: readonly string[];
  /** Detector → count in the request. */
  readonly findings: Readonly<Record<string, number>>;
  /** Content filter → matches in the request. */
  readonly filters: Readonly<Record<string, number>>;
  /** Name of the tool of an MCP `tools/call`, or empty. */
  readonly toolCall: string;
  readonly verdict: 'allow' | 'deny' | 'requireApproval' | 'limit' | 'refused' | '';
  /** `<policy>/<rule>` of every rule that matched. */
  readonly rules: readonly string[];
  readonly mask: readonly string[];
  readonly message: string;
  readonly policyRevision: string;
  /** Git commit of the policies, or empty. */
  readonly policyCommit: string;
  readonly gateUs: number;
  readonly modelStatus: number;
  readonly cluster: string;
  /** How it ended (EndEvent.how), `refused`, or `open`. */
  readonly how: string;
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  /** Refusals that this row stands for; above 1 for a flood that was counted together. */
  readonly refusals: number;
  /** Detector → count masked in what was delivered. */
  readonly masked: Readonly<Record<string, number>>;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly responseBytes: number;
  readonly chunks: number;
  readonly firstByteMs: number | null;
  readonly durationMs: number;
}

export interface SessionFilter {
  /** 1 to 1000. */
  readonly limit: number;
  readonly sinceMs?: number | undefined;
  /** Subject or e-mail of the caller, exactly. */
  readonly subject?: string | undefined;
  readonly model?: string | undefined;
  readonly verdict?: 'allow' | 'deny' | 'requireApproval' | 'limit' | 'refused' | undefined;
}

export interface StoredEvent {
  readonly writer: string;
  readonly leaf: number;
  /** Hexadecimal. */
  readonly leafHash: string;
  readonly type: string;
  readonly atMs: number;
  /** The event as it was recorded. */
  readonly event: Readonly<Record<string, unknown>>;
}

export interface StoredText {
  readonly text: string;
  /** The pieces in which it was delivered; a character that was cut belongs to the piece that ends it. */
  readonly chunks: readonly {
    readonly seq: number;
    readonly atMs: number;
    readonly bytes: number;
    readonly text: string;
  }[];
}

export interface SessionDetail {
  readonly session: SessionRow;
  readonly events: readonly StoredEvent[];
  readonly request: StoredText;
  readonly response: StoredText;
}

/** Why a session went as it did. */
export interface SessionExplanation {
  readonly session: SessionRow;
  readonly rules: readonly {
    readonly policy: string;
    readonly rule: string;
    readonly effect: string;
    readonly mode: string;
    readonly error: string | null;
  }[];
  /** Row of the error table that the caller got, or empty. */
  readonly code: string;
  readonly message: string;
  readonly detail: string;
}

const columns = `session, toUnixTimestamp64Milli(started_at) AS startedAtMs, toUnixTimestamp64Milli(ended_at) AS endedAtMs,
  provider, subject, email, kind, groups, team, method, host, path, client_address AS clientAddress, user_agent AS userAgent,
  x_request_id AS requestId, trace_id AS traceId, model, model_version AS modelVersion, format, operation, stream,
  estimated_tokens AS estimatedTokens, request_bytes AS requestBytes, tools, findings, verdict, rules, mask, message,
  policy_revision AS policyRevision, policy_commit AS policyCommit, filters, tool_call AS toolCall, gate_us AS gateUs, model_status AS modelStatus, cluster, how, code, status, detail, refusals,
  masked, input_tokens AS inputTokens, output_tokens AS outputTokens, response_bytes AS responseBytes, chunks,
  first_byte_ms AS firstByteMs, duration_ms AS durationMs`;

const numbers = 'SETTINGS output_format_json_quote_64bit_integers = 0';

/** The latest sessions first. Ids are UUIDv7: their order is the order in time, and the tables' own. */
export async function listSessions(
  store: Pick<Store, 'query'>,
  filter: SessionFilter,
  database = 'sallyport',
): Promise<SessionRow[]> {
  const { limit, sinceMs = 0, subject = '', model = '', verdict = '' } = filter;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new RangeError('limit: 1 to 1000');
  const conditions = [
    `type IN (${verdict === 'refused' ? "'refused'" : "'request', 'refused'"})`,
    'at >= fromUnixTimestamp64Milli({since:Int64})',
    subject === '' ? '' : '(fields.caller.subject = {subject:String} OR fields.caller.email = {subject:String})',
    model === '' ? '' : 'fields.model = {model:String}',
    verdict === '' || verdict === 'refused'
      ? ''
      : `session IN (SELECT session FROM ${database}.events WHERE type = 'decision' AND fields.verdict = {verdict:String} AND at >= fromUnixTimestamp64Milli({since:Int64}))`,
  ];
  const statement: Statement = {
    name: 'list sessions',
    sql: `SELECT ${columns} FROM ${database}.sessions WHERE session IN (
      SELECT DISTINCT session FROM ${database}.events WHERE ${conditions.filter(Boolean).join(' AND ')}
      ORDER BY session DESC LIMIT {limit:UInt32}) ORDER BY session DESC ${numbers}`,
  };
  const rows = await store.query(statement, {
    limit,
    since: Math.max(0, Math.floor(sinceMs)),
    subject,
    model,
    verdict,
  });
  return rows as unknown as SessionRow[];
}

/** One session with its events and texts, or undefined when there is none of that id. */
export async function showSession(
  store: Pick<Store, 'query'>,
  session: string,
  database = 'sallyport',
): Promise<SessionDetail | undefined> {
  const asked = [oneSession(database), eventsOf(database), chunksOf(database)].map((statement) =>
    store.query(statement, { session }),
  );
  const [[row] = [], events, chunks] = await Promise.all(asked);
  if (row === undefined) return undefined;
  const pieces = chunks as unknown as Chunk[];
  return {
    session: row as unknown as SessionRow,
    events: (events as unknown as EventRow[]).map(({ body, ...event }) => ({
      ...event,
      event: JSON.parse(body) as StoredEvent['event'],
    })),
    request: textOf(pieces.filter(({ direction }) => direction === 'request')),
    response: textOf(pieces.filter(({ direction }) => direction === 'response')),
  };
}

/** What decided about a session, or undefined when there is none of that id. */
export async function explainSession(
  store: Pick<Store, 'query'>,
  session: string,
  database = 'sallyport',
): Promise<SessionExplanation | undefined> {
  const [row] = (await store.query(oneSession(database), { session })) as unknown as SessionRow[];
  if (row === undefined) return undefined;
  const rules = (await store.query(rulesOf(database), { session })) as unknown as {
    policy: string;
    rule: string;
    effect: string;
    mode: string;
    error: string;
  }[];
  return {
    session: row,
    rules: rules.map((rule) => ({ ...rule, error: rule.error === '' ? null : rule.error })),
    code: row.code,
    message: row.message,
    detail: row.detail,
  };
}

type EventRow = Omit<StoredEvent, 'event'> & { readonly body: string };

interface Chunk {
  readonly direction: string;
  readonly seq: number;
  readonly atMs: number;
  readonly base64: string;
}

const oneSession = (database: string): Statement => ({
  name: 'one session',
  sql: `SELECT ${columns} FROM ${database}.sessions WHERE session = {session:String} ${numbers}`,
});

const eventsOf = (database: string): Statement => ({
  name: 'events of a session',
  sql: `SELECT toString(writer) AS writer, leaf, lower(hex(leaf_hash)) AS leafHash, type, toUnixTimestamp64Milli(at) AS atMs, body
    FROM ${database}.events FINAL WHERE session = {session:String} ORDER BY at, leaf ${numbers}`,
});

// Base64: a chunk may end inside a character, which JSON cannot carry.
const chunksOf = (database: string): Statement => ({
  name: 'texts of a session',
  sql: `SELECT direction, seq, toUnixTimestamp64Milli(at) AS atMs, base64Encode(text) AS base64
    FROM ${database}.contents FINAL WHERE session = {session:String} ORDER BY direction, seq ${numbers}`,
});

const rulesOf = (database: string): Statement => ({
  name: 'rules of a session',
  sql: `SELECT rule.policy AS policy, rule.rule AS rule, rule.effect AS effect, rule.mode AS mode, rule.error AS error
    FROM (SELECT fields.rules AS rules FROM ${database}.events FINAL WHERE session = {session:String} AND type = 'decision' ORDER BY leaf LIMIT 1)
    ARRAY JOIN rules AS rule`,
});

function textOf(chunks: readonly Chunk[]): StoredText {
  const decoder = new StringDecoder('utf8');
  const pieces = chunks.map(({ seq, atMs, base64 }) => {
    const bytes = Buffer.from(base64, 'base64');
    return { seq, atMs, bytes: bytes.length, text: decoder.write(bytes) };
  });
  return { text: pieces.map(({ text }) => text).join('') + decoder.end(), chunks: pieces };
}
