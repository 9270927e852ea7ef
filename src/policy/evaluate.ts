import { Activation, type Situation, type ViewCache } from './activation.ts';
import { type Budget, DecisionBudget } from './budget.ts';
import { errorCode, type Program } from './cel.ts';
import type { CompiledPolicy, CompiledRule } from './rules.ts';

const maxMessageLength = 1000;
const maxKeyLength = 2048;

/** How a rule came out. `error`: a stable word and a place, nothing of the request. */
export type Outcome = 'match' | 'no_match' | { readonly error: string };

/**
 * Evaluates the rules of one decision. Every expression, and every variable, has a budget of its own, and all of them one
 * together; rules on trial have another, so that they take nothing from those that count.
 */
export class Evaluation {
  readonly #activation: Activation;
  readonly #budget: Budget;
  readonly #enforced: DecisionBudget;
  #onTrial: DecisionBudget | undefined;
  #policy: CompiledPolicy | undefined;

  constructor(situation: Situation, views: ViewCache, budget: Budget) {
    this.#activation = new Activation(situation, views);
    this.#budget = budget;
    this.#enforced = new DecisionBudget(budget);
  }

  /** Whether the rules in force cost too much together: then not even an allow rule that matched says what they all do. */
  get isSpent(): boolean {
    return this.#enforced.isSpent;
  }

  matches(rule: CompiledRule): Outcome {
    if (rule.when === undefined) return 'match';
    try {
      const value = this.#run(rule, rule.when);
      if (value === true) return 'match';
      return value === false ? 'no_match' : { error: `not_bool at ${rule.where}` };
    } catch (error) {
      return { error: `${errorCode(error)} at ${rule.where}` };
    }
  }

  /** The words of the rule; undefined: it has none, or they cannot be worked out. */
  message(rule: CompiledRule): string | undefined {
    if (rule.message === undefined || typeof rule.message === 'string') return rule.message;
    try {
      const text = this.#run(rule, rule.message);
      return typeof text === 'string' && text !== '' ? text.slice(0, maxMessageLength).toWellFormed() : undefined;
    } catch {
      return undefined;
    }
  }

  /** What a limit counts apart, as text with its type; `''` without `by`. */
  key(rule: CompiledRule, by: Program | undefined): { readonly key: string } | { readonly error: string } {
    if (by === undefined) return { key: '' };
    try {
      const key = keyOf(this.#run(rule, by));
      return key === undefined ? { error: `not_a_key at ${rule.where}` } : { key };
    } catch (error) {
      return { error: `${errorCode(error)} at ${rule.where}` };
    }
  }

  #run(rule: CompiledRule, program: Program): unknown {
    if (rule.policy !== this.#policy) {
      this.#policy = rule.policy;
      this.#activation.variables = rule.policy.variables(this.#activation);
    }
    return this.#budget.within(this.#budgetOf(rule), () => program.run(this.#activation));
  }

  #budgetOf(rule: CompiledRule): DecisionBudget {
    if (rule.mode === 'enforce') return this.#enforced;
    this.#onTrial ??= new DecisionBudget(this.#budget);
    return this.#onTrial;
  }
}

/** One text a value: no two values of different types or contents have the same. Undefined: it can be no key. */
function keyOf(value: unknown): string | undefined {
  const key = typed(value, 0);
  return key === undefined || key.length > maxKeyLength ? undefined : key;
}

function typed(value: unknown, depth: number): string | undefined {
  if (depth > 8) return undefined;
  if (typeof value === 'string') return `string:${value}`;
  if (typeof value === 'bigint') return `int:${value}`;
  if (typeof value === 'boolean') return `bool:${value}`;
  if (typeof value === 'number') return `double:${value}`;
  if (Array.isArray(value)) return joined('list', value, (item) => quoted(item, depth));
  const entries = entriesOf(value);
  if (entries === undefined) return undefined;
  return joined('map', entries, ([name, item]: [unknown, unknown]) => {
    const [left, right] = [quoted(name, depth), quoted(item, depth)];
    return left === undefined || right === undefined ? undefined : `${left}=${right}`;
  });
}

/** Of a map: the library makes plain objects of those that are written out. */
function entriesOf(value: unknown): readonly [unknown, unknown][] | undefined {
  if (value instanceof Map) return [...value];
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype ? Object.entries(value) : undefined;
}

function quoted(value: unknown, depth: number): string | undefined {
  const text = typed(value, depth + 1);
  return text === undefined ? undefined : JSON.stringify(text);
}

/** A map's entries in the order of their text: it has none of its own. */
function joined<T>(
  type: 'list' | 'map',
  items: readonly T[],
  text: (item: T) => string | undefined,
): string | undefined {
  const texts: string[] = [];
  for (const item of items) {
    const one = text(item);
    if (one === undefined) return undefined;
    texts.push(one);
  }
  if (type === 'map') texts.sort();
  return `${type}:${texts.join(',')}`;
}
