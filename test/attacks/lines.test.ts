/** Each item of the table in lines.ts is thrown by tests that exist. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LINES, NOTES, type Tests } from './lines.ts';

const folder = import.meta.dirname;

/** The code of a file here, without its comments. */
const codeOf = (file: string): string =>
  readFileSync(join(folder, file), 'utf8').replaceAll(/^\s*(\/\*\*?[\s\S]*?\*\/|\/\/.*)$/gm, '');

/** The code of a test file, and of the tables in support/ that it makes a test a row of. */
function testsIn(file: string): string {
  const code = codeOf(file);
  const tables = [...code.matchAll(/test\.each\((\w+)\)/g)].map(([, table]) => table ?? '');
  const imports = [...code.matchAll(/^import \{([^}]*)\} from '\.\/(support\/[\w-]+\.ts)';$/gm)];
  const used = imports.filter(([, names = '']) => tables.some((table) => new RegExp(`\\b${table}\\b`).test(names)));
  return [code, ...used.map(([, , from = '']) => codeOf(from))].join('\n');
}

const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
const code = new Map(files.map((file) => [file, testsIn(file)]));

/** Whether the text begins a call or a row of a table: names of tests do. */
const has = (file: string, name: string): boolean =>
  new RegExp(`[([]\\s*(['"\`])${name.replaceAll(/[^\w\s]/g, '\\$&')}\\1`).test(code.get(file) ?? '');

/** The tests that are named and that no file has. */
const missing = (tests: Tests): string[] =>
  Object.entries(tests).flatMap(([file, names]) =>
    names.filter((name) => !has(file, name)).map((name) => `${file}: ${name}`),
  );

describe.each(Object.entries(LINES))('%s', (_section, items) => {
  test.each(items)('%s is thrown by a test that exists', (_item, tests) => {
    expect(Object.values(tests).flat()).not.toEqual([]);
    expect(missing(tests)).toEqual([]);
  });

  test('has each item once', () => {
    const names = items.map(([item]) => item);
    expect(names).toEqual([...new Set(names)]);
  });
});

test('what passes has a row in SECURITY.md, with what to do about it', () => {
  const security = readFileSync(join(folder, '..', '..', 'SECURITY.md'), 'utf8');
  const [, section = ''] = /\n## Masking: what is not read\n([\s\S]*?)\n## /.exec(security) ?? [];
  const items = LINES['Masking: text'].map(([item]) => item);
  for (const [item, row] of Object.entries(NOTES)) {
    expect(items).toContain(item);
    expect(section.split('\n').filter((line) => line.startsWith(`| ${row} | `))).toHaveLength(1);
  }
});

test('a test that is gone, commented out or of another file is noticed', () => {
  expect(missing({ 'tokens-gate.test.ts': ['alg none', 'alg nothing'], 'gone.test.ts': ['alg none'] })).toEqual([
    'tokens-gate.test.ts: alg nothing',
    'gone.test.ts: alg none',
  ]);
  expect(missing({ 'saml.test.ts': ['alg none'] })).toEqual(['saml.test.ts: alg none']);
});

test.each(files)('%s leaves no test out', (file) => {
  expect(codeOf(file)).not.toMatch(/\b(test|describe)\.(skip|todo|only|fails)\b/);
});
