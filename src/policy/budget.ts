/** The rules of one decision together may cost this many times what one evaluation may. */
export const DECISION_EVALUATIONS = 10;

/** What is left for the rules of one decision, in units of Budget. */
export class DecisionBudget {
  #left: number;

  constructor(evaluation: Budget) {
    this.#left = DECISION_EVALUATIONS * evaluation.limit;
  }

  get left(): number {
    return this.#left;
  }

  /** Whether there was not enough: what has been decided is not all that the rules say. */
  isSpent = false;

  take(units: number): void {
    this.#left -= units;
  }
}

/**
 * What one evaluation may cost, in units of about 0.1 µs to 1 µs: an iteration of a comprehension or an element looked at is
 * one, 512 characters of text are one, 8 characters under a regular expression are one.
 */
export class Budget {
  /** Units of one evaluation. */
  readonly limit: number;
  #left: number;
  /** What the evaluation began with. */
  #granted: number;
  #decision: DecisionBudget | undefined;
  /** Set when the limit was passed. Looked at after every evaluation: `expensive || true` swallows the error itself. */
  tripped = false;

  constructor(limit: number) {
    this.limit = limit;
    this.#left = limit;
    this.#granted = limit;
  }

  /** Begins an evaluation that is part of no decision. */
  reset(): void {
    this.#decision = undefined;
    this.#begin();
  }

  /** Runs an evaluation of a decision: it costs the decision what it spends, and has no more than that has left. */
  within<T>(decision: DecisionBudget, run: () => T): T {
    this.#decision = decision;
    this.#begin();
    try {
      return run();
    } finally {
      this.#end();
    }
  }

  /** Runs something with a whole budget of its own, paid by the same decision; what is left of this one stays. */
  apart<T>(run: () => T): T {
    const [left, granted, tripped] = [this.#left, this.#granted, this.tripped];
    this.#begin();
    try {
      return run();
    } finally {
      this.#end();
      this.#left = left;
      this.#granted = granted;
      this.tripped = tripped;
    }
  }

  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) this.trip();
  }

  trip(): never {
    this.tripped = true;
    throw new BudgetExceeded();
  }

  #begin(): void {
    const left = this.#decision?.left ?? this.limit;
    this.#granted = left < this.limit ? Math.max(0, left) : this.limit;
    this.#left = this.#granted;
    this.tripped = false;
  }

  /** Of what was asked for beyond the end, nothing has been done. */
  #end(): void {
    const decision = this.#decision;
    if (decision === undefined) return;
    decision.take(this.#granted - Math.max(0, this.#left));
    if (this.tripped && this.#granted < this.limit) decision.isSpent = true;
  }
}

export class BudgetExceeded extends Error {
  readonly code = 'budget_exceeded';
  constructor() {
    super('the evaluation costs too much');
  }
}

/** Units for looking at a value once. */
export function unitsOf(value: unknown): number {
  if (typeof value === 'string') return value.length >> 9;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map || value instanceof Set) return value.size;
  return value instanceof Uint8Array ? value.length >> 9 : 0;
}

/** Units for looking at all of a value, elements of lists and maps too. */
export function deepUnitsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return unitsOf(value);
  let units = unitsOf(value);
  if (Array.isArray(value) || value instanceof Set) for (const item of value) units += deepUnitsOf(item);
  else if (value instanceof Map) for (const item of value.values()) units += deepUnitsOf(item);
  return units;
}
