import { describe, expect, test } from 'vitest';
import { compilePolicies } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import { caller, demo, input, nowMs, policy, resolveDetectors } from './fixtures.ts';

const text = (rules: string) => policy(`- {name: all, then: allow}\n${rules}`);
const load = (rules: string) =>
  compilePolicies([{ path: 'p.yaml', text: text(rules) }], {
    resolveDetectors,
    models: [demo],
    evaluationBudget: 20_000,
    filters: ['swearing', 'projects'],
    guards: ['llama-guard', 'moderation'],
    providers: ['corp', 'mesh'],
    teams: ['ml-platform'],
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

describe('a value that a field never has', () => {
  test.each<[string, number, string]>([
    [
      'request.format == "openai"',
      18,
      'request.format is never "openai". It is one of: openai-chat, openai-completions,',
    ],
    ['request.format == "openai-caht"', 18, 'request.format is never "openai-caht". Did you mean "openai-chat"?'],
    ['request["operation"] != "chatt"', 24, 'request.operation is never "chatt". Did you mean "chat"?'],
    ['request.operation == "list_models"', 21, 'request.operation is never "list_models".'],
    ['"human" == caller.kind', 0, 'caller.kind is never "human". It is one of: person, service, peer.'],
    ['!(caller.kind == "Person")', 17, 'caller.kind is never "Person". Did you mean "person"?'],
    ['caller.proof in ["token", "isued"]', 26, 'caller.proof is never "isued". Did you mean "issued"?'],
    ['"mtls" in [caller.proof, caller.kind]', 0, 'caller.proof is never "mtls".'],
    ['has(caller.team) && caller.team == "nope"', 35, 'caller.team is never "nope". It is one of: ml-platform.'],
    ['caller.provider == "crop"', 19, 'caller.provider is never "crop". Did you mean "corp"?'],
    ['request.tools.exists(t, caller.kind == "servcie")', 39, 'Did you mean "service"?'],
    ['"X-Env" in http.headers', 0, 'names of headers are lower case here: "x-env"'],
    ['http.headers["X-Env"] == "prod"', 0, 'names of headers are lower case here: "x-env"'],
  ])('is a problem: %s', (when, offset, expected) => {
    const loaded = rule(when);
    const problems = loaded.ok ? [] : loaded.problems;
    expect(problems).toMatchObject([{ message: expect.stringContaining(expected) }]);
    const { line, column } = problems[0]!;
    expect(text(`- {name: x, then: deny, when: '${when}'}`).split('\n')[line - 1]?.indexOf(when)).toBe(
      column - 1 - offset,
    );
  });

  test.each([
    'caller.kind == "person" && request.format in ["gemini", "mcp"] && caller.provider != "mesh"',
    'caller.kind == caller.claims.kind && request.model == "whatever" && caller.subject == "x"',
    '"x-env" in http.headers && http.headers["x-env"] == "Prod"',
    'caller.proof in caller.groups && caller.team in ["ml-platform", request.model]',
  ])('is not %s', (when) => expect(rule(when)).toMatchObject({ ok: true }));

  test('is found in rules on responses and changes, and only where the names are known', () => {
    const on = (kind: string, when: string) =>
      load(`- {name: x, on: ${kind}, then: ${kind === 'response' ? 'stop' : 'deny'}, when: '${when}'}`);
    expect(on('response', 'response.phase == "stop"')).toMatchObject({
      problems: [{ message: expect.stringContaining('It is one of: headers, finding, toolCall, end.') }],
    });
    expect(on('lifecycle', 'change.kind == "remove"')).toMatchObject({
      problems: [{ message: expect.stringContaining('change.kind is never "remove"') }],
    });
    const one = policy(`- {name: x, then: allow, when: 'caller.team == "any" && caller.provider == "any"'}`);
    const options = { resolveDetectors, models: [demo], evaluationBudget: 20_000 };
    expect(compilePolicies([{ path: 'p.yaml', text: one }], options)).toMatchObject({ ok: true });
    const none = compilePolicies([{ path: 'p.yaml', text: one }], { ...options, teams: [] });
    expect(none).toMatchObject({ problems: [{ message: expect.stringContaining('None is configured.') }] });
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
