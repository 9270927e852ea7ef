/** What the request gate works on and with: the request, the stages as values, the plan and the answer. */
import type { Operators } from '../detect/operator.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import type { FormatId, Reading, RequestFacts } from '../exchange/facts.ts';
import type { Format } from '../exchange/format.ts';
import type { Asked, ModelsAsked } from '../exchange/formats.ts';
import type { Filters } from '../guard/guard.ts';
import type { Caller, Identification, Proof } from '../identity/caller.ts';
import type { CredentialSearch } from '../identity/credential.ts';
import type { Admission, LimitState, Reservation, TokenDemand } from '../limits/limiter.ts';
import type { Model } from '../models/model.ts';
import type { Checks, DecisionInput, GuardVerdict, LimitCharge, PolicySet } from '../policy/decision.ts';
import type { EndEvent, HttpFacts, Recorder } from '../record/events.ts';

export type Header = readonly [name: string, value: string];

/** One request as the edge understood it. Header names are lower case; duplicates are apart unless `joined`. */
export interface GateRequest {
  readonly method: string;
  /** Path with query, as sent. */
  readonly path: string;
  readonly host: string;
  readonly headers: readonly Header[];
  /** Duplicated headers arrive joined by commas (the edge could not be asked for raw headers). */
  readonly joined: boolean;
  readonly body: Buffer;
  readonly clientAddress: string;
  /** A mesh route names its model: `context_extensions` `sallyport.model`. */
  readonly namedModel: string | undefined;
  /** URI of the mTLS peer that Envoy verified (`attributes.source.principal`), empty without. */
  readonly peer: string;
  /** Dynamic metadata of Envoy's `jwt_authn` filter (`attributes.metadata_context`), decoded when it is asked for. */
  readonly jwtAuthn: (() => Readonly<Record<string, unknown>>) | undefined;
  /** Whether nobody waits for the answer any more: long work for it ends then. */
  readonly cancelled?: () => boolean;
}

export type RequestHead = Pick<GateRequest, 'method' | 'path' | 'host' | 'headers' | 'clientAddress'>;

/** What the request gate hands to the response gate, sealed (HMAC-SHA256) in Envoy's dynamic metadata. */
export interface Plan {
  readonly session: string;
  readonly format: string;
  readonly stream: boolean;
  /** Detector ids to mask in what is delivered, sorted. */
  readonly mask: readonly string[];
  /** Envoy cluster of the model version that the gate picked. */
  readonly cluster: string;
  /** Envoy's request.id. */
  readonly requestId: string;
  /** Epoch milliseconds. */
  readonly issuedAtMs: number;
  readonly revision: string;
  readonly request: { readonly writer: string; readonly leaf: number };
  /** What the session has reserved, to be settled at its end. */
  readonly reservations: readonly Reservation[];
  /** Detector ids to mask in the request before the model sees it, sorted. */
  readonly maskRequest: readonly string[];
  /** What they become (`mask`: response, `maskRequest`: request); a detector that is not named is replaced by its name. */
  readonly operators?: { readonly request: Operators; readonly response: Operators };
  /** Estimated tokens of the request: what a session is charged whose model reports no usage. */
  readonly tokens: number;
  /** Content types that cannot be masked pass as they are, where the plan masks nothing: the model entry admits `opaque`. */
  readonly opaque: boolean;
  /** An enforced rule watches the response: whoever does not know the rules (another process) must refuse it. */
  readonly watched: boolean;
  /** MCP: the id of the request, as JSON, up to 128 characters: what an error in the answer's place names. */
  readonly rpcId?: string;
}

export type Answer =
  | {
      readonly kind: 'forward';
      readonly plan: Plan;
      readonly setHeaders: readonly Header[];
      readonly removeHeaders: readonly string[];
      /** Set by Envoy on the answer to the client, whoever sends that. */
      readonly responseHeaders: readonly Header[];
      readonly afterwards: Afterwards;
    }
  | Reply;

/** What is left to do once the answer is on its way to Envoy; undefined: nothing. Never throws. */
export type Afterwards = (() => void) | undefined;

/** Answered by the gate: a refusal, or what the gate itself knows (`/v1/models`). */
export interface Reply {
  readonly kind: 'reply';
  readonly session: string;
  readonly status: number;
  readonly code: ErrorCode | 'ok';
  readonly headers: readonly Header[];
  readonly body: string;
  readonly afterwards?: Afterwards;
}

