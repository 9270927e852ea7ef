import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeControls, facts, table, truncate, width } from '../../../src/commands/text.ts';

describe('text from elsewhere, on a terminal', () => {
  it.each([
    ['a colour', '\u001b[31mred', '\\x1b[31mred'],
    ['a line break', 'a\r\nb\tc', 'a\\r\\nb\\tc'],
    ['a bell and a delete', '\u0007\u007f', '\\x07\\x7f'],
    ['a C1 control sequence', '\u009b2J', '\\x9b2J'],
    ['a text turned round', 'abc\u202edcba', 'abc\\u202edcba'],
    ['what nobody sees', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['ordinary text', 'Grüße, 世界 🙂', 'Grüße, 世界 🙂'],
  ])('%s is written as an escape', (_, text, expected) => expect(escapeControls(text)).toBe(expected));

  it('keeps line breaks where they belong, and only those', () => {
    expect(escapeControls('a\nb\r\u001b', { keepNewlines: true })).toBe('a\nb\\r\\x1b');
  });

  it('has no control character left, whatever it was', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        (text) => !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(escapeControls(text)),
      ),
    );
  });
});

describe('width', () => {
  it.each([
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['世界', 4],
    ['🙂', 2],
    ['ｱ', 1],
    ['', 0],
  ])('of %s is %d', (text, columns) => expect(width(text)).toBe(columns));

  it('is never over what a text was cut to', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 40 }),
        (text, columns) => width(truncate(text, columns)) <= columns,
      ),
    );
  });
});

describe('a table', () => {
  const columns = [{ title: 'WHO', shrinkTo: 4 }, { title: 'N', align: 'right' as const }, { title: 'NOTE' }];

  it('is aligned, also under wide characters, and has nothing after the last cell', () => {
    expect(
      table(
        columns,
        [
          ['世界', '7', 'x'],
          ['sam', '1234', ''],
        ],
        80,
      ),
    ).toBe(['WHO      N  NOTE', '世界     7  x', 'sam   1234', ''].join('\n'));
  });

  it('gives way in the columns that may, down to what they must keep', () => {
    const narrow = table(columns, [['a-very-long-name@example.com', '1', 'note']], 20);
    expect(narrow).toBe(['WHO          N  NOTE', 'a-very-lon…  1  note', ''].join('\n'));
    expect(table(columns, [['a-very-long-name', '1', 'note']], 5).split('\n')[1]).toBe('a-v…  1  note');
  });

  it('cannot be broken by what is in a cell', () => {
    const printed = table(columns, [['a\nb', '1', '\u001b[2Jx\r\nfake  row']], 80);
    expect(printed.split('\n')).toHaveLength(3);
    expect(printed).not.toContain('\u001b');
  });

  it('has its titles when it has no rows', () => expect(table(columns, [], 80)).toBe('WHO  N  NOTE\n'));
});

describe('facts', () => {
  it('are aligned, escaped, and left out where there is no value', () => {
    expect(
      facts([
        ['Who', 'sam\u001b'],
        ['Longer name', 'x'],
        ['Empty', ''],
        ['None', undefined],
      ]),
    ).toBe('Who          sam\\x1b\nLonger name  x\n');
  });
});
