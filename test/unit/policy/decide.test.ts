import { describe, expect, test } from 'vitest';
import { caller, compile, demo, input, llama, model, nowMs, policy, request, setOf, voice } from './fixtures.ts';

const allowAll = '- {name: all, then: allow}';

describe('a decision', () => {
  test('is deny when no rule allows', () => {
    const set = setOf({ 'p.yaml': policy('- {name: never, then: allow, when: "false"}') });
    expect(set.decide(input())).toEqual({
      verdict: 'deny',
      rules: [],
      by: undefined,
      message: 'No rule allows this request.',
      revision: set.revision,
    });
  });

  test('is allow when a rule allows, and names the rules that matched', () => {
    const set = setOf({ 'p.yaml': policy(`${allowAll}\n- {name: no, then: allow, when: "false"}`) });
    expect(set.decide(input())).toEqual({
      verdict: 'allow',
      rules: [{ policy: 'test', rule: 'all', effect: 'allow', mode: 'enforce' }],
      maskResponse: [],
      maskRequest: [],
      limits: [],
      revision: set.revision,
    });
  });

  test('is deny when one rule denies, whatever others allow, with the words of the first that denies', () => {
    const rules = [
      allowAll,
      '- {name: first, then: deny, message: Not today.}',
      '- {name: second, then: deny, message: Never.}',
    ];
    const decision = setOf({ 'p.yaml': policy(rules.join('\n')) }).decide(input());
    expect(decision).toMatchObject({ verdict: 'deny', by: 'test/first', message: 'Not today.' });
    expect(decision.rules.map((r) => r.rule)).toEqual(['all', 'first', 'second']);
  });

  test('masks what all matching mask rules ask for, categories expanded, sorted, once', () => {
    const rules = [
      allowAll,
      '- {name: a, then: mask, detect: [secrets, email]}',
      '- {name: b, then: mask, detect: [pii], on: response}',
      '- {name: c, then: mask, detect: [credit_card], when: "false"}',
    ];
    const decision = setOf({ 'p.yaml': policy(rules.join('\n')) }).decide(input());
    expect(decision).toMatchObject({ verdict: 'allow', maskResponse: ['aws_access_key', 'email', 'jwt', 'phone'] });
  });

  test('is not changed by dryRun rules, which are reported', () => {
    const rules = [
      '- {name: open, then: allow, mode: dryRun}',
      '- {name: close, then: deny, mode: dryRun}',
      '- {name: hide, then: mask, detect: [pii], mode: dryRun}',
      '- {name: broken, then: deny, mode: dryRun, when: "request.maxTokens > 1"}',
    ];
    const trial = setOf({ 'p.yaml': policy(rules.join('\n')) }).decide(input());
    expect(trial).toMatchObject({ verdict: 'deny', by: undefined });
    const decision = setOf({ 'p.yaml': policy([allowAll, ...rules].join('\n')) }).decide(input());
    expect(decision).toMatchObject({ verdict: 'allow', maskResponse: [] });
    expect(decision.rules.map((r) => `${r.rule} ${r.mode}`)).toEqual([
      'all enforce',
      'open dryRun',
      'close dryRun',
      'hide dryRun',
      'broken dryRun',
    ]);
    expect(decision.rules[4]?.error).toBe('no_such_key at p.yaml:10:54');
  });

  test.each(['deny', 'mask, detect: [pii]'])('is deny when a rule that would %s cannot be evaluated', (effect) => {
    const rules = `${allowAll}\n- {name: broken, then: ${effect}, when: "request.maxTokens > 1"}`;
    const decision = setOf({ 'p.yaml': policy(rules) }).decide(input());
    expect(decision).toMatchObject({
      verdict: 'deny',
      by: 'test/broken',
      message: 'Rule test/broken could not be evaluated.',
    });
  });

  test('does not count an allow rule that cannot be evaluated, and reports it', () => {
    const decision = setOf({ 'p.yaml': policy('- {name: broken, then: allow, when: "request.maxTokens > 1"}') }).decide(
      input(),
    );
    expect(decision).toMatchObject({
      verdict: 'deny',
      by: undefined,
      rules: [{ rule: 'broken', error: expect.stringMatching(/^no_such_key /) }],
    });
  });

  test('says nothing of the request in an error', () => {
    const set = setOf({ 'p.yaml': policy('- {name: r, then: deny, when: "bool(request.text)"}') });
    const decision = set.decide(input({ request: request({ text: 'my secret prompt' }) }));
    expect(JSON.stringify(decision)).not.toContain('secret');
    expect(decision.rules[0]?.error).toBe('bool_conversion_error at p.yaml:6:35');
  });
});

describe('the words of a deny rule', () => {
  const words = (rule: string, over = {}) => {
    const decision = setOf({ 'p.yaml': policy(`- {name: no, then: deny, ${rule}}`) }).decide(input(over));
    return decision.verdict === 'deny' ? decision.message : '';
  };

  test('can be worked out from the request', () => {
    const expression = `messageExpression: '"Remove the " + string(request.findings["credit_card"]) + " card number(s)."'`;
    expect(words(expression, { findings: new Map([['credit_card', 2]]) })).toBe('Remove the 2 card number(s).');
  });

  test('only name the rule when they cannot be worked out, are empty, or are not given', () => {
    const otherwise = 'Rule test/no denies this request.';
    expect(words(`messageExpression: 'string(request.findings["credit_card"])'`)).toBe(otherwise);
    expect(words(`messageExpression: '""'`)).toBe(otherwise);
    expect(words('when: "true"')).toBe(otherwise);
  });

  test('are cut after 1,000 characters', () => {
    expect(words('messageExpression: request.text', { request: request({ text: 'x'.repeat(5000) }) })).toHaveLength(
      1000,
    );
  });
});

