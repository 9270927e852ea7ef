import type { RE2JS } from '@bufbuild/re2';
import type { Budget } from '../budget.ts';

export type Program = ReturnType<RE2JS['re2']>['prog'];
export type Instruction = ReturnType<Program['getInst']>;

/** The opcodes of @bufbuild/re2's programs (its Inst.ts; version pinned, test/property/policy-functions.test.ts fails if they move). */
export const op = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  match: 6,
  nop: 7,
  firstRune: 8,
  anyRune: 10,
  anyButNewline: 11,
};
/** Conditions of `emptyWidth` (RE2 syntax: `(?m)^`, `(?m)$`, `^`, `$`, `\b`, `\B`). */
const at = { beginLine: 1, endLine: 2, beginText: 4, endText: 8, wordBoundary: 16, noWordBoundary: 32 };

/** Kinds of characters that the conditions tell apart, and the ends of a text. */
const kind = { other: 0, word: 1, newline: 2, none: 3 };

/** States that are kept, about 1 kB each, classes of characters, and characters. At the bound they are worked out anew. */
const maxStates = 1000;
const maxClasses = 1000;
const maxWide = 20_000;
/** Costs are counted in 32ths of a unit: an ASCII character (8 ns) is one, another (looked up in a table) is more. */
const costOfWide = 3;
const costPaidAtOnce = 2048;

interface State {
  /** Instructions that read a character, or wait for a condition; in order. */
  readonly pcs: Int32Array;
  /** Kind of the character before. */
  readonly before: number;
  /** By class of the next character. */
  readonly next: State[];
  /** Whether a text that ends here matches. */
  end: boolean | undefined;
}

const outcome = (): State => ({ pcs: new Int32Array(), before: kind.none, next: [], end: undefined });
const MATCHED = outcome();
const HOPELESS = outcome();

/**
 * Whether a program of RE2 matches somewhere in a text: a lazy DFA, one table lookup a character (RE2's own takes ten times as
 * long where there is a `\b`). What is worked out is paid from the budget by what it takes, and kept for later texts.
 */
export class LazyAutomaton {
  readonly #program: Program;
  readonly #budget: Budget;
  /** Instructions that read different characters, and which of them each instruction is (-1: it reads none). */
  readonly #readers: Instruction[] = [];
  readonly #readerOf: Int32Array;
  // The closure under way: when each instruction was seen last, and those that stay.
  readonly #seen: Int32Array;
  #round = 0;
  readonly #reached: number[] = [];
  #hasMatched = false;
  #visited = 0;

  readonly #states = new Map<string, State>();
  #first: State | undefined;
  readonly #classes = new Map<string, number>();
  /** By class: the kind, and what each reader says. */
  #kinds: number[] = [];
  #accepts: Uint8Array[] = [];
  /** By class: whether a match may begin with it. */
  #begins: boolean[] = [];
  readonly #ascii = new Int16Array(128).fill(-1);
  readonly #wide = new Map<number, number>();

