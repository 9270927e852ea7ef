/** One recorded session under another set of rules: what its verdict would be, as far as the record can tell. */
import type { DecisionInput, PolicySet, RuleHit } from '../decision.ts';
import type { RecordedVerdict } from './recorded.ts';
import type { Limited } from './windows.ts';

export interface Redecision {
  /** What it would be, or `unknown`: it depends on a rule that reads what was not kept, or on what was used before. */
  readonly verdict: RecordedVerdict | 'unknown';
  /** `policy/rule` that decides, or the limit that may; empty where none does. */
  readonly by: string;
  /** Rules that match. */
  readonly matched: readonly RuleHit[];
  /** Rules, dry runs too, that read what was not kept. */
  readonly unknown: readonly RuleHit[];
  /** Detectors to mask in the answer; undefined: not known. */
  readonly mask: readonly string[] | undefined;
}

const name = ({ policy, rule }: Pick<RuleHit, 'policy' | 'rule'>): string => `${policy}/${rule}`;
/** Errors of rules are `code at file:line:column`. */
const isUnknown = ({ error }: RuleHit): boolean => error?.startsWith('not_kept ') === true;

/** `limited` says whether a limit would refuse it, and charges it; it is asked only where nothing else does. */
export function redecide(set: PolicySet, input: DecisionInput, limited: (input: LimitQuestion) => Limited): Redecision {
  const decision = set.decide(input);
  const unknown = decision.rules.filter(isUnknown);
  const known = decision.rules.filter((hit) => !isUnknown(hit));
  const matched = known.filter(({ error }) => error === undefined);
  const enforced = (hits: readonly RuleHit[]) => hits.filter(({ mode }) => mode === 'enforce');
  const verdict = verdictOf(enforced(known), enforced(unknown));
  const maskIsKnown = verdict === 'deny' || enforced(unknown).every(({ effect }) => effect !== 'mask');
  const mask = decision.verdict === 'deny' ? [] : decision.maskResponse;
  const result = { matched, unknown, mask: maskIsKnown ? mask : undefined };
  if (verdict !== 'allow' || decision.verdict !== 'allow')
    return { ...result, verdict, by: decision.verdict === 'deny' ? (decision.by ?? '') : firstOf(known, verdict) };
  const answer = limited({ limits: decision.limits });
  if (answer.how === 'passes') return { ...result, verdict: 'allow', by: '' };
  return { ...result, verdict: answer.how === 'refused' ? 'limit' : 'unknown', by: answer.by };
}

export interface LimitQuestion {
  readonly limits: Extract<ReturnType<PolicySet['decide']>, { verdict: 'allow' }>['limits'];
}

function firstOf(hits: readonly RuleHit[], verdict: RecordedVerdict | 'unknown'): string {
  const hit = hits.find(({ effect, mode }) => effect === verdict && mode === 'enforce');
  return hit === undefined ? '' : name(hit);
}

/**
 * Deny over requireApproval over limit over allow, with rules of which it is not known whether they match: the verdict,
 * where it is the same either way.
 */
function verdictOf(
  known: readonly RuleHit[],
  unknown: readonly RuleHit[],
): 'allow' | 'deny' | 'requireApproval' | 'unknown' {
  const has = (hits: readonly RuleHit[], effect: RuleHit['effect']) => hits.some((hit) => hit.effect === effect);
  // A rule that fails for another reason denies, but for one that allows.
  const denies = known.some(({ effect, error }) => effect === 'deny' || (error !== undefined && effect !== 'allow'));
  if (denies) return 'deny';
  const allows = known.some(({ effect, error }) => effect === 'allow' && error === undefined);
  if (!allows) return has(unknown, 'allow') ? 'unknown' : 'deny';
  if (has(unknown, 'deny') || has(unknown, 'limit')) return 'unknown';
  if (has(known, 'requireApproval')) return 'requireApproval';
  return has(unknown, 'requireApproval') ? 'unknown' : 'allow';
}
