import { describe, expect, test } from 'vitest';
import { paced } from '../../../src/exchange/pace.ts';
import { estimatedTokens, utf8Length } from '../../../src/exchange/text-size.ts';
import { Words } from '../../../src/exchange/words.ts';

const lengthOf = async (text: string) => paced(utf8Length(text));

describe('the length of a text', () => {
  test.each([
    ['nothing', ''],
    ['English', 'word '.repeat(80)],
    ['Chinese', '漢字'.repeat(2000)],
    ['emoji', '🦊'.repeat(100)],
    ['long English', 'word '.repeat(300_000)],
    ['long Chinese', '漢字'.repeat(300_000)],
  ])('of %s is that of its bytes', async (_, text) => {
    expect(await lengthOf(text)).toBe(Buffer.from(text).length);
  });

  test('is counted in slices where it is long', () => {
    expect([...utf8Length('word')]).toEqual([]);
    expect([...utf8Length('word '.repeat(300_000))].length).toBeGreaterThan(4);
  });
});

test.each([
  [-3, 0],
  [0, 0],
  [1, 1],
  [4, 1],
  [5, 2],
  [4000, 1000],
])('%s bytes are about %s tokens', (bytes, tokens) => {
  expect(estimatedTokens(bytes)).toBe(tokens);
});

describe('words', () => {
  const tokensOf = async (...texts: string[]) => {
    const words = new Words();
    for (const text of texts) words.add(text);
    const text = words.text();
    return { tokens: await paced(words.tokens()), bytes: Buffer.byteLength(text) };
  };

  test.each([
    ['none', []],
    ['a few', ['Hello', 'world']],
    ['4,000 Chinese characters', ['漢字'.repeat(2000)]],
    ['bundles of them', Array.from({ length: 40 }, (_, i) => `${i} word `.repeat(1000))],
    ['long ones between', ['a', '漢'.repeat(100_000), 'b', 'word '.repeat(100_000), 'c']],
  ])('come to a quarter of the bytes of their text: %s', async (_, texts) => {
    const { tokens, bytes } = await tokensOf(...texts);
    expect(tokens).toBe(Math.ceil(bytes / 4));
  });

  test('of Chinese are not charged as English of that length', async () => {
    expect((await tokensOf('漢字'.repeat(2000))).tokens).toBe(3000);
  });
});
