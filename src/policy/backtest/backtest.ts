/** Recorded sessions under another set of rules, counted: what changes, by verdict, rule, caller and model, with examples. */
import type { Model } from '../../models/model.ts';
import type { PolicySet } from '../decision.ts';
import { type RecordedSession, type RecordedVerdict, type Reread, recordedInput } from './recorded.ts';
import { maskedBy, type Redecision, redecide } from './redecide.ts';
import { type WindowStart, Windows } from './windows.ts';

export interface BacktestOptions {
  /** Ids of the detectors that a name on the record means. Default: itself. */
  readonly expand?: (name: string) => readonly string[];
  readonly set: PolicySet;
  readonly models: readonly Model[];
  /** Epoch milliseconds: the first session is not older. */
  readonly sinceMs: number;
  /** Where the windows of limits begin. */
  readonly windowStart: WindowStart;
  /** Reads a recorded body again; undefined where it cannot be. */
  readonly reread: (recorded: RecordedSession, text: string) => Promise<Reread | undefined>;
  /** Examples of each change that are kept; 3 by default. */
  readonly examples?: number;
}

interface RuleCount {
  readonly rule: string;
  /** Sessions in which it matched then, and would match now. */
  before: number;
  after: number;
  /** Of these: matches now and did not then, and the reverse. */
  newly: number;
  noLonger: number;
  /** Sessions in which it reads what was not kept. */
  unknown: number;
}

interface GroupCount {
  readonly name: string;
  sessions: number;
  changed: number;
  unknown: number;
}

export interface Example {
  readonly session: string;
  readonly at: number;
  readonly caller: string;
  readonly model: string;
  readonly from: RecordedVerdict;
  readonly to: Redecision['verdict'];
  /** Rule that decides now; the first unknown one where it is not known. */
  readonly by: string;
}

export interface BacktestReport {
  readonly revision: string;
  /** Revisions under which the sessions were decided then. */
  readonly revisions: readonly string[];
  readonly sessions: number;
  readonly unchanged: number;
  readonly changed: number;
  readonly unknown: number;
  /** Same verdict, but other detectors are masked in the answer, or by other operators. */
  readonly masksChanged: number;
  readonly verdicts: readonly {
    readonly from: RecordedVerdict;
    readonly to: Redecision['verdict'];
    readonly sessions: number;
  }[];
  readonly rules: readonly Readonly<RuleCount>[];
  readonly callers: readonly Readonly<GroupCount>[];
  readonly models: readonly Readonly<GroupCount>[];
  readonly examples: readonly Example[];
}

/** Rows of callers that a report lists: those of whom most changes. */
const MOST_CALLERS = 1_000;

export class Backtest {
  readonly #options: BacktestOptions;
  readonly #windows: Windows;
  readonly #byName: ReadonlyMap<string, Model>;
  readonly #rules: Map<string, RuleCount>;
  readonly #callers = new Map<string, GroupCount>();
  readonly #models = new Map<string, GroupCount>();
  readonly #verdicts = new Map<string, { from: RecordedVerdict; to: Redecision['verdict']; sessions: number }>();
  readonly #revisions = new Set<string>();
  readonly #examples: Example[] = [];
  #sessions = 0;
  #changed = 0;
  #unknown = 0;
  #masksChanged = 0;

  constructor(options: BacktestOptions) {
    this.#options = options;
    this.#windows = new Windows(options.sinceMs, options.windowStart);
    this.#byName = new Map(options.models.map((model) => [model.name, model]));
    const names = options.set.rules().map(({ policy, rule }) => `${policy}/${rule}`);
    this.#rules = new Map(names.map((rule) => [rule, newRule(rule)]));
  }

