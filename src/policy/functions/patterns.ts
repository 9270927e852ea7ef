import { type FunctionGroup, sources } from './row.ts';

export const patternFunctions: FunctionGroup = {
  title: 'Regular expressions',
  intro:
    'Patterns are [RE2](https://github.com/google/re2/wiki/Syntax): linear time, no lookaround, no backreference, at most 1,000 characters, and 5,000 with repeats written out. They match anywhere: `^` and `$` say otherwise. One that is written out is checked when the policies are loaded.',
  rows: [
    {
      name: 'matches',
      doc: 'whether the pattern matches',
      source: sources.spec,
      examples: ['"gpt-4o".matches("^gpt-[0-9]")', 'matches("HELLO", "(?i)hello")', '!"abc".matches("^b")'],
      overloads: [
        {
          signature: 'string.matches(string): bool',
          make:
            ({ patterns }) =>
            (text: string, pattern: string) =>
              patterns.test(text, pattern),
        },
        {
          signature: 'matches(string, string): bool',
          make:
            ({ patterns }) =>
            (text: string, pattern: string) =>
              patterns.test(text, pattern),
        },
      ],
    },
    {
      name: 'find',
      doc: 'the first match; empty: none',
      source: sources.kubernetes,
      examples: ['"order 123 of 456".find("[0-9]+") == "123"', '"abc".find("[0-9]+") == ""'],
      overloads: [
        {
          signature: 'string.find(string): string',
          make:
            ({ patterns }) =>
            (text: string, pattern: string) =>
              patterns.find(text, pattern) ?? '',
        },
      ],
    },
    {
      name: 'findAll',
      doc: 'every match, or the first so many (negative: all)',
      source: sources.kubernetes,
      examples: ['"1 of 22".findAll("[0-9]+") == ["1", "22"]', '"1 of 22".findAll("[0-9]+", 1) == ["1"]'],
      overloads: [
        {
          signature: 'string.findAll(string): list<string>',
          make:
            ({ patterns }) =>
            (text: string, pattern: string) =>
              patterns.findAll(text, pattern, -1n),
        },
        {
          signature: 'string.findAll(string, int): list<string>',
          make:
            ({ patterns }) =>
            (text: string, pattern: string, limit: bigint) =>
              patterns.findAll(text, pattern, limit),
        },
      ],
    },
  ],
};
