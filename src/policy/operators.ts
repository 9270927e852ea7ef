/** By what operator each detector of a mask rule is masked. */
import { leastRevealing, type Operator, type Operators } from '../detect/operator.ts';
import type { Problem } from './problem.ts';
import type { OperatorDocument, RuleDocument } from './schema.ts';

type MaskRule = Extract<RuleDocument, { then: 'mask' }>;

interface From {
  readonly source: { problem(path: readonly PropertyKey[], message: string): Problem };
  readonly path: readonly PropertyKey[];
  readonly context: { readonly resolveDetectors: Resolve };
  readonly problems: Problem[];
}

type Resolve = (
  names: readonly string[],
) => { readonly ok: true; readonly ids: readonly string[] } | { readonly ok: false; readonly problem: string };

/** A detector's own operator, else the least revealing one of its categories, else the rule's. Complaints go to `problems`. */
export function compileOperators(rule: MaskRule, ids: readonly string[], from: From): Operators {
  const { source, path, problems } = from;
  const complain = (at: readonly PropertyKey[], message: string) =>
    problems.push(source.problem([...path, ...at], message));
  const own = new Map<string, Operator>();
  const byCategory = new Map<string, Operator>();
  for (const [name, written] of Object.entries(rule.operators ?? {})) {
    const operator = operatorOf(written);
    if (!worksOn(rule, operator)) complain(['operators', name], onlyOnRequests);
    for (const id of meantBy(name, ids, from)) {
      if (id === name) own.set(id, operator);
      else byCategory.set(id, leastRevealing(byCategory.get(id) ?? operator, operator));
    }
  }
  const forAll = operatorOf(rule.operator ?? 'replace');
  if (!worksOn(rule, forAll)) complain(['operator'], onlyOnRequests);
  const operators: Record<string, Operator> = {};
  for (const id of ids) {
    const operator = own.get(id) ?? byCategory.get(id) ?? forAll;
    if (operator.type !== 'replace') operators[id] = operator;
  }
  return operators;
}

const onlyOnRequests =
  'pseudonym takes the place of a value before the model sees it, and is put back in the answer: it needs "on: request"';

const worksOn = ({ on }: MaskRule, { type }: Operator): boolean =>
  type !== 'pseudonym' || [on].flat().includes('request');

/** Which of a rule's detectors a name means. */
function meantBy(name: string, ids: readonly string[], { source, path, context, problems }: From): readonly string[] {
  const resolved = context.resolveDetectors([name]);
  const meant = resolved.ok ? resolved.ids.filter((id) => ids.includes(id)) : [];
  const problem = resolved.ok ? `${name} is nothing that this rule masks: add it to detect` : resolved.problem;
  if (meant.length === 0) problems.push(source.problem([...path, 'operators', name], problem));
  return meant;
}

function operatorOf(written: OperatorDocument): Operator {
  if (typeof written === 'object') return written;
  return written === 'mask' ? { type: 'mask', keepLast: 4, with: '*' } : { type: written };
}
