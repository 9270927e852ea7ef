import { type Budget, BudgetExceeded } from './budget.ts';
import type { CelCompiler, Compilation, Program } from './cel.ts';
import type { LocatedPolicy } from './document.ts';
import type { RuleKind } from './fields.ts';
import type { Problem } from './problem.ts';
import type { Activation } from './variables.ts';
import type { Sliced } from './yaml.ts';

export type VariablesClass = ReturnType<typeof makeVariables>;

/**
 * The class of one policy's `variables`: each is evaluated when the first rule reads it, once a decision. It spends a budget
 * of its own, so that it does not matter which rule came first.
 */
function makeVariables(budget: Budget) {
  return class Variables {
    readonly #activation: Activation;
    readonly #outcomes = new Map<string, { readonly value: unknown } | { readonly error: unknown }>();

    constructor(activation: Activation) {
      this.#activation = activation;
    }

    static declare(name: string, program: Program): void {
      Object.defineProperty(Variables.prototype, name, {
        get(this: Variables) {
          return this.#valueOf(name, program);
        },
      });
    }

    #valueOf(name: string, program: Program): unknown {
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

export type Compilers = Readonly<Record<RuleKind, CelCompiler>>;

/** What one kind of rule of a policy sees. */
interface View {
  readonly kind: RuleKind;
  readonly types: Map<string, string>;
  cel: CelCompiler;
}

/** The variables of a policy, and compilers that know them. */
export class PolicyVariables {
  readonly ctor: VariablesClass;
  readonly #views: ReadonlyMap<RuleKind, View>;
  readonly programs = new Map<string, Program>();

  private constructor(ctor: VariablesClass, views: ReadonlyMap<RuleKind, View>) {
    this.ctor = ctor;
    this.#views = views;
  }

  /**
   * A variable is there for the kinds of rules that see what it reads (`response` is not there on request); one that no
   * kind of rule in the policy can have is a problem.
   */
  static *compile(
    source: LocatedPolicy,
    kinds: readonly RuleKind[],
    { compilers, budget }: { readonly compilers: Compilers; readonly budget: Budget },
    problems: Problem[],
  ): Sliced<PolicyVariables> {
    const ctor = makeVariables(budget);
    const views = kinds.map((kind): View => {
      const types = new Map<string, string>();
      return { kind, types, cel: compilers[kind].withVariables(ctor, types) };
    });
    const all = new PolicyVariables(ctor, new Map(views.map((view) => [view.kind, view])));
    const seen = new Set<string>();
    for (const [index, { name, expression }] of source.document.spec.variables.entries()) {
      const path = ['spec', 'variables', index];
      if (seen.has(name)) problems.push(source.problem([...path, 'name'], `there are two variables "${name}"`));
      else
        all.#declare(
          name,
          expression,
          (offset, text) => problems.push(source.problemInText([...path, 'expression'], offset, text)),
          compilers,
        );
      seen.add(name);
      yield;
    }
    return all;
  }

  #declare(
    name: string,
    expression: string,
    complain: (offset: number, text: string) => void,
    compilers: Compilers,
  ): void {
    let failure: Extract<Compilation, { ok: false }> | undefined;
    for (const view of this.#views.values()) {
      const compiled = view.cel.compile(expression);
      if (!compiled.ok) {
        failure ??= compiled;
        continue;
      }
      const { program } = compiled;
      if (!this.programs.has(name)) {
        this.ctor.declare(name, program);
        this.programs.set(name, program);
      }
      // The empty list's element type is a placeholder, which a field cannot have.
      view.types.set(name, program.type.replace(/\b[A-Z]\b/g, 'dyn'));
      view.cel = compilers[view.kind].withVariables(this.ctor, view.types);
    }
    if (failure !== undefined && !this.programs.has(name)) complain(failure.offset, failure.message);
  }

  compiler(kind: RuleKind): CelCompiler {
    const view = this.#views.get(kind);
    if (view === undefined) throw new Error(`the policy has no rule on ${kind}`);
    return view.cel;
  }
}
