import { stripVTControlCharacters } from 'node:util';

/** C0 and C1 controls, DEL, and the characters that reorder or hide text (bidi controls, zero width, line separators). */
const unsafe = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\x1b': '\\x1b' };

/** Makes a text from elsewhere safe for a terminal: what would move the cursor or hide text is written as an escape. */
export function escapeControls(text: string, options: { readonly keepNewlines?: boolean } = {}): string {
  return text.replace(unsafe, (character) => {
    if (character === '\n' && options.keepNewlines === true) return character;
    const code = character.codePointAt(0) ?? 0;
    return (
      short[character] ??
      (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
    );
  });
}

/** A word of a command line that is suggested: quoted for a POSIX shell where it must be, whoever wrote it. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;
const narrowless = /\p{Mn}|\p{Me}|[\ufe0f\u200d]/u;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Columns that a text takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of stripVTControlCharacters(text))
    columns += narrowless.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return columns;
}

/** Cuts a text to so many columns, with `…` where something is missing; never inside a character. */
export function truncate(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 1;
  for (const { segment } of graphemes.segment(text)) {
    used += width(segment);
    if (used > columns) break;
    kept += segment;
  }
  return `${kept}…`;
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** A column that gives way where the terminal is narrow, down to this width. */
  readonly shrinkTo?: number;
}

const gap = '  ';

/** Prints rows as an aligned table no wider than the terminal. Cells are escaped. The last column is not padded. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  terminalColumns: number,
): string {
  const cells = rows.map((row) => row.map((cell) => escapeControls(cell)));
  const widths = columns.map(({ title }, at) => Math.max(width(title), ...cells.map((row) => width(row[at] ?? ''))));
  let excess = widths.reduce((sum, w) => sum + w, 0) + gap.length * (columns.length - 1) - terminalColumns;
  for (const [at, { shrinkTo }] of columns.entries()) {
    if (excess <= 0 || shrinkTo === undefined) continue;
    const cut = Math.min(excess, Math.max(0, (widths[at] ?? 0) - shrinkTo));
    widths[at] = (widths[at] ?? 0) - cut;
    excess -= cut;
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => {
        const fitted = truncate(cell, widths[at] ?? 0);
        const padding = ' '.repeat(Math.max(0, (widths[at] ?? 0) - width(fitted)));
        return columns[at]?.align === 'right' ? padding + fitted : fitted + padding;
      })
      .join(gap)
      .trimEnd();
  return `${[columns.map(({ title }) => title), ...cells].map(line).join('\n')}\n`;
}

/** Prints `name: value` lines with aligned values; entries without a value are left out. */
export function facts(entries: readonly (readonly [string, string | undefined])[]): string {
  const present = entries.filter(
    (entry): entry is readonly [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  const column = Math.max(0, ...present.map(([name]) => width(name))) + 2;
  return present
    .map(([name, value]) => `${name}${' '.repeat(column - width(name))}${escapeControls(value)}\n`)
    .join('');
}
