import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { normalize } from '../../../src/detect/normalize.ts';
import { scan } from '../../../src/detect/scan.ts';
import { paced } from '../../../src/exchange/pace.ts';
import { filtersSection } from '../../../src/guard/config.ts';
import { type LoadedFilters, loadFilters } from '../../../src/guard/filters.ts';

const load = (
  filters: readonly object[],
  files: Readonly<Record<string, string | Buffer>> = {},
): Promise<LoadedFilters> =>
  loadFilters(filtersSection.parse(filters), {
    readFile: (path) =>
      files[path] === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(Buffer.from(files[path])),
    run: paced,
  });

async function filtersOf(filters: readonly object[], files?: Readonly<Record<string, string | Buffer>>) {
  const loaded = await load(filters, files);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.filters;
}

async function counted(filters: readonly object[], text: string, files?: Readonly<Record<string, string>>) {
  return Object.fromEntries(await paced((await filtersOf(filters, files)).count(text)));
}

describe('words and phrases', () => {
  it.each([
    ['a word', 'bomb', 'a bomb, a BOMB and a bomb', 3],
    ['a word at both ends', 'bomb', 'bomb', 1],
    ['no part of a word', 'bomb', 'bombastic, aerobomb, bomb1', 0],
    ['a phrase', 'drop the bomb', 'Drop  the\n-- BOMB!', 1],
    ['no phrase with a word between', 'drop the bomb', 'drop the big bomb', 0],
    ['full-width letters', 'bomb', 'Ｂｏｍｂ', 1],
    ['a zero-width space in a word', 'bomb', 'bo\u200bmb', 1],
    ['an apostrophe', "don't", "Don’t: DON'T", 2],
    ['an accent, however it is written', 'café', 'cafe\u0301 CAFÉ', 2],
    ['a word with an accent more', 'cafe', 'café', 1],
    ['a word with an accent less', 'café', 'cafe', 1],
    ['Markdown around a word', 'bomb', '_bomb_ __bomb__ **bomb** ~~bomb~~ `bomb`', 5],
    ['words with underscores between', 'drop the bomb', 'drop_the_bomb', 1],
    ['strokes through letters', 'bomb', 'b\u0336o\u0336m\u0336b\u0336', 1],
    ['circles around letters', 'bomb', 'bomb\u20e3 b\u20ddomb', 2],
    ['marks heaped upon letters', 'bomb', `b${'\u0301\u0336\u0489'.repeat(40)}omb`, 1],
    ['a mark with no letter before it', 'bomb', '\u0301bomb \u0e34bomb', 2],
    ['a vowel of Thai upon Latin letters', 'bomb', 'bo\u0e34mb', 1],
    ['an accent in an entry, and other marks', 'b\u0336ö\u0336mb', 'bomb', 1],
    ['Greek and Cyrillic accents', 'αθηνα елка', 'Αθήνα ёлка', 1],
    ['Vietnamese', 'Việt Nam', 'VIET NAM', 1],
    ['Hindi with its vowels', 'हिन्दी', 'यह हिन्दी है', 1],
    ['no other vowels in Hindi', 'हिन्दी', 'हन्दी, हिन्दू', 0],
    ['Arabic with and without vowel signs', 'كتاب', 'كِتَاب', 1],
    ['Hebrew with and without points', 'שָׁלוֹם', 'שלום', 1],
    ['Japanese, whose voicing marks are no accents', 'カキ', 'ガギ カキ', 1],
    ['Korean, however it is written', '한국', '한국'.normalize('NFD'), 1],
    ['ß', 'Straße', 'STRASSE', 1],
    ['Chinese inside of a sentence', '炸弹', '制作炸弹的方法', 1],
    ['Chinese that is not there', '炸弹', '炸的弹', 0],
    ['Thai', 'ระเบิด', 'ทำระเบิดเอง', 1],
    ['Russian', 'бомба', 'Это БОМБА.', 1],
    ['letters beyond the BMP', '𐐔𐐇', 'the 𐐼𐐯 𐐔𐐇', 2],
    ['words that follow each other', 'no no', 'no no no no', 3],
    ['what is written with digits', 'area 51', 'Area-51', 1],
  ])('match %s', async (_, word, text, times) => {
    expect(await counted([{ name: 'f', words: [word] }], text)).toEqual(times === 0 ? {} : { f: times });
  });

  it('match inside of words where the filter says so', async () => {
    const filters = [{ name: 'sub', match: 'substring', words: ['bomb', 'big bomb'] }];
    expect(await counted(filters, 'Bombastic! A big-bombing')).toEqual({ sub: 3 });
  });

  it('are counted for each filter that has them, once', async () => {
    const filters = [
      { name: 'a', words: ['bomb', 'Bomb', 'BOMB!', 'drop the bomb'] },
      { name: 'b', words: ['the bomb'] },
      { name: 'c', words: ['nothing'] },
    ];
    expect(await counted(filters, 'drop the bomb')).toEqual({ a: 2, b: 1 });
  });

  it('come from files: comments, empty lines and line ends of any kind', async () => {
    const files = { '/w': '\ufeff# words\r\n\r\n  bomb  \r\ndrop dead\n#no\nlast' };
    expect(await counted([{ name: 'f', wordFiles: ['/w'] }], 'bomb, drop dead; last no', files)).toEqual({ f: 3 });
  });

  it('are found across the slices in which a long text is read', async () => {
    const filler = 'word '.repeat(818);
    for (let shift = 0; shift < 40; shift++)
      expect(
        await counted([{ name: 'f', words: ['drop the bomb'] }], `${'x'.repeat(shift)} ${filler}drop the bomb`),
      ).toEqual({ f: 1 });
  });
});

