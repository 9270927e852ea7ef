import type { Budget } from '../budget.ts';
import type { RuleKind, TypeRow } from '../fields.ts';
import type { Patterns } from './regex.ts';
import type { Zones } from './zones.ts';

/** What a function may use while it runs. All functions are synchronous. */
export interface Tools {
  readonly budget: Budget;
  readonly patterns: Patterns;
  readonly zones: Zones;
}

export interface Overload {
  /** As in the reference: `string.charAt(int): string`, `sets.contains(list<T>, list<T>): bool`. */
  readonly signature: string;
  /** Makes the function; undefined: the library's own. A method gets its receiver first. */
  readonly make?: (tools: Tools) => (...args: never[]) => unknown;
}

/** A function or macro of the language. docs/policy-reference.md is generated from these rows. */
export interface FunctionRow {
  readonly name: string;
  /** One line of Markdown. */
  readonly doc: string;
  /** Where its meaning is laid down. */
  readonly source: string;
  /** Expressions that must hold; a test evaluates each. */
  readonly examples: readonly string[];
  readonly overloads: readonly Overload[];
  /** Kinds of rules that have it; left out: all. */
  readonly on?: readonly RuleKind[];
}

export interface FunctionGroup {
  readonly title: string;
  /** A paragraph of Markdown above the table; may be empty. */
  readonly intro: string;
  readonly rows: readonly FunctionRow[];
  /** Types that these functions make. */
  readonly types?: Readonly<Record<string, TypeRow>>;
  /** Operators on those types, as `IP == IP`. */
  readonly operators?: Readonly<Record<string, (a: never, b: never) => boolean>>;
}

/** An overload without use for tools. */
export function pure(signature: string, run: (...args: never[]) => unknown): Overload {
  return { signature, make: () => run };
}

/** Overloads that the library has, and has right. */
export function native(...signatures: readonly string[]): readonly Overload[] {
  return signatures.map((signature) => ({ signature }));
}

export const sources = {
  spec: '[CEL](https://github.com/google/cel-spec/blob/master/doc/langdef.md)',
  strings: '[cel-go strings](https://pkg.go.dev/github.com/google/cel-go/ext#Strings)',
  math: '[cel-go math](https://pkg.go.dev/github.com/google/cel-go/ext#Math)',
  sets: '[cel-go sets](https://pkg.go.dev/github.com/google/cel-go/ext#Sets)',
  bindings: '[cel-go bindings](https://pkg.go.dev/github.com/google/cel-go/ext#Bindings)',
  kubernetes: '[Kubernetes](https://kubernetes.io/docs/reference/using-api/cel/)',
  library: '[cel-js](https://github.com/marcbachmann/cel-js)',
  own: 'Sallyport',
} as const;
