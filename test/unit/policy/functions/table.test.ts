import { Environment } from '@marcbachmann/cel-js';
import { describe, expect, test } from 'vitest';
import { operators } from '../../../../src/policy/functions/standard.ts';
import { functionGroups, functionRows, parseSignature } from '../../../../src/policy/functions/table.ts';
import { Language } from './evaluate.ts';

const language = new Language();
const rows = [...functionRows, ...operators.map(({ op, examples }) => ({ name: op, examples }))];

describe('every example of the reference is true', () => {
  const examples = rows.flatMap(({ name, examples }) => examples.map((example) => [name, example] as const));
  test.each(examples)('%s: %s', (_name, example) => expect(language.run(example)).toBe(true));
});

describe('every row', () => {
  test.each(rows.map((row) => [row.name, row] as const))('%s has an example that uses it', (name, { examples }) => {
    expect(examples.length).toBeGreaterThan(0);
    const word = name.replace('-x', '-').replace('[]', '[').replace('? :', '?');
    expect(examples.some((example) => example.includes(word))).toBe(true);
  });

  test('of functions has a line, a source and signatures', () => {
    for (const { name, doc, source, overloads } of functionRows) {
      expect([name, doc, source]).not.toContain('');
      expect(overloads.length, name).toBeGreaterThan(0);
    }
  });

  test('has signatures of its own name', () => {
    for (const { name, overloads } of functionRows)
      for (const { signature } of overloads)
        expect(name.endsWith(parseSignature(signature).name), signature).toBe(true);
  });
});

describe('the library', () => {
  const open = (signature: string) => signature.replaceAll(/<dyn(, dyn)?>/g, '');
  const known = new Set(new Environment().getDefinitions().functions.map(({ signature }) => open(signature)));
  const table = functionRows.flatMap(({ overloads }) => overloads);

  test('has every function that the table leaves to it', () => {
    const natives = table.filter(({ make }) => make === undefined).map(({ signature }) => signature);
    expect(natives.length).toBeGreaterThan(20);
    expect(natives.filter((signature) => !known.has(open(signature)))).toEqual([]);
  });

  test('has no function that the table does not know, but those that we do not want', () => {
    const shape = (signature: string) => {
      const { name, isMethod, count } = parseSignature(signature);
      return `${isMethod ? '.' : ''}${name}/${count}`;
    };
    const ours = new Set(table.map(({ signature }) => shape(signature)));
    const unknown = new Set([...known].map(shape).filter((called) => !ours.has(called)));
    expect([...unknown].toSorted()).toEqual(
      ['.hasValue/0', '.json/0', '.none/0', '.of/1', '.or/1', '.orValue/1', '.string/0', '.value/0'].toSorted(),
    );
  });

  test.each(['b"{}".json() == {}', 'b"a".string() == "a"', 'dyn(1).value() == 1', 'dyn(1).orValue(2) == 1'])(
    'is not reached by %s',
    (expression) => expect(language.run(expression)).toMatch(/^(unknown function|'string' is not called like this)/),
  );
});

test('no title is used twice', () => {
  const titles = functionGroups.map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});
