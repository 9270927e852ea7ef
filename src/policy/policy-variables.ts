import type { Activation } from './activation.ts';
import { type Budget, BudgetExceeded } from './budget.ts';
import type { CelCompiler, Compilation, Program } from './cel.ts';
import type { LocatedPolicy } from './document.ts';
import type { RuleKind } from './fields.ts';
import type { Problem } from './problem.ts';
import type { Sliced } from './yaml.ts';

export type VariablesClass = ReturnType<typeof variablesClass>;

/**
 * The class of `variables`, one for all policies of a set, so that all decisions run the same code: each variable is
 * evaluated when the first rule reads it, once a decision. It spends a budget of its own, so that it does not matter which
 * rule came first.
 */
export function variablesClass(budget: Budget) {
  return class Variables {
    readonly #activation: Activation;
    readonly #programs: ReadonlyMap<string, Program>;
    readonly #outcomes = new Map<string, { readonly value: unknown } | { readonly error: unknown }>();

    /** @param programs By name, of one policy. */
    constructor(activation: Activation, programs: ReadonlyMap<string, Program>) {
      this.#activation = activation;
      this.#programs = programs;
    }

    /** Makes a name one that can be read; of a policy that has it not, it is undefined. */
    static declare(name: string): void {
      if (Object.hasOwn(Variables.prototype, name)) return;
      Object.defineProperty(Variables.prototype, name, {
        get(this: Variables) {
          return this.#valueOf(name);
        },
      });
    }

    #valueOf(name: string): unknown {
      const program = this.#programs.get(name);
      if (program === undefined) return undefined;
      let outcome = this.#outcomes.get(name);
      if (outcome === undefined) {
        outcome = attempt(() => budget.apart(() => program.run(this.#activation)));
        this.#outcomes.set(name, outcome);
      }
      if ('value' in outcome) return outcome.value;
      if (outcome.error instanceof BudgetExceeded) budget.trip();
      throw outcome.error;
    }
  };
}

function attempt(run: () => unknown): { readonly value: unknown } | { readonly error: unknown } {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

export type Compilers = Readonly<Record<RuleKind, SharedCompiler>>;

/**
 * Compiles for all policies. Equal texts are one program, where `variables` have the same names and types too: less to load,
 * and less that a decision has to bring into the processor's caches.
 */
export class SharedCompiler {
  readonly #cel: CelCompiler;
  readonly #known = new Map<string, Compilation>();
  readonly #withVariables = new Map<string, SharedCompiler>();

  constructor(cel: CelCompiler) {
    this.#cel = cel;
  }

  compile(text: string): Compilation {
    const known = this.#known.get(text) ?? this.#cel.compile(text);
    this.#known.set(text, known);
    return known;
  }

  withVariables(ctor: VariablesClass, types: ReadonlyMap<string, string>): SharedCompiler {
    const signature = JSON.stringify([...types]);
    const known = this.#withVariables.get(signature) ?? new SharedCompiler(this.#cel.withVariables(ctor, types));
    this.#withVariables.set(signature, known);
    return known;
  }
}

/** What one kind of rule of a policy sees. */
interface View {
  readonly types: Map<string, string>;
  /** Knows the `types`; undefined: not made yet. */
  cel: SharedCompiler | undefined;
}

/** The variables of a policy, and compilers that know them. */
export class PolicyVariables {
  readonly #ctor: VariablesClass;
  readonly #compilers: Compilers;
  readonly #views: ReadonlyMap<RuleKind, View>;
  readonly programs = new Map<string, Program>();

  private constructor(ctor: VariablesClass, compilers: Compilers, views: ReadonlyMap<RuleKind, View>) {
    this.#ctor = ctor;
    this.#compilers = compilers;
    this.#views = views;
  }

  /**
   * A variable is there for the kinds of rules that see what it reads (`response` is not there on request); one that no
   * kind of rule in the policy can have is a problem.
   */
  static *compile(
    source: LocatedPolicy,
    kinds: readonly RuleKind[],
    { compilers, variables: ctor }: { readonly compilers: Compilers; readonly variables: VariablesClass },
    problems: Problem[],
  ): Sliced<PolicyVariables> {
    const views = new Map(kinds.map((kind): [RuleKind, View] => [kind, { types: new Map(), cel: undefined }]));
    const all = new PolicyVariables(ctor, compilers, views);
    const seen = new Set<string>();
    for (const [index, { name, expression }] of source.document.spec.variables.entries()) {
      const path = ['spec', 'variables', index];
      if (seen.has(name)) problems.push(source.problem([...path, 'name'], `there are two variables "${name}"`));
      else
        all.#declare(name, expression, (offset, text) =>
          problems.push(source.problemInText([...path, 'expression'], offset, text)),
        );
      seen.add(name);
      yield;
    }
    return all;
  }

  #declare(name: string, expression: string, complain: (offset: number, text: string) => void): void {
    let failure: Extract<Compilation, { ok: false }> | undefined;
    for (const [kind, view] of this.#views) {
      const compiled = this.compile(kind, expression);
      if (!compiled.ok) {
        failure ??= compiled;
        continue;
      }
      const { program } = compiled;
      if (!this.programs.has(name)) {
        this.#ctor.declare(name);
        this.programs.set(name, program);
      }
      // The empty list's element type is a placeholder, which a field cannot have.
      view.types.set(name, program.type.replace(/\b[A-Z]\b/g, 'dyn'));
      view.cel = undefined;
    }
    if (failure !== undefined && !this.programs.has(name)) complain(failure.offset, failure.message);
  }

  /** For one decision. */
  readonly of = (activation: Activation): object => new this.#ctor(activation, this.programs);

  compile(kind: RuleKind, text: string): Compilation {
    const shared = this.#compilers[kind];
    const view = this.#views.get(kind);
    if (view === undefined || !/\bvariables\b/.test(text)) return shared.compile(text);
    view.cel ??= shared.withVariables(this.#ctor, view.types);
    return view.cel.compile(text);
  }
}
