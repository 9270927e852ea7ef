/**
 * What one evaluation may cost, in units of about 0.25 µs: an iteration of a comprehension or an element looked at is one, 512
 * characters of text are one, 32 ASCII characters (10 others) under a regular expression are one.
 */
export class Budget {
  readonly #limit: number;
  #left: number;
  /** Set when the limit was passed. Looked at after every evaluation: `expensive || true` swallows the error itself. */
  tripped = false;

  constructor(limit: number) {
    this.#limit = limit;
    this.#left = limit;
  }

  reset(): void {
    this.#left = this.#limit;
    this.tripped = false;
  }

  /** Runs something with a whole budget of its own; what is left of this one stays. */
  apart<T>(run: () => T): T {
    const [left, tripped] = [this.#left, this.tripped];
    this.reset();
    try {
      return run();
    } finally {
      this.#left = left;
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