  /** Sessions in the order of their time. */
  async add(recorded: RecordedSession): Promise<void> {
    const { request, decision } = recorded;
    const now = await this.#redecide(recorded);
    const from = decision.verdict;
    this.#sessions++;
    this.#revisions.add(decision.revision);
    const outcome =
      now.verdict === 'unknown'
        ? 'unknown'
        : now.verdict !== from
          ? 'changed'
          : sameOrMasks(now, decision, this.#options.expand);
    if (outcome === 'unknown') this.#unknown++;
    if (outcome === 'changed') this.#changed++;
    if (outcome === 'masks') this.#masksChanged++;
    this.#countRules(recorded, now);
    for (const [groups, name] of [
      [this.#callers, `${request.caller.provider}/${request.caller.subject}`],
      [this.#models, request.model],
    ] as const) {
      const group = groups.get(name) ?? { name, sessions: 0, changed: 0, unknown: 0 };
      groups.set(name, group);
      group.sessions++;
      if (outcome === 'changed' || outcome === 'masks') group.changed++;
      if (outcome === 'unknown') group.unknown++;
    }
    if (outcome === 'changed' || outcome === 'unknown') this.#keep(recorded, now);
  }

  report(): BacktestReport {
    const most = (groups: Map<string, GroupCount>) =>
      [...groups.values()].sort((a, b) => b.changed - a.changed || b.unknown - a.unknown || (a.name < b.name ? -1 : 1));
    return {
      revision: this.#options.set.revision,
      revisions: [...this.#revisions].sort(),
      sessions: this.#sessions,
      unchanged: this.#sessions - this.#changed - this.#unknown - this.#masksChanged,
      changed: this.#changed,
      unknown: this.#unknown,
      masksChanged: this.#masksChanged,
      verdicts: [...this.#verdicts.values()].sort((a, b) => b.sessions - a.sessions),
      rules: [...this.#rules.values()],
      callers: most(this.#callers).slice(0, MOST_CALLERS),
      models: most(this.#models),
      examples: this.#examples,
    };
  }

  async #redecide(recorded: RecordedSession): Promise<Redecision> {
    const { request, text, usedTokens } = recorded;
    const model = this.#byName.get(request.model);
    // Its labels and its team decide, and nobody knows them any more.
    if (model === undefined) return { verdict: 'unknown', by: '', matched: [], unknown: [], mask: undefined };
    const reread = text === undefined ? undefined : await this.#options.reread(recorded, text);
    const tokens = usedTokens ?? request.tokens;
    return redecide(this.#options.set, recordedInput(recorded, model, reread), ({ limits }) =>
      this.#windows.charge(limits, tokens, request.at),
    );
  }

  /** Also rules that are there no longer. */
  #countRules({ decision }: RecordedSession, now: Redecision): void {
    const before = new Set(
      decision.rules.filter(({ error }) => error === undefined).map(({ policy, rule }) => `${policy}/${rule}`),
    );
    const after = new Set(now.matched.map(({ policy, rule }) => `${policy}/${rule}`));
    const unknown = new Set(now.unknown.map(({ policy, rule }) => `${policy}/${rule}`));
    for (const rule of new Set([...before, ...after, ...unknown])) {
      const count = this.#rules.get(rule) ?? newRule(rule);
      this.#rules.set(rule, count);
      if (before.has(rule)) count.before++;
      if (unknown.has(rule)) {
        count.unknown++;
        continue;
      }
      if (after.has(rule)) count.after++;
      if (after.has(rule) && !before.has(rule)) count.newly++;
      if (before.has(rule) && !after.has(rule)) count.noLonger++;
    }
  }

  #keep({ session, request, decision }: RecordedSession, now: Redecision): void {
    const from = decision.verdict;
    const to = now.verdict;
    const key = `${from} ${to}`;
    const verdict = this.#verdicts.get(key) ?? { from, to, sessions: 0 };
    verdict.sessions++;
    this.#verdicts.set(key, verdict);
    if (verdict.sessions > (this.#options.examples ?? 3)) return;
    const [first] = now.unknown;
    const by = to === 'unknown' && first !== undefined ? `${first.policy}/${first.rule}` : now.by;
    const caller = `${request.caller.provider}/${request.caller.subject}`;
    this.#examples.push({ session, at: request.at, caller, model: request.model, from, to, by });
  }
}

const newRule = (rule: string): RuleCount => ({ rule, before: 0, after: 0, newly: 0, noLonger: 0, unknown: 0 });

function sameOrMasks(
  { verdict, mask }: Redecision,
  decision: RecordedSession['decision'],
  expand: BacktestOptions['expand'] = (name) => [name],
): 'same' | 'masks' | 'unknown' {
  if (verdict !== 'allow') return 'same';
  if (mask === undefined) return 'unknown';
  const { maskResponse, operators } = decision;
  // The record names categories, where all of one are masked.
  const byOperator = new Map(
    Object.entries(operators?.response ?? {}).flatMap(([name, type]) => expand(name).map((id) => [id, type] as const)),
  );
  const ids = [...new Set(maskResponse.flatMap((name) => expand(name)))].sort();
  const before = ids.map((id) => maskedBy(id, byOperator.get(id)));
  return mask.join() === before.join() ? 'same' : 'masks';
}
