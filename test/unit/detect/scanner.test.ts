/** What the scanner must not get wrong, with detectors made for it. */
import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import type { Detector } from '../../../src/detect/detector.ts';
import { StreamScan } from '../../../src/detect/stream.ts';

const detector = (id: string, pattern: string, more: Partial<Detector> = {}): Detector => ({
  id,
  categories: ['pii'],
  pattern,
  doc: '',
  examples: [],
  source: '',
  ...more,
});

function found(detectors: readonly Detector[], pieces: readonly string[], before = ''): string[] {
  const scan = new StreamScan(compileAutomaton(detectors), before);
  return [...pieces.flatMap((piece) => scan.push(piece)), ...scan.end()].map((one) => `${one.detector} ${one.text}`);
}

describe('the scanner', () => {
  it('takes the end of a match for what stands before the next one', () => {
    const two = [detector('first', 'ab'), detector('second', String.raw`\bcd\b`)];
    expect(found(two, [' abcd'])).toEqual(['first ab']);
    expect(found(two, [' ab cd'])).toEqual(['first ab', 'second cd']);
  });

  it('takes the longest match that is confirmed, though a shorter one says more', () => {
    const long = detector('long', String.raw`ab\d{4}`, { validate: (text) => text !== 'ab9999', weak: true });
    const two = [long, detector('short', String.raw`ab\d{2}`, { validate: () => true })];
    expect(found(two, ['ab1234'])).toEqual(['long ab1234']);
    expect(found(two, ['ab9999'])).toEqual(['short ab99']);
  });

  it('knows the words before a match in whatever pieces they came, and what was said before the text', () => {
    const number = [detector('number', String.raw`\b\d{4}\b`, { context: { words: ['account number'], within: 40 } })];
    const text = 'the account number of theirs is 1234';
    for (let cut = 0; cut <= text.length; cut++)
      expect(found(number, [text.slice(0, cut), text.slice(cut)])).toEqual(['number 1234']);
    expect(found(number, [...text])).toEqual(['number 1234']);
    expect(found(number, ['1234'], 'accountNumber: ')).toEqual(['number 1234']);
    expect(found(number, ['1234'])).toEqual([]);
    expect(found(number, [...`${text.slice(0, -4)}${'x '.repeat(20)}1234`])).toEqual([]);
  });
});
