/** What `sallyport policy eval` shows: the decision, and what became of each rule. */
import type { Model } from '../../models/model.ts';
import type { Outcome } from '../../policy/cases/run.ts';
import type { Decision, LifecycleDecision, ResponseDecision, RuleInfo } from '../../policy/decision.ts';
import { escapeControls, facts } from '../text.ts';

/** What became of one rule. */
interface RulePart extends Pick<RuleInfo, 'policy' | 'rule' | 'effect' | 'mode' | 'when' | 'where'> {
  readonly outcome:
    | 'matches'
    | 'does not match'
    | 'failed'
    | 'not asked: it is about requests'
    | 'not asked: it is about responses'
    | 'not asked: it is about changes';
  readonly error?: string;
}

const notAsked = {
  request: 'not asked: it is about requests',
  response: 'not asked: it is about responses',
  lifecycle: 'not asked: it is about changes',
} as const;

export function partsOf(rules: readonly RuleInfo[], { kind, decision }: Outcome): RulePart[] {
  const byName = new Map(decision.rules.map((hit) => [`${hit.policy}/${hit.rule}`, hit]));
  return rules.map(({ policy, rule, effect, mode, when, where, phase }) => {
    const hit = byName.get(`${policy}/${rule}`);
    const part = { policy, rule, effect, mode, when, where };
    if (hit?.error !== undefined) return { ...part, outcome: 'failed', error: hit.error };
    if (hit !== undefined) return { ...part, outcome: 'matches' };
    return { ...part, outcome: phase === kind ? 'does not match' : notAsked[phase] };
  });
}

type Fact = readonly [name: string, value: string | undefined];

export function evalText(
  outcome: Outcome,
  parts: readonly RulePart[],
  { model, revision }: { readonly model: Model; readonly revision: string },
): string {
  const head = facts([
    ...(outcome.kind === 'response' ? ofResponse(outcome.decision) : ofVerdict(outcome.decision)),
    ['Model', `${model.name} ${model.version}`],
    ...(outcome.kind === 'lifecycle' ? [] : ofRequest(outcome)),
    ['Policies', revision],
  ]);
  const lines = parts.flatMap(({ policy, rule, effect, mode, when, where, outcome: what, error }) => {
    const mark = what === 'matches' ? '✓' : what === 'failed' ? '!' : ' ';
    const trial = mode === 'dryRun' ? ', on trial' : '';
    const line = `  ${mark} ${policy}/${rule} (${effect}${trial}): ${what}${error === undefined ? '' : ` (${error})`}`;
    return [line, `      ${where}  ${when === undefined ? 'always' : when.replaceAll(/\s+/g, ' ')}`];
  });
  return `${head}\nRules\n${lines.map((line) => escapeControls(line)).join('\n')}\n`;
}

/** `email_address (hash), jwt`: what is not said is replaced. */
const masked = (ids: readonly string[], operators: ResponseDecision['operators'] = {}): string =>
  ids.map((id) => (operators[id] === undefined ? id : `${id} (${operators[id].type})`)).join(', ');

const ofResponse = ({ stop, mask, operators }: ResponseDecision): readonly Fact[] => [
  ['Verdict', stop === undefined ? 'allow' : 'stop'],
  ['By', stop?.by],
  ['Message', stop?.message],
  ['Masked from here on', masked(mask, operators)],
];

function ofVerdict(decision: Decision | LifecycleDecision): readonly Fact[] {
  if (decision.verdict === 'deny')
    return [
      ['Verdict', decision.by === undefined ? 'deny (no rule allows it)' : 'deny'],
      ['By', decision.by],
      ['Message', decision.message],
    ];
  const demands = decision.verdict === 'requireApproval' ? decision.demands : [];
  const approval = demands.map(({ policy, rule, approvers }) => `${policy}/${rule} by ${approvers.join(' or ')}`);
  const verdict: readonly Fact[] = [
    ['Verdict', decision.verdict],
    ['Approval', approval.join('; ') || undefined],
  ];
  if (!('limits' in decision)) return verdict;
  const limits = decision.limits.map(
    ({ policy, rule, key }) => `${policy}/${rule} by ${key || 'nothing: one for all'}`,
  );
  return [
    ...verdict,
    ['Masked in the answer', masked(decision.maskResponse, decision.operators?.response)],
    ['Masked in the request', masked(decision.maskRequest, decision.operators?.request)],
    ['Limits', limits.join('; ')],
  ];
}

function ofRequest({ input: { request, findings } }: Exclude<Outcome, { kind: 'lifecycle' }>): readonly Fact[] {
  const found = Array.from(findings, ([name, count]) => `${name} ${count}`).join(', ');
  return [
    ['Request', `${request.format}, ${request.operation}, about ${request.tokens} tokens`],
    ['Found', found],
  ];
}
