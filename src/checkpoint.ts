/**
 * The request gate, stage by stage: admit → identify → route → read → find → decide → record → plan.
 *
 * Each stage is a value passed in; each either hands on or answers. Nothing is said "yes" to before its events are
 * durable, and whatever throws is answered 503: the gate fails closed.
 */
import type { ErrorCode } from './exchange/errors.ts';
import type { Reading, RequestFacts } from './exchange/facts.ts';
import type { Caller, Identification } from './identity/caller.ts';
import type { Model } from './models/model.ts';
import type { Decision, PolicySet } from './policy/decision.ts';
import type { EndEvent, HttpFacts, Recorder, RequestEvent, SessionCaller } from './record/events.ts';

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
}

export type Answer =
  | {
      readonly kind: 'forward';
      readonly plan: Plan;
      readonly setHeaders: readonly Header[];
      readonly removeHeaders: readonly string[];
    }
  | Reply;

/** Answered by the gate: a refusal, or what the gate itself knows (`/v1/models`). */
export interface Reply {
  readonly kind: 'reply';
  readonly session: string;
  readonly status: number;
  readonly code: ErrorCode | 'ok';
  readonly headers: readonly Header[];
  readonly body: string;
}

/** The stages, as values. */
export interface Stages {
  /** Refuses what no model API is: upgrades, CONNECT, a Host that is none. Returns why, or undefined. */
  readonly refuseTransport: (
    request: GateRequest,
  ) => { readonly code: ErrorCode; readonly detail: string; readonly message?: string } | undefined;
  readonly findCredential: (request: GateRequest) => FoundCredential;
  readonly identify: (token: string) => Identification | Promise<Identification>;
  readonly route: RouteStage;
  readonly read: (request: GateRequest) => Reading<RequestFacts> | Promise<Reading<RequestFacts>>;
  /** Masks the request's body for the record and counts what it found. */
  readonly find: (request: GateRequest, facts: RequestFacts) => Found | Promise<Found>;
  /** Masks what the caller chose freely (path, user agent, names) before it goes on the record. */
  readonly maskText: (text: string) => string;
  readonly policy: () => PolicySet;
  readonly recorder: Recorder;
  readonly refuse: RefuseStage;
  /** What goes upstream: our headers set, the caller's credential and identity headers gone. */
  readonly forward: (
    request: GateRequest,
    caller: Caller,
    model: Model,
    session: string,
  ) => { readonly setHeaders: readonly Header[]; readonly removeHeaders: readonly string[] };
  readonly newSession: () => string;
  readonly nowMs: () => number;
  /** Called when a yes is on its way: the session is open until the response gate ends it. */
  readonly dispatched: (plan: Plan) => void;
  /** The gate is going down and takes nothing new. */
  readonly draining: () => boolean;
  /** A stage threw: a bug or a dependency. Goes to the log, without the request. */
  readonly failed: (session: string, error: unknown) => void;
}

export type FoundCredential =
  | { readonly ok: true; readonly token: string }
  | {
      readonly ok: false;
      readonly code: 'token_missing' | 'token_malformed' | 'credentials_conflict' | 'credential_in_query';
      readonly detail: string;
    };

export interface Found {
  readonly masked: Buffer;
  readonly findings: ReadonlyMap<string, number>;
}

export interface RouteStage {
  readonly models: () => readonly Model[];
  /** Whether any entry admits this host and path (and what the path is for). */
  readonly admit: (request: GateRequest) => 'list_models' | 'call' | 'refused';
  readonly pick: (request: GateRequest, modelField: string) => Model | undefined;
  /** The list that the gate answers itself. */
  readonly list: (models: readonly Model[]) => string;
}

export type RefuseStage = (refusal: {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly session: string;
}) => { readonly status: number; readonly headers: readonly Header[]; readonly body: string };

/** State of one passage through the gate. */
interface Passage {
  readonly session: string;
  readonly startedMs: number;
  readonly startedUs: number;
  readonly request: GateRequest;
  readonly http: HttpFacts;
}

export type Checkpoint = (request: GateRequest) => Promise<Answer>;

export function createCheckpoint(stages: Stages): Checkpoint {
  return async (request) => {
    const passage: Passage = {
      session: stages.newSession(),
      startedMs: stages.nowMs(),
      startedUs: performance.now() * 1000,
      request,
      http: httpFacts(request, stages.maskText),
    };
    try {
      return await pass(stages, passage);
    } catch (error) {
      stages.failed(passage.session, error);
      const code = isRecordFailure(error) ? 'record_unavailable' : 'gate_failed';
      return { kind: 'reply', session: passage.session, code, ...stages.refuse({ code, session: passage.session }) };
    }
  };
}

