import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/policy/problem.ts';
import { reviewPolicies } from '../../../src/policy/review.ts';
import { compile, demo, llama, policy, voice } from './fixtures.ts';

function warnings(files: Record<string, string>): readonly string[] {
  const compiled = compile(files);
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join('\n'));
  return reviewPolicies(compiled, [demo, llama, voice]).map((one) => `${one.kind} ${formatProblem(one)}`);
}
const of = (rules: readonly string[], spec = '') => warnings({ 'p.yaml': policy(rules.join('\n'), spec) });

const all = '- {name: all, then: allow}';
const some = '- {name: some, then: allow, when: request.stream}';
const no = '- {name: no, then: deny}';

describe('a review warns of a rule', () => {
  test.each<[string, readonly string[], string]>([
    [
      'that is false',
      [all, '- {name: x, then: deny, when: "false"}'],
      'unreachable p.yaml:7:35: never matches: the condition is always false',
    ],
    [
      'that is false whatever is asked',
      [all, '- {name: x, then: deny, when: "request.stream && 1 > 2"}'],
      'unreachable p.yaml:7:35: never matches: the condition is always false',
    ],
    [
      'whose variable is false',
      [all, '- {name: x, then: deny, when: request.stream && variables.off}'],
      'unreachable p.yaml:8:35: never matches: the condition is always false',
    ],
    [
      'that speaks of models out of its scope',
      [all, '- {name: x, then: deny, models: [demo], when: model.name == "voice" && request.stream}'],
      'unreachable p.yaml:7:51: never matches: the condition is false for every model in its scope',
    ],
    ['that allows what is always denied', [some, no], 'shadowed p.yaml:6:14: changes nothing: test/no always denies'],
    [
      'that masks what is always denied',
      [no, '- {name: m, then: mask, detect: [pii], models: [demo]}', all],
      'shadowed p.yaml:7:14: changes nothing: test/no always denies',
    ],
    [
      'that denies what was always denied before',
      [no, '- {name: late, then: deny, when: request.stream}'],
      'shadowed p.yaml:7:14: changes nothing: test/no denies all of it before',
    ],
    [
      'that allows what is always allowed',
      [some, all],
      'shadowed p.yaml:6:14: changes nothing: test/all allows all of it',
    ],
    [
      'that allows everything once more',
      [all, '- {name: too, then: allow}'],
      'shadowed p.yaml:7:14: changes nothing: test/all allows all of it',
    ],
    [
      'that repeats a condition',
      [some, '- {name: again, then: allow, when: " request.stream", models: [demo]}'],
      'shadowed p.yaml:7:14: changes nothing: test/some says the same',
    ],
    [
      'that masks less than another always does',
      [all, '- {name: wide, then: mask, detect: [pii]}', '- {name: less, then: mask, detect: [email]}'],
      'shadowed p.yaml:8:14: changes nothing: test/wide always masks the same',
    ],
    [
      'about models that nobody may use',
      [
        '- {name: a, then: allow, models: [demo]}',
        '- {name: l, then: limit, models: [voice], limits: [{requests: 1, per: 1m}]}',
      ],
      'shadowed p.yaml:7:14: changes nothing: no rule allows a request to any of its models',
    ],
  ])('%s', (_what, rules, expected) => {
    const spec = rules.join().includes('variables.off') ? '  variables: [{name: off, expression: "1 == 2"}]\n' : '';
    expect(of(rules, spec)).toContain(expected);
  });

  test('of another file', () => {
    const files = {
      'a.yaml': policy(some),
      'b.yaml': policy(no, '  models: ["*"]\n').replace('name: test', 'name: b'),
    };
    expect(warnings(files)).toEqual(['shadowed a.yaml:6:14: changes nothing: b/no always denies']);
  });
});

describe('a review says nothing of', () => {
  test.each<[string, readonly string[]]>([
    ['rules that may matter', [all, '- {name: x, then: deny, when: request.stream}']],
    [
      'a rule on trial that another one decides',
      [all, no.replace('name: no', 'name: no, models: [demo]'), '- {name: t, mode: dryRun, then: deny}'],
    ],
    ['an allow that is denied for some of its models only', [all, '- {name: no, then: deny, models: [demo]}']],
    ['a denial on trial', [all, '- {name: no, then: deny, mode: dryRun}']],
    ['a denial that gives its words before the other', ['- {name: words, then: deny, when: request.stream}', no]],
    [
      'a mask that could fail, beside one that always masks',
      [
        all,
        '- {name: wide, then: mask, detect: [pii]}',
        '- {name: x, then: mask, detect: [email], when: request.maxTokens > 1}',
      ],
    ],
    [
      'masks of different sides',
      [all, '- {name: a, then: mask, detect: [pii]}', '- {name: b, then: mask, detect: [pii], on: request}'],
    ],
    [
      'one condition for two effects',
      ['- {name: a, then: allow, when: request.stream}', '- {name: b, then: deny, when: request.stream}'],
    ],
    [
      'two demands of one condition',
      [all, '- {name: a, then: requireApproval, approvers: [a]}', '- {name: b, then: requireApproval, approvers: [b]}'],
    ],
    [
      'rules on changes and requests',
      [all, '- {name: c, then: deny, on: lifecycle}', '- {name: r, then: stop, when: response.status > 200}'],
    ],
  ])('%s', (_what, rules) => {
    expect(of(rules).filter((line) => !line.includes('test/no'))).toEqual([]);
  });

  test('one condition with variables of two policies', () => {
    const file = (name: string, text: string) =>
      policy('- {name: r, then: allow, when: variables.x}', `  variables: [{name: x, expression: ${text}}]\n`).replace(
        'name: test',
        `name: ${name}`,
      );
    expect(warnings({ 'a.yaml': file('a', 'request.stream'), 'b.yaml': file('b', 'request.tokens > 1') })).toEqual([]);
  });
});

describe('a review of variables', () => {
  const spec = '  variables: [{name: used, expression: request.stream}, {name: idle, expression: request.stream}]\n';
  test('names the ones that nobody reads', () => {
    expect(of(['- {name: a, then: allow, when: variables.used}'], spec)).toEqual([
      'unused p.yaml:5:64: no rule reads the variable "idle"',
    ]);
  });
  test('leaves them alone where one is looked up by a name that is worked out', () => {
    expect(of(['- {name: a, then: allow, when: \'variables.used || bool(variables["id" + "le"])\'}'], spec)).toEqual(
      [],
    );
  });
});
