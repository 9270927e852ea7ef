import type { GuardVerdict } from '../decision.ts';
import { FunctionError } from './failure.ts';
import { type FunctionGroup, sources } from './row.ts';

type Verdict = Extract<GuardVerdict, { ok: true }>;

/** What `guard("name")` gives. */
class GuardView {
  readonly #verdict: Verdict;
  constructor(verdict: Verdict) {
    this.#verdict = verdict;
  }
  get flagged(): boolean {
    return this.#verdict.flagged;
  }
  get categories(): readonly string[] {
    return this.#verdict.categories;
  }
  get scores(): ReadonlyMap<string, number> {
    return this.#verdict.scores;
  }
}

/** Throws when the guard failed, or was not asked: the rule that reads it is then in error. */
function verdictOf(guards: ReadonlyMap<string, GuardVerdict>, name: string): GuardView {
  const verdict = guards.get(name);
  if (verdict === undefined) throw new FunctionError('guard_not_asked', 'the guard was not asked');
  if (!verdict.ok) throw new FunctionError('guard_failed', 'the guard could not be asked');
  return new GuardView(verdict);
}

export const guardFunctions: FunctionGroup = {
  title: 'Guards',
  intro:
    'A guard is asked only if a rule in scope of the model calls it. If it fails, the rule is in error: a rule that denies then denies.',
  types: {
    Guard: {
      ctor: GuardView,
      fields: {
        flagged: { type: 'bool', doc: 'whether it objects' },
        categories: { type: 'list<string>', doc: 'to what, in its own words' },
        scores: { type: 'map<string, double>', doc: 'category → 0 … 1, where it gives numbers' },
      },
    },
  },
  rows: [
    {
      name: 'guard',
      doc: 'what the guard of this name (`guards` in the config) says of the request; the name is written out',
      source: sources.own,
      examples: ['!guard("example").flagged && guard("example").categories == []'],
      overloads: [{ signature: 'guard(string): Guard', make: () => verdictOf as (...args: never[]) => unknown }],
      on: ['request', 'response'],
    },
  ],
};
