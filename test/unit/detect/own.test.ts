import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectorsSection } from '../../../src/detect/config.ts';
import { canonicalValue, readValues, sipHash32, ValueHasher, valuesHeader } from '../../../src/detect/keyed-hash.ts';
import { ownDetectors } from '../../../src/detect/own.ts';
import { scan } from '../../../src/detect/scan.ts';
import { createTextMaskers } from '../../../src/mask/text.ts';

const key = randomBytes(32);
const hasher = new ValueHasher(key);
const valuesOf = (...values: readonly string[]) =>
  [valuesHeader(hasher), ...values.map((value) => hasher.line(canonicalValue(value)))].join('\n');

async function own(definitions: readonly object[], files: Readonly<Record<string, string>> = {}) {
  return ownDetectors(detectorsSection.parse(definitions), new Set(['credit_card', 'pii', 'all']), {
    file: async (path) => files[path] ?? Promise.reject(new Error(`${path} is not there`)),
    key: async ({ keyEnv }) => (keyEnv === 'SHORT' ? key.subarray(0, 8) : keyEnv === 'OTHER' ? randomBytes(32) : key),
  });
}

async function found(definition: object, text: string, files?: Readonly<Record<string, string>>) {
  const made = await own([{ id: 'mine', ...definition }], files);
  if (!made.ok) throw new Error(made.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return scan(compileAutomaton(made.detectors), text).map(({ start, end }) => text.slice(start, end));
}

describe('a detector of a user', () => {
  it('has a pattern, a validator by name, and words before it', async () => {
    const pattern = String.raw`\b\d{4}-\d{4}\b`;
    expect(await found({ pattern }, 'a 1234-5678 b')).toEqual(['1234-5678']);
    expect(await found({ pattern, validator: 'luhn' }, '1234-5678 1234-5674')).toEqual(['1234-5674']);
    expect(await found({ pattern: String.raw`\b\d{16}\b`, validator: 'credit_card' }, '4111111111111111')).toHaveLength(
      1,
    );
    const named = (name: string, text: string) =>
      found({ pattern: String.raw`\b[A-Z0-9]{6,24}\b`, validator: name }, text);
    // ISO 17442: an LEI; Verhoeff over seven digits; a German tax id.
    expect(await named('mod97', '5493001KJTIIGC8Y1R12 5493001KJTIIGC8Y1R13')).toEqual(['5493001KJTIIGC8Y1R12']);
    expect(await named('verhoeff', '12345679 12345670')).toEqual(['12345679']);
    expect(await named('mod11_10', '86095742719 86095742718')).toEqual(['86095742719']);
    const context = { words: ['customer'] };
    expect(await found({ pattern, context }, '1234-5678, customer 1234-5678')).toEqual(['1234-5678']);
    expect(await found({ pattern, unless: { words: ['order'] } }, 'order 1234-5678')).toEqual([]);
    expect(await found({ pattern: 'abc', ignoreCase: true }, 'xABC')).toEqual(['ABC']);
  });

  it('has words and phrases, in any spelling', async () => {
    const words = ['Falcon', 'Blue Heron', 'C++', 'Zürich-Projekt', '長野', 'Сокол', '+x'];
    const text = 'FALCON, falcons, Fａlcon; blue\nheron blue_heron blueheron; C++ zurich projekt; 長野県 СОКОЛ 長崎';
    expect(await found({ words }, text)).toEqual([
      'FALCON',
      'Fａlcon',
      'blue\nheron',
      'blue_heron',
      'C++',
      'zurich projekt',
      '長野',
      'СОКОЛ',
    ]);
    expect(await found({ words, match: 'substring' }, 'falcons afalcon')).toEqual(['falcon', 'falcon']);
    expect(await found({ words: ['car', 'carbon', 'car bomb'] }, 'car carbo carbon car bomb')).toEqual([
      'car',
      'carbon',
      'car bomb',
    ]);
    expect(await found({ wordFiles: ['list'] }, 'one two', { list: '\ufeff# words\r\none\r\n\r\n' })).toEqual(['one']);
  });

  it('may have many words, which a stream does not notice', async () => {
    const words = Array.from({ length: 10_000 }, (_, i) => `w${(i * 7919).toString(36)}q${i}`);
    const made = await own([{ id: 'many', words }]);
    const maskers = createTextMaskers(compileAutomaton(made.ok ? made.detectors : []));
    const masker = maskers(() => {});
    const text = `The ${words[9999]} and ${words[17]}.`;
    expect([...text].map((char) => masker.push(char)).join('') + masker.end()).toBe('The <MANY> and <MANY>.');
  });

  it('knows exact values by their hashes alone', async () => {
    const files = { v: valuesOf('ACME-4711', 'Jane  Q. Doe', '田中さん') };
    const values = { file: 'v', keyEnv: 'K' };
    expect(await found({ values }, 'ask acme-4711 or ＡＣＭＥ-4711, not acme-4712', files)).toEqual([
      'acme-4711',
      'ＡＣＭＥ-4711',
    ]);
    const names = { ...values, words: 3, minLength: 3 };
    expect(await found({ values: names }, 'I met jane q. doe there', files)).toEqual(['jane q. doe']);
    expect(await found({ values, pattern: '[^a]{4}' }, 'a田中さんa', files)).toEqual(['田中さん']);
    expect(files.v).not.toMatch(/acme|4711|jane/i);
  });
});

describe('a definition that cannot be run', () => {
  const pattern = (source: string, more = {}) => [{ id: 'mine', pattern: source, ...more }];
  it.each([
    [pattern('(?=a)b'), 'detectors[0].pattern', 'lookaround'],
    [pattern('(a)\\1'), 'detectors[0].pattern', 'backreferences'],
    [pattern('a+'), 'detectors[0].pattern', 'without a maximum'],
    [pattern('a{3,}'), 'detectors[0].pattern', 'without a maximum'],
    [pattern('a{1,3}?b'), 'detectors[0].pattern', 'lazy'],
    [pattern('('), 'detectors[0].pattern', 'Unterminated group'],
    [pattern('a?'), 'detectors[0].pattern', 'empty text'],
    [pattern('é'), 'detectors[0].pattern', 'beyond ASCII'],
    [pattern('a{300}'), 'detectors[0].pattern', '300 characters long, and maxLength is 256'],
    [pattern('(?:a|b){1,40}a(?:a|b){15}'), 'detectors[0].pattern', 'states'],
    [pattern('a', { validator: 'lun' }), 'detectors[0].validator', 'there are luhn, verhoeff, mod97, mod11_10, and'],
    [pattern('a', { context: { words: ['#'] } }), 'detectors[0].context', 'no letter'],
    [[{ id: 'credit_card', pattern: 'a' }], 'detectors[0].id', 'built in'],
    [[{ id: 'pii', pattern: 'a' }], 'detectors[0].id', 'built in'],
    [[{ id: 'mine', words: ['\u200b'] }], 'detectors[0].words', 'no word'],
    [[{ id: 'mine', wordFiles: ['x'] }], 'detectors[0].wordFiles[0]', 'not there'],
    [[{ id: 'mine', values: { file: 'x', keyEnv: 'K' } }], 'detectors[0].values.file', 'not there'],
    [[{ id: 'mine', values: { file: 'text', keyEnv: 'K' } }], 'detectors[0].values.file', 'hash-values'],
    [[{ id: 'mine', values: { file: 'good', keyEnv: 'OTHER' } }], 'detectors[0].values.file', 'another key'],
    [[{ id: 'mine', values: { file: 'bad', keyEnv: 'K' } }], 'detectors[0].values.file', 'line 2'],
    [[{ id: 'mine', values: { file: 'good', keyEnv: 'SHORT' } }], 'detectors[0].values', '16 bytes'],
  ])('is refused: %j', async (definitions, path, message) => {
    const files = { text: 'jane', good: valuesOf('a'), bad: `${valuesHeader(hasher)}\njane` };
    const made = await own(definitions, files);
    expect(made).toEqual({ ok: false, problems: [{ path, message: expect.stringContaining(message) }] });
  });

  it.each([
    [{ id: 'mine' }],
    [{ id: 'Mine', pattern: 'a' }],
    [{ id: 'mine', pattern: 'a', words: ['b'] }],
    [{ id: 'mine', words: ['b'], validator: 'luhn' }],
    [{ id: 'mine', values: { file: 'x' } }],
    [{ id: 'mine', values: { file: 'x', keyFile: 'k', keyEnv: 'K' } }],
    [{ id: 'mine', pattern: 'a', colour: 'red' }],
  ])('is refused by the schema: %j', (definition) => {
    expect(detectorsSection.safeParse([definition]).success).toBe(false);
  });

  it('is refused by the schema where another has its id', () => {
    const twice = { id: 'mine', pattern: 'a' };
    expect(detectorsSection.safeParse([twice, twice]).success).toBe(false);
  });
});

describe('hashes of values', () => {
  it('are SipHash-2-4, as its authors give it', () => {
    // Key 00..0f; the low halves of vectors_sip64 of the reference implementation, for inputs 00, 01, … of even lengths.
    const reference = [0, 2, 4, 6, 8].map((length) => {
      const bytes = Buffer.from(Array.from({ length }, (_, i) => i));
      return sipHash32([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c], bytes.toString('utf16le'));
    });
    expect(reference.map((hash) => hash.toString(16))).toEqual([
      'dd0e0e31',
      'd9a94f5a',
      '277187b7',
      '58fee3ce',
      '9a932462',
    ]);
  });

  it('do not depend on how a value is spelled', () => {
    expect(canonicalValue(' ＪＡＮＥ\u00a0\n Doe\u200b ')).toBe('jane doe');
    expect(canonicalValue('ÅSA')).toBe(canonicalValue('åsa'));
  });

  it('say which key they are under', () => {
    expect(readValues(valuesOf('jane'), hasher)).toMatchObject({ ok: true, count: 1 });
    expect(() => new ValueHasher(Buffer.alloc(15))).toThrow('16 bytes');
  });
});