const isAloneScript =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

/** An independent reading of Latin and Chinese: words with one space before, between and behind them. */
const wordsOf = (text: string): string => {
  const words = [...normalize(text).normalize('NFD').replaceAll(/\p{M}/gu, '')]
    .map((char) => (isAloneScript.test(char) ? ` ${char} ` : /[\p{L}\p{N}]/u.test(char) ? char : ' '))
    .join('');
  return ` ${words} `.replace(/ +/g, ' ');
};

describe('a property of filters', () => {
  const words = fc.constantFrom('a', 'b', 'ab', 'ba', 'aab', 'é', 'e', '炸', '炸弹', 'a b', 'b a b', 'x_1');
  const texts = fc.array(
    fc.constantFrom('a', 'b', 'A', ' ', ', ', '炸', '弹', 'e\u0301', 'e', '\u0336', '_', '1', 'x', '\u200b', 'Ｂ', '𐐔'),
    { maxLength: 40 },
  );

  it('is that they count what a plain search for each entry finds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.array(words, { minLength: 1, maxLength: 6 }), fc.constantFrom('word', 'substring')), {
          minLength: 1,
          maxLength: 4,
        }),
        texts,
        async (lists, parts) => {
          const text = parts.join('');
          const expected: Record<string, number> = {};
          const read = wordsOf(text);
          for (const [i, [list, match]] of lists.entries()) {
            const entries = new Set(list.map((word) => (match === 'word' ? wordsOf(word) : wordsOf(word).trim())));
            let count = 0;
            for (const entry of entries)
              for (let at = read.indexOf(entry); at >= 0; at = read.indexOf(entry, at + 1)) count++;
            if (count > 0) expected[`f${i}`] = count;
          }
          const filters = lists.map(([list, match], i) => ({ name: `f${i}`, words: list, match }));
          expect(await counted(filters, text)).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is that a word is found exactly where its neighbours are no letters or digits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 3 }),
        fc.string({ unit: 'grapheme', maxLength: 3 }),
        async (before, after) => {
          const isWord = (char: string | undefined) =>
            char !== undefined &&
            /^[\p{L}\p{N}]$/u.test(char) &&
            !/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u.test(
              char,
            );
          // Compared with what is normal already: normalize has tests of its own.
          fc.pre(
            before + after === (before + after).normalize('NFKC').toLowerCase() &&
              !/[\p{DI}\p{Cf}\p{Cc}\p{M}ßς]/u.test(before + after) &&
              (before + after).toUpperCase().toLowerCase() === before + after,
          );
          const isAlone = !isWord([...before].at(-1)) && !isWord([...after][0]);
          expect(await counted([{ name: 'f', words: ['bomb'] }], `${before}bomb${after}`)).toEqual(
            isAlone ? { f: 1 } : {},
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('patterns', () => {
  it('match without case, over folded text, in each filter by itself', async () => {
    const filters = [
      { name: 'project', patterns: [String.raw`\bproject[ -]\d{3}\b`] },
      { name: 'code', patterns: [String.raw`\b\d{3}\b`, 'zzz'], words: ['project'] },
    ];
    expect(await counted(filters, 'Project-１２３ and PROJECT 456')).toEqual({ project: 2, code: 4 });
  });

  it('come from files', async () => {
    const files = { '/p': '# codes\nab{1,3}c\n' };
    expect(await counted([{ name: 'f', patternFiles: ['/p'] }], 'abbc', files)).toEqual({ f: 1 });
  });

  it.each([
    ['lookahead', 'a(?=b)', /lookaround/, 2],
    ['a backreference', '(a)\\1', /backreferences/, 4],
    ['no end', 'a+', /without a maximum/, 1],
    ['nothing to match', 'a?', /empty text/, 1],
    ['no expression', 'a(', /./, 1],
    ['a match that could be long', '[a-z ]{1,200}!', /could be 201 characters long; at most 200/, 0],
    ['one that could be longer than the engine knows', '[a-z ]{1,1000}[!?]{1,99}', /at most 1024/, 0],
    ['more states than can be kept', '[ab]{0,50}a[ab]{50}', /more than 4000 states/, 0],
  ])('are refused with %s, and where', async (_, pattern, message, column) => {
    const loaded = await load([{ name: 'f', patternFiles: ['/p'], patterns: [pattern] }], {
      '/p': `# x\n\n  ${pattern}\n`,
    });
    expect(loaded).toMatchObject({
      ok: false,
      problems: [
        { file: undefined, path: 'filters[0].patterns[0]', line: 1, message: expect.stringMatching(message) },
        { file: '/p', path: 'filters[0].patternFiles[0]', line: 3, message: expect.stringMatching(message) },
      ],
    });
    if (!loaded.ok && column > 1) expect(loaded.problems.map((each) => each.column)).toEqual([column, column + 2]);
  });
});

describe('the cost of a pattern', () => {
  /** Steps that the scanner takes for a text. */
  function stepsFor(pattern: string, text: string): number {
    const automaton = compileAutomaton([
      { id: 'x', categories: [], pattern, ignoreCase: true, doc: '', examples: [], source: '' },
    ]);
    const { dfa } = automaton;
    const [begin, step] = [dfa.begin.bind(dfa), dfa.step.bind(dfa)];
    let steps = 0;
    dfa.begin = (afterWord, symbol) => {
      steps++;
      return begin(afterWord, symbol);
    };
    dfa.step = (state, symbol) => {
      steps++;
      return step(state, symbol);
    };
    scan(automaton, text);
    // All that the text needs was kept: no step was worked out twice.
    expect(dfa.generation).toBe(1);
    return steps;
  }

  it.each([
    ['the longest that is allowed, all but a match', '[a-z ]{1,199}!', 'a'.repeat(20_000)],
    ['the same, with matches between', '[a-z ]{1,199}!', `${'a'.repeat(399)}!`.repeat(50)],
    ['a gap between two words', 'kill.{0,60}all', 'kill '.repeat(4000)],
    ['choices that repeat', '(?:[ab]{1,10}c?){1,18}d', 'aab'.repeat(6667)],
  ])('is at most 201 steps a character: %s', async (_, pattern, text) => {
    expect((await load([{ name: 'f', patterns: [pattern] }])).ok).toBe(true);
    expect(stepsFor(pattern, text) / text.length).toBeLessThanOrEqual(201);
  });

  it('is looked at in steps when it is loaded', async () => {
    let steps = 0;
    const loaded = await loadFilters(filtersSection.parse([{ name: 'f', patterns: ['[ab]{0,50}a[ab]{50}'] }]), {
      readFile: () => Promise.reject(new Error('ENOENT')),
      run: (work) => {
        for (;;) {
          const step = work.next();
          if (step.done) return step.value;
          steps++;
        }
      },
    });
    expect(loaded.ok).toBe(false);
    expect(steps).toBeGreaterThan(500);
  });
});

describe('what is wrong with lists', () => {
  it.each([
    ['no such file', {}, { file: '/w', line: 1, message: /cannot be read/ }],
    ['no UTF-8', { '/w': Buffer.from([0x61, 0xff]) }, { file: '/w', line: 1, message: /not UTF-8/ }],
    [
      'an entry without a letter',
      { '/w': 'a\n  ---\n' },
      { file: '/w', line: 2, column: 3, message: /a letter or a digit/ },
    ],
    ['an entry that is very long', { '/w': 'a'.repeat(257) }, { file: '/w', line: 1, message: /at most 256/ }],
  ])('is told: %s', async (_, files, { message, ...place }) => {
    const loaded = await load([{ name: 'f', wordFiles: ['/w'] }], files as Record<string, string>);
    expect(loaded).toMatchObject({
      ok: false,
      problems: [{ ...place, path: 'filters[0].wordFiles[0]', message: expect.stringMatching(message) }],
    });
  });

  it('is told of lists that are too long together, once', async () => {
    const line = `${'a'.repeat(200)}\n`;
    const loaded = await load([{ name: 'f', wordFiles: ['/w'] }], { '/w': line.repeat(22_000) });
    expect(loaded).toMatchObject({
      ok: false,
      problems: [{ line: 20_764, message: expect.stringMatching(/4194304 characters/) }],
    });
  });

  it('is told of every one, up to fifty', async () => {
    const loaded = await load([{ name: 'f', wordFiles: ['/w'] }], { '/w': '-\n'.repeat(80) });
    expect(!loaded.ok && loaded.problems).toHaveLength(50);
  });
});

describe('a hundred thousand entries', () => {
  const entries = Array.from({ length: 100_000 }, (_, i) => `${(i * 2_654_435_761).toString(36)} entry${i % 977}`);

  it('are loaded and counted in steps', async () => {
    let steps = 0;
    const loaded = await loadFilters(filtersSection.parse([{ name: 'f', wordFiles: ['/w'] }]), {
      readFile: () => Promise.resolve(Buffer.from(entries.join('\n'))),
      run: (work) => {
        for (;;) {
          const step = work.next();
          if (step.done) return step.value;
          steps++;
        }
      },
    });
    if (!loaded.ok) throw new Error('not loaded');
    expect(loaded.entries).toBe(100_000);
    expect(steps).toBeGreaterThan(1000);
    const text = entries.filter((_, i) => i % 100 === 0).join('. ');
    expect([...(await paced(loaded.filters.count(text)))]).toEqual([['f', 1000]]);
    expect([...(await paced(loaded.filters.count('nothing of that entry5')))]).toEqual([]);
  });
});

it('without filters there is nothing to count', async () => {
  expect(await counted([], 'text')).toEqual({});
  expect((await filtersOf([{ name: 'a', words: ['x'] }])).names).toEqual(['a']);
});
