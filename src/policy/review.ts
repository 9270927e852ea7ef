import { coversMasking } from '../detect/operator.ts';
import type { Model } from '../models/model.ts';
import type { ViewCache } from './activation.ts';
import { Evaluation, type Outcome } from './evaluate.ts';
import type { Compiled } from './load.ts';
import type { Problem } from './problem.ts';
import { type CompiledPolicy, type CompiledRule, nameOf } from './rules.ts';

/** Something that is not wrong, but cannot be meant. */
export interface Warning extends Problem {
  /** `unreachable`: never matches; `shadowed`: whatever it says, another rule decides; `unused`: nobody reads it. */
  readonly kind: 'unreachable' | 'shadowed' | 'unused';
  /** `<policy>/<rule>`, or `<policy>` for a variable. */
  readonly about: string;
}

/** A rule, and for which models it may match or always does. */
interface Reviewed {
  readonly rule: CompiledRule;
  /** Place in the order in which rules are evaluated. */
  readonly order: number;
  /** Models in scope whose requests it may match. */
  readonly reach: readonly Model[];
  readonly always: ReadonlySet<Model>;
}

/**
 * Rules that cannot do what they say, for the models that there are. Only what is certain: conditions are evaluated with
 * nothing known but the model (`false && anything` is false), and compared as texts. Rules on trial are left alone where
 * another rule decides: they are there to be recorded.
 */
