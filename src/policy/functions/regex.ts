import { RE2JS } from '@bufbuild/re2';
import type { Budget } from '../budget.ts';
import { invalid } from './failure.ts';
import { conditionsAt, LazyAutomaton, matchesRune, op, type Program, readsRune } from './lazy-automaton.ts';
import { sizeOfPattern } from './pattern-size.ts';
import { contains, searchUnits } from './search.ts';

const maxPatternLength = 1000;
/** Larger ones take more than some milliseconds to compile. */
const maxInstructions = 5000;
const maxPatternsKept = 1000;
/** Units for a pattern that has to be compiled during an evaluation, and for each instruction. */
const compileUnits = 500;
const instructionUnits = 4;
/** The first Unicode class of its kind (`\pL`) takes over 100 ms: no evaluation with the default budget can afford one. */
const propertyUnits = 400_000;

/** A pattern, compiled. */
interface Compiled {
  readonly program: Program;
  readonly automaton: LazyAutomaton;
  /** What a pattern that is nothing but a text searches for. */
  readonly literal: string | undefined;
}

/**
 * Compiled patterns (RE2 syntax, linear time), a thousand at most. Compiling, and what an automaton works out, are paid from
 * the budget: a pattern of n instructions can cost n times what a simple one does.
 */
export class Patterns {
  readonly #compiled = new Map<string, Compiled>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Throws when the pattern is no RE2 pattern (lookaround and backreferences are none), or a very large one. */
  check(pattern: string): void {
    this.#get(pattern);
  }

  test(text: string, pattern: string): boolean {
    return this.#test(text, this.#paid(pattern));
  }

  /** The leftmost match (first alternative first, as Perl and Go), or undefined. */
  find(text: string, pattern: string): string | undefined {
    const compiled = this.#paid(pattern);
    if (!this.#test(text, compiled)) return undefined;
    const found = firstMatch(compiled, text, 0, this.#budget);
    return found === undefined ? undefined : text.slice(found.start, found.end);
  }

  /** Matches from left to right that do not overlap, at most `limit` (negative: all). */
  findAll(text: string, pattern: string, limit: bigint): string[] {
    const compiled = this.#paid(pattern);
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
      this.#budget.spend(4);
    }
    return found;
  }

  #test(text: string, { literal, automaton }: Compiled): boolean {
    if (literal === undefined) return automaton.test(text);
    this.#budget.spend(1 + searchUnits(text, literal));
    return contains(text, literal);
  }

  /** A pattern in an evaluation: one that is not known is paid for before it is compiled. */
  #paid(pattern: string): Compiled {
    if (!this.#compiled.has(pattern) && pattern.length <= maxPatternLength) this.#budget.spend(unitsToCompile(pattern));
    return this.#get(pattern);
  }

  #get(pattern: string): Compiled {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    if (pattern.length > maxPatternLength) throw invalid(`a pattern longer than ${maxPatternLength} characters`);
    if (sizeOfPattern(pattern).instructions > maxInstructions)
      throw invalid('a pattern that is too large: it repeats too much');
    const re2 = compile(pattern).re2();
    const compiled = {
      program: re2.prog,
      automaton: new LazyAutomaton(re2.prog, this.#budget),
      literal: re2.prefixComplete ? re2.prefix : undefined,
    };
    if (this.#compiled.size >= maxPatternsKept) this.#compiled.clear();
    this.#compiled.set(pattern, compiled);
    return compiled;
  }
}

function unitsToCompile(pattern: string): number {
  const { instructions, properties } = sizeOfPattern(pattern);
  return compileUnits + instructionUnits * instructions + propertyUnits * properties;
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
  { program, automaton }: Compiled,
  text: string,
  from: number,
  budget: Budget,
): { readonly start: number; readonly end: number } | undefined {
  const seen = new Int32Array(program.numInst()).fill(-1);
  let threads: Thread[] = [];
  let best: { start: number; end: number } | undefined;

  const follow = (into: Thread[], first: number, start: number, position: number): void => {
    const stack = [first];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      if (seen[pc] === position) continue;
      seen[pc] = position;
      const inst = program.getInst(pc);
      if (inst.op === op.alt || inst.op === op.altMatch) stack.push(inst.arg, inst.out);
      else if (inst.op === op.capture || inst.op === op.nop) stack.push(inst.out);
      else if (inst.op === op.emptyWidth) {
        if ((inst.arg & ~conditionsAt(text, position)) === 0) stack.push(inst.out);
      } else into.push({ pc, start });
    }
  };

  for (let position = from; ; ) {
    const rune = text.codePointAt(position);
    const after = position + (rune !== undefined && rune > 0xffff ? 2 : 1);
    if (best === undefined && threads.length === 0 && rune !== undefined && !automaton.canBegin(rune)) {
      if ((position & 15) === 0) budget.spend(1);
      position = after;
      continue;
    }
    if (best === undefined) follow(threads, program.start, position, position);
    if (threads.length === 0 && (best !== undefined || rune === undefined)) return best;
    budget.spend(2 + (threads.length >> 1));
    const next: Thread[] = [];
    for (const { pc, start } of threads) {
      const inst = program.getInst(pc);
      if (inst.op === op.match) {
        best = { start, end: position };
        break;
      }
      if (rune !== undefined && readsRune(inst) && matchesRune(inst, rune)) follow(next, inst.out, start, after);
    }
    if (rune === undefined) return best;
    threads = next;
    position = after;
  }
}
