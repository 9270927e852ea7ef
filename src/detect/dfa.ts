import type { Nfa } from './nfa.ts';
import type { Edge } from './pattern.ts';

/** Flags in the low bits of a state: what there is to do when it is entered. */
export const ACCEPTS = 1;
/** Accepts if a word boundary (or none) follows: known with the next symbol. */
export const ACCEPTS_AT_EDGE = 2;
export const OPENS = 4;
/** Nothing can follow: the match, if there is one, is as long as it gets. */
export const FINAL = 8;
const FLAG_BITS = 4;

/** A rule that accepts if this follows. */
export interface Accepted {
  readonly rule: number;
  readonly right: Edge;
}

/** No match can continue. */
export const DEAD = 0;
const UNKNOWN = -1;

export interface DfaParts {
  readonly nfa: Nfa;
  readonly starts: readonly { readonly left: Edge; readonly states: readonly number[] }[];
  /** Rules that are conclusive openers. */
  readonly openers: ReadonlySet<number>;
  readonly word: Uint8Array;
  /** Per NFA state: the classes that it reads. */
  readonly classReads: readonly (Uint8Array | undefined)[];
  readonly maxStates: number;
}

/**
 * The lazy DFA: transitions are worked out when they are first taken, and dropped when there are `maxStates` of them.
 * A state is a number, its row's offset and its flags; it is good only within one `generation`. Whoever keeps a state
 * across calls keeps its NFA set (`setOf`) too, and asks `resume` for its number afterwards.
 */
export class Dfa {
  generation = 0;
  readonly #parts: DfaParts;
  /** Columns in a row: the number of classes, rounded up to a power of two. */
  readonly #stride: number;
  /** A state, shifted right by this, is its index. */
  readonly #shift: number;
  #table: Int32Array;
  // Two rows: a match that begins after a non-word character (or at the start of the text), and after a word character.
  readonly #starts: Int32Array;
  #sets: Int32Array[] = [];
  #accepts: (readonly number[])[] = [];
  #edges: (readonly Accepted[])[] = [];
  /** Hash of a set → the states of such sets. */
  #ids = new Map<number, number[]>();
  // Of the set that is being put together: which states are in it, by the stamp of this time.
  readonly #marks: Int32Array;
  readonly #targets: Int32Array;
  #reached = 0;
  #stamp = 0;

  constructor(parts: DfaParts) {
    this.#parts = parts;
    const columnBits = Math.ceil(Math.log2(parts.word.length));
    this.#stride = 1 << columnBits;
    this.#shift = columnBits + FLAG_BITS;
    this.#table = new Int32Array(Math.min(64, parts.maxStates) * this.#stride);
    this.#starts = new Int32Array(2 * this.#stride);
    this.#marks = new Int32Array(parts.nfa.size);
    this.#targets = new Int32Array(parts.nfa.size);
    this.#drop();
  }

  /** States worked out at present, the dead one included. */
  get states(): number {
    return this.#sets.length;
  }

  /** The state after reading a symbol of class `symbol` where a match may begin; `afterWord` is 0 or 1. */
  begin(afterWord: number, symbol: number): number {
    const next = this.#starts[afterWord * this.#stride + symbol]!;
    return next !== UNKNOWN ? next : this.#workOutStart(afterWord, symbol);
  }

  /** The state after reading one more symbol. May end the generation: the state given is then no longer good. */
  step(state: number, symbol: number): number {
    const next = this.#table[(state >> FLAG_BITS) + symbol]!;
    return next !== UNKNOWN ? next : this.#workOut(state, symbol);
  }

  /** Rules accepted in this state, whatever follows. */
  acceptsOf(state: number): readonly number[] {
    return this.#accepts[state >> this.#shift]!;
  }

  /** Rules accepted if the right thing follows. */
  edgesOf(state: number): readonly Accepted[] {
    return this.#edges[state >> this.#shift]!;
  }

  setOf(state: number): Int32Array {
    return this.#sets[state >> this.#shift]!;
  }

