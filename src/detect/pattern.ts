import { type AST, RegExpParser } from '@eslint-community/regexpp';
import { OTHER_SIGN, SYMBOLS } from './fold.ts';

/** Longest match, in folded characters, that a pattern may have: what a channel may have to hold back. */
export const MAX_MATCH_LENGTH = 1024;

/** A pattern that the automaton cannot run. `position` is an offset in `pattern`. Thrown at load, never while matching. */
export class PatternError extends Error {
  readonly code = 'pattern_unsupported';
  readonly pattern: string;
  readonly position: number;
  constructor(reason: string, pattern: string, position: number, options?: ErrorOptions) {
    super(`${reason} (at ${position} in /${pattern}/)`, options);
    this.name = 'PatternError';
    this.pattern = pattern;
    this.position = position;
  }
}

export type Edge = 'none' | 'boundary' | 'inside';

/** A pattern without assertions, as a tree. `accepts` has one entry a symbol (fold.ts), 1 where it matches. */
export type Node =
  | { readonly type: 'symbols'; readonly accepts: Uint8Array }
  | { readonly type: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly type: 'choice'; readonly nodes: readonly Node[] }
  | { readonly type: 'repeat'; readonly node: Node; readonly min: number; readonly max: number };

/** One top-level alternative of a pattern. */
export interface Shape {
  /** `boundary` for `\b`, `inside` for `\B`. */
  readonly left: Edge;
  readonly right: Edge;
  readonly node: Node;
  readonly maxLength: number;
  /** As it is written: equal ones match the same. */
  readonly source: string;
}

interface Measured {
  readonly node: Node;
  readonly min: number;
  readonly max: number;
}

/** Reads a pattern into its top-level alternatives. Throws PatternError where the automaton could not run it. */
export function parsePattern(pattern: string, ignoreCase: boolean): readonly Shape[] {
  const reader = new PatternReader(pattern, ignoreCase);
  return reader.shapes();
}

/** Reads a pattern that must be one class of characters, such as `[\w-]`. */
export function parseClass(pattern: string): Uint8Array {
  const shapes = parsePattern(pattern, false);
  const node = shapes[0]!.node;
  const only = node.type === 'sequence' && node.nodes.length === 1 ? node.nodes[0] : undefined;
  if (shapes.length > 1 || only?.type !== 'symbols' || shapes[0]!.left !== 'none' || shapes[0]!.right !== 'none')
    throw new PatternError('expected one class of characters', pattern, 0);
  return only.accepts;
}

// Classes read so far, by flags and source: the same few in every pattern. Never changed once they are in.
const symbolsOf = new Map<string, Uint8Array>();

class PatternReader {
  readonly #pattern: string;
  readonly #flags: string;

  constructor(pattern: string, ignoreCase: boolean) {
    this.#pattern = pattern;
    this.#flags = ignoreCase ? 'iu' : 'u';
  }

