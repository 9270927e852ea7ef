import { RE2JS } from '@bufbuild/re2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget } from '../../src/policy/budget.ts';
import { Cidr, Ip } from '../../src/policy/functions/network.ts';
import { sizeOfPattern } from '../../src/policy/functions/pattern-size.ts';
import { Quantity } from '../../src/policy/functions/quantities.ts';
import { Patterns } from '../../src/policy/functions/regex.ts';
import { replaceText, searcher, splitText } from '../../src/policy/functions/search.ts';
import { globMatches, normalize } from '../../src/policy/functions/text.ts';

const budget = new Budget(Number.MAX_SAFE_INTEGER);
const over = (letters: string, maxLength: number) =>
  fc.array(fc.constantFrom(...letters), { maxLength }).map((all) => all.join(''));

test('glob is a regular expression with .* and .', () => {
  fc.assert(
    fc.property(over('ab*?😀', 10), over('ab😀', 14), (pattern, text) => {
      const written = [...pattern].map((c) => (c === '*' ? '.*' : c === '?' ? '.' : c)).join('');
      expect(globMatches(pattern, text, budget)).toBe(new RegExp(`^${written}$`, 'su').test(text));
    }),
    { numRuns: 3000 },
  );
});

test('a long text is found where indexOf finds it', () => {
  const needles = fc
    .tuple(over('ab', 12), fc.integer({ min: 20, max: 60 }))
    .map(([part, times]) => `${part.repeat(times)}b`);
  fc.assert(
    fc.property(needles, over('ab', 12), over('ab', 12), (needle, before, behind) => {
      for (const text of [before + needle + behind, before.repeat(40) + needle.slice(1), needle.slice(0, -1) + needle])
        expect(searcher(needle)(text, 0)).toBe(text.indexOf(needle));
    }),
  );
});

test('split and replace do what JavaScript does', () => {
  fc.assert(
    fc.property(over('ab,', 20), over('ab,', 2), over('xa', 3), (text, part, to) => {
      fc.pre(part !== '');
      expect(splitText(text, part, -1n, budget)).toEqual(text.split(part));
      expect(replaceText({ text, from: part, to, limit: -1n }, budget)).toBe(text.split(part).join(to));
      expect(splitText(text, part, 2n, budget).join(part)).toBe(text);
    }),
  );
});

