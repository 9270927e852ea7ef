import { Environment } from '@marcbachmann/cel-js';
import { type Budget, unitsOf } from './budget.ts';
import { Patterns, registerStrings } from './functions/strings.ts';
import { registerTime, Zones, zonedAccessors } from './functions/time.ts';
import { didYouMean } from './problem.ts';
import { fieldsOf, type RuleKind, registerVariables, variablesOf } from './variables.ts';

/**
 * CEL, hardened. The library checks types and evaluates; around it, on the parsed tree:
 * - `matches`, the case functions, `size`, `split`, `timestamp` and zoned accessors are renamed to functions of ours (linear
 *   time, correct folding, strict dates);
 * - comprehensions, calls and list operators spend from a budget, and an evaluation that ran out is an error whatever it
 *   came to (`costly || true`);
 * - patterns, time zones and detector names that are written out are checked at load.
 */
export interface Program {
  /** Evaluates synchronously. Throws BudgetExceeded, or the library's errors; use `errorCode` for the record. */
  run(activation: object): unknown;
  /** CEL's name of the type that the check found. */
  readonly type: string;
}

/** `offset`: where in the expression, in UTF-16 units. */
export type Compilation =
  | { readonly ok: true; readonly program: Program }
  | { readonly ok: false; readonly message: string; readonly offset: number };

/** Checks a name that an expression looks up in `request.findings`: what is wrong with it, or undefined. */
export type FindingNameCheck = (name: string) => string | undefined;

/** The part of the library's tree that we touch (version pinned; test/unit/policy/cel.test.ts fails if it moves). */
interface Node {
  readonly op: string;
  args: unknown;
  readonly start: number;
  readonly meta?: { readonly alternate?: unknown; readonly macro?: unknown };
  handle?: (...args: unknown[]) => unknown;
  readonly checkedType?: { readonly name: string };
}

interface Comprehension {
  condition?: (accumulated: unknown) => boolean;
  readonly iterable: unknown;
  readonly init: unknown;
  readonly step: unknown;
}

const maxExpressionLength = 8192;
const limits = { maxAstNodes: 2000, maxDepth: 50, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 16 };
const ours: ReadonlySet<string> = new Set(['matches', 'lowerAscii', 'upperAscii', 'split', 'size', 'timestamp']);
/** `bytes.json()` makes plain objects with JavaScript numbers: neither ints nor missing keys would behave. */
const absent: ReadonlySet<string> = new Set(['json']);
const charged: ReadonlySet<string> = new Set(['call', 'rcall', 'in', '+', '==', '!=']);

export class CelCompiler {
  readonly #env: Environment;
  readonly #budget: Budget;
  readonly #patterns: Patterns;
  readonly #zones: Zones;
  readonly #checkFinding: FindingNameCheck;
  readonly #variables: ReadonlyMap<string, string>;

  private constructor(parts: {
    env: Environment;
    budget: Budget;
    patterns: Patterns;
    zones: Zones;
    checkFinding: FindingNameCheck;
    variables: ReadonlyMap<string, string>;
  }) {
    this.#env = parts.env;
    this.#budget = parts.budget;
    this.#patterns = parts.patterns;
    this.#zones = parts.zones;
    this.#checkFinding = parts.checkFinding;
    this.#variables = parts.variables;
  }

  static create(budget: Budget, checkFinding: FindingNameCheck, on: RuleKind = 'request'): CelCompiler {
    const env = new Environment({ limits });
    const patterns = new Patterns();
    const zones = new Zones();
    registerVariables(env, on);
    registerStrings(env, budget, patterns);
    registerTime(env, zones);
    return new CelCompiler({ env, budget, patterns, zones, checkFinding, variables: new Map() });
  }

  /** A compiler whose expressions may also read `variables`: instances of `ctor` with these fields (name → CEL type). */
  withVariables(ctor: new (...args: never[]) => object, variables: ReadonlyMap<string, string>): CelCompiler {
    const env = this.#env.clone();
    env.registerType('Variables', { ctor, fields: Object.fromEntries(variables) });
    env.registerVariable('variables', 'Variables');
    return new CelCompiler({
      env,
      budget: this.#budget,
      patterns: this.#patterns,
      zones: this.#zones,
      checkFinding: this.#checkFinding,
      variables,
    });
  }

