/**
 * The request gate, stage by stage: identify → admit → read → route → check → decide → vouch → charge → record → plan.
 *
 * Each stage is a value passed in; each either hands on or answers. Nothing is said "yes" to before its events are
 * durable, and whatever throws is answered 503: the gate fails closed.
 */
import { checkOnPath, checkWithGuards, decisionInput, recordRequest } from './checkpoint/checks.ts';
import { denied, refusalOf, whyUnmaskable } from './checkpoint/denial.ts';
import {
  askedOfModel,
  decisionEvent,
  endEvent,
  headerOf,
  httpFacts,
  requestEvent,
  sessionCaller,
} from './checkpoint/record.ts';
import type { Answer, GateRequest, Passage, Plan, Routed, Stages } from './checkpoint/stages.ts';
import type { ErrorCode } from './exchange/errors.ts';
import type { RequestFacts } from './exchange/facts.ts';
import type { Caller } from './identity/caller.ts';
import type { Admission, TokenDemand } from './limits/limiter.ts';
import type { Decision } from './policy/decision.ts';

export type Checkpoint = (request: GateRequest) => Promise<Answer>;

export function createCheckpoint(stages: Stages): Checkpoint {
  return async (request) => {
    const passage: Passage = {
      session: stages.newSession(),
      startedMs: stages.nowMs(),
      startedUs: performance.now() * 1000,
      request,
      http: httpFacts(request, stages.maskText),
      routed: stages.route.ask(request),
      cited: undefined,
      reserved: [],
      afterwards: undefined,
    };
    try {
      return await pass(stages, passage);
    } catch (error) {
      stages.failed(passage.session, error);
      return failed(stages, passage, error);
    }
  };
}

/** A stage threw: on the record as long as there is one, and nothing passes. */
function failed(stages: Stages, passage: Passage, error: unknown): Answer {
  const code = codeOf(error);
  if (passage.reserved.length > 0) stages.limits.release(passage.session, passage.reserved);
  try {
    if (passage.cited === undefined) return refused(stages, passage, undefined, code, '');
    const answer = refuse(stages, passage, code);
    stages.recorder.event(
      endEvent(stages, passage, passage.cited, { how: 'gate_failed', code, status: answer.status }),
    );
    // What the request said is put on the record all the same.
    return { kind: 'reply', session: passage.session, code, ...answer, afterwards: passage.afterwards };
  } catch {
    // The record is what failed: there is nowhere to write that down.
    return { kind: 'reply', session: passage.session, code, ...refuse(stages, passage, code) };
  }
}

async function pass(stages: Stages, passage: Passage): Promise<Answer> {
  const { request } = passage;
  if (stages.recorder.state !== 'open')
    return refused(stages, passage, undefined, 'record_unavailable', stages.recorder.state);
  const transport = stages.refuseTransport(request);
  if (transport !== undefined)
    return refused(stages, passage, undefined, transport.code, transport.detail, transport.message);
  const credential = stages.findCredential(request);
  if (!credential.ok && credential.code !== 'token_missing')
    return refused(stages, passage, undefined, credential.code, credential.detail);
  const token = credential.ok ? credential.token : undefined;
  const identified = stages.identify({ token, peer: request.peer, jwtAuthn: request.jwtAuthn });
  const identity = identified instanceof Promise ? await identified : identified;
  if (!identity.ok) return refused(stages, passage, undefined, identity.reason, identity.detail);
  const { caller } = identity;
  const { routed } = passage;
  if (routed.kind === 'refused') return refused(stages, passage, caller, routed.code, routed.detail);
  if (routed.kind === 'models') return describeModels(stages, passage, caller, routed);
  return admitted(stages, passage, caller, routed);
}

type Call = Extract<Routed, { kind: 'call' }>;

/** Large bodies take turns, and work that nobody waits for ends early. */
async function admitted(stages: Stages, passage: Passage, caller: Caller, asked: Call): Promise<Answer> {
  try {
    const entering = stages.enter(passage.request);
    if (entering === undefined) return refused(stages, passage, caller, 'overloaded', 'too many large bodies');
    const leave = entering instanceof Promise ? await entering : entering;
    try {
      return await call(stages, passage, caller, asked, leave);
    } finally {
      leave();
    }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'Abandoned') throw error;
    return refused(stages, passage, caller, 'overloaded', 'abandoned: the client went away before the answer');
  }
}

