import type { Accept, Nfa } from './nfa.ts';
import type { Edge } from './pattern.ts';

/** Flags in the low bits of a state: what there is to do when it is entered. */
export const ACCEPTS = 1;
/** Accepts if a word boundary (or none) follows: known with the next symbol. */
export const ACCEPTS_AT_EDGE = 2;
export const OPENS = 4;
/** Nothing can follow: the match, if there is one, is as long as it gets. */
export const FINAL = 8;
const FLAG_BITS = 4;

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
  #sets: (readonly number[])[] = [];
  #accepts: (readonly number[])[] = [];
  #edges: (readonly Accept[])[] = [];
  #ids = new Map<string, number>();

  constructor(parts: DfaParts) {
    this.#parts = parts;
    const columnBits = Math.ceil(Math.log2(parts.word.length));
    this.#stride = 1 << columnBits;
    this.#shift = columnBits + FLAG_BITS;
    this.#table = new Int32Array(Math.min(64, parts.maxStates) * this.#stride);
    this.#starts = new Int32Array(2 * this.#stride);
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
  edgesOf(state: number): readonly Accept[] {
    return this.#edges[state >> this.#shift]!;
  }

  setOf(state: number): readonly number[] {
    return this.#sets[state >> this.#shift]!;
  }

  /** The number of the state with this set, in the present generation. */
  resume(set: readonly number[]): number {
    return this.#intern(set);
  }

  #workOutStart(afterWord: number, symbol: number): number {
    const reached = new Set<number>();
    const boundary = this.#parts.word[symbol] !== afterWord;
    for (const { left, states } of this.#parts.starts)
      if (left === 'none' || (left === 'boundary') === boundary) this.#read(states, symbol, reached);
    const next = this.#internUnsorted(reached);
    this.#starts[afterWord * this.#stride + symbol] = next;
    return next;
  }

  #workOut(state: number, symbol: number): number {
    const generation = this.generation;
    const reached = new Set<number>();
    this.#read(this.setOf(state), symbol, reached);
    const next = this.#internUnsorted(reached);
    if (generation === this.generation) this.#table[(state >> FLAG_BITS) + symbol] = next;
    return next;
  }

  #read(states: readonly number[], symbol: number, reached: Set<number>): void {
    const { nfa, classReads } = this.#parts;
    for (const state of states)
      if (classReads[state]?.[symbol] === 1) for (const next of nfa.closure(nfa.target[state]!)) reached.add(next);
  }

  #internUnsorted(reached: ReadonlySet<number>): number {
    return reached.size === 0 ? DEAD : this.#intern([...reached].sort((a, b) => a - b));
  }

  #intern(set: readonly number[]): number {
    const key = set.join();
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    if (this.#sets.length >= this.#parts.maxStates) this.#drop();
    const index = this.#sets.length;
    this.#grow(index + 1);
    const { nfa, openers, classReads } = this.#parts;
    const accepted = set.flatMap((state) => nfa.accept[state] ?? []);
    const accepts = [...new Set(accepted.filter(({ right }) => right === 'none').map(({ rule }) => rule))];
    // One entry a rule and side: several alternatives of a pattern may end here.
    const edges = accepted.filter(
      ({ rule, right }, i) =>
        right !== 'none' && accepted.findIndex((other) => other.rule === rule && other.right === right) === i,
    );
    const flags =
      (accepts.length > 0 ? ACCEPTS : 0) |
      (edges.length > 0 ? ACCEPTS_AT_EDGE : 0) |
      (accepts.some((rule) => openers.has(rule)) ? OPENS : 0) |
      (set.every((state) => classReads[state] === undefined) ? FINAL : 0);
    this.#sets.push(set);
    this.#accepts.push(accepts);
    this.#edges.push(edges);
    const state = (index << this.#shift) | flags;
    this.#ids.set(key, state);
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
    this.#sets = [[]];
    this.#accepts = [[]];
    this.#edges = [[]];
    this.#ids = new Map();
    this.#table.fill(DEAD, 0, this.#stride);
    this.#starts.fill(UNKNOWN);
  }
}
