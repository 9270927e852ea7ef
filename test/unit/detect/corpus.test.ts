import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Automaton, compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectors, selectDetectors } from '../../../src/detect/registry.ts';
import { scan } from '../../../src/detect/scan.ts';

const folder = new URL('../../fixtures/detectors/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8'));

/** `spans`: the parts of the text that must be found, in order; `others`: what other detectors find in it. */
interface Corpus {
  readonly positives: readonly {
    readonly text: string;
    readonly spans: readonly string[];
    readonly others?: readonly { readonly type: string; readonly text: string }[];
  }[];
  readonly negatives: readonly string[];
}

const found = (automaton: Automaton, text: string) =>
  scan(automaton, text).map(({ detector, start, end }) => [detector, text.slice(start, end)]);

const everything = compileAutomaton(detectors);

describe.each(detectors.map(({ id }) => id))('%s', (id) => {
  const corpus = read(id) as Corpus;
  const alone = compileAutomaton(selectDetectors([id]));

  it.each(corpus.positives)('finds $spans in $text', ({ text, spans, others = [] }) => {
    const expected = spans.map((span) => [id, span]);
    expect(found(alone, text)).toEqual(expected);
    const all = [...expected, ...others.map((other) => [other.type, other.text])];
    expect(found(everything, text)).toEqual(others.length === 0 ? all : expect.arrayContaining(all));
    expect(found(everything, text)).toHaveLength(all.length);
  });

  it.each(corpus.negatives.map((text) => ({ text })))('finds nothing in $text', ({ text }) => {
    expect(found(alone, text)).toEqual([]);
    expect(found(everything, text).filter(([detector]) => detector === id)).toEqual([]);
  });

  it('finds its own examples', () => {
    const detector = detectors.find((each) => each.id === id)!;
    const word = detector.context?.words[0] ?? '';
    for (const example of detector.examples)
      expect(found(alone, `See ${word} ${example} here`)).toEqual([[id, example]]);
    expect(detector.examples.length).toBeGreaterThan(0);
    expect(detector.source).not.toBe('');
  });
});

describe('all detectors together', () => {
  it.each((read('hard-negatives') as string[]).map((text) => ({ text })))('find nothing in $text', ({ text }) => {
    expect(found(everything, text)).toEqual([]);
  });

  it('have a corpus each, and no corpus is without its detector', () => {
    const names = readdirSync(folder).map((name) => name.replace('.json', ''));
    expect(names.toSorted()).toEqual([...detectors.map(({ id }) => id), 'hard-negatives'].toSorted());
  });
});
