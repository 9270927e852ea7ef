import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import type { Finding } from '../../../src/detect/detector.ts';
import { detectors } from '../../../src/detect/registry.ts';
import { scan, scanSliced } from '../../../src/detect/scan.ts';

const automaton = compileAutomaton(detectors);

describe('scanning a whole text', () => {
  it('gives offsets in the text as it is, invisible characters and surrogate pairs included', () => {
    const text = '😀 j\u200bane@example.com 😀 ４１１１ 1111 1111 111\u200d1\u200b';
    expect(scan(automaton, text)).toEqual([
      { detector: 'email_address', start: 3, end: 20 },
      { detector: 'credit_card', start: 24, end: 44 },
    ]);
    expect(text.slice(3, 20)).toBe('j\u200bane@example.com');
    expect(text.slice(24, 44)).toBe('４１１１ 1111 1111 111\u200d1');
  });

  it('finds nothing in nothing, and nothing without detectors', () => {
    expect(scan(automaton, '')).toEqual([]);
    expect(scan(compileAutomaton([]), 'jane@example.com')).toEqual([]);
  });

  it('prefers the earlier detector where two match the same characters', () => {
    const base = { categories: ['pii'] as const, pattern: '\\d{3}', doc: '', examples: [], source: '' };
    const both = compileAutomaton([
      { ...base, id: 'one' },
      { ...base, id: 'two' },
    ]);
    expect(scan(both, '123')).toEqual([{ detector: 'one', start: 0, end: 3 }]);
  });

  it('falls back to a shorter match when the validator refuses the longest', () => {
    expect(scan(automaton, '4111 1111 1111 1111 123').map(({ start, end }) => [start, end])).toEqual([[0, 19]]);
  });

  it('hands validators folded text', () => {
    const seen: string[] = [];
    const validate = (candidate: string) => seen.push(candidate) < 0;
    const base = { id: 'x', categories: ['pii'] as const, doc: '', examples: [], source: '' };
    scan(compileAutomaton([{ ...base, pattern: '\\d{3}', validate }]), '１\u200b２3');
    expect(seen).toEqual(['123']);
  });

  it('lets a validator that throws be heard', () => {
    const validate = () => {
      throw new Error('boom');
    };
    const base = { id: 'x', categories: ['pii'] as const, doc: '', examples: [], source: '' };
    expect(() => scan(compileAutomaton([{ ...base, pattern: 'a', validate }]), 'a')).toThrow('boom');
  });
});

function inSlices(text: string): readonly Finding[] {
  const work = scanSliced(automaton, text);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

describe('scanning in slices', () => {
  const long = 'Write to jane@example.com or call 415-555-0132. '.repeat(20_000);

  it('may be interrupted every 512 characters, and finds the same', () => {
    const work = scanSliced(automaton, long);
    let steps = 1;
    let step = work.next();
    for (; !step.done; steps++) step = work.next();
    expect(step.value).toHaveLength(40_000);
    expect(steps).toBe(Math.ceil(long.length / 512));
  });

  it('matches over the edge of a slice', () => {
    for (const before of [490, 500, 511, 512]) {
      const text = `${'x '.repeat(before / 2)}jane@example.com${' y'.repeat(400)}`;
      expect(inSlices(text)).toEqual(scan(automaton, text));
      expect(scan(automaton, text)).toHaveLength(1);
    }
  });
});
