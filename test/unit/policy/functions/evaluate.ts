import { Activation } from '../../../../src/policy/activation.ts';
import { Budget } from '../../../../src/policy/budget.ts';
import { CelCompiler, type CelOptions, errorCode, type Program } from '../../../../src/policy/cel.ts';
import type { DecisionInput, GuardVerdict } from '../../../../src/policy/decision.ts';
import { demo, input } from '../fixtures.ts';

export const verdict: GuardVerdict = {
  ok: true,
  flagged: false,
  categories: [],
  scores: new Map([['violence', 0.25]]),
};

/** Views of one decision, about this input. */
export function activation(over: Partial<DecisionInput> = {}): Activation {
  const about = input({ guards: new Map([['example', verdict]]), ...over });
  return new Activation(
    { caller: about.caller, model: demo, nowMs: about.nowMs, input: about },
    { callers: new WeakMap(), models: new WeakMap(), categories: new Map() },
  );
}

export class Language {
  readonly #budget: Budget;
  readonly #cel: CelCompiler;

  constructor(options: Omit<CelOptions, 'budget'> = {}, units = 20_000) {
    this.#budget = new Budget(units);
    this.#cel = CelCompiler.create({ guards: ['example'], ...options, budget: this.#budget });
  }

  /** The program, or what is wrong with the expression. */
  compile(expression: string): Program | string {
    const compiled = this.#cel.compile(expression);
    return compiled.ok ? compiled.program : compiled.message;
  }

  /** What an expression comes to: its value, the code of its error, or what is wrong with it. */
  run(expression: string, over: Partial<DecisionInput> = {}): unknown {
    const program = this.compile(expression);
    return typeof program === 'string' ? program : this.evaluate(program, activation(over));
  }

  evaluate(program: Program, about: object): unknown {
    this.#budget.reset();
    try {
      return program.run(about);
    } catch (error) {
      return errorCode(error);
    }
  }
}
