import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/policy/problem.ts';
import { compile, demo, policy } from './fixtures.ts';

function setOf(rule: string, spec = '') {
  const loaded = compile({ 'p.yaml': policy(`- {name: all, then: allow}\n- {name: x, ${rule}}`, spec) });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.set;
}
const variables = '  variables: [{name: call, expression: toolCall.name}]\n';

test('a set says whether an enforced rule watches the answers of a model', () => {
  const of = (rule: string) => {
    const set = setOf(rule);
    return [set.watchesResponses(demo), set.enforcesOnResponses(demo)];
  };
  expect(of('on: response, then: stop, when: response.status == 200')).toEqual([true, true]);
  expect(of('then: mask, detect: [pii], when: response.status == 200')).toEqual([true, true]);
  expect(of('mode: dryRun, on: response, then: stop, when: response.status == 200')).toEqual([true, false]);
  expect(of('then: mask, detect: [pii]')).toEqual([false, false]);
  expect(of('on: response, models: [voice], then: stop')).toEqual([false, false]);
});

describe('a set says whether a rule asks about tool calls', () => {
  test.each([
    ['enforce', 'on: response, then: stop, when: toolCall.name == "run_sql"', ''],
    ['enforce', 'on: response, then: stop, when: response.status == 200 || toolCall.name == "run_sql"', ''],
    ['enforce', 'on: response, then: stop, when: variables.call == "run_sql"', variables],
    ['enforce', 'on: response, then: stop, when: response.status == 200, messageExpression: toolCall.name', ''],
    ['enforce', 'then: mask, detect: [pii], when: toolCall.name == "run_sql"', ''],
    ['trial', 'mode: dryRun, on: response, then: stop, when: toolCall.name == "run_sql"', ''],
    ['none', 'on: response, then: stop, when: response.status == 200', ''],
    ['none', 'then: deny, when: has(request.toolCall) && request.toolCall.name == "run_sql"', ''],
    ['none', 'on: response, models: [voice], then: stop, when: toolCall.name == "run_sql"', ''],
  ])('%s: %s', (asks, rule, spec) => {
    expect(setOf(rule, spec).asksToolCalls(demo)).toBe(asks);
  });
});
