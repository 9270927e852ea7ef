/** Asks a set of policies about one case, and compares. */
import { type Operators, operatorOf } from '../../detect/operator.ts';
import type { RequestFacts } from '../../exchange/facts.ts';
import type { Caller } from '../../identity/caller.ts';
import type { Model } from '../../models/model.ts';
import type {
  Checks,
  Decision,
  DecisionInput,
  GuardVerdict,
  LifecycleDecision,
  PolicySet,
  ResponseDecision,
  RuleHit,
} from '../decision.ts';
import type { AskedCase, CaseRequest, CasesFile, PolicyCase } from './schema.ts';

/** What a case is run in. */
export interface CaseWorld {
  readonly set: PolicySet;
  readonly models: readonly Model[];
  /**
   * Takes a request as the gate does: which API and which model it is for, strictly read, and what detectors and filters
   * find. `model`: whose request it is where it says nothing else.
   */
  readonly read: (request: CaseRequest, model: Model) => Promise<ReadRequest>;
  /** Detector ids of detectors and categories; undefined: there is no such name. */
  readonly expand: (names: readonly string[]) => readonly string[] | undefined;
}

export type ReadRequest =
  | ({
      readonly ok: true;
      readonly facts: RequestFacts;
      /** The one that the gate takes it to mean. */
      readonly model: Model;
      readonly place: Pick<DecisionInput['http'], 'method' | 'host' | 'path'>;
    } & Pick<Checks, 'findings' | 'filters'>)
  | { readonly ok: false; readonly message: string };

/** One thing that is other than expected. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

export interface CaseResult {
  readonly name: string;
  readonly differences: readonly Difference[];
  /** Rules that matched or failed, for the coverage. */
  readonly hits: readonly RuleHit[];
  /** The model's name; undefined: there is no such model. */
  readonly model: string | undefined;
}

/** Thursday. */
const DEFAULT_TIME = '2026-01-15T12:00:00Z';

type Defaults = CasesFile['defaults'];

export async function runCase(one: PolicyCase, defaults: Defaults, world: CaseWorld): Promise<CaseResult> {
  const { name } = one;
  const wanted = one.model ?? defaults.model ?? world.models[0]?.name ?? '';
  const model = modelOf(wanted, world.models);
  if (model === undefined) {
    const called = typeof wanted === 'string' ? wanted : wanted.name;
    return { name, model: undefined, hits: [], differences: [difference('model', `one called ${called}`, 'none')] };
  }
  const asked = {
    ...one,
    at: one.at ?? defaults.at,
    caller: { ...defaults.caller, ...one.caller },
    request: { ...defaults.request, ...one.request },
  };
  const outcome = await ask(asked, { model, isFixed: true }, world);
  if (outcome.kind === 'refused') {
    const differences =
      one.expect.refused === true ? [] : [difference('request', 'one that the gate admits', outcome.message)];
    return { name, model: model.name, hits: [], differences };
  }
  const differences = compare(one.expect, outcome, world.expand);
  if (one.expect.refused === true) differences.unshift(difference('request', 'refused before any rule', 'admitted'));
  return { name, model: model.name, hits: outcome.decision.rules, differences };
}

/** The model of a case, with what the case has other than models.yaml; undefined: there is none of the name. */
export function modelOf(wanted: NonNullable<PolicyCase['model']>, models: readonly Model[]): Model | undefined {
  const { name, version, labels, formats }: Exclude<typeof wanted, string> =
    typeof wanted === 'string' ? { name: wanted } : wanted;
  const found = models.find((candidate) => candidate.name === name);
  if (found === undefined) return undefined;
  return {
    ...found,
    version: version ?? found.version,
    labels: labels ?? found.labels,
    formats: formats ?? found.formats,
  };
}

/** What was asked, and what the rules said. */
export type Outcome =
  | { readonly kind: 'request'; readonly input: DecisionInput; readonly decision: Decision }
  | { readonly kind: 'response'; readonly input: DecisionInput; readonly decision: ResponseDecision }
  | { readonly kind: 'lifecycle'; readonly decision: LifecycleDecision };

export interface Refusal {
  readonly kind: 'refused';
  readonly message: string;
}

/** A tool call without more of the answer that it is in. */
const AT_TOOL_CALL: NonNullable<AskedCase['response']> = {
  status: 200,
  contentType: 'application/json',
  findings: {},
  bytes: 0,
  phase: 'toolCall',
};