async function call(stages: Stages, passage: Passage, caller: Caller, asked: Call, leave: () => void): Promise<Answer> {
  const { request } = passage;
  const reading = stages.read(request, asked);
  const read = reading instanceof Promise ? await reading : reading;
  if (!read.ok) return refused(stages, passage, caller, read.code, read.message, read.message);
  const facts = read.value;
  const model = stages.route.pick(request, asked, facts.model);
  if (model === undefined) return refused(stages, passage, caller, 'unknown_model', facts.model);
  // One set of rules for the whole of the request, whatever is loaded meanwhile.
  const policy = stages.policy();
  const needs = policy.needs(model);
  const looked = await checkOnPath(stages, request, facts, needs);
  // What is left is short, but may wait for guards and for the disk.
  leave();
  const ruled = await checkWithGuards(stages, request, facts, looked, needs, (checks) =>
    policy.decide(decisionInput(passage, caller, facts, model, checks)),
  );
  const { checked, decision } = ruled;
  // A turn among large bodies, or a guard, may have taken a while.
  if (caller.expiresAtMs <= stages.nowMs())
    return refused(stages, passage, caller, 'token_expired', 'while the request waited');
  // Before the record says yes: a caller that cannot be vouched for is refused.
  const vouching = decision.verdict === 'allow' ? stages.vouch(caller, model) : undefined;
  const assertion = vouching === undefined ? undefined : await vouching;
  const unmaskable = whyUnmaskable(decision, request, facts);
  const admission = unmaskable === undefined ? await charge(stages, passage, decision, facts) : undefined;
  const { recorder } = stages;
  const leaf = recorder.event(requestEvent(passage, caller, askedOfModel(stages, model, facts, checked)));
  const cited = { leaf, writer: recorder.writer };
  passage.cited = cited;
  const no = unmaskable ?? refusalOf(stages, decision, admission, facts);
  passage.afterwards = await recordRequest(stages, passage, facts, checked, cited, no === undefined);
  const ruling = { decision, commit: policy.commit, admission, lists: checked.lists };
  recorder.event(decisionEvent(passage, ruling, stages.nowMs(), stages));
  if (no !== undefined) return denied(stages, passage, no, cited);
  if (decision.verdict !== 'allow') throw new Error(`a ${decision.verdict} has no answer`);
  const plan: Plan = {
    session: passage.session,
    format: facts.format,
    stream: facts.stream,
    mask: decision.maskResponse,
    maskRequest: decision.maskRequest,
    ...(decision.operators && { operators: decision.operators }),
    cluster: model.cluster,
    requestId: headerOf(request, 'x-request-id'),
    issuedAtMs: stages.nowMs(),
    revision: decision.revision,
    request: cited,
    reservations: passage.reserved,
    tokens: facts.tokens,
    opaque: facts.format === 'opaque',
    ...(facts.rpcId !== undefined && { rpcId: facts.rpcId }),
    watched: policy.enforcesOnResponses(model),
  };
  const headers = stages.forward(request, caller, model, passage.session, assertion, plan.maskRequest.length > 0);
  const responseHeaders = admission === undefined ? [] : stages.limits.headers(facts.format, admission.states);
  const input = decisionInput(passage, caller, facts, model, checked);
  await recorder.durable();
  passage.reserved = [];
  stages.dispatched(plan, policy.watchesResponses(model) ? { policy, input } : undefined);
  const { afterwards } = passage;
  return { kind: 'forward', plan: { ...plan, issuedAtMs: stages.nowMs() }, ...headers, responseHeaders, afterwards };
}

/** Limits are charged once everything else says yes. */
async function charge(
  stages: Stages,
  passage: Passage,
  decision: Decision,
  facts: RequestFacts,
): Promise<Admission | undefined> {
  if (decision.verdict !== 'allow' || decision.limits.length === 0) return undefined;
  const admission = await stages.limits.reserve(passage.session, decision.limits, demandOf(facts));
  if (admission.ok) passage.reserved = admission.reservations;
  return admission;
}

/**
 * Tokens that a request may come to: its own, and the most that each of its answers may have. A maximum of 0 is none: to
 * some servers it says that there is no limit.
 */
export function demandOf({ operation, tokens, choices, maxTokens }: RequestFacts): TokenDemand {
  const answers = operation === 'chat' || operation === 'text_completion';
  if (!answers) return { inputTokens: tokens, maxOutputTokens: 0 };
  const hasMaximum = maxTokens !== undefined && maxTokens > 0;
  return { inputTokens: tokens, maxOutputTokens: hasMaximum ? choices * maxTokens : undefined };
}

/** The models that this caller may use, or one of them, answered by the gate and on the record like any call. */
async function describeModels(
  stages: Stages,
  passage: Passage,
  caller: Caller,
  about: Extract<Routed, { kind: 'models' }>,
): Promise<Answer> {
  const policy = stages.policy();
  const models = stages.route.models().filter((model) => policy.admits(caller, model, passage.startedMs));
  const body = stages.route.describe(about, models);
  if (body === undefined) return refused(stages, passage, caller, 'model_not_found', about.one ?? '');
  const { recorder } = stages;
  const asked = {
    audio: 0,
    checked: true,
    choices: 0,
    files: 0,
    filters: {},
    findings: {},
    format: about.format.id,
    guards: {},
    images: 0,
    maxTokens: undefined,
    model: '',
    modelVersion: '',
    operation: 'list_models',
    stream: false,
    tokens: 0,
    toolCall: '',
    tools: [],
  };
  const cited = { leaf: recorder.event(requestEvent(passage, caller, asked)), writer: recorder.writer };
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
    body,
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
  const answer = refuse(stages, passage, code, message);
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

/** In the shape of the API whose path was called. */
function refuse(stages: Stages, { session, routed }: Passage, code: ErrorCode, message?: string) {
  const format = routed.format?.id;
  return stages.refuse({ code, session, format, ...(message === undefined ? {} : { message }) });
}

function codeOf(error: unknown): ErrorCode {
  const name = error instanceof Error ? error.name : '';
  if (name === 'JournalUnavailable') return 'record_unavailable';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'state_unavailable' || code === 'limits_unavailable') return code;
  // The masker is stricter than the reader here and there: what it cannot read cannot be recorded.
  return name === 'UnreadableBody' ? 'invalid_request' : 'gate_failed';
}