  /** The number of the state with this set, in the present generation. */
  resume(set: Int32Array): number {
    return set.length === 0 ? DEAD : this.#intern(set);
  }

  #workOutStart(afterWord: number, symbol: number): number {
    const boundary = this.#parts.word[symbol] !== afterWord;
    this.#reached = 0;
    this.#stamp++;
    for (const { left, states } of this.#parts.starts)
      if (left === 'none' || (left === 'boundary') === boundary) this.#read(states, symbol);
    const next = this.#internReached();
    this.#starts[afterWord * this.#stride + symbol] = next;
    return next;
  }

  #workOut(state: number, symbol: number): number {
    const generation = this.generation;
    this.#reached = 0;
    this.#stamp++;
    this.#read(this.setOf(state), symbol);
    const next = this.#internReached();
    if (generation === this.generation) this.#table[(state >> FLAG_BITS) + symbol] = next;
    return next;
  }

  /** Adds what is reached from these states to the first `#reached` of `#targets`, each once. */
  #read(states: Iterable<number>, symbol: number): void {
    const { nfa, classReads } = this.#parts;
    const marks = this.#marks;
    const stamp = this.#stamp;
    for (const state of states) {
      if (classReads[state]?.[symbol] !== 1) continue;
      for (const next of nfa.closure(nfa.target[state]!)) {
        if (marks[next] === stamp) continue;
        marks[next] = stamp;
        this.#targets[this.#reached++] = next;
      }
    }
  }

  #internReached(): number {
    return this.#reached === 0 ? DEAD : this.#intern(this.#targets.slice(0, this.#reached).sort());
  }

  /** The state of a sorted set. */
  #intern(set: Int32Array): number {
    let hash = set.length;
    for (const state of set) hash = Math.imul(hash ^ state, 0x01000193) ^ (hash >>> 15);
    const same = this.#ids.get(hash)?.find((state) => isSame(this.setOf(state), set));
    if (same !== undefined) return same;
    if (this.#sets.length >= this.#parts.maxStates) this.#drop();
    const index = this.#sets.length;
    this.#grow(index + 1);
    const { nfa, openers, classReads } = this.#parts;
    const accepts = new Set<number>();
    // One entry a rule and side: several alternatives of a pattern may end here.
    const edges: Accepted[] = [];
    let isFinal = true;
    for (const state of set) {
      isFinal &&= classReads[state] === undefined;
      const accept = nfa.accept[state];
      if (accept === undefined) continue;
      const { rules, right } = accept;
      for (const rule of rules)
        if (right === 'none') accepts.add(rule);
        else if (!edges.some((edge) => edge.rule === rule && edge.right === right)) edges.push({ rule, right });
    }
    const all = [...accepts];
    const flags =
      (all.length > 0 ? ACCEPTS : 0) |
      (edges.length > 0 ? ACCEPTS_AT_EDGE : 0) |
      (all.some((rule) => openers.has(rule)) ? OPENS : 0) |
      (isFinal ? FINAL : 0);
    this.#sets.push(set);
    this.#accepts.push(all);
    this.#edges.push(edges);
    const state = (index << this.#shift) | flags;
    const bucket = this.#ids.get(hash);
    if (bucket === undefined) this.#ids.set(hash, [state]);
    else bucket.push(state);
    return state;
  }

  #grow(states: number): void {
    const size = states * this.#stride;
    if (size > this.#table.length) {
      const larger = new Int32Array(Math.min(this.#parts.maxStates, states * 2) * this.#stride);
      larger.set(this.#table);
      this.#table = larger;
    }
    this.#table.fill(UNKNOWN, size - this.#stride, size);
  }

  #drop(): void {
    this.generation++;
    this.#sets = [new Int32Array(0)];
    this.#accepts = [[]];
    this.#edges = [[]];
    this.#ids = new Map();
    this.#table.fill(DEAD, 0, this.#stride);
    this.#starts.fill(UNKNOWN);
  }
}

function isSame(one: Int32Array, other: Int32Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
