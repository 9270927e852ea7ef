/**
 * Aho–Corasick over UTF-16 units: all phrases of all lists in one pass, however many there are (Aho and Corasick, 1975). The
 * nodes are numbered level by level, so that the children of one are neighbours in order of their characters: 22 bytes a
 * node, no object for any.
 */

/** Nodes built in one step: some tenths of a millisecond. */
const STEP = 2048;
const UNITS_TOGETHER = 65_536;

/** Phrases, one behind the other: a hundred thousand strings would be more work than all the rest. */
export class PhraseList {
  /** All their units. */
  units = new Uint16Array(1024);
  /** Per phrase, and behind the last: where it begins in `units`. */
  starts = new Int32Array(256);
  /** Per phrase: which list it is of, from 0. */
  lists = new Uint16Array(256);
  count = 0;

  /** Units of all phrases together. */
  get length(): number {
    return this.starts[this.count]!;
  }

  /** Adds the units between two offsets, at least one. */
  add(units: Uint16Array, from: number, to: number, list: number): void {
    const { count, length } = this;
    if (count + 2 > this.starts.length) {
      this.starts = grown(new Int32Array(2 * count + 2), this.starts);
      this.lists = grown(new Uint16Array(2 * count + 2), this.lists);
    }
    if (length + to - from > this.units.length)
      this.units = grown(new Uint16Array(2 * (length + to - from)), this.units);
    this.units.set(units.subarray(from, to), length);
    this.lists[count] = list;
    this.starts[++this.count] = length + to - from;
  }
}

function grown<T extends Int32Array | Uint16Array>(larger: T, old: T): T {
  larger.set(old);
  return larger;
}

type Steps<T> = Generator<undefined, T, undefined>;

export class Phrases {
  readonly nodes: number;
  /** Unit to class; 0: in no phrase. */
  readonly #classes: Uint16Array;
  /** Per class: the child of the root, or the root. */
  readonly #roots: Int32Array;
  /** Per node: its first child; its last is before the next node's first. */
  readonly #children: Int32Array;
  /** Per node: the class that leads to it. */
  readonly #labels: Uint16Array;
  /** Per node: the longest other one whose text is the end of its text. */
  readonly #fails: Int32Array;
  /** Per node: itself or the next one down its fails at which a phrase ends; 0: none. */
  readonly #reports: Int32Array;
  /** Per node: the first entry of `#lists` for it, +1. */
  readonly #ends: Int32Array;
  /** Chains of lists: list, next entry +1. */
  readonly #lists: Int32Array;

  private constructor(trie: Trie, fails: Int32Array, reports: Int32Array) {
    this.nodes = trie.nodes;
    this.#classes = trie.classes;
    this.#children = trie.children;
    this.#labels = trie.labels;
    this.#ends = trie.ends;
    this.#lists = trie.lists;
    this.#fails = fails;
    this.#reports = reports;
    this.#roots = new Int32Array(trie.classCount);
    for (let node = trie.children[0]!; node < trie.children[1]!; node++) this.#roots[trie.labels[node]!] = node;
  }

  /** Builds it in steps: a hundred thousand phrases take some tenths of a second. */
  static *of(phrases: PhraseList): Steps<Phrases> {
    const trie = yield* buildTrie(phrases);
    const fails = new Int32Array(trie.nodes);
    const reports = new Int32Array(trie.nodes);
    const built = new Phrases(trie, fails, reports);
    for (let node = 1; node < trie.nodes; node++) {
      const parent = trie.parents[node]!;
      const fail = parent === 0 ? 0 : built.#step(fails[parent]!, trie.labels[node]!);
      fails[node] = fail;
      reports[node] = trie.ends[node]! !== 0 ? node : reports[fail]!;
      if (node % STEP === 0) yield;
    }
    return built;
  }

  /** Goes on from a state (0 at the beginning) over units; adds each phrase that ends there to its list's count. */
  run(state: number, units: Uint16Array, length: number, counts: Int32Array): number {
    const classes = this.#classes;
    const reports = this.#reports;
    let at = state;
    for (let i = 0; i < length; i++) {
      const label = classes[units[i]!]!;
      at = label === 0 ? 0 : this.#step(at, label);
      if (reports[at] !== 0) this.#report(reports[at]!, counts);
    }
    return at;
  }

