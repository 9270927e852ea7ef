import { RE2JS } from '@bufbuild/re2';
import type { Budget } from '../budget.ts';
import { invalid } from './failure.ts';

const maxPatternLength = 1000;
const maxPatternsKept = 1000;
/** States of a pattern's automaton that are kept, about 1 kB each. */
const maxStates = 1000;
/** Units for a pattern that has to be compiled during an evaluation. */
const compileUnits = 500;

/** The opcodes of @bufbuild/re2's programs (its Inst.ts; version pinned, test/unit/policy/patterns.test.ts fails if they move). */
const op = { alt: 1, altMatch: 2, capture: 3, emptyWidth: 4, match: 6, nop: 7, firstRune: 8, lastRune: 11 };
/** Conditions of `emptyWidth` (RE2 syntax: `(?m)^`, `(?m)$`, `^`, `$`, `\b`, `\B`). */
const at = { beginLine: 1, endLine: 2, beginText: 4, endText: 8, wordBoundary: 16, noWordBoundary: 32 };

/**
 * Compiled patterns (RE2 syntax, linear time), a thousand at most. Building states of an automaton, and running without one
 * where there would be too many, is paid from the budget: a pattern of n instructions can cost n times what a simple one does.
 */
export class Patterns {
  readonly #compiled = new Map<string, RE2JS>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Throws when the pattern is no RE2 pattern (lookaround and backreferences are none). */
  get(pattern: string): RE2JS {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    if (pattern.length > maxPatternLength) throw invalid(`a pattern longer than ${maxPatternLength} characters`);
    const compiled = compile(pattern);
    this.#pay(compiled);
    if (this.#compiled.size >= maxPatternsKept) this.#compiled.clear();
    this.#compiled.set(pattern, compiled);
    return compiled;
  }

  test(text: string, pattern: string): boolean {
    this.#enter(text, pattern);
    return this.get(pattern).test(text);
  }

  /** The leftmost match (first alternative first, as Perl and Go), or undefined. */
  find(text: string, pattern: string): string | undefined {
    this.#enter(text, pattern);
    const compiled = this.get(pattern);
    if (!compiled.test(text)) return undefined;
    const found = firstMatch(compiled, text, 0, this.#budget);
    return found === undefined ? undefined : text.slice(found.start, found.end);
  }

  /** Matches from left to right that do not overlap, at most `limit` (negative: all). */
  findAll(text: string, pattern: string, limit: bigint): string[] {
    this.#enter(text, pattern);
    const compiled = this.get(pattern);
    const found: string[] = [];
    let from = 0;
    let lastEnd = -1;
    while (from <= text.length && (limit < 0n || BigInt(found.length) < limit)) {
      const match = firstMatch(compiled, text, from, this.#budget);
      if (match === undefined) break;
      const { start, end } = match;
      // Go skips an empty match right behind the last one.
      if (end > start || start !== lastEnd) found.push(text.slice(start, end));
      lastEnd = end;
      from = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
      this.#budget.spend(1);
    }
    return found;
  }

  #enter(text: string, pattern: string): void {
    this.#budget.spend((text.length >> 3) + (this.#compiled.has(pattern) ? 0 : compileUnits));
  }

  #pay(compiled: RE2JS): void {
    const budget = this.#budget;
    const re2 = compiled.re2();
    const { dfa } = re2;
    const closure = dfa.computeClosure.bind(dfa);
    dfa.stateLimit = maxStates;
    dfa.computeClosure = (pcs) => {
      const result = closure(pcs);
      budget.spend(1 + (result.pcs.length >> 3));
      return result;
    };
    const resolve = dfa.resolveEmptyWidth.bind(dfa);
    const known = new WeakMap<Int32Array, Resolved[]>();
    // The library asks at each character; there are as many answers as states and conditions.
    dfa.resolveEmptyWidth = (pcs, context) => {
      let answers = known.get(pcs);
      if (answers === undefined) {
        answers = [];
        known.set(pcs, answers);
      }
      answers[context] ??= new Resolved(() => {
        budget.spend(1 + (pcs.length >> 2));
        return resolve(pcs, context);
      });
      return answers[context];
    };
    const fallback = re2._nfaFallback.bind(re2);
    const size = re2.prog.numInst();
    re2._nfaFallback = (input, position, anchor) => {
      budget.spend(((input.endPos() - position) * size) >> 3);
      return fallback(input, position, anchor);
    };
  }
}

interface Resolution {
  readonly resolvedPCs: Set<number>;
  readonly isMatch: boolean;
}

/** Whether a state matches where certain conditions hold: that is kept. The set may be large, and is asked for once a step. */
class Resolved implements Resolution {
  readonly isMatch: boolean;
  readonly #resolve: () => Resolution;

