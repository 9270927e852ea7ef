import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Automaton, compileAutomaton } from '../../src/detect/automaton.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { detectors } from '../../src/detect/registry.ts';
import { scan, scanSliced } from '../../src/detect/scan.ts';
import { createTextMaskers } from '../../src/mask/text.ts';
import { BruteForce, cut, replaced } from './brute-force.ts';

function mask(
  automaton: Automaton,
  pieces: readonly string[],
): { readonly text: string; readonly found: readonly string[] } {
  const found: string[] = [];
  const masker = createTextMaskers(automaton)((detector) => found.push(detector));
  return { text: pieces.map((piece) => masker.push(piece)).join('') + masker.end(), found };
}

const examples = detectors.flatMap((detector) => detector.examples);
const fullWidth = (text: string) =>
  text.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) - 0x21 + 0xff01));
const interspersed = (text: string, mark: string) => [...text].join(mark);

const example = fc.constantFrom(...examples);
const contextWords = detectors
  .flatMap((detector) => [detector, ...(detector.also ?? [])])
  .flatMap(({ context, unless }) => [...(context?.words ?? []), ...(unless?.words ?? [])])
  .filter((word) => /^[ -~]+$/.test(word));
/** Text that is nearly something: examples, parts of them, disguised ones, and what stands between. */
const fragment = fc.oneof(
  { weight: 4, arbitrary: example },
  {
    weight: 4,
    arbitrary: fc.tuple(example, fc.nat(), fc.nat()).map(([text, a, b]) => {
      const [from, to] = [a % text.length, b % text.length].sort((x, y) => x - y);
      return text.slice(from, to! + 1);
    }),
  },
  { weight: 1, arbitrary: example.map(fullWidth) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(example, fc.constantFrom('\u200b', '\u00ad', '\u0301', '\u202e'))
      .map(([text, mark]) => interspersed(text, mark)),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ' ',
      '.',
      '-',
      '_',
      '@',
      ':',
      '+',
      '\n',
      '\u200b',
      '\u0301',
      'é',
      '𝟜',
      '😀',
      '\ud83d',
      '٤',
      '。',
    ),
  },
  { weight: 2, arbitrary: fc.stringMatching(/^[a-f0-9.@: -]{1,12}$/) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('', ...contextWords).map((word) => `${word.replace('*', '')}: `),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'the cat ',
      'card: ',
      "it's ",
      'v1.2.3 ',
      '2024-01-15T10:30:00Z ',
      '$1,299.00 ',
      'https://x.y/z?a=b ',
    ),
  },
);
const text = fc.array(fragment, { maxLength: 7 }).map((parts) => parts.join('').slice(0, 260));
const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });

const automaton = compileAutomaton(detectors);
const bruteForce = new BruteForce(detectors);

describe('detection with the detectors that we ship', () => {
  it('finds what the definition says, as a brute force over JavaScript RegExps works it out', () => {
    fc.assert(
      fc.property(text, (whole) => {
        expect(scan(automaton, whole)).toEqual(bruteForce.scan(whole));
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it('masks a stream to the same text with the same findings, however it is cut', () => {
    fc.assert(
      fc.property(text, lengths, (whole, pieces) => {
        const findings = scan(automaton, whole);
        expect(mask(automaton, cut(whole, pieces))).toEqual({
          text: replaced(whole, findings),
          found: findings.map((finding) => finding.detector),
        });
      }),
      { numRuns: 1500 },
    );
  });

  it('does the same with room for a handful of states as with room for all', () => {
    const cramped = compileAutomaton(detectors, { maxStates: 5 });
    fc.assert(
      fc.property(text, text, lengths, (one, other, pieces) => {
        // Two channels take turns, so that each finds the cache dropped by the other.
        const maskers = createTextMaskers(cramped);
        const channels = [one, other].map((whole) => ({
          rest: [...cut(whole, pieces)],
          out: '',
          masker: maskers(() => {}),
        }));
        while (channels.some(({ rest }) => rest.length > 0))
          for (const channel of channels) channel.out += channel.masker.push(channel.rest.shift() ?? '');
        expect(channels.map(({ out, masker }) => out + masker.end())).toEqual([
          replaced(one, scan(automaton, one)),
          replaced(other, scan(automaton, other)),
        ]);
        expect(cramped.dfa.states).toBeLessThanOrEqual(5);
      }),
      { numRuns: 150 },
    );
  });

  it('scans in slices what it scans at once', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 30 }), (texts) => {
        const whole = texts.join(' ').repeat(3);
        const work = scanSliced(automaton, whole);
        let step = work.next();
        while (!step.done) step = work.next();
        expect(step.value).toEqual(scan(automaton, whole));
      }),
      { numRuns: 30 },
    );
  });
});