/** Asks the rules about a request, an answer or a change of the model. `isFixed`: the request has to be for this very model, else for one like it. */
export async function ask(
  one: AskedCase,
  { model, isFixed }: { readonly model: Model; readonly isFixed: boolean },
  { set, read }: Pick<CaseWorld, 'set' | 'read'>,
): Promise<Outcome | Refusal> {
  const nowMs = Date.parse(one.at ?? DEFAULT_TIME);
  const caller = callerOf(one.caller, nowMs);
  if (one.change !== undefined) {
    const { fromVersion, toVersion, ...rest } = one.change;
    const change = { ...rest, model: model.name, fromVersion, toVersion };
    return { kind: 'lifecycle', decision: set.decideLifecycle(change, model, caller, nowMs) };
  }
  const request = one.request ?? {};
  const reading = await read(request, model);
  if (!reading.ok) return { kind: 'refused', message: reading.message };
  if (isFixed && reading.model.name !== model.name)
    return { kind: 'refused', message: `the gate takes it to be for the model ${reading.model.name}` };
  const input = inputOf(request, reading, { caller, model: isFixed ? model : reading.model, nowMs });
  const answered = one.response ?? (one.toolCall === undefined ? undefined : AT_TOOL_CALL);
  if (answered === undefined) return { kind: 'request', input, decision: set.decide(input) };
  const { findings, outputTokens, ...rest } = answered;
  const response = { ...rest, outputTokens, findings: new Map(Object.entries(findings)) };
  return { kind: 'response', input, decision: set.decideResponse(input, response, one.toolCall) };
}

/** What the rules are asked with about a request that is written down. */
function inputOf(
  request: CaseRequest,
  { facts, place, findings, filters }: Extract<ReadRequest, { ok: true }>,
  who: Pick<DecisionInput, 'caller' | 'model' | 'nowMs'>,
): DecisionInput {
  return {
    ...who,
    request: facts,
    findings: request.findings === undefined ? findings : new Map(Object.entries(request.findings)),
    filters: request.filters === undefined ? filters : new Map(Object.entries(request.filters)),
    guards: new Map(Object.entries(request.guards ?? {}).map(([name, said]) => [name, verdictOf(said)])),
    http: {
      ...place,
      clientAddress: request.clientAddress ?? '192.0.2.10',
      headers: new Map(Object.entries(request.headers ?? {})),
    },
  };
}

function verdictOf(said: NonNullable<CaseRequest['guards']>[string]): GuardVerdict {
  if ('failed' in said) return { ok: false, code: said.failed };
  return { ok: true, ...said, scores: new Map(Object.entries(said.scores)) };
}

function callerOf(given: PolicyCase['caller'], nowMs: number): Caller {
  const { groupsComplete = true } = given ?? {};
  return {
    provider: given?.provider ?? 'test',
    issuer: given?.issuer ?? 'https://idp.test',
    subject: given?.subject ?? 'somebody',
    kind: given?.kind ?? 'person',
    proof: given?.proof ?? 'token',
    groups: given?.groups ?? [],
    claims: given?.claims ?? {},
    email: given?.email,
    team: given?.team,
    ...(groupsComplete ? {} : { groupsProblem: 'the case says so' }),
    tokenId: undefined,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 3_600_000,
  };
}

const difference = (what: string, expected: string, got: string): Difference => ({ what, expected, got });
const fullName = ({ policy, rule }: Pick<RuleHit, 'policy' | 'rule'>): string => `${policy}/${rule}`;
/** A rule is meant by its full name, or by its own. */
const means = (name: string, hit: Pick<RuleHit, 'policy' | 'rule'>): boolean =>
  name === fullName(hit) || name === hit.rule;

