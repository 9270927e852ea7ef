import { type CelType, callOf, type Node, pathOf } from './ast.ts';
import type { RuleKind } from './fields.ts';
import { operators } from './functions/standard.ts';
import { callable, signaturesOf } from './functions/table.ts';
import { nearest } from './problem.ts';
import { fieldsOf, kindsOf, variablesOf } from './variables.ts';

/** What an explanation needs to know of the rule. */
export interface Surroundings {
  readonly on: RuleKind;
  /** Names of the policy's `variables`. */
  readonly variables: Iterable<string>;
}

interface CelError {
  readonly code: string;
  readonly summary: string;
  readonly node?: Node;
  readonly range?: { readonly start: number };
}

/** What is wrong with an expression, in our words, and where. */
export function explain(error: unknown, around: Surroundings): { readonly message: string; readonly offset: number } {
  if (!isCelError(error)) return { message: 'the expression cannot be read', offset: 0 };
  return { message: messageOf(error, around), offset: error.range?.start ?? 0 };
}

function isCelError(error: unknown): error is CelError {
  return error instanceof Error && 'summary' in error && typeof error.summary === 'string' && 'code' in error;
}

function messageOf({ code, summary, node }: CelError, around: Surroundings): string {
  if (node !== undefined) {
    if (code === 'unknown_variable') return unknownVariable(String(node.args), around);
    if (code === 'no_such_key') return unknownField(node, around);
    if (code === 'no_matching_overload') return wrongTypes(node);
    if (code === 'no_such_overload') return wrongOperands(node, summary.replace(/^no such overload: /, ''));
  }
  if (code === 'invalid_macro_argument' && summary.startsWith('has()'))
    return 'has asks for a field: has(caller.email)';
  return summary.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()).replace(/\.$/, '');
}

export function unknownVariable(name: string, { on }: Surroundings): string {
  const kinds = kindsOf(name);
  if (kinds.length > 0) return onlyIn(name, kinds);
  return `unknown variable '${name}'${suggest(name, variablesOf(on))}`;
}

/** A name that other kinds of rules have. */
export function onlyIn(name: string, kinds: readonly RuleKind[]): string {
  return `'${name}' is there only in rules with on: ${kinds.join(' or ')}`;
}

export function unknownFunction(name: string): string {
  return `unknown function '${name}'${suggest(name, callable)}`;
}

function unknownField(node: Node, { variables }: Surroundings): string {
  const [owner, key] = node.args as [Node, string | Node];
  const name = typeof key === 'string' ? key : String(key.args);
  const type = owner.checkedType?.name ?? '';
  const fields = type === 'Variables' ? [...variables] : fieldsOf(type);
  const path = pathOf(owner);
  const what = path === undefined ? `unknown field '${name}' of ${type}` : `unknown variable '${path}.${name}'`;
  const near = suggest(name, fields);
  return near === '' && fields.length > 0 ? `${what}; there are: ${fields.join(', ')}` : what + near;
}

function wrongTypes(node: Node): string {
  const call = callOf(node);
  if (call === undefined) return 'the types do not fit';
  const name = call.name.replace(/^_/, '');
  const receiver = call.receiver === undefined ? '' : `${nameOf(call.receiver.checkedType)}.`;
  return `no '${receiver}${name}(${(node.argTypes ?? []).map(nameOf).join(', ')})'${alternatives(signaturesOf(name))}`;
}

/** For a call whose name exists, but not in that shape. */
export function wrongShape(name: string, count: number): string {
  const given = count === 1 ? '1 argument' : `${count} arguments`;
  return `'${name}' is not called like this, with ${given}${alternatives(signaturesOf(name))}`;
}

function wrongOperands(node: Node, operands: string): string {
  const symbol = { '-_': '-x', '!_': '!' }[node.op] ?? node.op;
  const row = operators.find(({ op }) => op === symbol);
  return `no '${operands}'${alternatives(row?.forms ?? [])}`;
}

function alternatives(forms: readonly string[]): string {
  return forms.length === 0 ? '' : `; there are: ${forms.join(', ')}`;
}

function suggest(name: string, known: Iterable<string>): string {
  const near = nearest(name, known);
  return near === undefined ? '' : `; did you mean '${near}'?`;
}

/** Types as the reference writes them: `math`, and `dyn` for what is open. */
function nameOf(type: CelType | undefined): string {
  const name = type?.name ?? 'dyn';
  const namespace = /^(\w+)Namespace$/.exec(name)?.[1];
  return namespace === undefined ? name.replace(/\b[A-Z]\b/g, 'dyn') : namespace.toLowerCase();
}
