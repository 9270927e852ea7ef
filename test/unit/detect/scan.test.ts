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

describe('the worst texts that we know of', () => {
  /** Steps of the automaton, questions to validators, and characters of the text. */
  function cost(text: string) {
    let asked = 0;
    const counting = compileAutomaton(
      detectors.map((detector) => ({
        ...detector,
        ...(detector.validate === undefined
          ? {}
          : {
              validate: (candidate: string) => {
                asked++;
                return detector.validate!(candidate);
              },
            }),
      })),
    );
    let steps = 0;
    const { dfa } = counting;
    const step = dfa.step.bind(dfa);
    dfa.step = (state, symbol) => {
      steps++;
      return step(state, symbol);
    };
    scan(counting, text);
    return { steps: steps / text.length, asked: asked / text.length };
  }

  it.each(['1-', '4 ', '4-', '5 5 5 4 ', '0 ', '41 ', '1\n', '4111 ', 'DE89 ', 'AA12 ', 'GB82 WEST ', '1.1.1.1 '])(
    'costs a bounded number of steps and next to no validation a character: %j',
    (part) => {
      const { steps, asked } = cost(part.repeat(2000));
      expect(steps).toBeGreaterThan(0);
      expect(steps).toBeLessThanOrEqual(40);
      expect(asked).toBeLessThanOrEqual(0.5);
    },
  );

  it('refuses cheaply nothing that a validator would confirm', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >> 8) % below;
    };
    const confirmed = { credit_card: 0, iban_code: 0 };
    for (const id of ['credit_card', 'iban_code'] as const) {
      const { refuses, validate, examples } = detectors.find((detector) => detector.id === id)!;
      for (let i = 0; i < 20_000; i++) {
        const example = examples[random(examples.length)]!;
        const at = random(example.length);
        // One digit changed, separators put in or not, and something behind it.
        const changed = random(2) === 0 ? example : example.slice(0, at) + random(10) + example.slice(at + 1);
        const spaced = random(2) === 0 ? changed : [...changed.replaceAll(' ', '')].join(random(2) === 0 ? ' ' : '-');
        const folded = spaced + String(random(1000));
        for (let length = 4; length <= folded.length; length++) {
          if (/[ -]/.test(folded[length - 1]!)) continue;
          const yes = validate!(folded.slice(0, length));
          if (yes) confirmed[id]++;
          if (refuses!(folded, length)) expect(yes).toBe(false);
          else if (folded.length <= 64 && id === 'credit_card') expect(yes).toBe(true);
        }
      }
    }
    expect(confirmed.credit_card).toBeGreaterThan(1000);
    expect(confirmed.iban_code).toBeGreaterThan(1000);
  });
});
