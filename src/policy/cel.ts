import { Environment } from '@marcbachmann/cel-js';
import { callOf, literal, type Node, nodesOf, pathOf } from './ast.ts';
import type { Budget } from './budget.ts';
import { chargeNode, checkHas, type FieldOwner, problemWithTypes } from './charge.ts';
import { explain, onlyIn, type Surroundings, unknownFunction, unknownVariable, wrongShape } from './explain.ts';
import { guardsVariable, type RuleKind, type TypeRow } from './fields.ts';
import { Patterns } from './functions/regex.ts';
import { callable, functionTypes, hasShape, isOurs, kindsOfFunction, registerFunctions } from './functions/table.ts';
import { zonedAccessors } from './functions/time.ts';
import { Zones } from './functions/zones.ts';
import { nearest } from './problem.ts';
import { type ProgramReads, readsOfProgram } from './program-reads.ts';
import { closedFields, registerVariables, typeRows } from './variables.ts';
import { problemWithComparison, type Values } from './vocabulary.ts';

/**
 * CEL, hardened. The library checks types and evaluates; around it, on the parsed tree:
 * - only functions of our table can be called, and those that the library has not, or has wrong, are ours (linear time,
 *   correct folding, strict dates, bounded texts);
 * - comprehensions, calls and operators spend from a budget, and an evaluation that ran out is an error whatever it
 *   came to (`costly || true`);
 * - patterns, time zones, guards, keys of findings and values of closed fields that are written out are checked at load.
 */
export interface Program {
  /** Evaluates synchronously. Throws BudgetExceeded, or an error of the library or a function; use `errorCode` for the record. */
  run(activation: object): unknown;
  /** CEL's name of the type that the check found. */
  readonly type: string;
  readonly reads: ProgramReads;
}

/** `offset`: where in the expression, in UTF-16 units. */
export type Compilation =
  | { readonly ok: true; readonly program: Program }
  | { readonly ok: false; readonly message: string; readonly offset: number };

/** What is wrong with a name that an expression writes out as a key, or undefined. */
export type NameCheck = (name: string) => string | undefined;

export interface CelOptions {
  readonly budget: Budget;
  /** Whose variables and functions there are. Default: `request`. */
  readonly on?: RuleKind;
  /** Names of the configured guards, that `guard` may name. Default: none. */
  readonly guards?: readonly string[];
  /** Map → check of keys that are looked up in it: `{'request.findings': check}`. */
  readonly keys?: Readonly<Record<string, NameCheck>>;
  /** Field → the only values that it can have here, beside those of `closedFields`: `caller.team`. */
  readonly values?: Values;
}

const maxExpressionLength = 8192;
const limits = { maxAstNodes: 2000, maxDepth: 50, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 16 };

interface Parts {
  readonly env: Environment;
  readonly options: CelOptions;
  readonly patterns: Patterns;
  readonly zones: Zones;
  readonly variables: ReadonlyMap<string, string>;
  readonly hasFields: FieldOwner;
  readonly values: Values;
}

export class CelCompiler {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  static create(options: CelOptions): CelCompiler {
    const env = new Environment({ limits });
    const { budget, on = 'request' } = options;
    const patterns = new Patterns(budget);
    const zones = new Zones(budget);
    registerVariables(env, on);
    env.registerVariable(guardsVariable, 'map<string, dyn>');
    registerFunctions(env, { budget, patterns, zones });
    const values = new Map([...closedFields, ...(options.values ?? [])]);
    const variables = new Map<string, string>();
    return new CelCompiler({ env, options, patterns, zones, values, variables, hasFields: fieldOwner(undefined) });
  }

