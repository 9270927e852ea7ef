import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/policy/problem.ts';
import { reviewPolicies } from '../../../src/policy/review.ts';
import { unenforced } from '../../../src/policy/unenforced.ts';
import { compile, demo, policy } from './fixtures.ts';

function compiled(rule: string, spec = '') {
  const loaded = compile({ 'p.yaml': policy(`- {name: all, then: allow}\n- {name: x, ${rule}}`, spec) });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}
const variables = '  variables: [{name: call, expression: toolCall.name}]\n';

describe('an enforced rule that reads a tool call of an answer', () => {
  test.each([
    ['on: response, then: stop, when: toolCall.name == "run_sql"', ''],
    ['on: response, then: stop, when: response.status == 200 || toolCall.name == "run_sql"', ''],
    ['on: response, then: stop, when: variables.call == "run_sql"', variables],
    ['on: response, then: stop, when: response.status == 200, messageExpression: toolCall.name', ''],
    ['then: mask, detect: [pii], when: toolCall.name == "run_sql"', ''],
  ])('is one that cannot be enforced yet: %s', (rule, spec) => {
    const loaded = compiled(rule, spec);
    const message = 'rules that read toolCall are not enforced by this version; set mode: dryRun';
    expect(unenforced(loaded.policies)).toEqual([
      { about: 'test/x', problem: { file: 'p.yaml', line: expect.any(Number), column: expect.any(Number), message } },
    ]);
    expect(reviewPolicies(loaded, [demo]).filter(({ kind }) => kind === 'unenforced')).toMatchObject([
      { about: 'test/x', message: `the gateway refuses this rule: ${message}` },
    ]);
  });

  test.each([
    'mode: dryRun, on: response, then: stop, when: toolCall.name == "run_sql"',
    'on: response, then: stop, when: response.status == 200',
    'then: deny, when: has(request.toolCall) && request.toolCall.name == "run_sql"',
  ])('and no other is: %s', (rule) => {
    expect(unenforced(compiled(rule).policies)).toEqual([]);
  });
});

test('a set says whether an enforced rule watches the answers of a model', () => {
  const of = (rule: string) => {
    const { set } = compiled(rule);
    return [set.watchesResponses(demo), set.enforcesOnResponses(demo)];
  };
  expect(of('on: response, then: stop, when: response.status == 200')).toEqual([true, true]);
  expect(of('then: mask, detect: [pii], when: response.status == 200')).toEqual([true, true]);
  expect(of('mode: dryRun, on: response, then: stop, when: response.status == 200')).toEqual([true, false]);
  expect(of('then: mask, detect: [pii]')).toEqual([false, false]);
  expect(of('on: response, models: [voice], then: stop')).toEqual([false, false]);
});