function compare(expected: PolicyCase['expect'], outcome: Outcome, expand: CaseWorld['expand']): Difference[] {
  const { decision } = outcome;
  const got = whatWasSaid(outcome);
  const found: Difference[] = [];
  const same = (what: string, want: string | undefined, is: string): void => {
    if (want !== undefined && want !== is) found.push(difference(what, want, is));
  };
  same('verdict', expected.verdict, got.verdict);
  if (expected.by !== undefined && expected.by !== got.by && !got.by.endsWith(`/${expected.by}`))
    found.push(difference('by', expected.by, got.by || 'no rule'));
  same('message', expected.message, got.message);
  if (expected.stop !== undefined) same('stop', String(expected.stop), String(got.verdict === 'stop'));
  found.push(...compareRules(expected, decision.rules));
  for (const [what, want, is] of [
    ['mask', expected.mask, got.mask],
    ['maskRequest', expected.maskRequest, got.maskRequest],
  ] as const) {
    if (want === undefined) continue;
    const ids = expand(want);
    if (ids === undefined) found.push(difference(what, 'detectors or categories that there are', want.join(', ')));
    else same(what, list([...ids].sort()), list(is));
  }
  for (const [what, want, masked, operators] of [
    ['operators', expected.operators, got.mask, got.operators.response],
    ['operatorsRequest', expected.operatorsRequest, got.maskRequest, got.operators.request],
  ] as const)
    for (const [id, operator] of Object.entries(want ?? {}))
      same(`${what}.${id}`, operator, masked.includes(id) ? operatorOf(operators, id).type : 'not masked');
  if (expected.approvers !== undefined) same('approvers', list([...expected.approvers].sort()), list(got.approvers));
  if (expected.limits !== undefined) found.push(...compareLimits(expected.limits, decision));
  return found;
}

const list = (names: readonly string[]): string => (names.length === 0 ? 'nothing' : names.join(', '));

interface Masks {
  readonly mask: readonly string[];
  readonly maskRequest: readonly string[];
  readonly operators: { readonly request: Operators; readonly response: Operators };
}

function whatWasSaid({ kind, decision }: Outcome) {
  const none: Masks = { mask: [], maskRequest: [], operators: { request: {}, response: {} } };
  const nothing = { by: '', message: '', ...none };
  const approvers: string[] = [];
  if (kind === 'response') {
    const { stop, mask } = decision;
    const operators = { request: {}, response: decision.operators ?? {} };
    const verdict = stop === undefined ? 'allow' : 'stop';
    return { ...nothing, verdict, by: stop?.by ?? '', message: stop?.message ?? '', mask, operators, approvers };
  }
  if (decision.verdict === 'deny')
    return { ...nothing, verdict: 'deny', by: decision.by ?? '', message: decision.message, approvers };
  const masks: Partial<Masks> =
    'maskResponse' in decision
      ? {
          mask: decision.maskResponse,
          maskRequest: decision.maskRequest,
          ...(decision.operators && { operators: decision.operators }),
        }
      : {};
  if (decision.verdict === 'allow') return { ...nothing, ...masks, verdict: 'allow', approvers };
  const [demand] = decision.demands;
  approvers.push(...new Set(decision.demands.flatMap((one) => one.approvers)));
  return {
    ...nothing,
    ...masks,
    verdict: 'requireApproval',
    by: demand === undefined ? '' : fullName(demand),
    message: demand?.message ?? '',
    approvers: approvers.sort(),
  };
}

function compareRules(expected: PolicyCase['expect'], hits: readonly RuleHit[]): Difference[] {
  const found: Difference[] = [];
  const matched = hits.map((hit) => (hit.error === undefined ? fullName(hit) : `${fullName(hit)} (failed)`));
  if (expected.rules !== undefined) {
    const exact =
      expected.rules.length === hits.length && expected.rules.every((name) => hits.some((hit) => means(name, hit)));
    if (!exact) found.push(difference('rules', list([...expected.rules].sort()), list([...matched].sort())));
  }
  for (const name of expected.includes ?? [])
    if (!hits.some((hit) => means(name, hit))) found.push(difference('rules', `${name} matches`, list(matched)));
  for (const name of expected.excludes ?? [])
    if (hits.some((hit) => means(name, hit))) found.push(difference('rules', `${name} does not match`, list(matched)));
  return found;
}

function compareLimits(
  expected: NonNullable<PolicyCase['expect']['limits']>,
  decision: Outcome['decision'],
): Difference[] {
  const charged = 'limits' in decision ? decision.limits : [];
  const exact =
    expected.length === charged.length &&
    expected.every(({ rule, key }) =>
      charged.some((charge) => means(rule, charge) && (key === undefined || key === charge.key)),
    );
  if (exact) return [];
  const wanted = expected.map(({ rule, key }) => (key === undefined ? rule : `${rule} by ${key}`));
  return [difference('limits', list(wanted), list(charged.map((charge) => `${fullName(charge)} by ${charge.key}`)))];
}
