import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import type { Detector } from '../../../src/detect/detector.ts';
import { PatternError, parseClass, parsePattern } from '../../../src/detect/pattern.ts';

const refusal = (pattern: string): { readonly message: string; readonly position: number } => {
  try {
    parsePattern(pattern, false);
  } catch (error) {
    if (error instanceof PatternError) return error;
    throw error;
  }
  throw new Error(`/${pattern}/ was accepted`);
};

describe('a pattern is refused at load, with the place and the reason,', () => {
  it.each([
    ['a(?=b)', 1, 'lookaround'],
    ['a(?!b)', 1, 'lookaround'],
    ['(?<=a)b', 0, 'lookaround'],
    ['(?<!a)b', 0, 'lookaround'],
    ['^a', 0, 'anchors'],
    ['a$', 1, 'anchors'],
    ['(a)\\1', 3, 'backreferences'],
    ['(?<x>a)\\k<x>', 7, 'backreferences'],
    ['ab*', 1, 'without a maximum'],
    ['a(?:bc)+', 1, 'without a maximum'],
    ['a{2,}', 0, 'without a maximum'],
    ['a{1,5}?', 0, 'lazy'],
    ['a\\bb', 1, 'only at the ends'],
    ['(?:\\ba|b)', 3, 'only at the ends'],
    ['a(?:b\\b|c)', 5, 'only at the ends'],
    ['a\\B-b', 1, 'only at the ends'],
    ['\\b\\ba', 2, 'only at the ends'],
    ['a?', 0, 'empty text'],
    ['a|', 2, 'empty text'],
    ['', 0, 'empty text'],
    ['\\b', 0, 'empty text'],
    ['[^\\s\\S]a', 0, 'no character'],
    ['[]a', 0, 'no character'],
    ['é', 0, 'beyond ASCII'],
    ['a[à-ü]', 2, 'beyond ASCII'],
    ['\\u{1F600}', 0, 'beyond ASCII'],
    ['\\p{L}', 0, 'properties'],
    ['[\\p{Nd}]', 1, 'properties'],
    ['a{1025}', 0, 'longer than 1024'],
    ['(?:a{1000}){2}', 0, 'longer than 1024'],
    ['a{1000}b{1000}', 0, '2000 characters long'],
    ['(?i:a)', 0, 'flags'],
    ['a(', 2, 'Unterminated group'],
    ['[a', 2, 'Unterminated character class'],
    ['\\q', 1, 'Invalid escape'],
  ])('/%s/ at %i: %s', (pattern, position, reason) => {
    const { message, position: at } = refusal(pattern);
    expect(message).toContain(reason);
    expect(at).toBe(position);
  });

  it('when it stands for a class and is none', () => {
    for (const pattern of ['ab', 'a|b', 'a{2}', '\\ba']) expect(() => parseClass(pattern)).toThrow(PatternError);
  });
});

describe('the longest match', () => {
  it.each([
    ['abc', 3],
    ['a{2,5}b?', 6],
    ['(?:ab|c{4}){3}', 12],
    ['\\ba{1,3}\\b', 3],
    ['a{1024}', 1024],
  ])('of /%s/ is %i characters', (pattern, length) => {
    expect(parsePattern(pattern, false)[0]!.maxLength).toBe(length);
  });
});

describe('an automaton is refused', () => {
  const detector = (some: Partial<Detector>): Detector => ({
    id: 'x',
    categories: ['pii'],
    pattern: 'abc',
    doc: '',
    examples: [],
    source: '',
    ...some,
  });

  it.each<[string, Partial<Detector>, string]>([
    ['an opener that ends in a word boundary', { pattern: 'a\\b', swallow: { body: 'b' } }, 'word boundary'],
    ['an opener with a validator', { swallow: { body: 'b' }, validate: () => true }, 'validator'],
    ['a closer of two alternatives', { swallow: { until: 'a|b' } }, 'closer'],
    ['a closer at a word boundary', { swallow: { until: 'a\\b' } }, 'closer'],
    ['a closer without a longest length', { swallow: { until: 'ab*' } }, 'without a maximum'],
    ['a body that is no class', { swallow: { body: 'ab' } }, 'one class'],
    ['a joint that is no class', { swallow: { body: 'a', joint: '--' } }, 'one class'],
    ['a decoy that cannot run', { decoys: ['a+'] }, 'without a maximum'],
  ])('with %s', (_, some, reason) => {
    expect(() => compileAutomaton([detector(some)])).toThrow(reason);
  });

  it.each([0, 3, 4.5, Number.NaN, 65_537])('with room for %d states', (maxStates) => {
    expect(() => compileAutomaton([detector({})], { maxStates })).toThrow(RangeError);
  });
});