async function pass(stages: Stages, passage: Passage): Promise<Answer> {
  const { request } = passage;
  if (stages.recorder.state !== 'open')
    return refused(stages, passage, undefined, 'record_unavailable', stages.recorder.state);
  if (stages.draining()) return refused(stages, passage, undefined, 'draining', '');
  const transport = stages.refuseTransport(request);
  if (transport !== undefined)
    return refused(stages, passage, undefined, transport.code, transport.detail, transport.message);
  const credential = stages.findCredential(request);
  if (!credential.ok) return refused(stages, passage, undefined, credential.code, credential.detail);
  const identified = stages.identify(credential.token);
  const identity = identified instanceof Promise ? await identified : identified;
  if (!identity.ok) return refused(stages, passage, undefined, identity.reason, identity.detail);
  const { caller } = identity;
  const purpose = stages.route.admit(request);
  if (purpose === 'refused') return refused(stages, passage, caller, 'path_not_admitted', '');
  if (purpose === 'list_models') return listModels(stages, passage, caller);
  return call(stages, passage, caller);
}

async function call(stages: Stages, passage: Passage, caller: Caller): Promise<Answer> {
  const { request, session } = passage;
  const reading = stages.read(request);
  const facts = reading instanceof Promise ? await reading : reading;
  if (!facts.ok) return refused(stages, passage, caller, facts.code, facts.message, facts.message);
  const model = stages.route.pick(request, facts.value.model);
  if (model === undefined) return refused(stages, passage, caller, 'unknown_model', facts.value.model);
  const finding = stages.find(request, facts.value);
  const found = finding instanceof Promise ? await finding : finding;
  const decision = stages.policy().decide({
    caller,
    request: facts.value,
    findings: found.findings,
    model,
    http: {
      method: request.method,
      host: request.host,
      path: pathOf(request.path),
      clientAddress: request.clientAddress,
    },
    nowMs: passage.startedMs,
  });
  const { recorder } = stages;
  const leaf = recorder.event(requestEvent(stages, passage, caller, model, facts.value, found.findings));
  recorder.content({ session, direction: 'request', seq: 0, at: passage.startedMs, bytes: found.masked });
  recorder.event(decisionEvent(passage, decision, stages.nowMs()));
  const cited = { writer: recorder.writer, leaf };
  if (decision.verdict === 'deny') return denied(stages, passage, decision, cited);
  const plan: Plan = {
    session,
    format: facts.value.format,
    stream: facts.value.stream,
    mask: decision.maskResponse,
    cluster: model.cluster,
    requestId: passage.http.requestId,
    issuedAtMs: stages.nowMs(),
    revision: decision.revision,
    request: cited,
  };
  await recorder.durable();
  stages.dispatched(plan);
  return {
    kind: 'forward',
    plan: { ...plan, issuedAtMs: stages.nowMs() },
    ...stages.forward(request, caller, model, session),
  };
}

/** Deny is answered once it is on the record, as a yes is. */
async function denied(
  stages: Stages,
  passage: Passage,
  decision: Extract<Decision, { verdict: 'deny' }>,
  cited: NonNullable<EndEvent['request']>,
): Promise<Answer> {
  const code = denialCode(decision);
  const answer = stages.refuse({ code, message: decision.message, session: passage.session });
  stages.recorder.event(endEvent(stages, passage, cited, { how: 'denied', code, status: answer.status }));
  await stages.recorder.durable();
  return { kind: 'reply', session: passage.session, code, ...answer };
}

function denialCode(decision: Extract<Decision, { verdict: 'deny' }>): ErrorCode {
  if (decision.by === undefined) return 'no_rule_allows';
  const hit = decision.rules.find((rule) => `${rule.policy}/${rule.rule}` === decision.by);
  return hit?.error === undefined ? 'policy_denied' : 'policy_error';
}

/** The models that this caller may use, answered by the gate and on the record like any call. */
async function listModels(stages: Stages, passage: Passage, caller: Caller): Promise<Answer> {
  const policy = stages.policy();
  const models = stages.route.models().filter((model) => policy.admits(caller, model, passage.startedMs));
  const { recorder } = stages;
  const leaf = recorder.event({
    ...baseRequestEvent(passage, caller),
    model: '',
    modelVersion: '',
    format: 'openai-chat',
    operation: 'list_models',
    stream: false,
    tokens: 0,
    tools: [],
    findings: {},
  });
  const cited = { writer: recorder.writer, leaf };
  recorder.event(endEvent(stages, passage, cited, { how: 'answered_by_gate', code: '', status: 200 }));
  await recorder.durable();
  return {
    kind: 'reply',
    session: passage.session,
    code: 'ok',
    status: 200,
    headers: [
      ['content-type', 'application/json'],
      ['x-sallyport-session', passage.session],
    ],
    body: stages.route.list(models),
  };
}

