/**
 * A few names for many detectors: what travels in every plan, which Envoy sends along with each chunk of an answer, and stands
 * in every decision on the record. `[pii, secrets]` instead of three hundred ids.
 */
import { createHash } from 'node:crypto';
import type { Detector } from '../detect/detector.ts';
import type { Operator, Operators } from '../detect/operator.ts';

/** Marks the last of several names: a digest of all ids that they mean, so that another build does not read other ones in them. */
const DIGEST = '#';

export interface DetectorNames {
  /** Names of categories and detectors that together mean these ids, no others: as few as are easily found. */
  shown(ids: readonly string[]): readonly string[];
  /** Names → operator, for people. */
  operators(operators: Operators): Readonly<Record<string, string>>;
  /** The same, good for `expand` alone. */
  compact(ids: readonly string[]): readonly string[];
  /** The ids, sorted; of equal names the same array. Undefined: this build does not mean by them what another did. */
  expand(names: readonly string[]): readonly string[] | undefined;
  /** As `compact`, of operators. */
  compactOperators(operators: Operators): CompactOperators;
  /** As `expand`: of equal operators the same object. */
  expandOperators(sent: CompactOperators): Operators | undefined;
}

/** Operators in a plan: each with the names of its detectors. */
export type CompactOperators = readonly (readonly [Operator, readonly string[]])[];

/** Sets of detectors kept: policies name a handful. */
const MAX_KEPT = 256;

/** `known`: every detector that there is; ids of others are named as they are. */
export function detectorNames(known: readonly Detector[]): DetectorNames {
  const groups = new Map<string, Set<string>>();
  const add = (name: string, id: string) => groups.set(name, (groups.get(name) ?? new Set()).add(id));
  for (const { id, categories } of known) for (const name of ['all', ...categories]) add(name, id);
  const largestFirst = [...groups].sort(([, a], [, b]) => b.size - a.size);
  const namesOf = (ids: readonly string[]): readonly string[] => {
    const left = new Set(ids);
    const all = new Set(ids);
    const names: string[] = [];
    for (const [name, members] of largestFirst) {
      let fresh = 0;
      for (const id of members) fresh += left.has(id) ? 1 : 0;
      // A name for one detector says less than its id.
      if (fresh < 2 || ![...members].every((id) => all.has(id))) continue;
      names.push(name);
      for (const id of members) left.delete(id);
    }
    return [...names, ...[...left].sort()];
  };
  const idsOf = (names: readonly string[]): readonly string[] =>
    [...new Set(names.flatMap((name) => [...(groups.get(name) ?? [name])]))].sort();
  const read = (names: readonly string[]): readonly string[] | undefined => {
    const digest = names.at(-1)?.startsWith(DIGEST) ? names.at(-1) : undefined;
    if (digest === undefined) return names.some((name) => groups.has(name)) ? undefined : names;
    const ids = idsOf(names.slice(0, -1));
    return digest === digestOf(ids) ? ids : undefined;
  };
  const compact = remembered((ids: readonly string[]) => {
    const names = namesOf(ids);
    return names.some((name) => groups.has(name)) ? [...names, digestOf([...ids].sort())] : ids;
  });
  const expand = rememberedBy((names: readonly string[]) => names.join(), read);
  return {
    shown: remembered(namesOf),
    operators: remembered((operators: Operators) =>
      Object.fromEntries(
        operatorsByName(operators, namesOf).flatMap(([{ type }, names]) => names.map((name) => [name, type])),
      ),
    ),
    compact,
    compactOperators: remembered((operators: Operators) => operatorsByName(operators, compact)),
    expand,
    expandOperators: rememberedBy(JSON.stringify, (sent: CompactOperators) => operatorsOf(sent, expand)),
  };
}

/** What was worked out for an object is good as long as there is that object. */
function remembered<K extends object, V>(work: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, { readonly value: V }>();
  return (key) => {
    const kept = known.get(key) ?? { value: work(key) };
    known.set(key, kept);
    return kept.value;
  };
}

/** The same for what arrives as a new object each time: equal ones have the same answer. */
function rememberedBy<K, V>(text: (key: K) => string, work: (key: K) => V): (key: K) => V {
  const known = new Map<string, { readonly value: V }>();
  return (key) => {
    const name = text(key);
    const kept = known.get(name) ?? { value: work(key) };
    if (!known.has(name) && known.size >= MAX_KEPT) known.clear();
    known.set(name, kept);
    return kept.value;
  };
}

const digestOf = (ids: readonly string[]): string =>
  DIGEST + createHash('sha256').update(ids.join()).digest('base64url').slice(0, 12);

/** Operators by name of category or detector: the same operator is said once. */
function operatorsByName(operators: Operators, names: (ids: readonly string[]) => readonly string[]): CompactOperators {
  const groups = new Map<string, { readonly operator: Operator; readonly ids: string[] }>();
  for (const [id, operator] of Object.entries(operators)) {
    const key = JSON.stringify(operator);
    const group = groups.get(key) ?? { operator, ids: [] };
    groups.set(key, group);
    group.ids.push(id);
  }
  return [...groups.values()].map(({ operator, ids }) => [operator, names(ids)] as const);
}

/** The operators of each id again; undefined as `expand`. */
function operatorsOf(compact: CompactOperators, expand: DetectorNames['expand']): Operators | undefined {
  const operators: Record<string, Operator> = {};
  for (const [operator, names] of compact) {
    const ids = expand(names);
    if (ids === undefined) return undefined;
    for (const id of ids) operators[id] = operator;
  }
  return operators;
}
