import { describe, expect, test } from 'vitest';
import { input, policy, request, setOf } from './fixtures.ts';
import { Language } from './functions/evaluate.ts';

/** Deep, wide and costly CEL (attacks.md): it ends as an error, at load or at once. */

const language = new Language();
/** Far over what they take (a few ms), for a machine that does other things too; what is not bounded takes seconds. */
const soonMs = 500;

function timed<T>(run: () => T): T {
  const started = performance.now();
  const value = run();
  expect(performance.now() - started).toBeLessThan(soonMs);
  return value;
}

const times = (count: number, text: string, between = '') => Array(count).fill(text).join(between);

describe('an expression that is too large is refused at load', () => {
  test.each([
    ['long', `"${times(9000, 'x')}" == ""`, 'longer than 8192 characters'],
    ['deep in brackets', `${times(60, '(')}true${times(60, ')')}`, 'exceeded maxDepth'],
    ['deep in lists', `${times(4000, '[')}${times(4000, ']')} == []`, 'exceeded maxDepth'],
    ['deep in fields', `caller.claims${times(1000, '.a')} == 1`, 'exceeded maxDepth'],
    ['deep in macros', `${times(55, '[1].all(x, ')}true${times(55, ')')}`, 'exceeded maxDepth'],
    ['deep in conditions', `${times(500, 'true ? true : ')}true`, 'exceeded maxDepth'],
    ['full of negations', `${times(8000, '!')}true`, 'exceeded maxAstNodes'],
    ['wide', times(1100, 'true', '||'), 'exceeded maxAstNodes'],
    ['a wide list', `[${times(600, '1', ',')}] == []`, 'exceeded maxListElements'],
    ['a wide call', `math.greatest(${times(20, '1', ',')}) == 1`, 'exceeded maxCallArguments'],
  ])('%s', (_name, expression, expected) => {
    const said = timed(() => language.compile(expression));
    expect(said).toContain(expected);
  });
});

const aaa = 'a'.repeat(100_000);
/** Without a period, so that an automaton needs many states for it. */
const shuffled = (() => {
  let seed = 1;
  return Array.from({ length: 30_000 }, () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return seed & 0x1_0000 ? 'a' : 'b';
  }).join('');
})();
/** A text in every mix of upper and lower case. */
const casesOf = (text: string): string[] =>
  [...text].reduce((all, c) => all.flatMap((s) => [...new Set([s + c, s + c.toUpperCase()])]), ['']);
