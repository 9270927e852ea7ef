import { bothMasked, type Masking, noMasking } from '../detect/operator.ts';
import type {
  ApprovalDemand,
  Decision,
  LifecycleDecision,
  LimitCharge,
  ResponseDecision,
  RuleHit,
} from './decision.ts';
import type { Evaluation, Outcome } from './evaluate.ts';
import { type CompiledRule, nameOf } from './rules.ts';

const nothingAllows = 'No rule allows this request.';

/** What the rules of a decision came to, whatever their order; the first that denies gives its words. */
interface Verdict {
  readonly hits: RuleHit[];
  allowed: boolean;
  denial: { readonly by: string; readonly message: string } | undefined;
  readonly demands: ApprovalDemand[];
  readonly limits: LimitCharge[];
  maskRequest: Masking;
  maskResponse: Masking;
}

/**
 * All matching rules count: deny over requireApproval over limit over allow; masks add up; nothing allowed is denied. A rule
 * that cannot be evaluated does not allow; any other effect denies then, and so does any effect where the rules together cost
 * too much. `dryRun` rules are evaluated and reported only.
 */
export function decideRequest(rules: readonly CompiledRule[], evaluation: Evaluation, revision: string): Decision {
  const verdict = weigh(rules, evaluation);
  const { hits, allowed, denial, demands, limits, maskRequest, maskResponse } = verdict;
  if (denial !== undefined) return { verdict: 'deny', rules: hits, ...denial, revision };
  if (!allowed) return { verdict: 'deny', rules: hits, by: undefined, message: nothingAllows, revision };
  const operators = { request: maskRequest.operators, response: maskResponse.operators };
  const hasOperators = Object.values(operators).some((some) => Object.keys(some).length > 0);
  const masks = { maskResponse: maskResponse.ids, maskRequest: maskRequest.ids, ...(hasOperators && { operators }) };
  const passing = { rules: hits, ...masks, limits, revision };
  return demands.length === 0 ? { verdict: 'allow', ...passing } : { verdict: 'requireApproval', demands, ...passing };
}

export function decideLifecycle(
  rules: readonly CompiledRule[],
  evaluation: Evaluation,
  revision: string,
): LifecycleDecision {
  const { hits, allowed, denial, demands } = weigh(rules, evaluation);
  if (denial !== undefined) return { verdict: 'deny', rules: hits, ...denial, revision };
  if (!allowed)
    return { verdict: 'deny', rules: hits, by: undefined, message: 'No rule allows this change.', revision };
  return demands.length === 0
    ? { verdict: 'allow', rules: hits, revision }
    : { verdict: 'requireApproval', rules: hits, demands, revision };
}

/** The response is stopped by a `stop` rule that matches, and by any enforced rule that cannot be evaluated. */
export function decideResponse(rules: readonly CompiledRule[], evaluation: Evaluation): ResponseDecision {
  const { hits, denial, maskResponse } = weigh(rules, evaluation);
  const { ids: mask, operators } = maskResponse;
  return { rules: hits, stop: denial, mask, ...(Object.keys(operators).length > 0 && { operators }) };
}

function weigh(rules: readonly CompiledRule[], evaluation: Evaluation): Verdict {
  const verdict: Verdict = {
    hits: [],
    allowed: false,
    denial: undefined,
    demands: [],
    limits: [],
    maskRequest: noMasking,
    maskResponse: noMasking,
  };
  for (const rule of rules) {
    const outcome = evaluation.matches(rule);
    if (outcome === 'no_match') continue;
    const failure = outcome === 'match' ? apply(rule, evaluation, verdict) : outcome;
    verdict.hits.push(failure === undefined ? rule.hit : { ...rule.hit, error: failure.error });
    if (failure === undefined || rule.mode !== 'enforce') continue;
    // Which rule it is that finds nothing left depends on their order: whatever it would do, it denies.
    if (rule.action.effect !== 'allow' || evaluation.isSpent)
      verdict.denial ??= { by: nameOf(rule), message: `Rule ${nameOf(rule)} could not be evaluated.` };
  }
  return verdict;
}

/** What a rule does that matched. Returns why it cannot. */
function apply(rule: CompiledRule, evaluation: Evaluation, verdict: Verdict): Exclude<Outcome, string> | undefined {
  const { action, mode } = rule;
  // A limit on trial is counted too, to see whom it would hit.
  if (action.effect === 'limit') {
    const counted = evaluation.key(rule, action.by);
    if ('error' in counted) return counted;
    const [policy, name, message] = [rule.policy.name, rule.name, evaluation.message(rule)];
    verdict.limits.push({ policy, rule: name, mode, key: counted.key, windows: action.windows, message });
  }
  if (mode === 'dryRun') return undefined;
  switch (action.effect) {
    case 'allow':
      verdict.allowed = true;
      break;
    case 'deny':
    case 'stop':
      verdict.denial ??= { by: nameOf(rule), message: evaluation.message(rule) ?? denies(rule) };
      break;
    case 'mask':
      verdict.maskRequest = bothMasked(verdict.maskRequest, action.request);
      verdict.maskResponse = bothMasked(verdict.maskResponse, action.response);
      break;
    case 'requireApproval':
      verdict.demands.push(demandOf(rule, action, evaluation));
      break;
    case 'limit':
  }
  return undefined;
}

function demandOf(
  rule: CompiledRule,
  { effect: _, ...terms }: Extract<CompiledRule['action'], { effect: 'requireApproval' }>,
  evaluation: Evaluation,
): ApprovalDemand {
  const message = evaluation.message(rule) ?? `Rule ${nameOf(rule)} requires an approval.`;
  return { policy: rule.policy.name, rule: rule.name, ...terms, message };
}

function denies(rule: CompiledRule): string {
  const what = { request: 'request', response: 'response', lifecycle: 'change' }[rule.phase];
  return `Rule ${nameOf(rule)} ${rule.action.effect === 'stop' ? 'stops' : 'denies'} this ${what}.`;
}