export function reviewPolicies({ policies, budget }: Compiled, models: readonly Model[]): readonly Warning[] {
  const views: ViewCache = { callers: new WeakMap(), models: new WeakMap(), categories: new Map() };
  const nothing = new Evaluation({}, views, budget);
  const known = new Map(models.map((model) => [model, new Evaluation({ model }, views, budget)]));
  const outcomeFor = (rule: CompiledRule, model: Model): Outcome => known.get(model)?.matches(rule) ?? 'no_match';

  const warnings: Warning[] = [];
  const reviewed: Reviewed[] = [];
  for (const [order, rule] of policies.flatMap(({ rules }) => rules).entries()) {
    const scope = models.filter((model) => rule.appliesTo(model));
    const outcomes = scope.map((model) => [model, outcomeFor(rule, model)] as const);
    const reach = outcomes.filter(([, outcome]) => outcome !== 'no_match').map(([model]) => model);
    const always = new Set(outcomes.filter(([, outcome]) => outcome === 'match').map(([model]) => model));
    const why = whyUnreachable(nothing.matches(rule), scope, reach);
    if (why === undefined) reviewed.push({ rule, order, reach, always });
    else warnings.push(warning(rule, 'unreachable', 'when', why));
  }
  const enforced = reviewed.filter(({ rule }) => rule.mode === 'enforce');
  const others = new Others(enforced);
  for (const one of enforced) {
    const why = others.whyShadowed(one);
    if (why !== undefined) warnings.push(warning(one.rule, 'shadowed', 'name', why));
  }
  warnings.push(...policies.flatMap(unusedVariables));
  return warnings.sort((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function warning(rule: CompiledRule, kind: Warning['kind'], key: string, message: string): Warning {
  return { ...rule.place(key), message, kind, about: nameOf(rule) };
}

function whyUnreachable(whatever: Outcome, scope: readonly Model[], reach: readonly Model[]): string | undefined {
  if (scope.length === 0) return 'never matches: no model is in its scope';
  if (whatever === 'no_match') return 'never matches: the condition is always false';
  if (reach.length === 0) return 'never matches: the condition is false for every model in its scope';
  return undefined;
}

/** The enforced rules, by what can make another one superfluous. */
class Others {
  readonly #unconditional = new Map<Model, Reviewed[]>();
  readonly #alike = new Map<string, Reviewed[]>();
  readonly #allowed = new Map<Model, boolean>();

  constructor(rules: readonly Reviewed[]) {
    for (const one of rules) {
      for (const model of one.always) add(this.#unconditional, model, one);
      if (one.rule.action.effect === 'allow' && one.rule.phase === 'request')
        for (const model of one.reach) this.#allowed.set(model, true);
      add(this.#alike, conditionOf(one.rule), one);
    }
  }

  whyShadowed(one: Reviewed): string | undefined {
    const { rule, reach } = one;
    const { effect } = rule.action;
    const denied = this.#byUnconditional(
      one,
      (other) => isDenial(other) && (!isDenial(one) || other.order < one.order),
    );
    if (denied !== undefined)
      return isDenial(one)
        ? `changes nothing: ${nameOf(denied.rule)} denies all of it before`
        : `changes nothing: ${nameOf(denied.rule)} always denies`;
    if (effect === 'allow') {
      const wider = this.#byUnconditional(one, (other) => makesSuperfluous(other, one) && !isAlwaysEarlier(one, other));
      if (wider !== undefined) return `changes nothing: ${nameOf(wider.rule)} allows all of it`;
    }
    // A condition that fails denies: only without one is it certain.
    if (effect === 'mask' && reach.every((model) => one.always.has(model))) {
      const wider = this.#byUnconditional(one, (other) => makesSuperfluous(other, one) && !isAlwaysEarlier(one, other));
      if (wider !== undefined) return `changes nothing: ${nameOf(wider.rule)} always masks the same`;
    }
    const twin = this.#alike
      .get(conditionOf(rule))
      ?.find((other) => other.order < one.order && makesSuperfluous(other, one) && covers(other, reach));
    if (twin !== undefined) return `changes nothing: ${nameOf(twin.rule)} says the same`;
    if (
      rule.phase === 'request' &&
      effect !== 'allow' &&
      effect !== 'deny' &&
      !reach.some((model) => this.#allowed.has(model))
    )
      return 'changes nothing: no rule allows a request to any of its models';
    return undefined;
  }

  /** One rule that always matches, wherever this one may, and does what is asked for. */
  #byUnconditional(one: Reviewed, fits: (other: Reviewed) => boolean): Reviewed | undefined {
    const [first, ...rest] = one.reach;
    if (first === undefined) return undefined;
    return this.#unconditional
      .get(first)
      ?.find(
        (other) =>
          other !== one &&
          other.rule.phase === one.rule.phase &&
          fits(other) &&
          rest.every((model) => other.always.has(model)),
      );
  }
}

function add<K>(map: Map<K, Reviewed[]>, key: K, one: Reviewed): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [one]);
  else list.push(one);
}

function isDenial({ rule }: Reviewed): boolean {
  return rule.action.effect === 'deny' || rule.action.effect === 'stop';
}

/** Of two that always match, the later one is superfluous. */
function isAlwaysEarlier(one: Reviewed, other: Reviewed): boolean {
  return one.order < other.order && one.reach.every((model) => one.always.has(model));
}

function covers(other: Reviewed, reach: readonly Model[]): boolean {
  return reach.every((model) => other.reach.includes(model));
}

/** Whether, where both match, the one does nothing that the other does not do. */
function makesSuperfluous(other: Reviewed, one: Reviewed): boolean {
  const [a, b] = [other.rule.action, one.rule.action];
  if (a.effect === 'mask' && b.effect === 'mask')
    return coversMasking(a.request, b.request) && coversMasking(a.response, b.response);
  return a.effect === b.effect && (a.effect === 'allow' || a.effect === 'deny' || a.effect === 'stop');
}

/** Equal texts are equal conditions; `variables` are those of the policy. */
function conditionOf({ phase, action, document, policy }: CompiledRule): string {
  const when = document.when?.trim() ?? '';
  return JSON.stringify([phase, action.effect, when, /\bvariables\b/.test(when) ? policy.name : '']);
}

function unusedVariables({ name, source, rules }: CompiledPolicy): Warning[] {
  return source.document.spec.variables.flatMap((variable, index) =>
    rules.some(({ reads }) => reads.variables.has(variable.name))
      ? []
      : [
          {
            ...source.problem(['spec', 'variables', index, 'name'], `no rule reads the variable "${variable.name}"`),
            kind: 'unused' as const,
            about: name,
          },
        ],
  );
}
