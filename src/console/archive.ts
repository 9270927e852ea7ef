/**
 * The record as a human reads it. The gateway passes an implementation in (over the store that it owns); without a gateway
 * the CLI opens the store itself and passes that.
 */
export interface Archive {
  /** Newest first. */
  sessions(filter: SessionFilter): Promise<readonly SessionSummary[]>;
  /** Undefined when there is no such session. */
  session(id: string): Promise<SessionDetail | undefined>;
  /** A page of decided sessions, oldest first, for `policy backtest`: their events as recorded. */
  recorded(filter: RecordedFilter): Promise<readonly RecordedSession[]>;
  /** The operator's own SQL, which only reads unless `write`. Throws QueryError for one that the engine refuses. */
  sql(query: string, options: { readonly write: boolean }): Promise<SqlResult>;
  /** Puts a look on the record, durably. A look that cannot be recorded does not take place. */
  looked(look: Look): Promise<void>;
}

export type Verdict = 'allow' | 'deny' | 'requireApproval' | 'limit' | 'refused';

export interface SessionFilter {
  /** At most so many, 1 to 1,000. */
  readonly limit: number;
  /** Subject or e-mail of the caller, exactly. */
  readonly who?: string;
  readonly model?: string;
  readonly verdict?: Verdict;
  /** Epoch milliseconds: not older than this. */
  readonly sinceMs?: number;
}

export interface RecordedFilter {
  /** Epoch milliseconds, both included. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** The last session of the page before; empty: the first page. */
  readonly after: string;
  /** 1 to 500. */
  readonly limit: number;
}

/** Events of one session as they are on the record. */
export interface RecordedSession {
  readonly session: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly decision: Readonly<Record<string, unknown>>;
  readonly findings: Readonly<Record<string, unknown>> | undefined;
  readonly end: Readonly<Record<string, unknown>> | undefined;
  /** The request's body as recorded; undefined: not kept, or too long. */
  readonly text: string | undefined;
}

/** One line of `sessions list`. */
export interface SessionSummary {
  readonly session: string;
  /** Epoch milliseconds of its first event. */
  readonly at: number;
  /** Empty where nobody was identified. */
  readonly subject: string;
  readonly email: string;
  readonly team: string;
  readonly model: string;
  readonly verdict: Verdict;
  /** How it ended (see EndEvent.how), empty while it is open. */
  readonly how: string;
  /** Row of the error table, where the caller got one of ours. */
  readonly code: string;
  readonly status: number;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** Of the request, by its length; 0 where it could not be read. */
  readonly estimatedTokens: number;
  /** Detector id → matches masked in what was delivered. */
  readonly masked: Readonly<Record<string, number>>;
  readonly durationMs: number | undefined;
}

export interface SessionDetail extends SessionSummary {
  readonly provider: string;
  readonly kind: string;
  readonly groups: readonly string[];
  readonly modelVersion: string;
  readonly format: string;
  readonly stream: boolean;
  readonly http: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly clientAddress: string;
    readonly userAgent: string;
    readonly requestId: string;
    readonly traceId: string;
  };
  readonly rules: readonly {
    readonly policy: string;
    readonly rule: string;
    readonly effect: string;
    readonly mode: string;
    readonly severity?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly error?: string;
  }[];
  /** Detector id → matches masked in the request that the model got. */
  readonly maskedRequest: Readonly<Record<string, number>>;
  /** Of an answer that was cut off: what was read of it and did not leave. */
  readonly withheld:
    | { readonly bytes: number; readonly events: number; readonly findings: Readonly<Record<string, number>> }
    | undefined;
  /** Where each limit stood after the request; dry runs too. */
  readonly limits: readonly {
    readonly policy: string;
    readonly rule: string;
    readonly mode: string;
    readonly unit: string;
    readonly limit: number;
    readonly remaining: number;
    readonly windowMs: number;
    readonly exceeded: boolean;
  }[];
  /** `on: response` rules that matched. */
  readonly responseRules: SessionDetail['rules'];
  /** Guard → what it said. */
  readonly guards: Readonly<
    Record<string, { readonly flagged: boolean; readonly categories: readonly string[]; readonly code: string }>
  >;
  /** The message of the rule that the caller got. */
  readonly message: string;
  /** Why it was refused, in full: for whoever reads the record, not for the caller. */
  readonly detail: string;
  readonly revision: string;
  /** Git commit of the policies, or empty. */
  readonly commit: string;
  readonly operation: string;
  /** Detector id → matches in the request. */
  readonly findings: Readonly<Record<string, number>>;
  /** Content filter → matches in the request. */
  readonly filters: Readonly<Record<string, number>>;
  /** Name of the tool of an MCP `tools/call`, or empty. */
  readonly toolCall: string;
  readonly tools: readonly string[];
  /** Microseconds in the request gate. */
  readonly gateUs: number | undefined;
  readonly firstByteMs: number | undefined;
  readonly bytes: number;
  readonly chunks: number;
  /** Texts as recorded (masked by default); undefined where no content was kept. */
  readonly request: string | undefined;
  readonly response: string | undefined;
}

export interface SqlResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

export interface Look {
  readonly action: 'list' | 'show' | 'explain' | 'sql' | 'backtest';
  /** OS user who looks. */
  readonly reader: string;
  /** What was looked at: the session id, the filter, the query. */
  readonly subject: string;
}

/** The engine refused a query; `message` is for the operator who wrote it. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  readonly code = 'query_refused';
}
