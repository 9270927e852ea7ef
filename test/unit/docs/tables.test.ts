import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { migrations } from '../../../src/store/schema.ts';
import { codes, read, root, table } from './markdown.ts';

describe('docs/dependencies.md and package.json', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >;
  test.each([
    ['## Runtime', dependencies],
    ['## Optional', optionalDependencies],
    ['## Development', devDependencies],
  ])('agree on what is below "%s", with a reason each', (heading, packages) => {
    const rows = table('docs/dependencies.md', heading);
    expect(rows.map(([name = '']) => codes(name)[0])).toEqual(Object.keys(packages!).toSorted());
    for (const [name, use, why] of rows) {
      expect(use, name).not.toBe('');
      expect(why, name).not.toBe('');
    }
  });
});

test('docs/architecture.md has the import table that dependency-cruiser enforces', () => {
  const { forbidden } = createRequire(import.meta.url)(join(root, '.dependency-cruiser.cjs')) as {
    forbidden: { name: string; to: { path?: string; pathNot?: string | string[] } }[];
  };
  const enforced: Record<string, { all: string[]; types: string[] }> = {};
  for (const { name, to } of forbidden) {
    const [, from] = /^(\w+)-imports$/.exec(name) ?? [];
    if (from === undefined) continue;
    const others = [to.pathNot ?? []].flat().map((path) => /^\^src\/(\w+)/.exec(path)![1]!);
    const types = forbidden.flatMap(
      (rule) => /-imports-only-types-of-(\w+)$/.exec(rule.name.startsWith(`${from}-`) ? rule.name : '')?.[1] ?? [],
    );
    enforced[from] = {
      all: others.filter((other) => other !== from && !types.includes(other)).toSorted(),
      types: types.toSorted(),
    };
  }
  const list = (cell = '') => (cell === '' ? [] : cell.split(', ').toSorted());
  const written = table('docs/architecture.md', '## Who may import whom').flatMap(([names = '', all, types]) =>
    names.split(', ').map((name) => [name, { all: list(all), types: list(types) }] as const),
  );
  const special = ['checkpoint', 'gateway', 'commands'];
  expect(Object.fromEntries(written.filter(([name]) => !special.includes(name)))).toEqual(enforced);
});

describe('docs/audit-tables.md', () => {
  const columns = (heading: string) =>
    table('docs/audit-tables.md', heading)
      .flatMap(([names = '']) => codes(names))
      .toSorted();
  const sql = migrations.flatMap(({ statements }) => statements({ database: 'sallyport', fsync: false }));
  const statement = (name: string) => sql.find((text) => text.includes(`sallyport.${name} `))!;

  test('has every column of the view sessions', () => {
    // The last one: a later migration makes the view anew.
    const view = sql.findLast((text) => text.includes('sallyport.sessions '))!.split('\nFROM ')[0]!;
    const named = [...view.matchAll(/ AS (\w+),?$/gm)].map(([, name]) => name!);
    expect(columns('## `sessions`')).toEqual(['session', ...named].toSorted());
  });

  test('has every column of the view policy_revisions', () => {
    const view = sql.findLast((text) => text.includes('sallyport.policy_revisions '))!.split('\nFROM ')[0]!;
    const named = [...view.matchAll(/ AS (\w+),?$/gm)].map(([, name]) => name!);
    expect(columns('## `policy_revisions`')).toEqual(named.toSorted());
  });

  test.each(['events', 'contents'])('has every column of %s', (name) => {
    const [body = ''] = statement(name)
      .replace(/Tuple\(\n[\s\S]*?\n\)/, 'Tuple')
      .split('\n) ENGINE');
    const added = sql.filter((text) => text.startsWith(`ALTER TABLE sallyport.${name} ADD COLUMN`)).join('\n');
    const named = [...`${body}\n${added}`.matchAll(/^ {2}(?!INDEX)(\w+) [A-Z]/gm)].map(([, column]) => column!);
    expect(named.length).toBeGreaterThan(5);
    expect(columns(`## \`${name}\``)).toEqual(named.toSorted());
  });

  test('has every way in which a session ends', () => {
    const ends = codesOf(/readonly how:([\s\S]*?);/.exec(read('src/record/events.ts'))![1]!);
    const written = table('docs/audit-tables.md', '`how` is one of:').map(([how = '']) => codes(how)[0]!);
    expect(written.toSorted()).toEqual([...ends, 'refused', 'open'].toSorted());
  });
});

/** The string literals of a union. */
const codesOf = (union: string): string[] => [...union.matchAll(/\| '(\w+)'/g)].map(([, literal]) => literal!);