describe('variables', () => {
  const spec = `  variables:
    - {name: isEngineer, expression: '"ml-eng" in caller.groups'}
    - {name: big, expression: 'request.tokens > 1000'}
    - {name: risky, expression: 'variables.big && !variables.isEngineer'}
    - {name: broken, expression: 'request.maxTokens > 1'}
    - {name: none, expression: '[]'}
`;
  const decide = (when: string, over = {}) => {
    const decision = setOf({
      'p.yaml': policy(`- {name: r, then: allow, when: ${JSON.stringify(when)}}`, spec),
    }).decide(input(over));
    return decision.rules[0]?.error ?? decision.verdict;
  };

  test('stand for their expressions, and may use the ones above them', () => {
    expect(decide('variables.isEngineer')).toBe('allow');
    expect(decide('variables.risky', { request: request({ tokens: 2000 }) })).toBe('deny');
    expect(decide('variables.risky', { caller: caller({ groups: [] }), request: request({ tokens: 2000 }) })).toBe(
      'allow',
    );
    expect(decide('size(variables.none) == 0')).toBe('allow');
  });

  test('that fail only fail the rules that read them', () => {
    expect(decide('variables.broken')).toMatch(/^no_such_key /);
    expect(decide('variables.isEngineer || variables.broken')).toBe('allow');
    expect(decide('variables.broken || variables.isEngineer')).toBe('allow');
  });

  test('are per decision, and per policy', () => {
    const other = policy(
      '- {name: r, then: allow, when: variables.isEngineer}',
      `  variables:\n    - {name: isEngineer, expression: 'caller.subject == "root"'}\n`,
    );
    const set = setOf({
      'a.yaml': policy('- {name: r, then: allow, when: variables.isEngineer}', spec),
      'b.yaml': other.replace('name: test', 'name: other'),
    });
    expect(set.decide(input()).rules.map((r) => r.policy)).toEqual(['test']);
    expect(set.decide(input({ caller: caller({ groups: [], subject: 'root' }) })).rules.map((r) => r.policy)).toEqual([
      'other',
    ]);
  });
});

describe('models', () => {
  const files = {
    'top.yaml': policy(allowAll, '  models: ["*"]\n').replace('name: test', 'name: top'),
    'llamas.yaml': policy('- {name: r, then: deny}', '  models: ["llama-*"]\n').replace('name: test', 'name: llamas'),
    'voice/own.yaml': policy('- {name: r, then: mask, detect: [pii]}').replace('name: test', 'name: own'),
    'owned.yaml': policy('- {name: r, then: mask, detect: [secrets]}').replace(
      '{name: test}',
      '{name: owned, team: ml-platform}',
    ),
  };
  const policiesFor = (of: typeof demo) =>
    setOf(files)
      .decide(input({ model: of }))
      .rules.map((r) => r.policy);

  test('decide which policies count: by pattern, by the folder of a team, by metadata.team', () => {
    expect(policiesFor(demo)).toEqual(['top']);
    expect(policiesFor(llama)).toEqual(['llamas', 'owned', 'top']);
    expect(policiesFor(voice)).toEqual(['top', 'own']);
  });

  test('that came later are judged by the same patterns', () => {
    expect(policiesFor(model({ name: 'llama-3', team: 'voice' }))).toEqual(['llamas', 'top', 'own']);
  });
});

describe('admits', () => {
  test('says whether the smallest chat request would pass', () => {
    const rules = [
      '- {name: engineers, then: allow, when: \'"ml-eng" in caller.groups\'}',
      '- {name: not-voice, then: deny, when: model.name == "voice"}',
      '- {name: short, then: deny, when: request.tokens > 10}',
    ];
    const set = setOf({ 'p.yaml': policy(rules.join('\n')) });
    expect(set.admits(caller(), demo, nowMs)).toBe(true);
    expect(set.admits(caller(), voice, nowMs)).toBe(false);
    expect(set.admits(caller({ groups: [] }), demo, nowMs)).toBe(false);
  });
});

test('the revision is the content of the files', () => {
  const [one, same, other] = [
    setOf({ 'p.yaml': policy(allowAll) }),
    setOf({ 'p.yaml': policy(allowAll) }),
    setOf({ 'p.yaml': `${policy(allowAll)}#` }),
  ];
  expect(one.revision).toMatch(/^sha256:[0-9a-f]{16}$/);
  expect(same.revision).toBe(one.revision);
  expect(other.revision).not.toBe(one.revision);
  expect(setOf({ 'q.yaml': policy(allowAll) }).revision).not.toBe(one.revision);
});

test('an empty folder is refused', () => {
  expect(compile({})).toMatchObject({ ok: false });
});

test('what no rule reads is not built', () => {
  const set = setOf({
    'p.yaml': policy('- {name: r, then: allow, when: caller.subject == "jane" || request.text.contains("x")}'),
  });
  const untouchable = input();
  Object.defineProperty(untouchable, 'findings', { get: () => expect.fail('findings were read') });
  Object.defineProperty(untouchable, 'request', { get: () => expect.fail('the request was read') });
  expect(set.decide(untouchable).verdict).toBe('allow');
});