describe('patterns', () => {
  const atoms = ['a', 'b', '.', '[ab]', '[^a]', '(a|ab)', '(b|)', '\\b', '^', '$', '(?:ab)'];
  const patternOf = (...more: string[]) =>
    fc
      .array(
        fc.tuple(
          fc.constantFrom(...atoms, ...more),
          fc.constantFrom('', '', '*', '+', '?', '*?', '{2}', '{1,2}', '{0,3}'),
        ),
        { minLength: 1, maxLength: 4 },
      )
      .map((parts) => parts.map(([what, times]) => (/^(\^|\$|\\[bBAz])$/.test(what) ? what : what + times)).join(''));

  test('find what JavaScript finds', () => {
    const patterns = new Patterns(budget);
    fc.assert(
      fc.property(patternOf(), over('ab😀\n', 10), (written, text) => {
        expect(patterns.find(text, written)).toBe(new RegExp(written, 'u').exec(text)?.[0]);
        expect(patterns.test(text, written)).toBe(new RegExp(written, 'u').test(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("match where RE2's own automaton does", () => {
    const patterns = new Patterns(budget);
    const flags = fc.constantFrom('', '(?i)', '(?m)', '(?s)', '(?U)', '(?im)', '(?is)');
    const written = patternOf(
      '\\B',
      '\\A',
      '\\z',
      '(?m:^)',
      '(?m:$)',
      '\\pL',
      '[^\\w\\s]',
      '(?i:K)',
      'é',
      '[ß-ſ😀]',
      '\\Qa.\\E',
    );
    fc.assert(
      fc.property(
        flags,
        written,
        fc.array(over('abAkK\u212aéſ😀\ud83d _\n.', 12), { maxLength: 4 }),
        (flag, pattern, texts) => {
          const own = RE2JS.compile(flag + pattern);
          // The second text meets what the first has left.
          for (const text of texts) expect(patterns.test(text, flag + pattern), text).toBe(own.test(text));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('match the same when all that was worked out has been dropped in the middle', () => {
    const pattern = '(?i)\\b(a|b)*a(a|b){12}c\\b';
    const patterns = new Patterns(budget);
    const own = RE2JS.compile(pattern);
    const jumbled = fc
      .array(fc.constantFrom(...'abAB'), { minLength: 4000, maxLength: 5000, size: 'max' })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(jumbled, over('abc ', 40), (before, behind) => {
        expect(patterns.test(before + behind, pattern)).toBe(own.test(before + behind));
      }),
      { numRuns: 30 },
    );
  });

  test('are as large as was said before they are compiled', () => {
    const nested = fc.letrec<{ whole: string }>((tie) => ({
      whole: fc.oneof(
        { maxDepth: 4 },
        patternOf('\\Q(\\E', '[[:alpha:](]', '[])]', '\\(', '[\\]{9}]', '\\{'),
        fc
          .tuple(
            fc.array(tie('whole'), { minLength: 1, maxLength: 3 }),
            fc.constantFrom('{5}', '{2,7}', '{0,9}', '{3,}', '*', '|a'),
          )
          .map(([parts, times]) => `(?:${parts.join('|')})${times}`),
      ),
    })).whole;
    fc.assert(
      fc.property(nested, (pattern) => {
        const said = sizeOfPattern(pattern).instructions;
        fc.pre(said < 5000);
        expect(RE2JS.compile(pattern).re2().prog.numInst()).toBeLessThanOrEqual(3 * said + 10);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('quantities', () => {
  const suffixes = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 } as const;
  const binary = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 } as const;
  const parts = fc.tuple(
    fc.integer({ min: -999_999, max: 999_999 }),
    fc.integer({ min: 0, max: 999 }),
    fc.constantFrom(...Object.keys(suffixes), ...Object.keys(binary)),
  );
  /** Beside it: a fraction over 10 ** 12. */
  const rational = ([whole, thousandths, suffix]: readonly [number, number, string]) => {
    const size = BigInt(Math.abs(whole)) * 1000n + BigInt(thousandths);
    const sign = whole < 0 ? -1n : 1n;
    if (suffix in binary) return sign * size * 1024n ** BigInt(binary[suffix as keyof typeof binary]) * 10n ** 9n;
    return sign * size * 10n ** BigInt(9 + suffixes[suffix as keyof typeof suffixes]);
  };
  const written = ([whole, thousandths, suffix]: readonly [number, number, string]) =>
    `${whole}.${String(thousandths).padStart(3, '0')}${suffix}`;

  test('compare, add and are ints as fractions are', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [x, y] = [Quantity.read(written(a)), Quantity.read(written(b))];
        const [p, q] = [rational(a), rational(b)];
        expect(x.compareTo(y)).toBe(p < q ? -1 : p > q ? 1 : 0);
        const sum = x.plus(y, 1n);
        expect(sum.units * 10n ** 12n).toBe((p + q) * 10n ** BigInt(sum.scale));
        const whole = p % 10n ** 12n === 0n ? p / 10n ** 12n : undefined;
        expect(x.asInteger()).toBe(whole !== undefined && BigInt.asIntN(64, whole) === whole ? whole : undefined);
      }),
    );
  });
});

describe('addresses', () => {
  const bitsOf = ({ bytes }: Ip) => bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(3), fc.nat(255)).map((bytes) => bytes.join('.'));
  const v6 = fc
    .array(fc.nat(0xffff), { minLength: 8, maxLength: 8 })
    .map((all) => all.map((n) => n.toString(16)).join(':'));

  test.each([
    ['IPv4', v4, 32],
    ['IPv6', v6, 128],
  ] as const)('of %s are in a range when the bits of its prefix are theirs', (_name, address, length) => {
    fc.assert(
      fc.property(address, address, fc.nat(length), fc.nat(length), (a, b, prefix, other) => {
        const [one, two] = [Ip.read(a), Ip.read(b)];
        const range = new Cidr(one, prefix);
        const within = bitsOf(two).slice(0, prefix) === bitsOf(one).slice(0, prefix);
        expect(range.containsIp(two)).toBe(within);
        expect(range.containsCidr(new Cidr(two, other))).toBe(within && other >= prefix);
        expect(bitsOf(one.masked(prefix))).toBe(bitsOf(one).slice(0, prefix).padEnd(length, '0'));
        expect(Ip.read(one.toText()).equals(one)).toBe(true);
      }),
    );
  });

  test('a small range holds as many as its bits say', () => {
    const range = Cidr.read('10.0.3.77/29');
    const inside = Array.from({ length: 1024 }, (_, i) => `10.0.${i >> 8}.${i & 255}`).filter((text) =>
      range.containsIp(Ip.read(text)),
    );
    expect(inside).toEqual(Array.from({ length: 8 }, (_, i) => `10.0.3.${72 + i}`));
  });
});

describe('normalize', () => {
  /** Ideographs and Hangul have no case, and are many. */
  const ranges = [
    [0, 0x33ff],
    [0xa000, 0xabff],
    [0xf900, 0x1_ffff],
  ] as const;
  const characters = ranges.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
  );

  test('done twice is done once, for every character', () => {
    const changed = characters.filter((character) => {
      const once = normalize(character, budget);
      return normalize(once, budget) !== once;
    });
    expect(changed).toEqual([]);
  });

  test('does not see case, but for the Turkish i', () => {
    const seen = characters.filter((character) => {
      const folded = normalize(character, budget);
      return [character.toLowerCase(), character.toUpperCase()].some((other) => normalize(other, budget) !== folded);
    });
    expect(seen).toEqual(['ı']);
  });
});
