/** One recorded session under another set of rules: what its verdict would be, as far as the record can tell. */
import type { Decision, DecisionInput, PolicySet, RuleHit } from '../decision.ts';
import { NotKept, type RecordedVerdict } from './recorded.ts';
import type { Limited } from './windows.ts';

export interface Redecision {
  /** What it would be, or `unknown`: it depends on a rule that reads what was not kept, or on what was used before. */
  readonly verdict: RecordedVerdict | 'unknown';
  /** `policy/rule` that decides, of those that are known, or the limit that may; empty where none does. */
  readonly by: string;
  /** Rules that match. */
  readonly matched: readonly RuleHit[];
  /** Rules, dry runs too, that cannot be decided without what was not kept. */
  readonly unknown: readonly RuleHit[];
  /** What is masked in the answer (`maskedBy`); undefined: not known. */
  readonly mask: readonly string[] | undefined;
}

type Name = Pick<RuleHit, 'policy' | 'rule'>;
const name = ({ policy, rule }: Name): string => `${policy}/${rule}`;

/** `limited` says whether a limit would refuse it, and charges it; it is asked only where nothing else does. */
export function redecide(set: PolicySet, input: DecisionInput, limited: (input: LimitQuestion) => Limited): Redecision {
  const { value: first, readsNotKept } = watched(() => set.decide(input));
  const unknown = readsNotKept ? first.rules.filter((hit) => isUnknown(set, input, hit)) : [];
  const names = new Set(unknown.map(name));
  const decision = names.size === 0 ? first : set.decide(input, (rule) => !names.has(name(rule)));
  const matched = decision.rules.filter(({ error }) => error === undefined);
  const enforced = unknown.filter(({ mode }) => mode === 'enforce');
  const verdict = verdictOf(decision, enforced);
  const mask = decision.verdict === 'deny' ? [] : masksOf(decision);
  const result = { matched, unknown, mask: verdict === 'unknown' ? undefined : mask };
  if (verdict !== 'allow' || decision.verdict !== 'allow') return { ...result, verdict, by: decidedBy(decision) };
  const answer = limited({ limits: decision.limits });
  if (answer.how === 'passes') return { ...result, verdict: 'allow', by: '' };
  return { ...result, verdict: answer.how === 'refused' ? 'limit' : 'unknown', by: answer.by };
}

/** A detector, and its operator where it is not replaced by its name. */
export const maskedBy = (id: string, operator: string | undefined): string =>
  operator === undefined ? id : `${id} ${operator}`;

const masksOf = ({ maskResponse, operators }: Extract<Decision, { verdict: 'allow' | 'requireApproval' }>): string[] =>
  maskResponse.map((id) => maskedBy(id, operators?.response[id]?.type));

export interface LimitQuestion {
  readonly limits: Extract<Decision, { verdict: 'allow' }>['limits'];
}

/**
 * A rule that ended as an error, and read on its way what was not kept: what it would have said is not known, whatever the
 * error is in the end (of `a && b`, CEL gives that of b). One that came to something did not need it (`true || a`). It is asked
 * alone: of a variable that several rules read, only the first has it evaluated.
 */
function isUnknown(set: PolicySet, input: DecisionInput, hit: RuleHit): boolean {
  return hit.error !== undefined && watched(() => set.decide(input, (rule) => name(rule) === name(hit))).readsNotKept;
}

function watched<T>(decide: () => T): { readonly value: T; readonly readsNotKept: boolean } {
  const before = NotKept.reads;
  const value = decide();
  return { value, readsNotKept: NotKept.reads > before };
}

function decidedBy(decision: Decision): string {
  if (decision.verdict === 'deny') return decision.by ?? '';
  const [demand] = decision.verdict === 'requireApproval' ? decision.demands : [];
  return demand === undefined ? '' : name(demand);
}

/**
 * Deny over requireApproval over limit over allow, with enforced rules of which it is not known whether they match: the
 * verdict, where it is the same either way. `decision` is what all others come to.
 */
function verdictOf(decision: Decision, unknown: readonly RuleHit[]): 'allow' | 'deny' | 'requireApproval' | 'unknown' {
  const has = (effect: RuleHit['effect']) => unknown.some((hit) => hit.effect === effect);
  if (decision.verdict === 'deny')
    // What no rule allows, an unknown one might.
    return decision.by === undefined && has('allow') ? 'unknown' : 'deny';
  // A mask that cannot be worked out denies.
  if (has('deny') || has('limit') || has('mask')) return 'unknown';
  if (decision.verdict === 'requireApproval') return 'requireApproval';
  return has('requireApproval') ? 'unknown' : 'allow';
}