  #step(from: number, label: number): number {
    const children = this.#children;
    const labels = this.#labels;
    let node = from;
    while (node !== 0) {
      let low = children[node]!;
      let high = children[node + 1]!;
      while (high - low > 4) {
        const middle = (low + high) >> 1;
        if (labels[middle]! <= label) low = middle;
        else high = middle;
      }
      for (; low < high; low++) if (labels[low] === label) return low;
      node = this.#fails[node]!;
    }
    return this.#roots[label]!;
  }

  #report(first: number, counts: Int32Array): void {
    for (let node = first; node !== 0; node = this.#reports[this.#fails[node]!]!)
      for (let entry = this.#ends[node]!; entry !== 0; entry = this.#lists[2 * entry - 1]!)
        counts[this.#lists[2 * entry - 2]!]!++;
  }
}

interface Trie {
  readonly nodes: number;
  readonly classes: Uint16Array;
  /** Classes, 0 included. */
  readonly classCount: number;
  readonly children: Int32Array;
  readonly labels: Uint16Array;
  readonly parents: Int32Array;
  readonly ends: Int32Array;
  readonly lists: Int32Array;
}

/** Level by level: what is in a node is a row of `order`, which is put in order of the next character, for its children. */
function* buildTrie(phrases: PhraseList): Steps<Trie> {
  const { starts, count } = phrases;
  const { classes, classCount, texts } = yield* classify(phrases);
  yield;
  const most = texts.length + 2;
  const children = new Int32Array(most + 1);
  const labels = new Uint16Array(most);
  const parents = new Int32Array(most);
  const ends = new Int32Array(most);
  const lists = new Int32Array(2 * count);
  // Per node, while it waits: its row, and how deep it is.
  const from = new Int32Array(most);
  const to = new Int32Array(most);
  const depths = new Uint16Array(most);
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  const bins = new Bins(classCount, count);
  yield;
  let nodes = 1;
  let entries = 0;
  to[0] = count;
  let work = 0;
  for (let node = 0; node < nodes; node++) {
    const depth = depths[node]!;
    children[node] = nodes;
    let first = from[node]!;
    const last = to[node]!;
    // Phrases that end here go to the front of the row, and out of it.
    for (let i = first; i < last; i++) {
      const phrase = order[i]!;
      if (starts[phrase]! + depth < starts[phrase + 1]!) continue;
      order[i] = order[first]!;
      order[first++] = phrase;
      const list = phrases.lists[phrase]!;
      if (isIn(lists, ends[node]!, list)) continue;
      lists[2 * entries] = list;
      lists[2 * entries + 1] = ends[node]!;
      ends[node] = ++entries;
    }
    const isLarge = last - first > STEP;
    if (isLarge) yield;
    bins.sort(order, first, last, (phrase) => texts[starts[phrase]! + depth]!);
    if (isLarge) yield;
    for (let i = first; i < last; i++) {
      const label = texts[starts[order[i]!]! + depth]!;
      if (i === first || label !== labels[nodes - 1]) {
        labels[nodes] = label;
        parents[nodes] = node;
        depths[nodes] = depth + 1;
        from[nodes++] = i;
      }
      to[nodes - 1] = i + 1;
    }
    work += 8 + last - from[node]!;
    if (work < STEP) continue;
    work = 0;
    yield;
  }
  children[nodes] = nodes;
  return {
    nodes,
    classes,
    classCount,
    children: children.subarray(0, nodes + 1),
    labels: labels.subarray(0, nodes),
    parents,
    ends: ends.subarray(0, nodes),
    lists,
  };
}

/** Whether a chain has a list: the same phrase may be in a list twice. */
function isIn(lists: Int32Array, first: number, list: number): boolean {
  for (let entry = first; entry !== 0; entry = lists[2 * entry - 1]!) if (lists[2 * entry - 2] === list) return true;
  return false;
}

/** Each character that is in a phrase becomes a number. */
function* classify({ units, length }: PhraseList) {
  const classes = new Uint16Array(0x10000);
  const texts = new Uint16Array(length);
  let classCount = 1;
  for (let at = 0; at < length; at++) {
    const unit = units[at]!;
    if (classes[unit] === 0) classes[unit] = classCount++;
    texts[at] = classes[unit]!;
    if (at % UNITS_TOGETHER === UNITS_TOGETHER - 1) yield;
  }
  return { classes, classCount, texts };
}

/** Puts rows in order by small numbers. */
class Bins {
  readonly #counts: Int32Array;
  readonly #spare: Int32Array;

  constructor(classCount: number, most: number) {
    this.#counts = new Int32Array(classCount + 1);
    this.#spare = new Int32Array(most);
  }

  sort(order: Int32Array, from: number, to: number, keyOf: (item: number) => number): void {
    if (to - from < 2) return;
    if (to - from < this.#counts.length) {
      order.subarray(from, to).sort((a, b) => keyOf(a) - keyOf(b));
      return;
    }
    const counts = this.#counts.fill(0);
    for (let i = from; i < to; i++) counts[keyOf(order[i]!) + 1]!++;
    for (let i = 1; i < counts.length; i++) counts[i]! += counts[i - 1]!;
    for (let i = from; i < to; i++) this.#spare[counts[keyOf(order[i]!)]!++] = order[i]!;
    order.set(this.#spare.subarray(0, to - from), from);
  }
}