  constructor(resolve: () => Resolution) {
    this.isMatch = resolve().isMatch;
    this.#resolve = resolve;
  }

  get resolvedPCs(): Set<number> {
    return this.#resolve().resolvedPCs;
  }
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'not a pattern');
  }
}

interface Thread {
  readonly pc: number;
  readonly start: number;
}

/** Where a match begins and ends: Pike's simulation of the program, each step paid by its threads. */
function firstMatch(
  compiled: RE2JS,
  text: string,
  from: number,
  budget: Budget,
): { readonly start: number; readonly end: number } | undefined {
  const { prog } = compiled.re2();
  const seen = new Int32Array(prog.numInst()).fill(-1);
  let threads: Thread[] = [];
  let best: { start: number; end: number } | undefined;

  const follow = (into: Thread[], first: number, start: number, position: number): void => {
    const stack = [first];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      if (seen[pc] === position) continue;
      seen[pc] = position;
      const inst = prog.getInst(pc);
      if (inst.op === op.alt || inst.op === op.altMatch) stack.push(inst.arg, inst.out);
      else if (inst.op === op.capture || inst.op === op.nop) stack.push(inst.out);
      else if (inst.op === op.emptyWidth) {
        if ((inst.arg & ~conditions(text, position)) === 0) stack.push(inst.out);
      } else into.push({ pc, start });
    }
  };

  for (let position = from; ; ) {
    const rune = text.codePointAt(position);
    if (best === undefined) follow(threads, prog.start, position, position);
    if (threads.length === 0 && (best !== undefined || rune === undefined)) return best;
    budget.spend(1 + (threads.length >> 2));
    const after = position + (rune !== undefined && rune > 0xffff ? 2 : 1);
    const next: Thread[] = [];
    for (const { pc, start } of threads) {
      const inst = prog.getInst(pc);
      if (inst.op === op.match) {
        best = { start, end: position };
        break;
      }
      if (rune !== undefined && inst.op >= op.firstRune && inst.op <= op.lastRune && matchesRune(inst, rune))
        follow(next, inst.out, start, after);
    }
    if (rune === undefined) return best;
    threads = next;
    position = after;
  }
}

function matchesRune(inst: { readonly op: number; matchRune(rune: number): boolean }, rune: number): boolean {
  if (inst.op === 10) return true;
  return inst.op === 11 ? rune !== 0x0a : inst.matchRune(rune);
}

function conditions(text: string, position: number): number {
  const before = position > 0 ? text.charCodeAt(position - 1) : -1;
  const behind = position < text.length ? text.charCodeAt(position) : -1;
  let flags = isWord(before) === isWord(behind) ? at.noWordBoundary : at.wordBoundary;
  if (before === -1) flags |= at.beginText | at.beginLine;
  if (before === 0x0a) flags |= at.beginLine;
  if (behind === -1) flags |= at.endText | at.endLine;
  if (behind === 0x0a) flags |= at.endLine;
  return flags;
}

function isWord(unit: number): boolean {
  return unit !== -1 && /[0-9A-Za-z_]/.test(String.fromCharCode(unit));
}