  /** A compiler whose expressions may also read `variables`: instances of `ctor` with these fields (name → CEL type). */
  withVariables(ctor: new (...args: never[]) => object, variables: ReadonlyMap<string, string>): CelCompiler {
    const env = this.#parts.env.clone();
    env.registerType('Variables', { ctor, fields: Object.fromEntries(variables) });
    env.registerVariable('variables', 'Variables');
    return new CelCompiler({ ...this.#parts, env, variables: new Map(variables), hasFields: fieldOwner(ctor) });
  }

  compile(expression: string): Compilation {
    if (expression.length > maxExpressionLength)
      return { ok: false, message: `the expression is longer than ${maxExpressionLength} characters`, offset: 0 };
    try {
      return this.#compile(expression);
    } catch (error) {
      return { ok: false, ...explain(error, this.#around) };
    }
  }

  get #around(): Surroundings {
    return { on: this.#parts.options.on ?? 'request', variables: this.#parts.variables.keys() };
  }

  #compile(expression: string): Compilation {
    const { env, options, variables, hasFields, values } = this.#parts;
    // Compiling is not evaluating: patterns and zones that are looked up here cost no evaluation.
    options.budget.reset();
    const parsed = env.parse(expression);
    const nodes = nodesOf(parsed.ast);
    const reads = readsOfProgram(nodes, variables.keys());
    for (const node of nodes) {
      const message = this.#problemWith(node);
      if (message !== undefined) return { ok: false, message, offset: node.start };
    }
    for (const node of nodes) this.#rewrite(node);
    const checked = parsed.check();
    if (!checked.valid || checked.type === undefined) return { ok: false, ...explain(checked.error, this.#around) };
    for (const node of nodes) {
      const message = problemWithTypes(node, hasFields);
      if (message !== undefined) return { ok: false, message, offset: node.start };
      const never = problemWithComparison(node, values);
      if (never !== undefined) return { ok: false, ...never };
      chargeNode(node, options.budget, hasFields);
    }
    const { budget } = options;
    const run = (activation: object) => {
      const value: unknown = parsed(activation);
      if (budget.tripped) budget.trip();
      return value;
    };
    return { ok: true, program: { run, type: checked.type, reads } };
  }

  /** What can be said before types are known: names that are not there, and texts that are written out. */
  #problemWith(node: Node): string | undefined {
    if (node.op === 'id')
      return node.args === guardsVariable ? unknownVariable(guardsVariable, this.#around) : undefined;
    return this.#problemWithCall(node) ?? this.#problemWithKey(node);
  }

  #problemWithCall(node: Node): string | undefined {
    const call = callOf(node);
    if (call === undefined) return undefined;
    const { name, args, receiver } = call;
    if (!callable.has(name)) return unknownFunction(name);
    if (!hasShape({ name, isMethod: receiver !== undefined, count: args.length })) return wrongShape(name, args.length);
    const kinds = kindsOfFunction(name);
    if (kinds !== undefined && !kinds.includes(this.#around.on)) return onlyIn(name, kinds);
    const text = literal(args[name === 'matches' ? args.length - 1 : 0]);
    if (name === 'guard') return this.#problemWithGuard(text);
    if (text === undefined) return undefined;
    const { patterns, zones } = this.#parts;
    if (name === 'matches' || name === 'find' || name === 'findAll')
      return failure(() => patterns.get(text), 'not a pattern (RE2 syntax)');
    if (zonedAccessors.has(name)) return failure(() => zones.local(new Date(0), text), `"${text}" is not a time zone`);
    return undefined;
  }

  #problemWithGuard(name: string | undefined): string | undefined {
    if (name === undefined) return 'the name of a guard has to be written out: guard("name")';
    const { guards = [] } = this.#parts.options;
    if (guards.includes(name)) return undefined;
    const near = nearest(name, guards);
    return `there is no guard '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`;
  }

  #problemWithKey(node: Node): string | undefined {
    if (node.op !== 'in' && node.op !== '[]' && node.op !== '.') return undefined;
    const [left, right] = node.args as [Node, Node | string];
    const [map, key] = node.op === 'in' ? [right as Node, left] : [left, right];
    const name = typeof key === 'string' ? key : literal(key);
    const path = name === undefined ? undefined : pathOf(map);
    const { keys = {} } = this.#parts.options;
    return name === undefined || path === undefined || !Object.hasOwn(keys, path) ? undefined : keys[path]?.(name);
  }

  /** Points calls at our functions, and tells the library that nothing is asynchronous. */
  #rewrite(node: Node): void {
    node.setMeta('async', false);
    const call = callOf(node);
    if (call === undefined) return;
    const { name, args, receiver } = call;
    if (name === 'has') checkHas(node);
    if (name === 'format') mixed(args[0], () => this.#fresh('dyn(0)'));
    if (!isOurs({ name, isMethod: receiver !== undefined, count: args.length })) return;
    const parts = node.args as [string, ...unknown[]];
    parts[0] = `_${name}`;
    if (name === 'guard') parts[1] = [this.#fresh(guardsVariable), ...args];
  }

  #fresh(expression: string): Node {
    const node = this.#parts.env.parse(expression).ast as unknown as Node;
    return node.setMeta('async', false);
  }
}

const fieldTypes: Readonly<Record<string, TypeRow>> = { ...typeRows, ...functionTypes };
const fieldClasses: ReadonlySet<unknown> = new Set([
  ...Object.values(fieldTypes).map(({ ctor }) => ctor),
  ...[Map, Array, Set, Object, undefined],
]);

function fieldOwner(variables: unknown): FieldOwner {
  return {
    type: (name) => name === 'Variables' || Object.hasOwn(fieldTypes, name),
    instance: (ctor) => fieldClasses.has(ctor) || (variables !== undefined && ctor === variables),
  };
}

/** Lets a list that is written out hold values of several types: each becomes `dyn(value)`. */
function mixed(list: Node | undefined, dyn: () => Node): void {
  if (list?.op !== 'list') return;
  list.args = (list.args as Node[]).map((element) => {
    const node = dyn();
    (node.args as [string, Node[]])[1] = [element];
    return node;
  });
}

/** A stable word for why an evaluation failed; never the library's text, which may quote the request. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'evaluation_error';
}

function failure(attempt: () => unknown, message: string): string | undefined {
  try {
    attempt();
    return undefined;
  } catch {
    return message;
  }
}
