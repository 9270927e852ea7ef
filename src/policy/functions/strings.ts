import { RE2JS } from '@bufbuild/re2';
import type { Environment } from '@marcbachmann/cel-js';
import type { Budget } from '../budget.ts';

/** Functions of ours stand in for the library's: same name in the policy, `_` before it inside. All are synchronous. */
const sync = { async: false };
const maxPatternLength = 1000;
const maxPatternsKept = 1000;

/** Compiled patterns (RE2 syntax, linear time), a thousand at most. */
export class Patterns {
  readonly #compiled = new Map<string, RE2JS>();

  /** Throws when the pattern is no RE2 pattern (lookaround and backreferences are none). */
  get(pattern: string): RE2JS {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    if (pattern.length > maxPatternLength) throw new RangeError(`longer than ${maxPatternLength} characters`);
    const compiled = RE2JS.compile(pattern);
    if (this.#compiled.size >= maxPatternsKept) this.#compiled.clear();
    this.#compiled.set(pattern, compiled);
    return compiled;
  }
}

/** Only A–Z change: the library's own maps U+212A (Kelvin) to `k`, and a name could slip by a rule. */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (run) => run.toLowerCase());
}

export function upperAscii(text: string): string {
  return text.replace(/[a-z]+/g, (run) => run.toUpperCase());
}

/** Code points, counted without building them. */
export function codePoints(text: string): bigint {
  let count = text.length;
  for (let i = 1; i < text.length; i += 1) {
    const low = text.charCodeAt(i);
    if (low < 0xdc00 || low > 0xdfff) continue;
    const high = text.charCodeAt(i - 1);
    if (high >= 0xd800 && high <= 0xdbff) count -= 1;
  }
  return BigInt(count);
}

function split(text: string, separator: string, limit: bigint): string[] {
  if (limit === 0n) return [];
  const parts = text.split(separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return parts;
  const kept = Number(limit) - 1;
  return [...parts.slice(0, kept), parts.slice(kept).join(separator)];
}

type List = readonly unknown[] | ReadonlySet<unknown>;

export function registerStrings(env: Environment, budget: Budget, patterns: Patterns): void {
  const matches = (text: string, pattern: string) => {
    budget.spend(text.length >> 3);
    return patterns.get(pattern).test(text);
  };
  const splitAtMost = (text: string, separator: string, limit: bigint) => {
    budget.spend(text.length >> 3);
    return split(text, separator, limit);
  };
  env.registerFunction('string._matches(string): bool', matches, sync);
  env.registerFunction('string._lowerAscii(): string', lowerAscii, sync);
  env.registerFunction('string._upperAscii(): string', upperAscii, sync);
  env.registerFunction('string._split(string): list<string>', (t: string, s: string) => splitAtMost(t, s, -1n), sync);
  env.registerFunction('string._split(string, int): list<string>', splitAtMost, sync);
  const sizes: Record<string, (value: never) => bigint> = {
    string: codePoints,
    bytes: (v: Uint8Array) => BigInt(v.length),
    list: (v: List) => BigInt('length' in v ? v.length : v.size),
    map: (v: object) => BigInt(v instanceof Map ? v.size : Object.keys(v).length),
  };
  for (const [type, size] of Object.entries(sizes)) {
    env.registerFunction(`_size(${type}): int`, size, sync);
    env.registerFunction(`${type}._size(): int`, size, sync);
  }
}
