import type { Budget } from '../budget.ts';
import { FunctionError, invalid } from './failure.ts';
import { format } from './format.ts';
import { type FunctionGroup, native, pure, sources } from './row.ts';
import { contains, joinTexts, replaceText, searcher, searchUnits, splitText } from './search.ts';

/** Only A–Z change: `toLowerCase` alone maps U+212A (Kelvin) to `k`, and a name could slip by a rule. */
export function lowerAscii(text: string): string {
  return text.replace(/[\0-\x7f]+/g, (run) => run.toLowerCase());
}

export function upperAscii(text: string): string {
  return text.replace(/[\0-\x7f]+/g, (run) => run.toUpperCase());
}

const surrogate = /[\ud800-\udfff]/;

/** Code points, counted without building them. */
export function codePoints(text: string): bigint {
  return pointsBefore(text, text.length);
}

/** Code points before an offset. */
function pointsBefore(text: string, end: number): bigint {
  let count = end;
  for (let i = 1; i < end; i += 1) {
    const low = text.charCodeAt(i);
    if (low < 0xdc00 || low > 0xdfff) continue;
    const high = text.charCodeAt(i - 1);
    if (high >= 0xd800 && high <= 0xdbff) count -= 1;
  }
  return BigInt(count);
}

/** The UTF-16 offset of a code point; the length is one past the last. Throws where there is none. */
function offsetOf(text: string, index: bigint): number {
  if (index < 0n || index > BigInt(text.length)) throw new FunctionError('index_out_of_bounds', 'no such character');
  const wanted = Number(index);
  if (!surrogate.test(text)) return wanted;
  let offset = 0;
  for (let i = 0; i < wanted; i += 1) {
    if (offset >= text.length) throw new FunctionError('index_out_of_bounds', 'no such character');
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

function charAt(text: string, index: bigint): string {
  const point = text.codePointAt(offsetOf(text, index));
  return point === undefined ? '' : String.fromCodePoint(point);
}

function substring(text: string, start: bigint, end: bigint | undefined): string {
  if (end !== undefined && end < start) throw new FunctionError('index_out_of_bounds', 'the end is before the start');
  const from = offsetOf(text, start);
  return end === undefined ? text.slice(from) : text.slice(from, offsetOf(text, end));
}

function indexOf(text: string, needle: string, from: bigint): bigint {
  const at = searcher(needle)(text, offsetOf(text, from));
  return at < 0 ? -1n : pointsBefore(text, at);
}

/** `until`: the last place where an occurrence may begin, in code points; undefined: anywhere. */
function lastIndexOf(text: string, needle: string, until: bigint | undefined): bigint {
  const at = text.lastIndexOf(needle, until === undefined ? text.length : offsetOf(text, until));
  return at < 0 ? -1n : pointsBefore(text, at);
}

const blank = /^\p{White_Space}$/u;

/** Unicode white space off both ends; one pass, whatever is in the middle. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && blank.test(text.charAt(start))) start += 1;
  while (end > start && blank.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function reverse(text: string): string {
  return surrogate.test(text) ? Array.from(text).reverse().join('') : text.split('').reverse().join('');
}

function join(list: Iterable<unknown>, separator: string, budget: Budget): string {
  const texts: string[] = [];
  for (const item of list) {
    if (typeof item !== 'string') throw invalid('join is for lists of strings');
    texts.push(item);
  }
  return joinTexts(texts, separator, budget);
}

/** Runs a function after its text was paid for, `2 ** shift` characters a unit. */
const paid =
  <A extends [string, ...unknown[]], R>(budget: Budget, shift: number, run: (...args: A) => R) =>
  (...args: A): R => {
    budget.spend(args[0].length >> shift);
    return run(...args);
  };

const { spec, strings } = sources;

export const stringFunctions: FunctionGroup = {
  title: 'Strings',
  intro:
    'Characters are Unicode code points, counted from 0. A text longer than 4 Mi characters is not made: the evaluation fails.',
  rows: [
    {
      name: 'contains',
      doc: 'whether the text is in it',
      source: spec,
      examples: ['"prompt".contains("rom")', '!"prompt".contains("Rom")', '"".contains("")'],
      overloads: [
        {
          signature: 'string.contains(string): bool',
          make:
            ({ budget }) =>
            (text: string, needle: string) => {
              budget.spend(searchUnits(text, needle));
              return contains(text, needle);
            },
        },
      ],
    },
    {
      name: 'startsWith',
      doc: 'whether it begins with the text',
      source: spec,
      examples: ['"run_sql".startsWith("run_")'],
      overloads: native('string.startsWith(string): bool'),
    },
    {
      name: 'endsWith',
      doc: 'whether it ends with the text',
      source: spec,
      examples: ['"jane@example.com".endsWith("@example.com")'],
      overloads: native('string.endsWith(string): bool'),
    },
    {
      name: 'charAt',
      doc: 'the character at an index; empty just behind the last',
      source: strings,
      examples: ['"abc".charAt(1) == "b"', '"a\u{1f600}c".charAt(1) == "\u{1f600}"', '"abc".charAt(3) == ""'],
      overloads: [{ signature: 'string.charAt(int): string', make: ({ budget }) => paid(budget, 6, charAt) }],
    },
    {
      name: 'indexOf',
      doc: 'where the text is first, at or after an index; -1: nowhere',
      source: strings,
      examples: ['"banana".indexOf("na") == 2', '"banana".indexOf("na", 3) == 4', '"banana".indexOf("x") == -1'],
      overloads: [
        {
          signature: 'string.indexOf(string): int',
          make: ({ budget }) => paid(budget, 6, (text: string, needle: string) => indexOf(text, needle, 0n)),
        },
        { signature: 'string.indexOf(string, int): int', make: ({ budget }) => paid(budget, 6, indexOf) },
      ],
    },
    {
      name: 'lastIndexOf',
      doc: 'where the text is last, at or before an index; -1: nowhere',
      source: strings,
      examples: ['"banana".lastIndexOf("na") == 4', '"banana".lastIndexOf("na", 3) == 2'],
      overloads: [
        {
          signature: 'string.lastIndexOf(string): int',
          make:
            ({ budget }) =>
            (text: string, needle: string) => {
              budget.spend((text.length >> 6) + ((text.length * needle.length) >> 9));
              return lastIndexOf(text, needle, undefined);
            },
        },
        {
          signature: 'string.lastIndexOf(string, int): int',
          make:
            ({ budget }) =>
            (text: string, needle: string, until: bigint) => {
              budget.spend((text.length >> 6) + ((text.length * needle.length) >> 9));
              return lastIndexOf(text, needle, until);
            },
        },
      ],
    },
    {
      name: 'substring',
      doc: 'from an index, up to but without another',
      source: strings,
      examples: ['"banana".substring(4) == "na"', '"banana".substring(1, 3) == "an"', '"abc".substring(3) == ""'],
      overloads: [
        {
          signature: 'string.substring(int): string',
          make: ({ budget }) => paid(budget, 6, (text: string, start: bigint) => substring(text, start, undefined)),
        },
        { signature: 'string.substring(int, int): string', make: ({ budget }) => paid(budget, 6, substring) },
      ],
    },
    {
      name: 'replace',
      doc: 'all occurrences replaced, or the first so many (negative: all)',
      source: strings,
      examples: [
        '"a-b-c".replace("-", "+") == "a+b+c"',
        '"a-b-c".replace("-", "+", 1) == "a+b-c"',
        '"ab".replace("", ".") == ".a.b."',
      ],
      overloads: [
        {
          signature: 'string.replace(string, string): string',
          make:
            ({ budget }) =>
            (text: string, from: string, to: string) =>
              replaceText({ text, from, to, limit: -1n }, budget),
        },
        {
          signature: 'string.replace(string, string, int): string',
          make:
            ({ budget }) =>
            (text: string, from: string, to: string, limit: bigint) =>
              replaceText({ text, from, to, limit }, budget),
        },
      ],
    },
    {
      name: 'split',
      doc: 'the parts between separators, at most so many (0: none, negative: all); an empty separator gives the characters',
      source: strings,
      examples: [
        '"a,b,c".split(",") == ["a", "b", "c"]',
        '"a,b,c".split(",", 2) == ["a", "b,c"]',
        '"ab".split("") == ["a", "b"]',
      ],
      overloads: [
        {
          signature: 'string.split(string): list<string>',
          make:
            ({ budget }) =>
            (text: string, separator: string) =>
              splitText(text, separator, -1n, budget),
        },
        {
          signature: 'string.split(string, int): list<string>',
          make:
            ({ budget }) =>
            (text: string, separator: string, limit: bigint) =>
              splitText(text, separator, limit, budget),
        },
      ],
    },
    {
      name: 'join',
      doc: 'one text of a list of texts, with a separator between them',
      source: strings,
      examples: ['["a", "b"].join() == "ab"', '["a", "b"].join(", ") == "a, b"'],
      overloads: [
        {
          signature: 'list<string>.join(): string',
          make:
            ({ budget }) =>
            (list: Iterable<unknown>) =>
              join(list, '', budget),
        },
        {
          signature: 'list<string>.join(string): string',
          make:
            ({ budget }) =>
            (list: Iterable<unknown>, separator: string) =>
              join(list, separator, budget),
        },
      ],
    },
    {
      name: 'trim',
      doc: 'without white space at both ends (Unicode `White_Space`)',
      source: strings,
      examples: ['"  a b\\n".trim() == "a b"'],
      overloads: [pure('string.trim(): string', trim)],
    },
    {
      name: 'reverse',
      doc: 'its characters backwards',
      source: strings,
      examples: ['"abc".reverse() == "cba"'],
      overloads: [{ signature: 'string.reverse(): string', make: ({ budget }) => paid(budget, 4, reverse) }],
    },
    {
      name: 'lowerAscii',
      doc: 'A–Z in lower case, nothing else; [normalize](#text) folds all letters',
      source: strings,
      examples: ['"ADMIN".lowerAscii() == "admin"', '"\u212a".lowerAscii() == "\u212a"'],
      overloads: [{ signature: 'string.lowerAscii(): string', make: ({ budget }) => paid(budget, 4, lowerAscii) }],
    },
    {
      name: 'upperAscii',
      doc: 'a–z in upper case, nothing else',
      source: strings,
      examples: ['"straße".upperAscii() == "STRAßE"'],
      overloads: [{ signature: 'string.upperAscii(): string', make: ({ budget }) => paid(budget, 4, upperAscii) }],
    },
    {
      name: 'format',
      doc: 'fills a list into the text: `%s` anything, `%d` an int, `%f` and `%e` a double (`%.2f`: digits), `%b` binary, `%o` octal, `%x` and `%X` hexadecimal (also of texts and bytes), `%%` a percent sign',
      source: strings,
      examples: [
        '"%s has %d of %.1f".format(["jane", 3, 4.0]) == "jane has 3 of 4.0"',
        '"%s".format([["a", "b"]]) == "[a, b]"',
        '"%x %X %b %o 100%%".format([255, 255, 5, 8]) == "ff FF 101 10 100%"',
        '"%e".format([1234.5]) == "1.234500e+03"',
      ],
      overloads: [
        {
          signature: 'string.format(list<dyn>): string',
          make:
            ({ budget }) =>
            (template: string, values: Iterable<unknown>) =>
              format(template, [...values], budget),
        },
      ],
    },
  ],
};
