/** What goes on the record. Every event is metadata only; texts travel as content chunks beside it. */
export interface SessionCaller {
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | undefined;
  readonly kind: 'person' | 'service' | 'peer';
  /** How they proved it: `Caller.proof`. */
  readonly proof: string;
  /** Why `groups` may not be all of them, where that is so. */
  readonly groupsProblem: string | undefined;
  readonly groups: readonly string[];
  readonly team: string | undefined;
}

export interface HttpFacts {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly clientAddress: string;
  readonly userAgent: string;
  /** Envoy's `x-request-id`. */
  readonly requestId: string;
  /** From `traceparent` (W3C Trace Context), or empty. */
  readonly traceId: string;
}

interface Base {
  /** UUIDv7 of the session. */
  readonly session: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The gate read a request of a known caller. */
export interface RequestEvent extends Base {
  readonly type: 'request';
  readonly caller: SessionCaller;
  readonly http: HttpFacts;
  readonly model: string;
  readonly modelVersion: string;
  readonly format: string;
  readonly operation: string;
  readonly stream: boolean;
  /** Estimated prompt tokens, body bytes. */
  readonly tokens: number;
  readonly bytes: number;
  /** Names of the tools on offer, 256 at most. */
  readonly tools: readonly string[];
  /** Name of the tool of an MCP `tools/call`, or empty. */
  readonly toolCall: string;
  /** Number of answers asked for; parts of the request that are not text. */
  readonly choices: number;
  readonly images: number;
  readonly audio: number;
  readonly files: number;
  readonly maxTokens: number | undefined;
  /** Whether `findings` and `filters` are here; if not, a `findings` event follows: no rule asked for them. */
  readonly checked: boolean;
  /** Detector id → count in the request. */
  readonly findings: Readonly<Record<string, number>>;
  /** Content filter → matches. */
  readonly filters: Readonly<Record<string, number>>;
  /** Guard → what it said; only those that a rule asked. */
  readonly guards: Readonly<Record<string, GuardOutcome>>;
}

/** What an external classifier said; `code`: why it could not be asked, else empty. */
export interface GuardOutcome {
  readonly flagged: boolean;
  readonly categories: readonly string[];
  readonly code: string;
}

/** What the content checks found in a request whose rules did not ask for it: written after the answer to Envoy. */
export interface FindingsEvent extends Base {
  readonly type: 'findings';
  readonly request: { readonly writer: string; readonly leaf: number };
  readonly findings: Readonly<Record<string, number>>;
  readonly filters: Readonly<Record<string, number>>;
}

/** A rule that matched, or failed (`error`). */
export interface RuleOutcome {
  readonly policy: string;
  readonly rule: string;
  readonly effect: string;
  readonly mode: string;
  readonly severity?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly error?: string;
}

export interface LimitOutcome {
  readonly policy: string;
  readonly rule: string;
  readonly mode: string;
  readonly unit: string;
  readonly limit: number;
  readonly remaining: number;
  readonly windowMs: number;
  readonly exceeded: boolean;
}

/** What the rules said. */
export interface DecisionEvent extends Base {
  readonly type: 'decision';
  readonly verdict: 'allow' | 'deny' | 'requireApproval' | 'limit';
  readonly rules: readonly RuleOutcome[];
  /** Names of categories and detectors. */
  readonly maskResponse: readonly string[];
  readonly maskRequest: readonly string[];
  /** Name of a detector or category → operator, of those that are not replaced by their names; not there where there are none. */
  readonly operators?: {
    readonly request: Readonly<Record<string, string>>;
    readonly response: Readonly<Record<string, string>>;
  };
  /** Where each limit stands after this request; dry runs too. */
  readonly limits: readonly LimitOutcome[];
  readonly message: string;
  readonly revision: string;
  /** Git commit of the rules, or empty. */
  readonly commit: string;
  /** Of the content filters (`Filters.revision`); not there where none are configured. */
  readonly filtersRevision?: string;
  /** Microseconds spent in the request gate. */
  readonly gateUs: number;
}

/** The model began to answer. Cites the leaf of its request: this may be another process's log. */
export interface ResponseEvent extends Base {
  readonly type: 'response';
  readonly request: { readonly writer: string; readonly leaf: number } | undefined;
  readonly status: number;
  readonly contentType: string;
  readonly cluster: string;
}

/** How a session ended. Cites the leaf of its request: the two gates may be different processes. */
export interface EndEvent extends Base {
  readonly type: 'end';
  readonly request: { readonly writer: string; readonly leaf: number } | undefined;
  readonly how:
    | 'complete'
    | 'denied'
    | 'answered_by_gate'
    | 'client_gone'
    /** Envoy ended the stream before its end: client or model went away. */
    | 'interrupted'
    | 'response_refused'
    /** An `on: response` rule stopped it, or could not be evaluated. */
    | 'stopped'
    | 'local_reply'
    | 'not_dispatched'
    | 'gate_failed'
    | 'unknown';
  /** Row of the error table, where the caller got one of ours. */
  readonly code: string;
  readonly status: number;
  /** Why, in our own words, where the code alone does not say; empty otherwise. */
  readonly detail: string;
  /** `on: response` rules that matched; empty where there are none. */
  readonly rules: readonly RuleOutcome[];
  /** Detector id → count found in the response, whether or not it was masked. */
  readonly found: Readonly<Record<string, number>>;
  /** Detector id → count masked in what was delivered. */
  readonly masked: Readonly<Record<string, number>>;
  /** Detector id → count masked in the request that the model got; empty where none was to be masked. */
  readonly maskedRequest: Readonly<Record<string, number>>;
  /** Detector id → count of the request's values that were put back in the answer; not there where there are none. */
  readonly restored?: Readonly<Record<string, number>>;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** Bytes released to Envoy, and in how many chunks. */
  readonly bytes: number;
  readonly chunks: number;
  /** Milliseconds from the session's first event to the first released byte of the body, and to the end. */
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
  /** Of an answer that was cut off: what was read of it and did not leave, and how much was found in that. */
  readonly withheld?:
    | { readonly bytes: number; readonly events: number; readonly findings: Readonly<Record<string, number>> }
    | undefined;
}

/** Refused before there was a caller, or before a request could be read: no content, not waited for. `count` > 1: a flood counted together. */
export interface RefusedEvent extends Base {
  readonly type: 'refused';
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly http: HttpFacts;
  readonly caller: SessionCaller | undefined;
  readonly count: number;
}

/**
 * Policies came into force, or were refused. The full text of every revision is on the record: `policy_revisions` reads it
 * from here.
 */
export interface PolicyEvent extends Base {
  readonly type: 'policy';
  readonly action: 'loaded' | 'refused';
  /** Content hash of the set, `sha256:…`; of what was refused, empty where it could not be read. */
  readonly revision: string;
  /** Git commit, or empty. */
  readonly commit: string;
  /** Where it came from: `folder`, `git`, `push`. */
  readonly source: string;
  /** OS user or caller who pushed it; empty otherwise. */
  readonly by: string;
  /** Path → text; empty where it was refused. A large set is on the record in several events, each with some of the files. */
  readonly files: Readonly<Record<string, string>>;
  /** Which of them this is, from 1, and how many there are. */
  readonly part: number;
  readonly parts: number;
  /** `file:line:column: message`, where it was refused; a hundred at most. */
  readonly problems: readonly string[];
}

/** A human looked at the record. */
export interface AdminEvent extends Base {
  readonly type: 'admin';
  readonly action: 'list' | 'show' | 'explain' | 'sql' | 'backtest';
  readonly reader: string;
  readonly subject: string;
}

interface CredentialBase extends Base {
  readonly type: 'credential';
  /** How it was asked for. */
  readonly grant:
    | 'token_exchange'
    | 'saml2_bearer'
    | 'authorization_code'
    /** A browser on its way to a code. */
    | 'sign_in'
    /** A holder gives it back (RFC 7009). */
    | 'revocation'
    /** An operator takes it back. */
    | 'admin'
    /** Somebody asks who they are. */
    | 'whoami';
  /** An operator who takes things back names provider and subject only. */
  readonly caller: SessionCaller | Pick<SessionCaller, 'provider' | 'subject'> | undefined;
  /** `jti` of the token, or empty. */
  readonly tokenId: string;
  /** Epoch milliseconds; 0 where there is none. */
  readonly expiresAtMs: number;
  /** Why it was refused: `reason` of the identity, or the OAuth error. Empty otherwise. */
  readonly code: string;
  /** More of it, in our own words. */
  readonly detail: string;
  readonly clientAddress: string;
  /** OS user of the operator who took it back; empty otherwise. */
  readonly by: string;
  readonly count: number;
}

/** A credential that the gateway gave out, or that was taken back. */
interface GivenCredentialEvent extends CredentialBase {
  readonly action: 'issued' | 'revoked';
}

/** A credential that was not given. Not waited for; `count` > 1: a flood counted together. */
export interface RefusedCredentialEvent extends CredentialBase {
  readonly action: 'refused';
}

export type CredentialEvent = GivenCredentialEvent | RefusedCredentialEvent;

export type RecordEvent =
  | RequestEvent
  | FindingsEvent
  | DecisionEvent
  | ResponseEvent
  | EndEvent
  | RefusedEvent
  | AdminEvent
  | CredentialEvent
  | PolicyEvent;

/** A piece of text as it was delivered (masked with `record.detect`). */
export interface ContentChunk {
  readonly session: string;
  readonly direction: 'request' | 'response';
  /** 0-based order inside (session, direction). */
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * The journal as the gates see it. One writer a process. A journal that cannot be written closes the gate: `event` and
 * `content` throw JournalUnavailable, `written` and `durable` reject with it.
 */
export interface Recorder {
  /** Id of this process's log. */
  readonly writer: string;
  /** `open`, or why nothing may pass. */
  readonly state: 'open' | 'full' | 'failed' | 'closed';
  /** Appends an event; returns its leaf index in this writer's log. Synchronous, in memory until `written`. */
  event(event: RecordEvent): number;
  content(chunk: ContentChunk): void;
  /** Resolves once all that was appended so far is in the file (not synced). At most one write a tick. */
  written(): Promise<void>;
  /** Resolves once all that was appended so far is durable (fdatasync, group commit). */
  durable(): Promise<void>;
}
