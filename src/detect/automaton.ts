import { type ContextRule, ContextWords } from './context.ts';
import type { Detector, Pattern } from './detector.ts';
import { Dfa } from './dfa.ts';
import { OTHER, SKIP, SYMBOLS, symbolOf } from './fold.ts';
import { Nfa } from './nfa.ts';
import { parseClass, parsePattern, type Shape } from './pattern.ts';

export interface AutomatonOptions {
  /**
   * DFA states kept at most (default 16,384: 12 MB or so, where all are used). At the bound the cache is dropped and built again from where
   * each channel stands: slower, never different.
   */
  readonly maxStates?: number;
}

/** One pattern in force. Where two match the same characters, the lower index wins. */
interface Rule {
  /** Index in `Automaton.detectors`; -1 for a decoy, whose text is let through. */
  readonly detector: number;
  readonly validate: ((candidate: string) => boolean) | undefined;
  readonly refuses: ((folded: string, length: number) => boolean) | undefined;
  readonly confirms: ((original: string) => boolean) | undefined;
  readonly swallow: CompiledSwallow | undefined;
  readonly context: ContextRule | undefined;
  readonly unless: ContextRule | undefined;
  readonly weak: boolean;
  /** A match needs no confirmation. */
  readonly certain: boolean;
  /** So it is, and it is no decoy: it wins over what needs any. */
  readonly conclusive: boolean;
}

export type CompiledSwallow =
  /** `start`: the state that searches for the closer. */
  | { readonly how: 'until'; readonly start: Int32Array }
  /** Per class: 0 ends it, 1 is body, 2 is a joint. */
  | { readonly how: 'body'; readonly roles: Uint8Array };

/** All patterns in force as one lazy DFA; shared by all channels, changed only by caching. */
export interface Automaton {
  readonly detectors: readonly Detector[];
  readonly rules: readonly Rule[];
  /** Symbol (fold.ts) to class: symbols that no pattern tells apart share one. SKIP stays SKIP. */
  readonly classes: Uint8Array;
  /** Per class: 1 where its symbols are word characters. */
  readonly word: Uint8Array;
  readonly dfa: Dfa;
  /** Per rule: when (by `settled`) the words before a place refused it last. */
  readonly refused: Float64Array;
  readonly settled: { count: number };
  /** The words that rules ask for; undefined: none does. */
  readonly context: ContextWords | undefined;
  /** Longest match in folded characters, what a swallow adds left out. */
  readonly maxLength: number;
}

const wordSymbols = parseClass('\\w');

/** Detectors compiled in one step of `compiling`: about a millisecond of work, three at first. */
const TOGETHER = 8;

/**
 * Compiles detectors into one automaton. Throws PatternError for a pattern that it cannot run, RangeError for bad options.
 * Costs some tens of milliseconds for all: do it when rules are loaded, not per request.
 */