  compile(expression: string): Compilation {
    if (expression.length > maxExpressionLength)
      return { ok: false, message: `the expression is longer than ${maxExpressionLength} characters`, offset: 0 };
    try {
      return this.#compile(expression);
    } catch (error) {
      return { ok: false, ...this.#explain(error) };
    }
  }

  #compile(expression: string): Compilation {
    const parsed = this.#env.parse(expression);
    const nodes: Node[] = [];
    collect(parsed.ast, nodes, new Set());
    for (const node of nodes) {
      const problem = this.#checkLiterals(node) ?? replace(node);
      if (problem !== undefined) return { ok: false, message: problem, offset: node.start };
    }
    const checked = parsed.check();
    if (!checked.valid || checked.type === undefined) return { ok: false, ...this.#explain(checked.error) };
    for (const node of nodes) this.#charge(node);
    const budget = this.#budget;
    const run = (activation: object) => {
      const value: unknown = parsed(activation);
      if (budget.tripped) budget.trip();
      return value;
    };
    return { ok: true, program: { run, type: checked.type } };
  }

  /** What is wrong with a pattern, a time zone or a detector name that is written out. */
  #checkLiterals(node: Node): string | undefined {
    if (node.op === 'rcall') {
      const [name, , args] = node.args as [string, Node, Node[]];
      const text = args.length === 1 ? literal(args[0]) : undefined;
      if (text === undefined) return undefined;
      if (name === 'matches') return failure(() => this.#patterns.get(text), 'not a pattern (RE2 syntax)');
      if (zonedAccessors.has(name))
        return failure(() => this.#zones.local(new Date(0), text), `"${text}" is not a time zone`);
    }
    if (node.op !== 'in' && node.op !== '[]') return undefined;
    const [left, right] = node.args as [Node, Node];
    const [map, key] = node.op === 'in' ? [right, left] : [left, right];
    const name = literal(key);
    return name !== undefined && isFindings(map) ? this.#checkFinding(name) : undefined;
  }

  #charge(node: Node): void {
    const budget = this.#budget;
    if (node.op === 'comprehension') {
      const loop = node.args as Comprehension;
      const { condition } = loop;
      loop.condition = (accumulated) => {
        budget.spend(1);
        return condition === undefined || condition(accumulated);
      };
    }
    const { handle } = node;
    if (!charged.has(node.op) || handle === undefined) return;
    const isCall = node.op === 'call' || node.op === 'rcall';
    node.handle = (...args) => {
      for (const operand of isCall ? (args[0] as unknown[]) : [args[0], args[1]]) {
        const units = unitsOf(operand);
        if (units > 0) budget.spend(units);
      }
      return handle.apply(node, args);
    };
  }

  #explain(error: unknown): { message: string; offset: number } {
    if (!isCelError(error)) return { message: 'the expression cannot be read', offset: 0 };
    const message = error.summary.replace(/\b_(?=[a-zA-Z]+\()|(?<=\.)_(?=[a-zA-Z]+\()/g, '');
    return { message: `${message}.${this.#hint(error)}`.replace('..', '.'), offset: error.range?.start ?? 0 };
  }

  #hint(error: CelError): string {
    const name = /^(?:Unknown variable|No such key): (\w+)/.exec(error.summary)?.[1];
    if (error.code === 'unknown_variable' && name !== undefined) return didYouMean(name, variablesOf('request'));
    if (error.code === 'no_such_key' && name !== undefined) {
      const [owner] = (error.node?.args ?? []) as (Node | undefined)[];
      const type = owner?.checkedType?.name ?? '';
      const fields = type === 'Variables' ? [...this.#variables.keys()] : fieldsOf(type);
      return didYouMean(name, fields) || (fields.length === 0 ? '' : ` There are: ${fields.join(', ')}.`);
    }
    const called = /found no matching overload for '(?:.*\.)?_?(\w+)\(/.exec(error.summary)?.[1];
    if (called === undefined) return '';
    const functions = this.#env.getDefinitions().functions.map((f) => f.name.replace(/^_/, ''));
    return functions.includes(called) ? '' : didYouMean(called, new Set(functions));
  }
}

interface CelError {
  readonly code: string;
  readonly summary: string;
  readonly node?: { readonly args?: unknown };
  readonly range?: { readonly start: number };
}

function isCelError(error: unknown): error is CelError {
  return error instanceof Error && 'summary' in error && typeof error.summary === 'string' && 'code' in error;
}

/** A stable word for why an evaluation failed; never the library's text, which may quote the request. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'evaluation_error';
}

/** Every node below, expanded macros included. */
function collect(value: unknown, into: Node[], seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (Array.isArray(value)) {
    for (const item of value) collect(item, into, seen);
    return;
  }
  if (!('op' in value) || typeof value.op !== 'string') return;
  const node = value as Node;
  into.push(node);
  collect(node.args, into, seen);
  if (node.op === 'comprehension') {
    const { iterable, init, step } = node.args as Comprehension;
    collect([iterable, init, step], into, seen);
  }
  collect(node.meta?.alternate, into, seen);
  if (typeof node.meta?.macro === 'object' && node.meta.macro !== null)
    collect(Object.values(node.meta.macro), into, seen);
}

/** Points calls at our functions. Returns what is wrong with the call, or undefined. */
function replace(node: Node): string | undefined {
  if (node.op !== 'call' && node.op !== 'rcall') return undefined;
  const call = node.args as [string, ...unknown[]];
  const [name] = call;
  if (absent.has(name)) return `there is no function "${name}" here`;
  const zoned = zonedAccessors.has(name) && ((call[2] as Node[] | undefined)?.length === 1 || name === 'getDayOfYear');
  if (ours.has(name) || zoned) call[0] = `_${name}`;
  return undefined;
}

function literal(node: Node | undefined): string | undefined {
  return node?.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

function isFindings(node: Node): boolean {
  if (node.op !== '.') return false;
  const [owner, field] = node.args as [Node, string];
  return field === 'findings' && owner.op === 'id' && owner.args === 'request';
}

function failure(attempt: () => unknown, message: string): string | undefined {
  try {
    attempt();
    return undefined;
  } catch {
    return message;
  }
}
