import { describe, expect, test } from 'vitest';
import { functionRows } from '../../../src/policy/functions/table.ts';
import { typeRows, variables } from '../../../src/policy/variables.ts';
import { activation, Language } from '../policy/functions/evaluate.ts';
import { codes, table } from './markdown.ts';

const page = 'docs/policy-reference.md';

describe('the variables of the page', () => {
  const rows = Object.entries(variables).flatMap(([name, { type, on }]) =>
    type in typeRows
      ? table(page, `### \`${name}\``).map(([field = '', of = '', note = '']) => ({ on: on[0], field, of, note }))
      : [],
  );

  test.each(rows)('$field is a $of', ({ on, field, of }) => {
    const compiled = new Language({ on: on ?? 'request' }).compile(codes(field)[0] ?? '');
    expect(typeof compiled === 'string' ? compiled : compiled.type).toBe(codes(of)[0]);
  });

  test('are all there are', () => {
    const all = Object.entries(variables).flatMap(([name, { type }]) =>
      Object.keys(typeRows[type]?.fields ?? {}).map((field) => `${name}.${field}`),
    );
    expect(rows.map(({ field }) => codes(field)[0])).toEqual(all);
    expect(all.length).toBeGreaterThan(30);
  });

  test('of requests are there, but for those that may be absent', () => {
    const absent = rows.filter(({ note }) => note.includes('may be absent')).map(({ field }) => codes(field)[0]);
    expect(absent).toContain('request.maxTokens');
    const language = new Language();
    for (const { field, on } of rows) {
      const name = codes(field)[0] ?? '';
      if (on !== 'request' || absent.includes(name)) continue;
      const program = language.compile(`has(${name})`);
      expect(typeof program === 'string' ? program : language.evaluate(program, activation()), name).toBe(true);
    }
  });
});

test('every function of the table is on the page', () => {
  const names = functionRows.map(({ name }) => name);
  const titles = ['Macros', 'Strings', 'Network', 'Guards'];
  const written = titles.flatMap((title) => table(page, `## ${title}`).map(([name = '']) => codes(name)[0]));
  expect(written.length).toBeGreaterThan(25);
  for (const name of written) expect(names).toContain(name);
});
