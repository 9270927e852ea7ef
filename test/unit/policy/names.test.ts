import { describe, expect, test } from 'vitest';
import { compilePolicies } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import { caller, demo, input, nowMs, policy, resolveDetectors } from './fixtures.ts';

const load = (rules: string) =>
  compilePolicies([{ path: 'p.yaml', text: policy(`- {name: all, then: allow}\n${rules}`) }], {
    resolveDetectors,
    models: [demo],
    evaluationBudget: 20_000,
    filters: ['swearing', 'projects'],
    guards: ['llama-guard', 'moderation'],
  });
const rule = (when: string) => load(`- {name: x, then: deny, when: '${when}'}`);

describe('a filter or a guard that is written out', () => {
  test.each<[string, string]>([
    ['"swaering" in request.filters', 'there is no content filter "swaering". Did you mean "swearing"?'],
    ['request.filters["email"] > 0', 'there is no content filter "email".'],
    ['request.filters.projcts > 0', 'there is no content filter "projcts". Did you mean "projects"?'],
    ['guard("llamaguard").flagged', "there is no guard 'llamaguard'; did you mean 'llama-guard'?"],
    ['guard(caller.subject).flagged', 'the name of a guard has to be written out'],
  ])('must be configured: %s', (when, expected) => {
    const loaded = rule(when);
    expect(
      loaded.ok ? [] : loaded.problems.map(formatProblem).map((text) => text.replace(/^p\.yaml:7:\d+: /, '')),
    ).toEqual([expect.stringContaining(expected)]);
  });

  test('is needed, and what is not read is not', () => {
    const needs = (when: string) => {
      const loaded = rule(when);
      return loaded.ok ? loaded.set.needs(demo) : loaded.problems.map(formatProblem);
    };
    expect(needs('"swearing" in request.filters')).toEqual({ findings: false, filters: true, guards: [] });
    expect(needs('guard("moderation").flagged || guard("llama-guard").flagged')).toEqual({
      findings: false,
      filters: false,
      guards: ['llama-guard', 'moderation'],
    });
  });
});

describe('a finding that is written out', () => {
  const problems = (detected: readonly string[] | undefined, rules: string) => {
    const text = policy(`- {name: all, then: allow}\n${rules}`);
    const options = { resolveDetectors, models: [demo], evaluationBudget: 20_000, detected };
    const loaded = compilePolicies([{ path: 'p.yaml', text }], options);
    return loaded.ok ? [] : loaded.problems.map(({ message }) => message);
  };
  const deny = (when: string) => `- {name: x, then: deny, when: '${when}'}`;
  const stop = (when: string) => `- {name: x, then: stop, when: '${when}'}`;
  const leftOut = [expect.stringMatching(/"credit_card" is never found: record\.detect leaves it out$/)];

  test.each<[string, readonly string[] | undefined, string, unknown]>([
    ['is refused where it is not counted', ['email'], deny('"credit_card" in request.findings'), leftOut],
    ['is refused as a key, too', ['email'], deny('request.findings["credit_card"] > 1'), leftOut],
    ['is refused as a field, too', ['email'], deny('request.findings.credit_card > 1'), leftOut],
    ['is refused in rules on answers', ['email'], stop('"credit_card" in response.findings'), leftOut],
    ['is good where it is counted', ['email', 'credit_card'], deny('"credit_card" in request.findings'), []],
    ['is good where nobody says what is counted', undefined, deny('"credit_card" in request.findings'), []],
    ['is good as a category of which some are counted', ['email'], deny('"pii" in request.findings'), []],
    [
      'is refused as a category of which none is counted',
      ['email'],
      deny('"secrets" in request.findings'),
      ['"secrets" is never found: record.detect names no detector of this category'],
    ],
    [
      'is found in answers where a rule masks it in them',
      ['email'],
      `${stop('"credit_card" in response.findings')}\n- {name: m, then: mask, detect: [credit_card]}`,
      [],
    ],
    [
      'is not found in answers where a rule masks it in requests',
      ['email'],
      `${stop('"credit_card" in response.findings')}\n- {name: m, then: mask, on: request, detect: [credit_card]}`,
      leftOut,
    ],
    [
      'is not found in requests where a rule masks it in answers',
      ['email'],
      `${deny('"credit_card" in request.findings')}\n- {name: m, then: mask, detect: [credit_card]}`,
      leftOut,
    ],
  ])('%s', (_name, detected, rules, expected) => {
    expect(problems(detected, rules)).toEqual(expected);
  });
});

test('a guard that failed or was not asked fails the rule; the model is listed', () => {
  const loaded = rule('guard("moderation").flagged');
  if (!loaded.ok) return expect(loaded.problems).toEqual([]);
  const { set } = loaded;
  const ok = { ok: true, flagged: false, categories: [], scores: new Map() } as const;
  expect(set.decide(input({ guards: new Map([['moderation', ok]]) })).verdict).toBe('allow');
  expect(set.decide(input({ guards: new Map([['moderation', { ...ok, flagged: true }]]) }))).toMatchObject({
    verdict: 'deny',
    message: 'Rule test/x denies this request.',
  });
  const failed = new Map([['moderation', { ok: false, code: 'timeout' } as const]]);
  for (const guards of [failed, new Map()])
    expect(set.decide(input({ guards }))).toMatchObject({
      verdict: 'deny',
      message: 'Rule test/x could not be evaluated.',
    });
  expect(set.admits(caller(), demo, nowMs)).toBe(true);
});