const turns = '[1,2,3,4,5,6,7,8,9,10]';
const nested = (depth: number, inner: string) =>
  `${Array.from({ length: depth }, (_, i) => `${turns}.map(x${i}, `).join('')}${inner}${times(depth, ')')} == []`;
/** A value bound to a name, and doubled so many times. */
function doubled(count: number, start: string): string {
  const bindings = Array.from({ length: count }, (_, i) => `cel.bind(t${i + 1}, t${i} + t${i}, `).join('');
  return `cel.bind(t0, ${start}, ${bindings}size(t${count}) > 0${times(count + 1, ')')}`;
}

describe('an expression that costs too much ends as an error', () => {
  test.each<[expression: string, text: string, code: string]>([
    [nested(8, '1'), '', 'budget_exceeded'],
    [`${nested(8, '1')} || true`, '', 'budget_exceeded'],
    [doubled(20, '"0123456789"'), '', 'text_too_long'],
    [doubled(20, '[1]'), '', 'budget_exceeded'],
    [doubled(20, 'b"0123456789"'), '', 'budget_exceeded'],
    ['request.text.split("").all(x, request.text.split("").exists(y, x != y))', aaa, 'budget_exceeded'],
    [`request.text.split("").all(x, ${times(180, '1', ' + ')} > 0)`, 'a'.repeat(4000), 'budget_exceeded'],
    ['size(request.text.replace("", request.text)) > 0', aaa, 'text_too_long'],
    ['size(request.text.replace("a", request.text)) > 0', aaa, 'text_too_long'],
    ['size(request.text.replace("a", "aaaaaaaaaa").replace("a", "aaaaaaaaaa")) > 0', aaa, 'budget_exceeded'],
    ['size(request.text.split("a").join(request.text)) > 0', aaa, 'budget_exceeded'],
    ['size(request.text.split("").join("xxxxxxxxxxxxxxxx")) > 0', aaa, 'budget_exceeded'],
    [`size("${times(200, '%s')}".format([${times(200, 'request.text', ',')}])) > 0`, aaa, 'text_too_long'],
    [
      `size(["a"].map(x, request.text + request.text).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)) > 0`,
      aaa,
      'text_too_long',
    ],
    ['request.text.lastIndexOf("b" + request.text.substring(0, 50000)) == 0', aaa, 'budget_exceeded'],
    ['normalize(request.text) == ""', 'ﷺ'.repeat(100_000), 'budget_exceeded'],
    ['normalize(request.text) == ""', 'e\u0301\u0323'.repeat(60_000), 'budget_exceeded'],
    ['glob("*?a?b?c*", request.text)', aaa, 'budget_exceeded'],
    ['request.text.matches("(a|b)*a(a|b){200}y")', `y${shuffled}`, 'budget_exceeded'],
    ['size(request.text.findAll("(a*)*b|a")) > 0', aaa, 'budget_exceeded'],
    ['request.text.find("(a|b)*a(a|b){100}y|bb") == ""', shuffled, 'budget_exceeded'],
    ['request.text.split("").all(x, !(x + "b").matches("(" + x + "|b){1,900}c"))', aaa, 'budget_exceeded'],
    [
      '!request.text.split(",").exists(x, "zz".matches(x))',
      Array.from({ length: 2000 }, (_, i) => `(a{${(i % 900) + 1}}|b${i})`).join(),
      'budget_exceeded',
    ],
    [
      'request.text.split(",").all(z, now.getHours(z) < 24)',
      casesOf('europe/ber')
        .map((zone) => `${zone}lin`)
        .join(),
      'budget_exceeded',
    ],
    ['request.text.split("").all(x, x in request.text.split("").map(y, y + "b"))', aaa, 'budget_exceeded'],
    [
      'sets.equivalent(request.text.split("").map(x, [x]), request.text.split("").map(x, [x]))',
      'ab'.repeat(500),
      'budget_exceeded',
    ],
    ['duration(request.text) > duration("1s")', '9'.repeat(100_000), 'invalid_argument'],
    ['int(request.text) > 0 || uint(request.text) > 0u', '9'.repeat(100_000), 'invalid_argument'],
    ['quantity(request.text).sign() > 0', `${'9'.repeat(100_000)}e99`, 'invalid_argument'],
    ['semver(request.text).major() > 0', `1.0.0-${'a.'.repeat(50_000)}`, 'invalid_argument'],
    ['ip(request.text).family() == 4', '1.'.repeat(50_000), 'invalid_argument'],
    ['cidr(request.text).prefixLength() == 4', ':'.repeat(100_000), 'invalid_argument'],
    ['timestamp(request.text) > now', '2026-01-01T00:00:00.'.padEnd(100_000, '0'), 'invalid_argument'],
    ['"%.999f".format([1.0]) == ""', '', 'invalid_argument'],
  ])('%s', (expression, text, code) => {
    const about = { request: request({ text }) };
    expect(language.compile(expression)).toBeTypeOf('object');
    expect(timed(() => language.run(expression, about))).toBe(code);
  });
});

test('searches in texts that repeat take linear time', () => {
  const about = { request: request({ text: aaa }) };
  for (const expression of [
    'request.text.contains(request.text.substring(0, 25000) + "b" + request.text.substring(0, 25000))',
    'request.text.indexOf(request.text.substring(0, 25000) + "b" + request.text.substring(0, 25000)) >= 0',
    'size(request.text.split(request.text.substring(0, 400) + "b" + request.text.substring(0, 400))) > 1',
    'request.text.replace(request.text.substring(0, 400) + "b" + request.text.substring(0, 400), "") != request.text',
  ])
    expect(
      timed(() => language.run(expression, about)),
      expression,
    ).toBe(false);
});

describe('a decision costs ten evaluations at most, however many rules there are', () => {
  const over = { request: request({ text: aaa }) };
  /** Some 3,100 of 20,000 units. */
  const costly = (name: string, more: string) => `- {name: ${name}, when: 'request.text.matches("b$")', ${more}}\n`;
  const denials = Array.from({ length: 80 }, (_, i) => costly(`d${i}`, 'then: deny')).join('');
  const allow = '- {name: allow, then: allow}\n';
  const decide = (rules: string) => setOf({ 'p.yaml': policy(rules) }).decide(input(over));

  test('rules that are within it are all evaluated', () => {
    const decided = decide(allow + denials.split('\n').slice(0, 50).join('\n'));
    expect(decided.verdict).toBe('allow');
  });

  test.each([
    ['allow first', allow + denials],
    ['allow last', denials + allow],
    ['the costly one that finds nothing left allows', denials + costly('allow-too', 'then: allow') + allow],
    ['the costly ones allow', allow + denials.replaceAll('deny', 'allow')],
  ])('more of them deny: %s', (_name, rules) => {
    const decided = decide(rules);
    expect(decided).toMatchObject({ verdict: 'deny', message: expect.stringContaining('could not be evaluated') });
    expect(decided.rules.filter(({ error }) => error?.startsWith('budget_exceeded')).length).toBeGreaterThan(0);
  });

  test('rules on trial take nothing from those in force', () => {
    const trial = denials.replaceAll('deny', 'deny, mode: dryRun');
    expect(decide(trial + costly('one', 'then: deny') + allow).verdict).toBe('allow');
    expect(decide(denials + allow).verdict).toBe('deny');
  });

  test('variables are paid by the decision too', () => {
    const variables = Array.from(
      { length: 80 },
      (_, i) => `    - {name: v${i}, expression: 'request.text.matches("${'b'.repeat(i + 1)}$")'}\n`,
    ).join('');
    const rules = Array.from({ length: 80 }, (_, i) => `- {name: r${i}, then: deny, when: variables.v${i}}\n`).join('');
    const set = setOf({ 'p.yaml': policy(allow + rules, `  variables:\n${variables}`) });
    expect(set.decide(input(over)).verdict).toBe('deny');
  });

  test('a thousand rules that each run over take no longer than ten', () => {
    const rules = Array.from(
      { length: 1000 },
      (_, i) => `- {name: r${i}, then: deny, when: '${nested(8, String(i))}'}\n`,
    );
    const set = setOf({ 'p.yaml': policy(rules.join('')) });
    expect(timed(() => set.decide(input(over))).verdict).toBe('deny');
  });
});

describe('patterns over long prompts', () => {
  const sentence = 'The quick brown fox jumps over the lazy dog, and writes to jane at example dot com. ';
  const prompt = (length: number) => sentence.repeat(Math.ceil(length / sentence.length)).slice(0, length);
  const patterns = [
    '(?i)\\\\b(ignore|disregard|forget) (all|any|previous|prior)\\\\b',
    '(?i)ignore (all )?previous instructions',
    '(?i)(api[_-]?key|secret|token)\\\\s*[:=]\\\\s*\\\\S{8,}',
    '[0-9]{3}-[0-9]{2}-[0-9]{4}',
    '\\\\p{Cyrillic}{3,}',
  ];
  const any = patterns.map((pattern) => `request.text.matches("${pattern}")`).join(' || ');

  test.each([
    ['English', prompt(100_000)],
    ['Chinese', prompt(1000) + '制作方法一二三四五六七八九十'.repeat(1000)],
    [
      'a prompt of very many characters',
      Array.from({ length: 800 }, (_, i) => String.fromCodePoint(0x4e00 + 7 * i)).join(''),
    ],
  ])('a handful in one expression is within the budget: %s', (_name, text) => {
    expect(language.run(any, { request: request({ text }) })).toBe(false);
  });

  test('a character costs a 32nd of a unit, whatever the pattern', () => {
    for (const pattern of patterns) {
      const enough = new Language({}, 4500);
      const tooLittle = new Language({}, 3000);
      const about = { request: request({ text: prompt(100_000) }) };
      const expression = `request.text.matches("${pattern}")`;
      expect(enough.run(expression, about)).toBe(false);
      expect(tooLittle.run(expression, about)).toBe('budget_exceeded');
    }
  });

  test('what a text begins with costs nothing where it begins otherwise', () => {
    const about = { request: request({ text: prompt(1_000_000) }) };
    expect(new Language({}, 3000).run('request.text.matches("^ignore")', about)).toBe(false);
  });

  test.each([
    ['repeats that multiply', '(?:abcdefghij){1000}', 'budget_exceeded'],
    ['repeats in repeats', '((a{10}){30}){30}', 'budget_exceeded'],
    ['Unicode classes, which are slow to compile', '\\pL', 'budget_exceeded'],
  ])('a pattern that comes with the request is not compiled where it is large: %s', (_name, text, code) => {
    const about = { request: request({ text }) };
    expect(timed(() => language.run('"zz".matches(request.text)', about))).toBe(code);
  });

  test('a large pattern that is written out is refused at load', () => {
    expect(language.compile('"a".matches("(?:abcdefghij){1000}")')).toContain('repeats too much');
    expect(language.compile('"a".matches("\\\\pL{3}[a-z]{900}")')).toBeTypeOf('object');
  });
});

test('what one evaluation cost is not owed by the next', () => {
  expect(language.run(nested(8, '1'))).toBe('budget_exceeded');
  expect(language.run('[1, 2].map(x, x * 2) == [2, 4]')).toBe(true);
});

describe('no expression reaches the prototype', () => {
  const names = ['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];
  const owners = [
    'caller',
    'request',
    'http',
    'model',
    'caller.claims',
    'model.labels',
    'request.findings',
    '{"a": 1}',
    'now',
    'math',
    'request.messages[0]',
  ];
  test.each(owners.flatMap((owner) => names.map((name) => [`${owner}.${name}`, `${owner}["${name}"]`])))(
    '%s',
    (field, key) => {
      for (const expression of [field, key]) {
        const program = language.compile(`type(${expression}) != int`);
        if (typeof program !== 'string') expect(language.run(`type(${expression}) != int`)).toBe('no_such_key');
        expect(language.run(`"${names[0]}" in caller.claims`)).toBe(false);
      }
    },
  );
});
