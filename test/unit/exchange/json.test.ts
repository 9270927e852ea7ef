import { describe, expect, it } from 'vitest';
import { readJson } from '../../../src/exchange/json.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

async function read(text: string) {
  const reading = await readJson(bytes(text));
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

async function refusal(body: string | Uint8Array) {
  const reading = await readJson(typeof body === 'string' ? bytes(body) : body);
  return reading.ok ? `accepted: ${String(reading.value)}` : `${reading.code} ${reading.message}`;
}

describe('strict JSON', () => {
  it.each([
    'null',
    ' true ',
    '[]',
    '{}',
    '0',
    '-0.5e-3',
    '""',
    '"\\u00e9\\n\\"\\\\\\/\\ud83d\\ude00é😀"',
    '[1,[2,[3,{"a":[{}]}]]]',
    '{"a":{"b":[true,false,null]},"":1,"c d":"\\u0000"}',
    `${'['.repeat(64)}${']'.repeat(64)}`,
  ])('reads %s as JSON.parse does', async (text) => {
    expect(await read(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ['a name used twice', '{"model":"a","model":"b"}', 'byte 13'],
    ['a name used twice, once in escapes', '{"model":"a","mod\\u0065l":"b"}', 'byte 13'],
    ['a name used twice among many', `{${Array.from({ length: 40 }, (_, i) => `"k${i}":1`)},"k3":2}`, 'twice'],
    ['nesting of 65', `${'['.repeat(65)}${']'.repeat(65)}`, 'deeper than 64'],
    ['nesting of 100,000', '['.repeat(100_000), 'deeper than 64'],
    ['a byte order mark', '\ufeff{}', 'byte 0'],
    ['NaN', '{"n":NaN}', 'byte 5'],
    ['Infinity', '[-Infinity]', 'needs a digit'],
    ['a lone high surrogate', '"\\ud83d"', 'lone surrogate'],
    ['a lone low surrogate', '"\\ude00"', 'lone surrogate'],
    ['a high surrogate before a plain escape', '"\\ud83d\\n"', 'lone surrogate'],
    ['two high surrogates', '"\\ud83d\\ud83d\\ude00"', 'lone surrogate'],
    ['trailing junk', '{} {}', 'byte 3'],
    ['trailing NUL', '{}\0', 'byte 2'],
    ['1e400', '[1e400]', 'out of range'],
    ['a long number out of range', `[${'9'.repeat(400)}]`, 'out of range'],
    ['a leading zero', '[01]', 'begins with a zero'],
    ['a leading plus', '[+1]', 'expected a value'],
    ['a bare point', '[1.]', 'digit after its point'],
    ['an empty exponent', '[1e]', 'exponent'],
    ['a control character', '"a\nb"', 'control character'],
    ['an unknown escape', '"\\x41"', 'escape'],
    ['a short escape', '"\\u00e"', 'escape'],
    ['a single-quoted string', "{'a':1}", "member's name"],
    ['a trailing comma', '[1,]', 'expected a value'],
    ['a trailing comma in an object', '{"a":1,}', "member's name"],
    ['a comment', '{/*x*/}', "member's name"],
    ['a missing colon', '{"a" 1}', "':'"],
    ['a missing comma', '[1 2]', "','"],
    ['mismatched brackets', '[1}', "']'"],
    ['nothing', '', 'ends before'],
    ['white space only', ' \n', 'ends before'],
    ['a cut string', '{"a":"b', 'inside a string'],
    ['a cut escape', '"\\', 'escape'],
    ['a cut object', '{"a":1', 'ends before'],
    ['a non-breaking space', '\u00a0{}', 'expected a value'],
    ['a name of 1,025 characters', `{"${'n'.repeat(1025)}":1}`, "a member's name is longer than 1024"],
    ['a number of 5,000 digits', `[0.${'1'.repeat(5000)}]`, 'longer than'],
  ])('refuses %s', async (_name, text, because) => {
    const message = await refusal(text);
    expect(message).toMatch(/^invalid_json We could not parse the JSON body of your request: /);
    expect(message).toContain(because);
  });

  it.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut character', [0x22, 0xe2, 0x82, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('refuses bytes that are not UTF-8: %s', async (_name, raw) => {
    expect(await refusal(Uint8Array.from(raw))).toContain('not valid UTF-8');
  });

  it('refuses a long body that is not UTF-8 anywhere', async () => {
    for (const byte of [0x80, 0xbf, 0xe2, 0xff])
      expect(await refusal(Buffer.alloc(600 * 1024, byte))).toContain('not valid UTF-8');
    const late = Buffer.from(`"${'é'.repeat(400_000)}"`);
    late[700_001] = 0xff;
    expect(await refusal(late)).toContain('not valid UTF-8');
  });

  it('counts the place of a problem in bytes', async () => {
    expect(await refusal('{"é":"é",x}')).toContain('at byte 11');
  });

  it('keeps integers that a double would change as bigints', async () => {
    expect(await read('[9007199254740991,9007199254740993,-123456789012345678901234567890,1234567890123456]')).toEqual([
      9007199254740991,
      9007199254740993n,
      -123456789012345678901234567890n,
      1234567890123456,
    ]);
  });

  it('takes __proto__ for a name like any other', async () => {
    const value = (await read('{"__proto__":{"admin":true},"constructor":1}')) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(value['admin']).toBeUndefined();
    expect(value['toString']).toBeUndefined();
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('answers small bodies at once, and reads large ones in slices with the same result', async () => {
    expect(readJson(bytes('{"a":1}'))).toEqual({ ok: true, value: { a: 1 } });
    const value = {
      text: 'é\n"'.repeat(400_000),
      list: Array.from({ length: 30_000 }, (_, i) => ({ i, s: `\t${i}` })),
    };
    expect(await read(JSON.stringify(value))).toEqual(value);
    const escaped = `"${'\\ud83d\\ude00\\n'.repeat(60_000)}"`;
    expect(await read(escaped)).toBe(JSON.parse(escaped));
  });

  it('bounds the members of an object and the values of a text', async () => {
    expect(await refusal(`{${Array.from({ length: 16_385 }, (_, i) => `"k${i}":1`)}}`)).toContain(
      'more than 16384 members',
    );
    expect(await refusal(`[${'1,'.repeat(300_000)}1]`)).toContain('more than 262144 values');
  });
});