/** A refusal before there was anything to decide: on the record, but not waited for. */
function refused(
  stages: Stages,
  passage: Passage,
  caller: Caller | undefined,
  code: ErrorCode,
  detail: string,
  message?: string,
): Answer {
  const answer = stages.refuse({ code, session: passage.session, ...(message === undefined ? {} : { message }) });
  // A full journal still counts refusals; one that has failed is why we refuse.
  if (stages.recorder.state === 'open' || stages.recorder.state === 'full')
    stages.recorder.event({
      type: 'refused',
      session: passage.session,
      at: passage.startedMs,
      code,
      status: answer.status,
      detail: stages.maskText(detail.slice(0, 512)),
      http: passage.http,
      caller: caller === undefined ? undefined : sessionCaller(caller),
      count: 1,
    });
  return { kind: 'reply', session: passage.session, code, ...answer };
}

function endEvent(
  stages: Stages,
  passage: Passage,
  cited: NonNullable<EndEvent['request']>,
  outcome: Pick<EndEvent, 'how' | 'code' | 'status'>,
): EndEvent {
  const at = stages.nowMs();
  return {
    type: 'end',
    session: passage.session,
    at,
    request: cited,
    ...outcome,
    found: {},
    masked: {},
    inputTokens: undefined,
    outputTokens: undefined,
    bytes: 0,
    chunks: 0,
    firstByteMs: undefined,
    durationMs: at - passage.startedMs,
  };
}

function baseRequestEvent(passage: Passage, caller: Caller) {
  return {
    type: 'request',
    session: passage.session,
    at: passage.startedMs,
    caller: sessionCaller(caller),
    http: passage.http,
    bytes: passage.request.body.length,
  } as const;
}

function requestEvent(
  stages: Stages,
  passage: Passage,
  caller: Caller,
  model: Model,
  facts: RequestFacts,
  findings: ReadonlyMap<string, number>,
): RequestEvent {
  return {
    ...baseRequestEvent(passage, caller),
    model: model.name,
    modelVersion: model.version,
    format: facts.format,
    operation: facts.operation,
    stream: facts.stream,
    tokens: facts.tokens,
    tools: facts.tools.map((tool) => stages.maskText(tool.name.slice(0, 256))),
    findings: Object.fromEntries(findings),
  };
}

function decisionEvent(passage: Passage, decision: Decision, nowMs: number) {
  return {
    type: 'decision',
    session: passage.session,
    at: nowMs,
    verdict: decision.verdict,
    rules: decision.rules,
    maskResponse: decision.verdict === 'allow' ? decision.maskResponse : [],
    message: decision.verdict === 'deny' ? decision.message : '',
    revision: decision.revision,
    gateUs: Math.round(performance.now() * 1000 - passage.startedUs),
  } as const;
}

function sessionCaller(caller: Caller): SessionCaller {
  const { provider, subject, email, kind, groups, team } = caller;
  return { provider, subject, email, kind, groups, team };
}

function isRecordFailure(error: unknown): boolean {
  return error instanceof Error && error.name === 'JournalUnavailable';
}

/** The path without its query: a query may carry what must not be kept. */
function pathOf(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

function headerOf(request: RequestHead, name: string): string {
  for (const [key, value] of request.headers) if (key === name) return value;
  return '';
}

/** What the record keeps of a request's head: no query, no header but these, freely chosen text masked. */
export function httpFacts(request: RequestHead, maskText: Stages['maskText']): HttpFacts {
  // https://www.w3.org/TR/trace-context/#traceparent-header
  const trace = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(headerOf(request, 'traceparent'));
  return {
    method: request.method,
    host: /^[\w.:[\]-]{0,256}$/.test(request.host) ? request.host : maskText(request.host.slice(0, 256)),
    path: maskText(pathOf(request.path).slice(0, 1024)),
    clientAddress: request.clientAddress,
    userAgent: maskText(headerOf(request, 'user-agent').slice(0, 256)),
    requestId: headerOf(request, 'x-request-id').slice(0, 128),
    traceId: trace?.[1] ?? '',
  };
}
