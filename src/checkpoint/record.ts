/** What the request gate puts on the record. Members in the order of their names: canonical.ts says why. */
import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Admission, LimitState } from '../limits/limiter.ts';
import type { Model } from '../models/model.ts';
import type { Decision, GuardVerdict } from '../policy/decision.ts';
import type {
  DecisionEvent,
  EndEvent,
  GuardOutcome,
  HttpFacts,
  LimitOutcome,
  RequestEvent,
  SessionCaller,
} from '../record/events.ts';
import type { Checked, Passage, RequestHead, Stages } from './stages.ts';

export function endEvent(
  stages: Stages,
  passage: Passage,
  cited: NonNullable<EndEvent['request']>,
  outcome: Pick<EndEvent, 'how' | 'code' | 'status'>,
): EndEvent {
  const at = stages.nowMs();
  return {
    at,
    bytes: 0,
    chunks: 0,
    code: outcome.code,
    detail: '',
    durationMs: at - passage.startedMs,
    firstByteMs: undefined,
    found: {},
    how: outcome.how,
    inputTokens: undefined,
    masked: {},
    maskedRequest: {},
    outputTokens: undefined,
    request: cited,
    rules: [],
    session: passage.session,
    status: outcome.status,
    type: 'end',
  };
}

/** What was asked for; `findings` by detector. */
type Asked = Omit<RequestEvent, 'at' | 'bytes' | 'caller' | 'http' | 'session' | 'type'>;

export function requestEvent(passage: Passage, caller: Caller, asked: Asked): RequestEvent {
  return {
    at: passage.startedMs,
    audio: asked.audio,
    bytes: passage.request.body.length,
    caller: sessionCaller(caller),
    checked: asked.checked,
    choices: asked.choices,
    files: asked.files,
    filters: asked.filters,
    findings: asked.findings,
    format: asked.format,
    guards: asked.guards,
    http: passage.http,
    images: asked.images,
    maxTokens: asked.maxTokens,
    model: asked.model,
    modelVersion: asked.modelVersion,
    operation: asked.operation,
    session: passage.session,
    stream: asked.stream,
    tokens: asked.tokens,
    toolCall: asked.toolCall,
    tools: asked.tools,
    type: 'request',
  };
}

/** Tools of one request that are named on the record; a list of as many may have been longer. */
const MOST_TOOLS = 256;

export function askedOfModel(stages: Stages, model: Model, facts: RequestFacts, checked: Checked): Asked {
  return {
    audio: facts.audio,
    checked: checked.masked !== undefined,
    choices: facts.choices,
    files: facts.files,
    filters: Object.fromEntries(checked.filters),
    findings: Object.fromEntries(checked.findings),
    format: facts.format,
    guards: Object.fromEntries(Array.from(checked.guards, ([name, verdict]) => [name, guardOutcome(verdict)])),
    images: facts.images,
    maxTokens: facts.maxTokens,
    model: model.name,
    modelVersion: model.version,
    operation: facts.operation,
    stream: facts.stream,
    tokens: facts.tokens,
    toolCall: stages.maskText(facts.toolCall?.name.slice(0, 256) ?? ''),
    tools: facts.tools.slice(0, MOST_TOOLS).map((tool) => stages.maskText(tool.name.slice(0, 256))),
  };
}

/** Categories of a guard that the record names. */
const MOST_CATEGORIES = 32;

function guardOutcome(verdict: GuardVerdict): GuardOutcome {
  return verdict.ok
    ? { categories: verdict.categories.slice(0, MOST_CATEGORIES), code: '', flagged: verdict.flagged }
    : { categories: [], code: verdict.code, flagged: false };
}

/** What the rules and then the limits said. */
export interface Ruling {
  readonly decision: Decision;
  readonly commit: string | undefined;
  readonly admission: Admission | undefined;
  /** Of the content filters. */
  readonly lists: { readonly revision: string } | undefined;
}

export function decisionEvent(
  passage: Passage,
  ruling: Ruling,
  nowMs: number,
  { maskText, masking }: Pick<Stages, 'maskText' | 'masking'>,
): DecisionEvent {
  const { decision, commit, admission, lists } = ruling;
  return {
    at: nowMs,
    commit: commit ?? '',
    ...(lists && { filtersRevision: lists.revision }),
    gateUs: Math.round(performance.now() * 1000 - passage.startedUs),
    limits: admission?.states.map(limitOutcome) ?? [],
    maskRequest: decision.verdict === 'deny' ? [] : masking.shown(decision.maskRequest),
    maskResponse: decision.verdict === 'deny' ? [] : masking.shown(decision.maskResponse),
    ...(decision.verdict !== 'deny' &&
      decision.operators && {
        operators: {
          request: masking.operators(decision.operators.request),
          response: masking.operators(decision.operators.response),
        },
      }),
    // A rule's words may repeat the request's.
    message: maskText(messageOf(decision, admission)),
    revision: decision.revision,
    rules: decision.rules,
    session: passage.session,
    type: 'decision',
    verdict: admission?.ok === false ? 'limit' : decision.verdict,
  };
}

function messageOf(decision: Decision, admission: Admission | undefined): string {
  if (decision.verdict === 'deny') return decision.message;
  if (decision.verdict === 'requireApproval') return decision.demands[0]?.message ?? '';
  return admission?.ok === false ? (admission.message ?? '') : '';
}

function limitOutcome({ resetMs: _, ...state }: LimitState): LimitOutcome {
  return state;
}

export function sessionCaller(caller: Caller): SessionCaller {
  const { email, groups, groupsProblem, issuer, kind, proof, provider, subject, team } = caller;
  return { email, groups, groupsProblem, issuer, kind, proof, provider, subject, team };
}

/** The path without its query: a query may carry what must not be kept. */
export function pathOf(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

export function headerOf(request: RequestHead, name: string): string {
  for (const [key, value] of request.headers) if (key === name) return value;
  return '';
}

/** https://www.iana.org/assignments/http-methods, those that reach a gateway; HTTP/2 lets a client write anything. */
const METHODS = new Set(['', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);
/** The address of the gateway itself, as callers without a name for it write it. */
/** As Envoy makes request ids: there is nothing of anybody in them. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const IP_AND_PORT = /^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?$/;

/** What the record keeps of a request's head: no query, no header but these, freely chosen text masked. */
export function httpFacts(request: RequestHead, maskText: Stages['maskText']): HttpFacts {
  // https://www.w3.org/TR/trace-context/#traceparent-header
  const requestId = headerOf(request, 'x-request-id');
  const trace = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(headerOf(request, 'traceparent'));
  return {
    clientAddress: request.clientAddress,
    host: IP_AND_PORT.test(request.host) ? request.host : maskText(request.host.slice(0, 256)),
    method: METHODS.has(request.method) ? request.method : 'other',
    path: maskText(pathOf(request.path).slice(0, 1024)),
    requestId: UUID.test(requestId) ? requestId : maskText(requestId.slice(0, 128)),
    traceId: trace?.[1] ?? '',
    userAgent: maskText(headerOf(request, 'user-agent').slice(0, 256)),
  };
}