  shapes(): readonly Shape[] {
    let tree: AST.Pattern;
    try {
      tree = new RegExpParser().parsePattern(this.#pattern, 0, this.#pattern.length, { unicode: true });
    } catch (error) {
      const position = (error as { index?: number }).index ?? 0;
      throw new PatternError((error as Error).message, this.#pattern, position, { cause: error });
    }
    return tree.alternatives.map((alternative) => this.#shape(alternative));
  }

  #shape(alternative: AST.Alternative): Shape {
    const elements = [...alternative.elements];
    const left = edgeOf(elements[0]);
    if (left !== 'none') elements.shift();
    const right = edgeOf(elements.at(-1));
    if (right !== 'none') elements.pop();
    const { node, min, max } = this.#sequence(elements);
    if (min === 0) this.#refuse('a pattern may not match the empty text', alternative);
    if (max > MAX_MATCH_LENGTH)
      this.#refuse(`a match could be ${max} characters long; at most ${MAX_MATCH_LENGTH} are allowed`, alternative);
    return { left, right, node, maxLength: max, source: alternative.raw };
  }

  #sequence(elements: readonly AST.Element[]): Measured {
    const parts = elements.map((element) => this.#element(element));
    return {
      node: { type: 'sequence', nodes: parts.map((part) => part.node) },
      min: parts.reduce((sum, part) => sum + part.min, 0),
      max: parts.reduce((sum, part) => sum + part.max, 0),
    };
  }

  #element(element: AST.Element): Measured {
    switch (element.type) {
      case 'Group':
        if (element.modifiers !== null) return this.#refuse('flags inside a pattern are not supported', element);
        return this.#choice(element.alternatives);
      case 'CapturingGroup':
        return this.#choice(element.alternatives);
      case 'Quantifier':
        return this.#repeat(element);
      case 'Character':
      case 'CharacterClass':
      case 'CharacterSet':
        return { node: { type: 'symbols', accepts: this.#symbols(element) }, min: 1, max: 1 };
      case 'Assertion':
        return this.#refuse(
          element.kind === 'word'
            ? 'a word boundary is supported only at the ends of a top-level alternative'
            : 'lookaround and line anchors are not supported',
          element,
        );
      case 'Backreference':
        return this.#refuse('backreferences are not supported', element);
      default:
        return this.#refuse(`${element.type} is not supported`, element);
    }
  }

  #choice(alternatives: readonly AST.Alternative[]): Measured {
    const parts = alternatives.map((alternative) => this.#sequence(alternative.elements));
    return {
      node: { type: 'choice', nodes: parts.map((part) => part.node) },
      min: Math.min(...parts.map((part) => part.min)),
      max: Math.max(...parts.map((part) => part.max)),
    };
  }

  #repeat(quantifier: AST.Quantifier): Measured {
    if (quantifier.max === Number.POSITIVE_INFINITY)
      this.#refuse('a quantifier without a maximum: matches must have a longest length', quantifier);
    if (!quantifier.greedy) this.#refuse('lazy quantifiers are not supported: the longest match wins', quantifier);
    const { node, min, max } = this.#element(quantifier.element);
    if (max * quantifier.max > MAX_MATCH_LENGTH)
      this.#refuse(`a match could be longer than ${MAX_MATCH_LENGTH} characters`, quantifier);
    return {
      node: { type: 'repeat', node, min: quantifier.min, max: quantifier.max },
      min: min * quantifier.min,
      max: max * quantifier.max,
    };
  }

  /** Which symbols a class matches, as JavaScript's own RegExp says. */
  #symbols(node: AST.Character | AST.CharacterClass | AST.CharacterSet): Uint8Array {
    const known = symbolsOf.get(`${this.#flags} ${node.raw}`);
    if (known !== undefined) return known;
    this.#refuseBeyondAscii(node);
    const matcher = new RegExp(`^(?:${node.raw})$`, this.#flags);
    const accepts = new Uint8Array(SYMBOLS);
    for (let symbol = 0; symbol < SYMBOLS; symbol++)
      accepts[symbol] = matcher.test(symbol < 128 ? String.fromCharCode(symbol) : OTHER_SIGN) ? 1 : 0;
    if (!accepts.includes(1)) this.#refuse('this class matches no character', node);
    symbolsOf.set(`${this.#flags} ${node.raw}`, accepts);
    return accepts;
  }

  #refuseBeyondAscii(node: AST.CharacterClassElement | AST.CharacterClass | AST.CharacterSet): void {
    switch (node.type) {
      case 'Character':
        if (node.value > 127)
          this.#refuse('folded text holds no characters beyond ASCII: write the one that it folds to', node);
        return;
      case 'CharacterClassRange':
        this.#refuseBeyondAscii(node.min);
        this.#refuseBeyondAscii(node.max);
        return;
      case 'CharacterClass':
        for (const element of node.elements) this.#refuseBeyondAscii(element as AST.CharacterClassElement);
        return;
      case 'CharacterSet':
        if (node.kind === 'property') this.#refuse('Unicode properties are not supported: text is folded first', node);
        return;
      default:
        this.#refuse(`${node.type} is not supported`, node);
    }
  }

  #refuse(reason: string, at: { readonly start: number }): never {
    throw new PatternError(reason, this.#pattern, at.start);
  }
}

function edgeOf(element: AST.Element | undefined): Edge {
  if (element?.type !== 'Assertion' || element.kind !== 'word') return 'none';
  return element.negate ? 'inside' : 'boundary';
}