/** The stages, as values. */
export interface Stages {
  /** Refuses what no model API is: upgrades, CONNECT, a Host that is none. Returns why, or undefined. */
  readonly refuseTransport: (
    request: GateRequest,
  ) => { readonly code: ErrorCode; readonly detail: string; readonly message?: string } | undefined;
  readonly findCredential: (request: GateRequest) => CredentialSearch;
  readonly identify: (proof: Proof) => Identification | Promise<Identification>;
  readonly route: RouteStage;
  /** A place among the bodies in work, to be given back by the call; undefined: there are too many. */
  readonly enter: (request: GateRequest) => (() => void) | Promise<() => void> | undefined;
  readonly read: (request: GateRequest, asked: Asked) => Reading<RequestFacts> | Promise<Reading<RequestFacts>>;
  /** Masks the request's body for the record and counts what it found. */
  readonly find: (request: GateRequest, facts: RequestFacts) => Found | Promise<Found>;
  /** The content filters in force; undefined: none are configured. Taken once a request. */
  readonly filters: () => Filters | undefined;
  /** Counts what these find. */
  readonly filter: (
    filters: Filters | undefined,
    request: GateRequest,
    facts: RequestFacts,
  ) => ReadonlyMap<string, number> | Promise<ReadonlyMap<string, number>>;
  /** Asks these guards. A guard that fails is a verdict. */
  readonly guard: (
    names: readonly string[],
    request: GateRequest,
    facts: RequestFacts,
  ) => Promise<ReadonlyMap<string, GuardVerdict>>;
  readonly limits: LimitStage;
  /**
   * Has work done after the answer that belongs to the session's record: the end of the session waits for it. False: too
   * much of it (`bytes` of bodies) waits already.
   */
  readonly later: (session: string, bytes: number, work: () => Promise<void>) => Afterwards | false;
  /** Masks what the caller chose freely (path, user agent, names) before it goes on the record. */
  readonly maskText: (text: string) => string;
  /** A few names for many detectors, for the record: categories, and ids where that is not all of one. */
  readonly masking: {
    readonly shown: (ids: readonly string[]) => readonly string[];
    /** Name → operator. */
    readonly operators: (operators: Operators) => Readonly<Record<string, string>>;
  };
  readonly policy: () => PolicySet;
  readonly recorder: Recorder;
  readonly refuse: RefuseStage;
  /** Signs who calls, for a model that wants it; undefined: this one does not. Rejects when that cannot be signed. */
  readonly vouch: (caller: Caller, model: Model) => Promise<string> | undefined;
  /** What goes upstream: our headers set, the caller's credential and identity headers gone. */
  readonly forward: (
    request: GateRequest,
    caller: Caller,
    model: Model,
    session: string,
    assertion: string | undefined,
    /** The response gate masks the body first, and names the cluster then. */
    routedLater: boolean,
  ) => { readonly setHeaders: readonly Header[]; readonly removeHeaders: readonly string[] };
  readonly newSession: () => string;
  readonly nowMs: () => number;
  /** Called when a yes is on its way: the session is open until the response gate ends it. `watched`: for `on: response` rules. */
  readonly dispatched: (plan: Plan, watched: Watched | undefined) => void;
  /** A stage threw: a bug or a dependency. Goes to the log, without the request. */
  readonly failed: (session: string, error: unknown) => void;
}

/** What the rules on the response are asked with. */
export interface Watched {
  readonly policy: PolicySet;
  readonly input: DecisionInput;
}

export interface LimitStage {
  /** Charges all or none, once a session. Rejects with LimitsUnavailable. */
  readonly reserve: (session: string, charges: readonly LimitCharge[], demand: TokenDemand) => Promise<Admission>;
  /** Gives back what a session reserved that was never dispatched. */
  readonly release: (session: string, reservations: readonly Reservation[]) => void;
  /** Where the limits stand, for the client's SDK. */
  readonly headers: (format: FormatId, states: readonly LimitState[]) => readonly Header[];
  /** When the limit that refused is free again. */
  readonly retryAfter: (by: LimitState) => Header;
}

/** What the content checks say. `masked`: the request's text as it goes on the record; undefined: not looked at yet. */
export interface Checked extends Checks {
  readonly masked: Buffer | undefined;
  /** What `filters` is counted with, now or after the answer. */
  readonly lists: Filters | undefined;
}

export interface Found {
  readonly masked: Buffer;
  readonly findings: ReadonlyMap<string, number>;
}

/** What a request's method, host, path and kind of body ask for. `format`: in whose shape refusals are. */
export type Routed =
  | (Asked & { readonly kind: 'call' })
  | (ModelsAsked & { readonly kind: 'models' })
  | {
      readonly kind: 'refused';
      readonly code: 'path_not_admitted' | 'method_not_allowed';
      /** Undefined: the path belongs to no API that we know. */
      readonly format: Format | undefined;
      readonly detail: string;
    };

export interface RouteStage {
  readonly models: () => readonly Model[];
  /** Worked out once a request, before anything else: never throws. */
  readonly ask: (request: GateRequest) => Routed;
  /** The one model that is meant, once the body has been read; `modelField`: the model that the body or the path names. */
  readonly pick: (request: GateRequest, asked: Asked, modelField: string) => Model | undefined;
  /** What the gate itself answers about models, of which the caller may use these; undefined: not the one asked about. */
  readonly describe: (asked: ModelsAsked, models: readonly Model[]) => string | undefined;
}

export type RefuseStage = (refusal: {
  readonly code: ErrorCode;
  /** In whose shape (a FormatId); OpenAI's where it is not known. */
  readonly format?: string | undefined;
  readonly message?: string;
  readonly session: string;
  /** MCP: the id of the request, as JSON. */
  readonly rpcId?: string | undefined;
}) => { readonly status: number; readonly headers: readonly Header[]; readonly body: string };

/** State of one passage through the gate. */
export interface Passage {
  readonly session: string;
  readonly startedMs: number;
  readonly startedUs: number;
  readonly request: GateRequest;
  readonly http: HttpFacts;
  readonly routed: Routed;
  /** Set once the request is in the journal: from then on the session ends with an `end`, else with `refused`. */
  cited: NonNullable<EndEvent['request']> | undefined;
  /** What is left to do after the answer. */
  afterwards: Afterwards;
  /** What is to be given back when nothing is dispatched. */
  reserved: readonly Reservation[];
}