export function compileAutomaton(detectors: readonly Detector[], options: AutomatonOptions = {}): Automaton {
  const work = compiling(detectors, options);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** As `compileAutomaton`, as work that may be interrupted wherever it yields. */
export function* compiling(
  detectors: readonly Detector[],
  options: AutomatonOptions = {},
): Generator<undefined, Automaton, undefined> {
  const maxStates = options.maxStates ?? 16_384;
  if (!Number.isInteger(maxStates) || maxStates < 4 || maxStates > 65_536)
    throw new RangeError('maxStates must be an integer from 4 to 65536');
  const compilation = new Compilation();
  for (const [index, detector] of detectors.entries()) {
    compilation.add(detector, index);
    if (index % TOGETHER === TOGETHER - 1) yield;
  }
  for (const detector of detectors) compilation.addDecoys(detector);
  yield;
  return compilation.finish(detectors, maxStates);
}

// What patterns were read as: the same detectors are in the automata of many rules.
const shapesOf = new WeakMap<Pattern, readonly Shape[]>();

class Compilation {
  readonly #nfa = new Nfa();
  readonly #sets: Uint8Array[] = [wordSymbols];
  readonly #starts: { readonly shape: Shape; readonly state: number }[] = [];
  readonly #rules: ((classes: Uint8Array) => Rule)[] = [];
  readonly #context = new ContextWords();
  readonly #sameShape = new Map<string, number[]>();

  add(detector: Detector, index: number): void {
    if (detector.swallow === undefined) {
      for (const pattern of [detector, ...(detector.also ?? [])]) this.#addRule(pattern, detector, index);
      return;
    }
    if (detector.validate ?? detector.confirms ?? detector.context ?? detector.unless ?? detector.also)
      throw new TypeError(
        `${detector.id}: an opener is conclusive: it can have neither a validator, nor a context, nor other patterns`,
      );
    this.#addRule(detector, detector, index, compileSwallow(detector, this.#nfa, this.#sets));
  }

  addDecoys(detector: Detector): void {
    for (const pattern of detector.decoys ?? [])
      this.#addRule({ pattern, ignoreCase: detector.ignoreCase ?? false }, detector, -1);
  }

  #addRule(
    pattern: Pattern,
    detector: Detector,
    index: number,
    swallow?: (classes: Uint8Array) => CompiledSwallow,
  ): void {
    const context = pattern.context && this.#context.add(pattern.context);
    const unless = pattern.unless && this.#context.add(pattern.unless);
    const { validate, refuses, confirms, weak = false } = pattern;
    const certain = [validate, confirms, context, unless].every((each) => each === undefined);
    const conclusive = certain && index >= 0;
    const settled = { detector: index, validate, refuses, confirms, context, unless, weak, certain, conclusive };
    const rule = this.#rules.push((classes) => ({ ...settled, swallow: swallow?.(classes) })) - 1;
    for (const shape of this.#shapes(pattern)) {
      if (swallow !== undefined && shape.right !== 'none')
        throw new TypeError(
          `${detector.id}: an opener cannot end in a word boundary, which is known one character late`,
        );
      // Many detectors have the same shape, with other words before it: the automaton knows it once.
      const key = `${pattern.ignoreCase ?? false} ${shape.source}`;
      const sharers = this.#sameShape.get(key);
      if (sharers !== undefined) {
        sharers.push(rule);
        continue;
      }
      const rules = [rule];
      this.#sameShape.set(key, rules);
      this.#starts.push({ shape, state: this.#nfa.add(shape.node, { rules, right: shape.right }) });
    }
  }

  #shapes(pattern: Pattern): readonly Shape[] {
    const known = shapesOf.get(pattern) ?? parsePattern(pattern.pattern, pattern.ignoreCase ?? false);
    shapesOf.set(pattern, known);
    return known;
  }

  finish(detectors: readonly Detector[], maxStates: number): Automaton {
    const nfa = this.#nfa;
    for (const reads of nfa.reads) if (reads !== undefined) this.#sets.push(reads);
    const { classes, count } = partition(this.#sets);
    const word = perClass(wordSymbols, classes, count);
    const rules = this.#rules.map((rule) => rule(classes));
    const openers = new Set(rules.flatMap((rule, index) => (rule.swallow === undefined ? [] : [index])));
    const starts = this.#starts.map(({ shape, state }) => ({ left: shape.left, states: nfa.closure(state) }));
    return {
      detectors,
      rules,
      classes,
      word,
      dfa: new Dfa({ nfa, starts, openers, word, classReads: classReader(nfa, classes, count), maxStates }),
      refused: new Float64Array(rules.length),
      settled: { count: 0 },
      context: this.#context.isEmpty ? undefined : this.#context,
      maxLength: this.#starts.reduce((longest, { shape }) => Math.max(longest, shape.maxLength), 0),
    };
  }
}

/** Adds what a swallow reads to the NFA now; answers with what it is once the classes are known. */
function compileSwallow(detector: Detector, nfa: Nfa, sets: Uint8Array[]): (classes: Uint8Array) => CompiledSwallow {
  const swallow = detector.swallow!;
  if ('until' in swallow) {
    const shapes = parsePattern(swallow.until, detector.ignoreCase ?? false);
    const only = shapes[0]!;
    if (shapes.length > 1 || only.left !== 'none' || only.right !== 'none')
      throw new TypeError(`${detector.id}: a closer is one alternative without word boundaries`);
    const state = nfa.addSearch(only.node, { rules: [-1], right: 'none' });
    return () => ({ how: 'until', start: Int32Array.from(nfa.closure(state)) });
  }
  const body = parseClass(swallow.body);
  const joint = swallow.joint === undefined ? new Uint8Array(SYMBOLS) : parseClass(swallow.joint);
  sets.push(body, joint);
  return (classes) => {
    const roles = new Uint8Array(256);
    for (let symbol = 0; symbol < SYMBOLS; symbol++)
      if (classes[symbol] !== SKIP) roles[classes[symbol]!] = body[symbol] ? 1 : joint[symbol] ? 2 : 0;
    return { how: 'body', roles };
  };
}

/** Symbols that are in the same sets share a class. */
function partition(sets: readonly Uint8Array[]): { readonly classes: Uint8Array; readonly count: number } {
  const distinct = [...new Map([...new Set(sets)].map((set) => [set.join(''), set])).values()];
  const classes = new Uint8Array(256).fill(SKIP);
  const known = new Map<string, number>();
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    // Controls are read over, like all that is invisible.
    if (symbol !== OTHER && symbolOf(symbol) === SKIP) continue;
    const signature = distinct.map((set) => set[symbol]).join('');
    if (!known.has(signature)) known.set(signature, known.size);
    classes[symbol] = known.get(signature)!;
  }
  return { classes, count: known.size };
}

function perClass(set: Uint8Array, classes: Uint8Array, count: number): Uint8Array {
  const result = new Uint8Array(count);
  for (let symbol = 0; symbol < SYMBOLS; symbol++) if (set[symbol]) result[classes[symbol]!] = 1;
  return result;
}

/** Per NFA state, its set by class; one set, one array. */
function classReader(nfa: Nfa, classes: Uint8Array, count: number): readonly (Uint8Array | undefined)[] {
  const shared = new Map<Uint8Array, Uint8Array>();
  return nfa.reads.map((reads) => {
    if (reads === undefined) return undefined;
    const known = shared.get(reads) ?? perClass(reads, classes, count);
    shared.set(reads, known);
    return known;
  });
}
