import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentsMasker } from '../../../src/mask/arguments.ts';
import { Findings } from '../../../src/mask/findings.ts';
import { textMaskers } from './bodies.ts';

/** Masks a text in the pieces that `cuts` make. */
function mask(text: string, cuts: readonly number[] = []): string {
  const masker = new ArgumentsMasker(new Findings(textMaskers));
  let out = '';
  let from = 0;
  for (const to of [...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]) {
    out += masker.push(text.slice(from, to));
    from = Math.max(from, to);
  }
  out += masker.end();
  expect(masker.held).toBe(0);
  return out;
}

const everyCut = (text: string) => [...text].keys().toArray();

describe('masking the arguments of a tool call', () => {
  it.each([
    ['{"to":"jane.doe@example.com"}', '{"to":"<EMAIL_ADDRESS>"}'],
    ['{"card":4111111111111111,"n":-1.5e3}', '{"card":"<CREDIT_CARD>","n":-1.5e3}'],
    ['4111111111111111', '"<CREDIT_CARD>"'],
    ['[4111111111111111 ,\n"4111 1111 1111 1111"]', '["<CREDIT_CARD>" ,\n"<CREDIT_CARD>"]'],
    ['{"jane.doe@example.com":null}', '{"<EMAIL_ADDRESS>":null}'],
    ['{"a":"\\u006aane.doe\\u0040example.com \\u00e9"}', '{"a":"<EMAIL_ADDRESS> \\u00e9"}'],
    ['{"a":"\\"jane.doe@example.com\\" \\\\"}', '{"a":"\\"<EMAIL_ADDRESS>\\" \\\\"}'],
    ['{"a":"4111\\u0020111\\u0031 1111 1111\\n"}', '{"a":"<CREDIT_CARD>\\n"}'],
    ['{"card":4.111111111111111e15}', '{"card":"<CREDIT_CARD>"}'],
    ['{"card":41111111111111110e-1,"n":1.5e3}', '{"card":"<CREDIT_CARD>","n":1.5e3}'],
    ['{"path":"C:\\\\jane.doe@example.com\\/x"}', '{"path":"C:\\\\<EMAIL_ADDRESS>/x"}'],
  ])('turns %s into valid JSON', (text, expected) => {
    expect(mask(text)).toBe(expected);
    expect(mask(text, everyCut(text))).toBe(expected);
    expect(() => JSON.parse(expected)).not.toThrow();
  });

  it.each([
    ['{"ssn":"536221234"}', '{"ssn":"<US_SSN>"}'],
    ['{"ssn": 536221234 }', '{"ssn": "<US_SSN>" }'],
    ['{"s\\u0073n":"5362\\u00321234"}', '{"s\\u0073n":"<US_SSN>"}'],
    ['{"customerSsn":"536221234","order":536221234}', '{"customerSsn":"<US_SSN>","order":536221234}'],
    ['{"api_key":"a8f5Kq93mZx7Lw2Pv0Rt"}', '{"api_key":"<GENERIC_API_KEY>"}'],
    ['{"ssn-":1,"n":536221234}', '{"ssn-":1,"n":536221234}'],
    // In an array, the name of the array.
    ['{"ssn":[536221234,["536221234"]]}', '{"ssn":["<US_SSN>",["<US_SSN>"]]}'],
    ['{"ssn":[{"n":536221234},536221234],"n":536221234}', '{"ssn":[{"n":536221234},"<US_SSN>"],"n":536221234}'],
    ['{"list":[{"ssn":1},536221234]}', '{"list":[{"ssn":1},536221234]}'],
    // The end of a long name is enough; the name of what is around it is not looked at.
    [`{"${'x_'.repeat(200)}ssn":"536221234"}`, `{"${'x_'.repeat(200)}ssn":"<US_SSN>"}`],
    ['{"ssn":{"value":536221234}}', '{"ssn":{"value":536221234}}'],
    ['[536221234]', '[536221234]'],
    // No JSON, from the quote on.
    ['{"ssn": \'536221234\'}', '{"ssn": \'<US_SSN>\'}'],
  ])('reads a value behind its name: %s', (text, expected) => {
    expect(mask(text)).toBe(expected);
    expect(mask(text, everyCut(text))).toBe(expected);
    for (const cut of text.length < 100 ? everyCut(text) : []) expect(mask(text, [cut])).toBe(expected);
  });

  it.each([
    '{ "city" : "Z\\u00fcrich \\ud83d\\ude00 \\/ \\"x\\" \\b", "n" : [ 1, -0.0e-1, true, false, null, {}, [] ] }',
    '"Grüße 😀"',
    '{"a":"line\nbreak\tand \\ud83d lone"}',
    '',
    '{"a',
    '{"a":"b\\',
    '{"a":"b\\u00',
    '{"a":tr',
    '{"a":12',
    'not JSON at all',
    '{not: json}',
    "{'a': 'b'}",
    '{"a":1}{"b":2} and more',
    '{"a":"\\x41"}',
    '{"a" 1}',
    '[1 2]',
    '[1,,2]',
    ']',
    '{"a":01}',
    '[truest, nul]',
    `${'['.repeat(70)}1${']'.repeat(70)}`,
    `[${'1'.repeat(3000)}]`,
    `[1${' '.repeat(3000)}]`,
  ])('leaves %s as it is', (text) => {
    expect(mask(text)).toBe(text);
    expect(mask(text, everyCut(text))).toBe(text);
  });

  it.each([
    ['[4111 1111 1111 1111]', '[<CREDIT_CARD>]'],
    ['{"a": 4111 1111 1111 1111}', '{"a": <CREDIT_CARD>}'],
    ['4111 1111 1111 1111', '<CREDIT_CARD>'],
    ['{a: jane.doe@example.com}', '{a: <EMAIL_ADDRESS>}'],
    ['{"ip": 10.0.0.17}', '{"ip": <IP_ADDRESS>}'],
    ["{'to': 'jane.doe@example.com'}", "{'to': '<EMAIL_ADDRESS>'}"],
    ['jane.doe@example.com', '<EMAIL_ADDRESS>'],
    ['{"a":1} jane.doe@example.com', '{"a":1} <EMAIL_ADDRESS>'],
    ['{"a":"\\q jane.doe@example.com"}', '{"a":"\\q <EMAIL_ADDRESS>"}'],
    ['{"a":"jane.doe@example.com', '{"a":"<EMAIL_ADDRESS>'],
    ['{"a":4111111111111111', '{"a":"<CREDIT_CARD>"'],
    ['{"a":"4111 1111\n1111 1111"', '{"a":"<CREDIT_CARD>"'],
  ])('masks what is not JSON as text: %s', (text, expected) => {
    expect(mask(text)).toBe(expected);
    expect(mask(text, everyCut(text))).toBe(expected);
  });

  it('gives the same text however it was cut', () => {
    const scrap = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        ' ',
        '\\',
        '\\u0040',
        '\\u00',
        '\\n',
        '\n',
        'true',
        '1',
        '4111 1111 1111 1111',
      ],
      ...['4111111111111111', 'jane.doe', '@', '@example.com', 'é', '😀', '\\ud83d', '10.0.0.17', '"a":', '{"a":"'],
      ...['"ssn":', '{"ss', 'n":"', '536221234', '{"ssn":[', '\\u0073', '{"api_key":"', 'a8f5Kq93mZx7Lw2Pv0Rt'],
    );
    fc.assert(
      fc.property(fc.array(scrap, { maxLength: 16 }), fc.array(fc.nat(80), { maxLength: 12 }), (parts, cuts) => {
        const text = parts.join('');
        const whole = mask(text);
        expect(mask(text, cuts)).toBe(whole);
        expect(mask(text, [...Array(text.length).keys()])).toBe(whole);
      }),
      { numRuns: 1500 },
    );
  });

  it('keeps JSON valid, and equal but for what is masked', () => {
    const text = fc.constantFrom('jane.doe@example.com', 'plain', 'é😀', '4111 1111 1111 1111', '"\\', '\u0000\n');
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('node')),
        fc.dictionary(text, tie('node')),
      ),
    })).node;
    const clean = (json: unknown) =>
      JSON.stringify(json)
        .replaceAll('jane.doe@example.com', '<EMAIL_ADDRESS>')
        .replaceAll('4111 1111 1111 1111', '<CREDIT_CARD>');
    fc.assert(
      fc.property(value, fc.array(fc.nat(200), { maxLength: 20 }), fc.constantFrom(0, 2), (json, cuts, space) => {
        expect(clean(JSON.parse(mask(JSON.stringify(json, null, space), cuts)))).toBe(clean(json));
      }),
      { numRuns: 500 },
    );
  });
});
