/** What the request gate puts on the record. */
import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { Decision } from '../policy/decision.ts';
import type { EndEvent, HttpFacts, RequestEvent, SessionCaller } from '../record/events.ts';
import type { Passage, RequestHead, Stages } from './stages.ts';

export function endEvent(
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
    detail: '',
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

export function baseRequestEvent(passage: Passage, caller: Caller) {
  return {
    type: 'request',
    session: passage.session,
    at: passage.startedMs,
    caller: sessionCaller(caller),
    http: passage.http,
    bytes: passage.request.body.length,
  } as const;
}

export function requestEvent(
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

export function decisionEvent(passage: Passage, decision: Decision, nowMs: number) {
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

export function sessionCaller(caller: Caller): SessionCaller {
  const { provider, subject, email, kind, groups, team } = caller;
  return { provider, subject, email, kind, groups, team };
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
const IP_AND_PORT = /^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?$/;

/** What the record keeps of a request's head: no query, no header but these, freely chosen text masked. */
export function httpFacts(request: RequestHead, maskText: Stages['maskText']): HttpFacts {
  // https://www.w3.org/TR/trace-context/#traceparent-header
  const trace = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(headerOf(request, 'traceparent'));
  return {
    method: METHODS.has(request.method) ? request.method : 'other',
    host: IP_AND_PORT.test(request.host) ? request.host : maskText(request.host.slice(0, 256)),
    path: maskText(pathOf(request.path).slice(0, 1024)),
    clientAddress: request.clientAddress,
    userAgent: maskText(headerOf(request, 'user-agent').slice(0, 256)),
    requestId: maskText(headerOf(request, 'x-request-id').slice(0, 128)),
    traceId: trace?.[1] ?? '',
  };
}
