import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { Budget } from '../budget.ts';
import { celCompare, celEquals } from './equality.ts';
import { checkInt, invalid } from './failure.ts';
import { type FunctionGroup, type Overload, sources } from './row.ts';
import { addDurations } from './time.ts';

type List = readonly unknown[] | ReadonlySet<unknown>;

function order(a: unknown, b: unknown): -1 | 0 | 1 {
  const compared = celCompare(a, b);
  if (compared === undefined) throw invalid('the elements have no order');
  return compared;
}

function isSorted(list: List): boolean {
  const items = [...list];
  return items.every((item, i) => i === 0 || order(items[i - 1], item) <= 0);
}

/** The first of the extremes; `wanted`: -1 for the least, 1 for the greatest. */
export function extreme(list: List, wanted: -1 | 1): unknown {
  const [first, ...rest] = list;
  if (first === undefined) throw invalid('the list is empty');
  order(first, first);
  return rest.reduce((best, item) => (order(item, best) === wanted ? item : best), first);
}

function sumOf(list: List, zero: unknown): unknown {
  return [...list].reduce((sum, item) => add(sum, item), zero);
}

function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'bigint' && typeof b === 'bigint') return checkInt(a + b);
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a instanceof UnsignedInt && b instanceof UnsignedInt) return new UnsignedInt(a.valueOf() + b.valueOf());
  if (a instanceof Duration && b instanceof Duration) return addDurations(a, b, 1n);
  throw invalid('the elements cannot be added');
}

/** Each element that is looked at is paid, and texts by their length. */
function indexOf(list: List, wanted: unknown, budget: Budget, fromEnd: boolean): bigint {
  const items = [...list];
  const at = (item: unknown) => {
    budget.spend(1 + (typeof item === 'string' ? item.length >> 9 : 0));
    return celEquals(item, wanted);
  };
  return BigInt(fromEnd ? items.findLastIndex(at) : items.findIndex(at));
}

/** Whether each element of `inner` is in `outer`. Lists of texts take one pass, others one for each element. */
function containsAll(outer: List, inner: List, budget: Budget): boolean {
  return [...inner].every(memberOf(outer, budget));
}

function memberOf(list: List, budget: Budget): (item: unknown) => boolean {
  const items = [...list];
  if (items.every((item) => typeof item === 'string')) {
    budget.spend(items.length);
    const texts = new Set(items);
    return (item) => texts.has(item as string);
  }
  return (item) => {
    budget.spend(items.length);
    return items.some((other) => celEquals(other, item));
  };
}

const ordered = ['int', 'uint', 'double', 'string', 'bool', 'google.protobuf.Duration', 'google.protobuf.Timestamp'];
const zeros = {
  int: 0n,
  double: 0,
  uint: new UnsignedInt(0),
  'google.protobuf.Duration': new Duration(0),
} satisfies Record<string, unknown>;

const forOrdered = (name: string, returns: (type: string) => string, run: (list: List) => unknown): Overload[] =>
  ordered.map((type) => ({ signature: `list<${type}>.${name}(): ${returns(type)}`, make: () => run }));

export const listFunctions: FunctionGroup = {
  title: 'Lists',
  intro: '',
  rows: [
    {
      name: 'isSorted',
      doc: 'whether no element is less than the one before it',
      source: sources.kubernetes,
      examples: ['[1, 2, 2].isSorted()', '!["b", "a"].isSorted()'],
      overloads: forOrdered('isSorted', () => 'bool', isSorted),
    },
    {
      name: 'sum',
      doc: 'of all elements; 0 of none',
      source: sources.kubernetes,
      examples: [
        '[1, 2, 3].sum() == 6',
        '[0.5, 0.5].sum() == 1.0',
        '[duration("1m"), duration("30s")].sum() == duration("90s")',
      ],
      overloads: Object.entries(zeros).map(([type, zero]) => ({
        signature: `list<${type}>.sum(): ${type}`,
        make: () => (list: List) => sumOf(list, zero),
      })),
    },
    {
      name: 'min',
      doc: 'the least element; an error of an empty list',
      source: sources.kubernetes,
      examples: ['[3, 1, 2].min() == 1', '["b", "a"].min() == "a"'],
      overloads: forOrdered(
        'min',
        (type) => type,
        (list) => extreme(list, -1),
      ),
    },
    {
      name: 'max',
      doc: 'the greatest element; an error of an empty list',
      source: sources.kubernetes,
      examples: ['[3, 1, 2].max() == 3'],
      overloads: forOrdered(
        'max',
        (type) => type,
        (list) => extreme(list, 1),
      ),
    },
    {
      name: 'indexOf',
      doc: 'where the element is first; -1: nowhere',
      source: sources.kubernetes,
      examples: ['["a", "b", "b"].indexOf("b") == 1', '[1, 2].indexOf(3) == -1'],
      overloads: [
        {
          signature: 'list<T>.indexOf(T): int',
          make:
            ({ budget }) =>
            (list: List, wanted: unknown) =>
              indexOf(list, wanted, budget, false),
        },
      ],
    },
    {
      name: 'lastIndexOf',
      doc: 'where the element is last; -1: nowhere',
      source: sources.kubernetes,
      examples: ['["a", "b", "b"].lastIndexOf("b") == 2'],
      overloads: [
        {
          signature: 'list<T>.lastIndexOf(T): int',
          make:
            ({ budget }) =>
            (list: List, wanted: unknown) =>
              indexOf(list, wanted, budget, true),
        },
      ],
    },
  ],
};

export const setFunctions: FunctionGroup = {
  title: 'Sets',
  intro: 'Lists as sets: order and repetition do not count.',
  rows: [
    {
      name: 'sets.contains',
      doc: 'whether every element of the second is in the first',
      source: sources.sets,
      examples: ['sets.contains(["a", "b"], ["b"])', '!sets.contains([1], [1, 2])', 'sets.contains([1], [])'],
      overloads: [
        {
          signature: 'sets.contains(list<T>, list<T>): bool',
          make:
            ({ budget }) =>
            (_: unknown, a: List, b: List) =>
              containsAll(a, b, budget),
        },
      ],
    },
    {
      name: 'sets.equivalent',
      doc: 'whether each has what the other has',
      source: sources.sets,
      examples: ['sets.equivalent(["a", "b"], ["b", "a", "a"])', '!sets.equivalent([1], [2])'],
      overloads: [
        {
          signature: 'sets.equivalent(list<T>, list<T>): bool',
          make:
            ({ budget }) =>
            (_: unknown, a: List, b: List) =>
              containsAll(a, b, budget) && containsAll(b, a, budget),
        },
      ],
    },
    {
      name: 'sets.intersects',
      doc: 'whether they have an element in common',
      source: sources.sets,
      examples: ['sets.intersects(["a", "b"], ["b", "c"])', '!sets.intersects([1], [])'],
      overloads: [
        {
          signature: 'sets.intersects(list<T>, list<T>): bool',
          make:
            ({ budget }) =>
            (_: unknown, a: List, b: List) =>
              [...b].some(memberOf(a, budget)),
        },
      ],
    },
  ],
};
