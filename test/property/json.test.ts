import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from '../../src/exchange/json.ts';
import { type JsonHandler, JsonLexer } from '../../src/exchange/json-lexer.ts';

const reading = async (text: string) => readJson(new TextEncoder().encode(text));

/** What JSON.parse would have made of it: big integers lose their last digits. */
const asDoubles = (value: unknown) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v));

/** Everything that the lexer reports, in order. */
function trace(text: string, budgets: readonly number[]) {
  const seen: unknown[] = [];
  const handler: JsonHandler = {
    open: (...args) => seen.push('open', ...args),
    close: (...args) => seen.push('close', ...args),
    key: (...args) => seen.push('key', ...args),
    string: (...args) => seen.push('string', ...args, lexer.decoded()),
    number: (...args) => seen.push('number', ...args),
    literal: (...args) => seen.push('literal', ...args),
  };
  const lexer = new JsonLexer(text, handler);
  let i = 0;
  for (;;) {
    const state = lexer.run(budgets[i++ % budgets.length]!);
    if (state !== 'more') return [...seen, state, lexer.problem];
  }
}

describe('strict JSON', () => {
  it('agrees with JSON.parse on every value', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ noUnicodeString: false, maxDepth: 6 }),
        fc.constantFrom(0, 1, 2),
        async (value, space) => {
          const text = JSON.stringify(value, null, space).toWellFormed();
          fc.pre(!text.includes('\\ud'));
          const result = await reading(text);
          expect(result.ok && asDoubles(result.value)).toBe(JSON.stringify(JSON.parse(text)));
        },
      ),
    );
  });

  it('never accepts what JSON.parse refuses', async () => {
    const scrap = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '"a"',
        '"\\u0062"',
        '\\',
        '1',
        '-',
        '0',
        '.',
        'e',
        ' ',
        'true',
        'null',
        'N',
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(scrap, async (parts) => {
        const text = parts.join('');
        const result = await reading(text);
        if (result.ok) expect(asDoubles(result.value)).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 2000 },
    );
  });

  it('reports the same wherever it is interrupted', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ noUnicodeString: false }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom('', '}', '"\\ud83d\\ude00\\n"', '\\'),
        (value, budgets, junk) => {
          const text = `${JSON.stringify(value)}${junk}`;
          expect(trace(text, budgets)).toEqual(trace(text, [text.length + 1]));
        },
      ),
    );
  });
});
