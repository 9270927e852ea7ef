import { describe, expect, test } from 'vitest';
import { compileInSlices } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import { demo, llama, policy, problemsOf, resolveDetectors, voice } from './fixtures.ts';

const options = { resolveDetectors, models: [demo, llama, voice], evaluationBudget: 20_000 };
const good = policy('- {name: all, then: allow}');
const rules = (count: number) =>
  Array.from({ length: count }, (_, i) => `- name: r${i}\n  when: 'request.tokens > ${i}'\n  then: deny`).join('\n');
const nested = (open: string, close: string, depth: number) => `a: ${open.repeat(depth)}${close.repeat(depth)}`;

describe('a policy file is refused in a few words', () => {
  test.each<[string, string, string]>([
    ['that is larger than 1 MiB', `${good}# ${'x'.repeat(10_000_000)}`, 'p.yaml:1:1: the file is larger than 1 MiB'],
    ['with a NUL', good.replace('Policy', 'Pol\0icy'), 'p.yaml:2:10: there is a control character (U+0000)'],
    [
      'with an escape sequence',
      good.replace('test', 'te\u001b[31mst'),
      'p.yaml:3:20: there is a control character (U+001B)',
    ],
    [
      'with a byte-order mark inside',
      good.replace('Policy', '\ufeffPolicy'),
      'p.yaml:2:7: there is a control character (U+FEFF)',
    ],
    ['of lists in lists', nested('[', ']', 100_000), 'nested deeper than 40'],
    ['of lists in lists without ends', nested('[', '', 50_000), ''],
    ['of maps in maps', nested('{a: ', '}', 5000), 'nested deeper than 40'],
    [
      'of lists in lists, in lines',
      `a:\n${Array.from({ length: 200 }, (_, i) => `${' '.repeat(i)}-`).join('\n')}`,
      'nested deeper than 40',
    ],
    [
      'of very many keys',
      Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join('\n'),
      'p.yaml:1:1: there are more than 1000 keys',
    ],
    [
      'of very many keys in a line',
      `{${Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join(',')}}`,
      'there are more than 1000 keys',
    ],
    ['with an anchor', good.replace('{name: test}', '&a {name: test}'), 'p.yaml:3:11: anchors (&name) are not allowed'],
    ['with an alias', good.replace('{name: test}', '*a'), 'p.yaml:3:11: aliases (*name) are not allowed'],
    [
      'with a tag',
      good.replace('then: allow', 'then: !!str allow'),
      'p.yaml:6:25: tags (!name) are not allowed; an expression',
    ],
    ['of YAML 1.1', `%YAML 1.1\n---\n${good}`, 'p.yaml:1:1: directives (%…) are not allowed'],
    [
      'of 1,001 rules',
      policy(rules(1001)),
      'p.yaml:6:5: spec.rules: has more than 1000 rules: make several policies of it',
    ],
    ['that is not YAML', '{{{{', 'p.yaml:1:'],
    ['with tabs', 'a:\n\tb: 1', 'p.yaml:2:1: '],
    [
      'whose expression has no quotes',
      policy('- {name: a, then: allow}\n- name: b\n  then: allow\n  when: "x" in caller.groups'),
      `p.yaml:9:17: unexpected scalar at node end; is it an expression? Put it between single quotes ('…')`,
    ],
    [
      'whose rules are a text',
      good.replace(/rules:[\s\S]*/, 'rules: none'),
      'p.yaml:5:10: spec.rules: must be a list of rules',
    ],
    ['whose rule is a text', policy('- none'), 'p.yaml:6:7: spec.rules.0: must be a map: name, then, …'],
    ['whose rule is nothing', policy('-'), 'p.yaml:6:6: spec.rules.0: must be a map: name, then, …'],
    ['that has a list as a key', policy('- {name: a, then: allow, [x]: y}'), 'p.yaml:'],
  ])('%s', (_what, text, expected) => {
    const started = performance.now();
    const problems = problemsOf({ 'p.yaml': text });
    expect(problems[0]).toContain(expected);
    expect(problems[0]).toMatch(/^p\.yaml:\d+:\d+: ./);
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('and a set whose files are too much together', () => {
    const comment = `# ${'x'.repeat(1_000_000)}\n`;
    const files = Object.fromEntries(
      Array.from({ length: 17 }, (_, i) => [`p${i}.yaml`, `${comment}${good.replace('name: test', `name: t${i}`)}`]),
    );
    expect(problemsOf(files)).toEqual(['.:1:1: the policies are larger than 16 MiB together']);
  });

  test('and a set of more than 10,000 rules', () => {
    const files = Object.fromEntries(
      Array.from({ length: 11 }, (_, i) => [`p${i}.yaml`, policy(rules(1000)).replace('name: test', `name: t${i}`)]),
    );
    expect(problemsOf(files)).toEqual(['.:1:1: there are more than 10000 rules']);
  });
});

test('a byte-order mark at the beginning, Windows line ends and "on" as a key are fine', () => {
  const text = policy('- {name: a, on: request, then: allow}\n- {name: b, on: lifecycle, then: deny}');
  expect(problemsOf({ 'p.yaml': `\ufeff${text.replaceAll('\n', '\r\n')}` })).toEqual([]);
});

test('a long file says where its problems are, as a short one does', () => {
  const lines = rules(300).replace("when: 'request.tokens > 250'", "when: 'request.tokes > 250'");
  const text = policy(lines.replace('name: r299', 'name: r0').replace('  then: deny', '  then: dny'));
  expect(problemsOf({ 'p.yaml': text })).toEqual([
    'p.yaml:8:13: spec.rules.0.then: "then" must be one of: allow, deny, requireApproval, limit, mask, stop. Did you mean "deny"?',
  ]);
  const twice = problemsOf({ 'p.yaml': policy(lines.replace('name: r299', 'name: r0')) });
  expect(twice).toEqual([
    "p.yaml:757:22: unknown variable 'request.tokes'; did you mean 'tokens'?",
    'p.yaml:903:13: there are two rules "r0"',
  ]);
});

describe('a pattern of models', () => {
  const patterns = (pattern: string) =>
    problemsOf({ 'p.yaml': policy('- {name: a, then: allow}', `  models: [${JSON.stringify(pattern)}]\n`) });
  test.each<[string, string]>([
    ['', 'a pattern must not be empty'],
    [' demo', 'a pattern must not begin or end with a space'],
    ['de\u0007mo', 'a pattern must not have control characters'],
    ['dem?', '"?" means nothing in a pattern: only * does, for any characters'],
    ['[a-z]*', '"[" means nothing in a pattern'],
    ['{demo,voice}', '"{" means nothing in a pattern'],
    ['^demo$', '"^" means nothing in a pattern'],
    ['!demo', '"!" means nothing in a pattern'],
    ['**', 'write * once: it stands for any characters'],
    ['*a*b*c*d*e*f*g*h*i', 'a pattern may have 8 times * at most'],
    ['x'.repeat(201), 'is longer than 200 characters'],
    ['dem', 'no model is called "dem". Did you mean "demo"?'],
  ])('%j is refused', (pattern, expected) => {
    expect(patterns(pattern)).toHaveLength(1);
    expect(patterns(pattern)[0]).toContain(expected);
  });

  test('of a rule means models of its file', () => {
    const file = (models: string) =>
      problemsOf({ 'p.yaml': policy(`- {name: a, then: allow, models: [${models}]}`, '  models: ["llama-*"]\n') });
    expect(file('llama-70b')).toEqual([]);
    expect(file('demo')).toEqual(['p.yaml:7:39: "demo" means "demo", which this file is not about']);
    expect(file('lama')).toEqual(['p.yaml:7:39: no model is called "lama".']);
  });
});

test('a large set is compiled in slices, and comes to the same', async () => {
  const files = Array.from({ length: 10 }, (_, i) => ({
    path: `p${i}.yaml`,
    text: policy(rules(100)).replace('name: test', `name: t${i}`),
  }));
  let turns = 0;
  let going = true;
  const turn = () => {
    turns += 1;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  const compiled = await compileInSlices(files, options);
  going = false;
  if (!compiled.ok) return expect(compiled.problems.map(formatProblem)).toEqual([]);
  expect(compiled.policies.flatMap((one) => one.rules)).toHaveLength(1000);
  expect(turns).toBeGreaterThan(10);
});