  constructor(program: Program, budget: Budget) {
    this.#program = program;
    this.#budget = budget;
    const size = program.numInst();
    this.#seen = new Int32Array(size);
    this.#readerOf = new Int32Array(size).fill(-1);
    const known = new Map<string, number>();
    for (let pc = 0; pc < size; pc++) {
      const inst = program.getInst(pc);
      if (!readsRune(inst)) continue;
      const key = `${inst.op} ${inst.arg} ${inst.runes.join()}`;
      if (!known.has(key)) known.set(key, this.#readers.push(inst) - 1);
      this.#readerOf[pc] = known.get(key)!;
    }
  }

  test(text: string): boolean {
    const ascii = this.#ascii;
    let state = this.#begin();
    let cost = 0;
    for (let i = 0; i < text.length && state !== MATCHED && state !== HOPELESS; i++) {
      const unit = text.charCodeAt(i);
      let label: number;
      if (unit < 128) {
        label = ascii[unit]!;
        if (label < 0) label = this.#asciiClass(unit);
        cost++;
      } else {
        const rune = text.codePointAt(i)!;
        if (rune > 0xffff) i++;
        label = this.#wide.get(rune) ?? this.#wideClass(rune);
        cost += costOfWide;
      }
      if (cost > costPaidAtOnce) {
        this.#budget.spend(cost >> 5);
        cost = 0;
      }
      state = state.next[label] ?? this.#workOut(state, label);
    }
    this.#budget.spend(1 + (cost >> 5));
    if (state === MATCHED || state === HOPELESS) return state === MATCHED;
    state.end ??= this.#resolve(state, kind.none) || this.#hasMatched;
    return state.end;
  }

  /** Whether a match may begin with a character. True of all where it may be empty. */
  canBegin(rune: number): boolean {
    const known = rune < 128 ? this.#ascii[rune]! : (this.#wide.get(rune) ?? -1);
    const label = known >= 0 ? known : rune < 128 ? this.#asciiClass(rune) : this.#wideClass(rune);
    let begins = this.#begins[label];
    if (begins === undefined) {
      const accepts = this.#accepts[label]!;
      this.#open();
      this.#close(this.#program.start, ~0, true);
      begins = this.#hasMatched || this.#reached.some((pc) => accepts[this.#readerOf[pc]!] === 1);
      this.#begins[label] = begins;
    }
    return begins;
  }

  #begin(): State {
    if (this.#kinds.length > maxClasses) this.#forget();
    if (this.#first !== undefined) return this.#first;
    this.#open();
    this.#close(this.#program.start, 0, false);
    this.#first = this.#hasMatched ? MATCHED : this.#intern(kind.none, true);
    return this.#first;
  }

  #workOut(state: State, label: number): State {
    const accepts = this.#accepts[label]!;
    const before = this.#kinds[label]!;
    this.#visited = 0;
    let next = MATCHED;
    if (!this.#resolve(state, before)) {
      const reading = this.#reached.slice();
      this.#open();
      for (const pc of reading)
        if (accepts[this.#readerOf[pc]!] === 1) this.#close(this.#program.getInst(pc).out, 0, false);
      this.#close(this.#program.start, 0, false);
      if (!this.#hasMatched) next = this.#intern(before, false);
    }
    // Even where it is more than is left: the next ones are not worked out then.
    this.#budget.spend(2 + (this.#visited >> 1));
    state.next[label] = next;
    return next;
  }

  /** Follows the conditions of a state that hold before a character of a kind. True: that is a match. */
  #resolve(state: State, behind: number): boolean {
    const flags = conditions(state.before, behind);
    this.#open();
    for (const pc of state.pcs) this.#close(pc, flags, true);
    return this.#hasMatched;
  }

  #open(): void {
    this.#round++;
    this.#reached.length = 0;
    this.#hasMatched = false;
  }

  /** What is reached without reading; `isKnown`: `flags` says which conditions hold, else they wait. */
  #close(first: number, flags: number, isKnown: boolean): void {
    const stack = [first];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      if (this.#seen[pc] === this.#round) continue;
      this.#seen[pc] = this.#round;
      this.#visited++;
      const inst = this.#program.getInst(pc);
      if (inst.op === op.alt || inst.op === op.altMatch) stack.push(inst.arg, inst.out);
      else if (inst.op === op.capture || inst.op === op.nop) stack.push(inst.out);
      else if (inst.op === op.match) this.#hasMatched = true;
      else if (inst.op === op.emptyWidth && isKnown) {
        if ((inst.arg & ~flags) === 0) stack.push(inst.out);
      } else if (inst.op === op.emptyWidth || this.#readerOf[pc]! >= 0) this.#reached.push(pc);
    }
  }

  /** The state of what was reached. Behind the first character nothing waits for the beginning any more. */
  #intern(before: number, isFirst: boolean): State {
    const { inst } = this.#program;
    const waits = (pc: number) => inst[pc]!.op === op.emptyWidth;
    const hasPassed = (pc: number) => !isFirst && waits(pc) && (inst[pc]!.arg & at.beginText) !== 0;
    const pcs = Int32Array.from(this.#reached.filter((pc) => !hasPassed(pc))).sort();
    if (pcs.length === 0) return HOPELESS;
    // Where nothing waits, it does not matter what was before.
    const seenBefore = pcs.some(waits) ? before : kind.other;
    const key = `${seenBefore} ${pcs.join()}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size >= maxStates) {
        this.#states.clear();
        this.#first = undefined;
      }
      state = { pcs, before: seenBefore, next: [], end: undefined };
      this.#states.set(key, state);
    }
    return state;
  }

  /** All classes, and the states that lead on by them. */
  #forget(): void {
    this.#first = undefined;
    this.#states.clear();
    this.#classes.clear();
    this.#kinds = [];
    this.#accepts = [];
    this.#begins = [];
    this.#ascii.fill(-1);
    this.#wide.clear();
  }

  #asciiClass(unit: number): number {
    const label = this.#classOf(unit);
    this.#ascii[unit] = label;
    return label;
  }

  #wideClass(rune: number): number {
    if (this.#wide.size >= maxWide) this.#wide.clear();
    const label = this.#classOf(rune);
    this.#wide.set(rune, label);
    return label;
  }

  /** Characters that no reader and no condition tells apart are one class. */
  #classOf(rune: number): number {
    const readers = this.#readers;
    const char = String.fromCodePoint(rune);
    const isCaseless = char.toLowerCase() === char && char.toUpperCase() === char;
    // To compare without case takes some 0.3 µs.
    this.#budget.spend(2 + (isCaseless ? readers.length >> 4 : readers.length));
    const accepts = new Uint8Array(readers.length);
    let isRead = false;
    for (let i = 0; i < readers.length; i++) {
      const inst = readers[i]!;
      const isOne = isCaseless && inst.runes.length === 1;
      if (!(isOne ? inst.runes[0] === rune : matchesRune(inst, rune))) continue;
      accepts[i] = 1;
      isRead = true;
    }
    const of = kindOf(rune);
    const key = isRead ? `${of} ${accepts.join('')}` : `${of}`;
    let label = this.#classes.get(key);
    if (label === undefined) {
      label = this.#kinds.length;
      this.#classes.set(key, label);
      this.#kinds.push(of);
      this.#accepts.push(accepts);
    }
    return label;
  }
}

export function readsRune({ op: code }: Instruction): boolean {
  return code >= op.firstRune && code <= op.anyButNewline;
}

export function matchesRune(inst: Instruction, rune: number): boolean {
  if (inst.op === op.anyRune) return true;
  return inst.op === op.anyButNewline ? rune !== 0x0a : inst.matchRune(rune);
}

/** Which conditions hold between two kinds of characters. */
function conditions(before: number, behind: number): number {
  let flags = (before === kind.word) === (behind === kind.word) ? at.noWordBoundary : at.wordBoundary;
  if (before === kind.none) flags |= at.beginText | at.beginLine;
  if (before === kind.newline) flags |= at.beginLine;
  if (behind === kind.none) flags |= at.endText | at.endLine;
  if (behind === kind.newline) flags |= at.endLine;
  return flags;
}

const kinds = Uint8Array.from({ length: 128 }, (_, unit) =>
  unit === 0x0a ? kind.newline : /\w/.test(String.fromCharCode(unit)) ? kind.word : kind.other,
);

const kindOf = (rune: number): number => (rune < 128 ? kinds[rune]! : kind.other);

/** Which conditions hold before a place in a text. */
export function conditionsAt(text: string, position: number): number {
  const before = position > 0 ? kindOf(text.charCodeAt(position - 1)) : kind.none;
  const behind = position < text.length ? kindOf(text.charCodeAt(position)) : kind.none;
  return conditions(before, behind);
}