/** Patterns over four characters, so that matches overlap, nest and touch all the time. */
const node: fc.Arbitrary<string> = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.constantFrom('a', 'b', '1', '-', '[ab]', '[a1]', '[^a]', '\\w', '.'),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('atom'),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('node'), fc.nat(2), fc.nat(2)).map(([a, min, more]) => `(?:${a}){${min},${min + more}}`),
  ),
})).node;
const edge = fc.constantFrom('', '', '\\b', '\\B');
const shape = fc.tuple(edge, fc.constantFrom('a', 'b', '1', '-'), node, edge).map((parts) => parts.join(''));
const openShape = fc.tuple(edge, fc.constantFrom('a', 'b', '1', '-'), node).map((parts) => parts.join(''));

const base = { categories: ['pii'] as const, doc: '', examples: [], source: '' };
const smallContext = fc.record({
  words: fc.subarray(['a', 'b', 'a b', 'ab', 'b*', 'a1', 'aa b a'], { minLength: 1, maxLength: 3 }),
  within: fc.integer({ min: 1, max: 9 }),
});
const small: fc.Arbitrary<Omit<Detector, 'id'>> = fc.oneof(
  fc
    .record({
      pattern: fc.array(shape, { minLength: 1, maxLength: 2 }).map((shapes) => shapes.join('|')),
      ignoreCase: fc.boolean(),
    })
    .map((some) => ({ ...base, ...some })),
  shape.map((pattern) => ({ ...base, pattern, validate: (candidate: string) => candidate.length % 3 !== 0 })),
  shape.map((pattern) => ({ ...base, pattern, confirms: (original: string) => !original.includes('A') })),
  fc.tuple(shape, shape).map(([pattern, decoy]) => ({ ...base, pattern, decoys: [decoy] })),
  fc.tuple(shape, shape, smallContext, smallContext, fc.boolean()).map(([pattern, other, context, unless, weak]) => ({
    ...base,
    pattern,
    context,
    weak,
    also: [{ pattern: other, unless }],
  })),
  openShape.map((pattern) => ({ ...base, pattern, swallow: { body: '[a1]', joint: '-' } })),
  fc
    .tuple(openShape, fc.constantFrom('b-', 'a1a', '--', '[ab]1'))
    .map(([pattern, until]) => ({ ...base, pattern, swallow: { until } })),
);
const smallSet = fc
  .array(small, { minLength: 1, maxLength: 4 })
  .map((some): readonly Detector[] => some.map((detector, index) => ({ ...detector, id: `d${index}` })));
const smallText = fc
  .array(fc.constantFrom('a', 'b', '1', '-', ' ', 'A', 'B', 's', '\u200b', '１', 'ａ', '😀'), { maxLength: 24 })
  .map((parts) => parts.join(''));

describe('detection with arbitrary patterns', () => {
  it('finds what the definition says, however the text is cut and however few states there is room for', () => {
    fc.assert(
      fc.property(smallSet, fc.array(smallText, { minLength: 1, maxLength: 4 }), lengths, (set, texts, pieces) => {
        const definition = new BruteForce(set);
        for (const maxStates of [4, 4096]) {
          const compiled = compileAutomaton(set, { maxStates });
          for (const whole of texts) {
            const expected = definition.scan(whole);
            expect(scan(compiled, whole)).toEqual(expected);
            expect(mask(compiled, cut(whole, pieces)).text).toBe(replaced(whole, expected));
          }
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('finds the words before a match however far it is into a text', () => {
    fc.assert(
      fc.property(smallSet, smallText, smallText, lengths, (set, before, text, pieces) => {
        // Longer than what is looked at before a match, and of nothing that a pattern begins with.
        const whole = `${before}${' '.repeat(62)}${text}`;
        const compiled = compileAutomaton(set);
        const expected = new BruteForce(set).scan(whole);
        expect(scan(compiled, whole)).toEqual(expected);
        expect(mask(compiled, cut(whole, pieces)).text).toBe(replaced(whole, expected));
      }),
      { numRuns: 60 },
    );
  });
});
