import type { Environment } from '@marcbachmann/cel-js';
import type { RuleKind } from '../fields.ts';
import { conversionFunctions } from './conversions.ts';
import { guardFunctions } from './guards.ts';
import { listFunctions, setFunctions } from './lists.ts';
import { mathFunctions } from './math.ts';
import { networkFunctions } from './network.ts';
import { patternFunctions } from './patterns.ts';
import { quantityFunctions } from './quantities.ts';
import type { FunctionGroup, FunctionRow, Tools } from './row.ts';
import { macros } from './standard.ts';
import { stringFunctions } from './strings.ts';
import { textFunctions } from './text.ts';
import { timeFunctions } from './time.ts';
import { versionFunctions } from './versions.ts';

/** Every function of the language, in the order of the reference. To add one: docs/architecture.md. */
export const functionGroups: readonly FunctionGroup[] = [
  macros,
  conversionFunctions,
  stringFunctions,
  patternFunctions,
  textFunctions,
  listFunctions,
  setFunctions,
  mathFunctions,
  timeFunctions,
  networkFunctions,
  versionFunctions,
  quantityFunctions,
  guardFunctions,
];

export const functionRows: readonly FunctionRow[] = functionGroups.flatMap((group) => group.rows);

/** A shape of call: functions of ours stand in for the library's where both have it. */
export interface Shape {
  readonly name: string;
  readonly isMethod: boolean;
  /** Arguments, the receiver not among them. */
  readonly count: number;
}

/** Words before a dot that are no values: `math.abs`. */
const namespaces = ['sets', 'math', 'ip'] as const;
const namespaceType = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}Namespace`;

interface Signature extends Shape {
  readonly receiver: string;
  readonly parameters: string;
  readonly returns: string;
}

export function parseSignature(signature: string): Signature {
  const [, receiver = '', name = '', parameters = '', returns = ''] =
    /^(?:([\w.<>]+)\.)?(\w+)\((.*)\): (.+)$/.exec(signature) ?? [];
  const count = parameters === '' ? 0 : parameters.replace(/<[^>]*>/g, '').split(',').length;
  return { receiver, name, parameters, returns, count, isMethod: receiver !== '' };
}

const keyOf = ({ name, isMethod, count }: Shape) => `${isMethod ? '.' : ''}${name}/${count}`;

const ourShapes: ReadonlySet<string> = new Set(
  functionRows
    .flatMap((row) => row.overloads)
    .filter((overload) => overload.make !== undefined)
    .map((overload) => keyOf(parseSignature(overload.signature))),
);

const shapes: ReadonlySet<string> = new Set(
  functionRows.flatMap((row) => row.overloads).map((overload) => keyOf(parseSignature(overload.signature))),
);

/** Whether there is any function that is called like this. */
export function hasShape(shape: Shape): boolean {
  return shapes.has(keyOf(shape));
}

/** Whether calls of this shape go to a function of ours, which is registered with `_` before its name. */
export function isOurs(shape: Shape): boolean {
  return ourShapes.has(keyOf(shape));
}

/** Names that an expression may call. */
export const callable: ReadonlySet<string> = new Set(
  functionRows.map((row) => row.name.slice(row.name.lastIndexOf('.') + 1)),
);

/** Signatures of a name, as the reference has them. */
export function signaturesOf(name: string): readonly string[] {
  return functionRows
    .filter((row) => row.name === name || row.name.endsWith(`.${name}`))
    .flatMap((row) => row.overloads.map((overload) => overload.signature));
}

/** Kinds of rules that have a function; undefined: all, or there is none of that name. */
export function kindsOfFunction(name: string): readonly RuleKind[] | undefined {
  return functionRows.find((row) => row.name === name)?.on;
}

/** Declares the types, operators and functions of ours. */
export function registerFunctions(env: Environment, tools: Tools): void {
  for (const name of namespaces) {
    const ctor = class {};
    env.registerType(namespaceType(name), ctor);
    env.registerConstant(name, namespaceType(name), new ctor());
  }
  for (const { types = {}, operators = {} } of functionGroups) {
    for (const [name, { ctor, fields }] of Object.entries(types)) {
      const declared = Object.entries(fields).map(([field, { type }]) => [field, type] as const);
      env.registerType(name, { ctor, fields: Object.fromEntries(declared) });
    }
    for (const [form, run] of Object.entries(operators))
      env.registerOperator(form, run as (a: unknown, b: unknown) => boolean);
  }
  for (const { overloads } of functionRows)
    for (const { signature, make } of overloads)
      if (make !== undefined)
        env.registerFunction(internal(signature), make(tools) as (...args: unknown[]) => unknown, { async: false });
}

/** The signature that the library gets: our own name, namespaces as types, verdicts before the name of a guard. */
function internal(signature: string): string {
  const { receiver, name, parameters, returns } = parseSignature(signature);
  const isNamespace = (namespaces as readonly string[]).includes(receiver);
  const owner = isNamespace ? namespaceType(receiver) : receiver;
  const hidden = name === 'guard' ? 'map<string, dyn>, ' : '';
  return `${owner === '' ? '' : `${owner}.`}_${name}(${hidden}${parameters}): ${returns}`;
}
