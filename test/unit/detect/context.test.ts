import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import type { Detector } from '../../../src/detect/detector.ts';
import { scan } from '../../../src/detect/scan.ts';

const base = { categories: ['pii'] as const, doc: '', examples: [], source: '' };
const nine = { ...base, pattern: String.raw`\b\d{9}\b` };
const ssn: Detector = {
  ...nine,
  id: 'ssn',
  weak: true,
  context: { words: ['ssn', 'social security', 'tax id', 'steuer*'] },
};

const found = (detectors: readonly Detector[], text: string) =>
  scan(compileAutomaton(detectors), text).map(({ detector, start, end }) => `${detector} ${text.slice(start, end)}`);

describe('words before a match', () => {
  it.each([
    'ssn 123456789',
    'SSN: 123456789',
    'my SSNs are 123456789',
    '{"ssn":"123456789"}',
    'customer_ssn=123456789',
    'customerSsn = 123456789',
    'customerSSN=123456789',
    'Social Security number is 123456789',
    'social\nsecurity: 123456789',
    'socialSecurity 123456789',
    'SOCIALSECURITY 123456789',
    'tax_id 123456789',
    'taxId 123456789',
    'TaxID 123456789',
    'taxid 123456789',
    'Tax-ID#123456789',
    'Steuernummer 123456789',
    'Ｓ\u200bＳＮ 123456789',
    `ssn ${'.'.repeat(118)} 123456789`,
  ])('are found in %j', (text) => {
    expect(found([ssn], text)).toEqual(['ssn 123456789']);
  });

  it.each([
    '123456789',
    '123456789 ssn',
    'assn 123456789',
    'ssnx 123456789',
    'tax 123456789',
    'id tax 123456789',
    'tax and id 123456789',
    'social, um, security 123456789',
    'insteuer 123456789',
    `ssn ${'.'.repeat(119)} 123456789`,
  ])('are not found in %j', (text) => {
    expect(found([ssn], text)).toEqual([]);
  });

  it('decide between detectors of the same characters: the nearer one wins', () => {
    const passport: Detector = { ...nine, id: 'passport', weak: true, context: { words: ['passport'] } };
    expect(found([ssn, passport], 'SSN 123456789, passport 987654321')).toEqual([
      'ssn 123456789',
      'passport 987654321',
    ]);
    expect(found([ssn, passport], 'passport 123456789, SSN 987654321')).toEqual([
      'passport 123456789',
      'ssn 987654321',
    ]);
  });

  it('lose against a detector that needs none, where the pattern is weak, and win where it is not', () => {
    const checked: Detector = { ...nine, id: 'checked', validate: () => true };
    const named: Detector = { ...ssn, weak: false };
    expect(found([ssn, checked], 'ssn 123456789')).toEqual(['checked 123456789']);
    expect(found([checked, named], 'ssn 123456789')).toEqual(['ssn 123456789']);
    // A pattern that is enough by itself, such as a prefix, is more than a word.
    expect(found([named, { ...nine, id: 'prefixed' }], 'ssn 123456789')).toEqual(['prefixed 123456789']);
  });

  it('speak against a match, where no word for it is nearer', () => {
    const phone: Detector = { ...nine, id: 'phone', unless: { words: ['order', 'isbn'], within: 20 } };
    expect(found([phone], 'Order no. 123456789')).toEqual([]);
    expect(found([phone], 'Order no. 12; or else call 123456789')).toEqual(['phone 123456789']);
    const either: Detector = { ...phone, context: { words: ['call'] } };
    const key: Detector = { ...phone, unless: { words: ['public key'] }, context: { words: ['key'] } };
    expect(found([key], 'public key 123456789')).toEqual([]);
    expect(found([key], 'public key 123456789; the key 123456789')).toEqual(['phone 123456789']);
    expect(found([either], 'call about order 123456789; about your order call 123456789')).toEqual(['phone 123456789']);
  });

  it('may be in other than Latin letters', () => {
    const rrn: Detector = { ...nine, id: 'rrn', context: { words: ['주민등록번호', 'rrn'] } };
    expect(found([rrn], '그의 주민등록번호는 123456789 이다')).toEqual(['rrn 123456789']);
    expect(found([rrn], '그의 번호는 123456789 이다')).toEqual([]);
  });

  it('do not count when a match is the word', () => {
    expect(found([ssn], 'ssn 123456789 123456789')).toEqual(['ssn 123456789', 'ssn 123456789']);
  });

  it.each([
    [{ words: [] }, 'has no words'],
    [{ words: ['x'], within: 121 }, 'from 1 to 120'],
    [{ words: ['#'] }, 'no letter'],
    [{ words: ['x'.repeat(49)] }, '1 to 48'],
  ])('that cannot be looked for are refused: %j', (context, message) => {
    expect(() => compileAutomaton([{ ...ssn, context }])).toThrow(message);
  });

  it('cannot be asked for by a conclusive opener', () => {
    expect(() => compileAutomaton([{ ...ssn, pattern: 'ab', swallow: { body: 'c' } }])).toThrow('conclusive');
  });
});

describe('other patterns of a detector', () => {
  it('have contexts and validators of their own', () => {
    const one: Detector = {
      ...base,
      id: 'one',
      pattern: String.raw`\b\d{3}-\d{3}\b`,
      also: [
        { pattern: String.raw`\b\d{6}\b`, context: { words: ['number'] } },
        { pattern: String.raw`\b\d{4}\b`, validate: (candidate) => candidate.startsWith('9') },
      ],
    };
    expect(found([one], '123-456, 123456, number 123456, 1234, 9234')).toEqual([
      'one 123-456',
      'one 123456',
      'one 9234',
    ]);
  });
});
