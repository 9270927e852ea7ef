import { type Comprehension, type Node, nodesOf } from './ast.ts';
import { type Budget, deepUnitsOf, unitsOf } from './budget.ts';
import { checkInt, checkLength, invalid } from './functions/failure.ts';
import { timeArithmetic } from './functions/time.ts';

type Handle = (...args: unknown[]) => unknown;

const compared: ReadonlySet<string> = new Set(['==', '!=', 'in', '<', '<=', '>', '>=']);
const keyTypes: ReadonlySet<string> = new Set(['string', 'int', 'bool', 'dyn']);

/**
 * Makes a checked node pay for what it does, and do it right where the library does not: ints that overflow in `/` and unary
 * `-`, dates and durations, maps as Maps.
 */
export function chargeNode(node: Node, budget: Budget): void {
  if (node.op === 'comprehension') chargeTurns(node, budget);
  else if (node.op === 'map') node.setMeta('evaluate', mapBuilder());
  const { handle } = node;
  if (handle === undefined) return;
  const charged = chargedHandle(node, handle, budget);
  if (charged !== undefined) node.handle = charged;
}

/** Each turn costs by the size of what is evaluated in it. */
function chargeTurns(node: Node, budget: Budget): void {
  const loop = node.args as Comprehension;
  const { condition } = loop;
  const units = 1 + (nodesOf(loop.step).length >> 3);
  loop.condition = (accumulated) => {
    budget.spend(units);
    return condition === undefined || condition(accumulated);
  };
}

function chargedHandle(node: Node, handle: Handle, budget: Budget): Handle | undefined {
  if (node.op === 'call' || node.op === 'rcall')
    return (...args) => {
      for (const operand of args[0] as unknown[]) payFor(operand, budget);
      const result = handle.apply(node, args);
      payFor(result, budget);
      return result;
    };
  if (compared.has(node.op))
    return (...args) => {
      const units = deepUnitsOf(args[0]) + deepUnitsOf(args[1]);
      if (units > 0) budget.spend(units);
      return handle.apply(node, args);
    };
  if (node.op === '+') return (...args) => concatenated(args[0], args[1], budget) ?? handle.apply(node, args);
  if (node.op === '-') return (...args) => timeArithmetic('-', args[0], args[1]) ?? handle.apply(node, args);
  if (node.op === '/' || node.op === '-_')
    return (...args) => {
      const result = handle.apply(node, args);
      return typeof result === 'bigint' ? checkInt(result) : result;
    };
  return undefined;
}

function payFor(value: unknown, budget: Budget): void {
  const units = unitsOf(value);
  if (units === 0) return;
  if (typeof value === 'string') checkLength(value.length);
  budget.spend(units);
}

/** Pays for a `+` before it is done; the sum itself where the library's would be wrong. */
function concatenated(a: unknown, b: unknown, budget: Budget): unknown {
  if (typeof a === 'object' && typeof b === 'object') {
    const sum = timeArithmetic('+', a, b);
    if (sum !== undefined) return sum;
    const units = unitsOf(a) + unitsOf(b);
    if (units > 0) budget.spend(units);
  } else if (typeof a === 'string' && typeof b === 'string') {
    const length = a.length + b.length;
    if (length >= 512) {
      checkLength(length);
      budget.spend(length >> 9);
    }
  }
  return undefined;
}

interface Evaluator {
  run(node: Node, context: unknown): unknown;
}

/** A map literal as a Map: the library's would drop `__proto__` and turn every key into text. */
function mapBuilder() {
  return (evaluator: Evaluator, node: Node, context: unknown) => {
    const map = new Map<unknown, unknown>();
    for (const [keyNode, valueNode] of node.args as [Node, Node][]) {
      const key = evaluator.run(keyNode, context);
      if (typeof key !== 'string' && typeof key !== 'bigint' && typeof key !== 'boolean')
        throw invalid('keys of maps are strings, ints or bools');
      if (map.has(key)) throw invalid('the map has a key twice');
      map.set(key, evaluator.run(valueNode, context));
    }
    return map;
  };
}

/** What is wrong with a checked map literal. */
export function problemWithMap(node: Node): string | undefined {
  const key = node.op === 'map' ? node.checkedType?.keyType?.name : undefined;
  return key === undefined || keyTypes.has(key) || /^[A-Z]$/.test(key)
    ? undefined
    : `keys of maps are strings, ints or bools, these are of type ${key}`;
}
