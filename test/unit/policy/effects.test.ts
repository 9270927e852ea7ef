import { describe, expect, test } from 'vitest';
import type { ChangeFacts, DecisionInput, ResponseFacts } from '../../../src/policy/decision.ts';
import { caller, demo, input, llama, nowMs, policy, request, setOf, voice } from './fixtures.ts';

const allowAll = '- {name: all, then: allow}';
const decide = (rules: readonly string[], over: Partial<DecisionInput> = {}, spec = '') =>
  setOf({ 'p.yaml': policy(rules.join('\n'), spec) }).decide(input(over));
const failing = 'when: request.maxTokens > 1';

const response: ResponseFacts = {
  status: 200,
  contentType: 'text/event-stream',
  findings: new Map(),
  outputTokens: 7,
  bytes: 100,
  phase: 'finding',
};
const change: ChangeFacts = {
  kind: 'version',
  model: 'demo',
  fromVersion: '1',
  toVersion: '2',
  fields: ['upstream.host'],
  by: 'ops',
};

describe('what effects come to together', () => {
  const rule = {
    allow: allowAll,
    deny: '- {name: no, then: deny}',
    approve: '- {name: ask, then: requireApproval, approvers: [oncall]}',
    limit: '- {name: few, then: limit, limits: [{requests: 1, per: 1m}]}',
    mask: '- {name: hide, then: mask, detect: [email]}',
  };
  type Name = keyof typeof rule;
  test.each<[string, readonly Name[], string]>([
    ['nothing', ['mask'], 'deny'],
    ['a limit alone', ['limit'], 'deny'],
    ['a demand alone', ['approve'], 'deny'],
    ['allow', ['allow'], 'allow'],
    ['allow and limit', ['allow', 'limit'], 'allow'],
    ['allow and mask', ['allow', 'mask'], 'allow'],
    ['allow and demand', ['allow', 'approve'], 'requireApproval'],
    ['allow, demand and limit', ['allow', 'approve', 'limit'], 'requireApproval'],
    ['all', ['allow', 'approve', 'limit', 'mask', 'deny'], 'deny'],
    ['allow and deny', ['allow', 'deny'], 'deny'],
  ])('%s', (_what, names, verdict) => {
    const rules = names.map((name) => rule[name]);
    const [one, other] = [decide(rules), decide(rules.toReversed())];
    expect([one.verdict, other.verdict]).toEqual([verdict, verdict]);
    if (one.verdict === 'deny') return;
    expect(one.limits).toHaveLength(names.includes('limit') ? 1 : 0);
    expect(one.maskResponse).toEqual(names.includes('mask') ? ['email'] : []);
  });
});

describe('requireApproval', () => {
  const ask = '- {name: ask, then: requireApproval, approvers: [oncall, leads]';
  const demandOf = (rules: readonly string[], over: Partial<DecisionInput> = {}, spec = '') => {
    const decision = decide([allowAll, ...rules], over, spec);
    return decision.verdict === 'requireApproval' ? decision.demands : [];
  };

  test('says who may answer and what a yes is good for', () => {
    expect(demandOf([`${ask}}`])).toEqual([
      {
        policy: 'test',
        rule: 'ask',
        approvers: ['oncall', 'leads'],
        minApprovals: 1,
        reasonRequired: false,
        grant: { scope: 'request', uses: 1, forMs: 1_800_000 },
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        message: 'Rule test/ask requires an approval.',
      },
    ]);
    const terms = 'minApprovals: 2, reasonRequired: true, grant: {scope: rule, uses: 5, for: 2h}, message: Ask first.';
    expect(demandOf([`${ask}, ${terms}}`])).toMatchObject([
      {
        minApprovals: 2,
        reasonRequired: true,
        grant: { scope: 'rule', uses: 5, forMs: 7_200_000 },
        message: 'Ask first.',
      },
    ]);
  });

  test('words that cannot be worked out fall back to the name of the rule', () => {
    expect(demandOf([`${ask}, messageExpression: 'string(request.maxTokens)'}`])).toMatchObject([
      { message: 'Rule test/ask requires an approval.' },
    ]);
  });

  test('every rule that matches asks', () => {
    expect(demandOf([`${ask}}`, `${ask}}`.replace('name: ask', 'name: ask2')]).map(({ rule }) => rule)).toEqual([
      'ask',
      'ask2',
    ]);
  });

  test('has a digest of the rule and the variables, as they are meant', () => {
    const digest = (rule: string, spec = '') => demandOf([rule], {}, spec)[0]?.digest;
    const variables = (text: string) => `  variables: [{name: x, expression: '${text}'}]\n`;
    const [same, reordered, defaults] = [
      digest(`${ask}}`),
      digest('- {approvers: [oncall, leads], then: requireApproval, name: ask}'),
      digest(`${ask}, minApprovals: 1, grant: {uses: 1}}`),
    ];
    expect(reordered).toBe(same);
    expect(defaults).toBe(same);
    const others = [
      digest('- {name: ask, then: requireApproval, approvers: [leads, oncall]}'),
      digest(`${ask}, when: "true"}`),
      digest(`${ask}, minApprovals: 2}`),
      digest(`${ask}}`, variables('1')),
      digest(`${ask}}`, variables('2')),
    ];
    expect(new Set([same, ...others]).size).toBe(6);
    expect(others).not.toContain(undefined);
  });

  test('that cannot be evaluated denies', () => {
    expect(decide([allowAll, `${ask}, ${failing}}`])).toMatchObject({ verdict: 'deny', by: 'test/ask' });
    expect(decide([allowAll, `${ask}, mode: dryRun, ${failing}}`])).toMatchObject({ verdict: 'allow' });
  });
});

describe('limit', () => {
  const limit = (more: string) => `- {name: few, then: limit, limits: [{requests: 60, per: 1m}]${more}}`;
  const charge = (more: string, over: Partial<DecisionInput> = {}) => {
    const decision = decide([allowAll, limit(more)], over);
    return decision.verdict === 'allow' ? decision.limits[0] : undefined;
  };

  test('hands over its windows, several at once', () => {
    const rule = '- {name: few, then: limit, limits: [{requests: 60, per: 1m}, {tokens: 200000, per: 1d}]}';
    expect(decide([allowAll, rule])).toMatchObject({
      verdict: 'allow',
      limits: [
        {
          policy: 'test',
          rule: 'few',
          mode: 'enforce',
          key: '',
          windows: [
            { unit: 'requests', amount: 60, windowMs: 60_000 },
            { unit: 'tokens', amount: 200_000, windowMs: 86_400_000 },
          ],
          message: undefined,
        },
      ],
    });
  });

  test.each<[string, string]>([
    ['caller.subject', 'string:jane'],
    ['request.tokens', 'int:4'],
    ['string(request.tokens)', 'string:4'],
    ['double(request.tokens)', 'double:4'],
    ['request.stream', 'bool:false'],
    ['caller.claims.score', 'double:0.5'],
    ['[caller.subject, model.name]', 'list:"string:jane","string:demo"'],
    ['["a,b"]', 'list:"string:a,b"'],
    ['["a", "b"]', 'list:"string:a","string:b"'],
    ['["a\\",\\"string:b"]', String.raw`list:"string:a\",\"string:b"`],
    ['{"m": model.name, "c": caller.subject}', 'map:"string:c"="string:jane","string:m"="string:demo"'],
    ['[["a"], ["b"]]', String.raw`list:"list:\"string:a\"","list:\"string:b\""`],
  ])('by %s counts as %s', (by, key) => {
    expect(charge(`, by: ${JSON.stringify(by)}`)?.key).toBe(key);
  });

  test.each<[string, string]>([
    ['caller.claims.gone', 'no_such_key'],
    ['caller.claims.nothing', 'not_a_key'],
    ['[caller.claims.nothing]', 'not_a_key'],
    ['request.text', 'not_a_key'],
  ])('by %s, which is no key, denies', (by, error) => {
    const over = {
      caller: caller({ claims: { nothing: null } }),
      request: request({ text: 'x'.repeat(3000) }),
    };
    const decision = decide([allowAll, limit(`, by: ${JSON.stringify(by)}`)], over);
    expect(decision).toMatchObject({ verdict: 'deny', by: 'test/few' });
    expect(decision.rules[1]?.error).toContain(error);
    const trial = decide([allowAll, limit(`, mode: dryRun, by: ${JSON.stringify(by)}`)], over);
    expect(trial).toMatchObject({ verdict: 'allow', limits: [] });
    expect(trial.rules[1]?.error).toContain(error);
  });

  test('on trial is counted too', () => {
    expect(charge(', mode: dryRun')).toMatchObject({ mode: 'dryRun', key: '' });
  });

  test('has words of its own, or none', () => {
    expect(charge(', message: Slow down.')?.message).toBe('Slow down.');
    expect(charge(`, messageExpression: '"Slow down, " + caller.subject'`)?.message).toBe('Slow down, jane');
    expect(charge(`, messageExpression: 'string(request.maxTokens)'`)?.message).toBeUndefined();
  });
});

describe('mask', () => {
  const masks = (rule: string) => {
    const decision = decide([allowAll, `- {name: hide, then: mask, detect: [pii], ${rule}}`]);
    return decision.verdict === 'allow' ? [decision.maskRequest, decision.maskResponse] : decision;
  };
  const pii = ['email', 'phone'];
  test.each<[string, readonly string[], readonly string[]]>([
    ['on: response', [], pii],
    ['on: request', pii, []],
    ['on: [request]', pii, []],
    ['on: [response, request]', pii, pii],
  ])('%s', (on, before, after) => {
    expect(masks(on)).toEqual([before, after]);
  });

  test('that reads the response is decided when there is one', () => {
    const set = setOf({
      'p.yaml': policy(
        `${allowAll}\n- {name: hide, then: mask, detect: [pii], when: '"email" in response.findings'}\n- {name: late, then: mask, detect: [jwt], when: variables.large}`,
        '  variables: [{name: large, expression: response.bytes > 50}, {name: big, expression: request.tokens > 1}]\n',
      ),
    });
    expect(set.decide(input())).toMatchObject({ maskResponse: [], rules: [{ rule: 'all' }] });
    expect(set.watchesResponses(demo)).toBe(true);
    expect(set.decideResponse(input(), response, undefined)).toMatchObject({ stop: undefined, mask: ['jwt'] });
    const found = { ...response, findings: new Map([['email', 1]]) };
    expect(set.decideResponse(input(), found, undefined).mask).toEqual(['email', 'jwt', 'phone']);
  });
});

describe('stop', () => {
  const stop = (rule: string, facts: Partial<ResponseFacts> = {}, toolCall?: { name: string; arguments: unknown }) =>
    setOf({ 'p.yaml': policy(`${allowAll}\n- {name: end, then: stop, ${rule}}`) }).decideResponse(
      input(),
      { ...response, ...facts },
      toolCall,
    );

  test('ends the answer, with words', () => {
    expect(stop(`when: '"secrets" in response.findings', message: A secret.`)).toEqual({
      rules: [],
      stop: undefined,
      mask: [],
    });
    const found = { findings: new Map([['jwt', 1]]) };
    expect(stop(`when: '"secrets" in response.findings', message: A secret.`, found)).toEqual({
      rules: [{ policy: 'test', rule: 'end', effect: 'stop', mode: 'enforce' }],
      stop: { by: 'test/end', message: 'A secret.' },
      mask: [],
    });
    expect(stop('when: response.status == 200').stop?.message).toBe('Rule test/end stops this response.');
  });

  test.each([
    'response.status == 200 && response.contentType.startsWith("text/")',
    'response.outputTokens == 7 && response.bytes == 100 && response.phase == "finding"',
    'request.operation == "chat" && caller.subject == "jane" && http.method == "POST" && model.name == "demo"',
  ])('sees the response and the request: %s', (when) => {
    expect(stop(`when: ${JSON.stringify(when)}`).stop).toBeDefined();
  });

  test('about a tool call runs at tool calls only', () => {
    const when = `when: 'toolCall.name == "run_sql" && toolCall.arguments.query.contains("drop")'`;
    expect(stop(when)).toEqual({ rules: [], stop: undefined, mask: [] });
    expect(stop(when, {}, { name: 'run_sql', arguments: { query: 'drop table x' } }).stop).toBeDefined();
    expect(stop(when, {}, { name: 'run_sql', arguments: { query: 'select' } })).toEqual({
      rules: [],
      stop: undefined,
      mask: [],
    });
  });

  test('that cannot be evaluated stops; on trial it is recorded', () => {
    const when = `when: 'toolCall.arguments.query == ""'`;
    const call = { name: 'x', arguments: [] };
    expect(stop(when, {}, call).stop).toEqual({ by: 'test/end', message: 'Rule test/end could not be evaluated.' });
    const trial = stop(`mode: dryRun, ${when}`, {}, call);
    expect(trial.stop).toBeUndefined();
    expect(trial.rules).toMatchObject([{ rule: 'end', mode: 'dryRun', error: expect.any(String) }]);
    expect(stop('when: response.outputTokens > 1', { outputTokens: undefined }).stop).toBeDefined();
  });

  test('is no part of a decision on the request', () => {
    const set = setOf({ 'p.yaml': policy(`${allowAll}\n- {name: end, then: stop}`, '  models: [demo]\n') });
    expect(set.decide(input()).verdict).toBe('allow');
    expect([set.watchesResponses(demo), set.watchesResponses(llama)]).toEqual([true, false]);
  });
});

describe('rules on changes of a model', () => {
  const lifecycle = (...rules: readonly string[]) =>
    setOf({ 'p.yaml': policy(rules.join('\n')) }).decideLifecycle(change, demo, caller(), nowMs);
  const owners = `- {name: owners, on: lifecycle, then: allow, when: '"ml-eng" in caller.groups && change.by == "ops"'}`;
  const ask = '- {name: ask, on: lifecycle, then: requireApproval, approvers: [leads], when: change.toVersion == "2"}';
  const no = `- {name: frozen, on: lifecycle, then: deny, message: Frozen., when: '"upstream.host" in change.fields'}`;

  test('say yes, ask, or refuse, and nothing allowed is denied', () => {
    expect(lifecycle(owners)).toMatchObject({ verdict: 'allow', rules: [{ rule: 'owners' }] });
    expect(lifecycle(owners, ask)).toMatchObject({ verdict: 'requireApproval', demands: [{ rule: 'ask' }] });
    expect(lifecycle(owners, ask, no)).toMatchObject({ verdict: 'deny', by: 'test/frozen', message: 'Frozen.' });
    expect(lifecycle(ask)).toMatchObject({ verdict: 'deny', by: undefined, message: 'No rule allows this change.' });
    expect(lifecycle(allowAll)).toMatchObject({ verdict: 'deny', by: undefined, rules: [] });
  });

  test('are no part of a decision on a request', () => {
    expect(decide([owners])).toMatchObject({ verdict: 'deny', by: undefined, rules: [] });
    expect(decide([allowAll, no])).toMatchObject({ verdict: 'allow' });
  });
});

describe('mode', () => {
  test.each([
    ['  mode: dryRun\n', '', 'allow'],
    ['  mode: dryRun\n', 'mode: enforce, ', 'deny'],
    ['  mode: enforce\n', 'mode: dryRun, ', 'allow'],
    ['', '', 'deny'],
  ])('of the file %j, of the rule %j', (spec, mode, verdict) => {
    const set = setOf({
      'all.yaml': policy(allowAll).replace('name: test', 'name: all'),
      'p.yaml': policy(`- {name: no, ${mode}then: deny}`, spec),
    });
    expect(set.decide(input()).verdict).toBe(verdict);
  });
});

test('severity and labels go with the hit; a label of the rule goes over that of the file', () => {
  const text = policy('- {name: a, then: allow, severity: high, labels: {ticket: X-1, owner: me}}').replace(
    '{name: test}',
    '{name: test, labels: {owner: us, area: access}}',
  );
  expect(setOf({ 'p.yaml': text }).decide(input()).rules).toEqual([
    {
      policy: 'test',
      rule: 'a',
      effect: 'allow',
      mode: 'enforce',
      severity: 'high',
      labels: { owner: 'me', area: 'access', ticket: 'X-1' },
    },
  ]);
});

test('a rule may be about some of the models of its file', () => {
  const set = setOf({ 'p.yaml': policy(`- {name: a, then: allow, models: ["llama-*", demo]}`) });
  expect([demo, llama, voice].map((model) => set.decide(input({ model })).verdict)).toEqual(['allow', 'allow', 'deny']);
});

describe('needs', () => {
  const needs = (rules: string, spec = '') => setOf({ 'p.yaml': policy(rules, spec) }).needs(demo);
  const none = { findings: false, filters: false, guards: [] };
  test.each<[string, string, object]>([
    ['nothing', allowAll, none],
    ['findings', '- {name: a, then: deny, when: size(request.findings) > 0}', { ...none, findings: true }],
    [
      'findings on trial',
      '- {name: a, then: deny, mode: dryRun, when: size(request.findings) > 0}',
      { ...none, findings: true },
    ],
    [
      'findings in a message',
      '- {name: a, then: deny, messageExpression: string(request.findings.size())}',
      { ...none, findings: true },
    ],
    [
      'findings in a key',
      '- {name: a, then: limit, by: request.findings.size(), limits: [{requests: 1, per: 1m}]}',
      { ...none, findings: true },
    ],
    [
      'findings of the request in a rule on the response',
      '- {name: a, then: stop, when: size(request.findings) > 0}',
      { ...none, findings: true },
    ],
    ['filters', '- {name: a, then: deny, when: size(request.filters) > 0}', { ...none, filters: true }],
    ['nothing in a rule on changes', '- {name: a, on: lifecycle, then: allow}', none],
    ['nothing of another model', '- {name: a, then: deny, models: [voice], when: size(request.findings) > 0}', none],
  ])('%s', (_what, rules, expected) => {
    expect(needs(rules)).toEqual(expected);
  });

  test('what a variable of a variable reads', () => {
    const spec =
      '  variables: [{name: n, expression: request.findings.size()}, {name: many, expression: variables.n > 3}]\n';
    expect(needs('- {name: a, then: deny, when: variables.many}', spec)).toMatchObject({ findings: true });
    expect(needs('- {name: a, then: allow}', spec)).toMatchObject({ findings: false });
  });
});

describe('admits', () => {
  const admits = (rules: readonly string[], groups: readonly string[] = []) =>
    setOf({ 'p.yaml': policy(rules.join('\n')) }).admits(caller({ groups }), demo, nowMs);
  const engineers = (more: string) => `- {name: e, then: allow, when: '"ml-eng" in caller.groups && ${more}'}`;
  test.each<[string, readonly string[], readonly string[], boolean]>([
    ['whose rule could match some request', [engineers('request.operation == "embeddings"')], ['ml-eng'], true],
    ['whose rule can match no request of theirs', [engineers('request.operation == "embeddings"')], [], false],
    ['whose rule could match what is found', [engineers('!("pii" in request.findings)')], ['ml-eng'], true],
    [
      'who could be denied for what they send',
      [allowAll, '- {name: d, then: deny, when: request.tokens > 1}'],
      [],
      true,
    ],
    [
      'who are denied whatever they send',
      [allowAll, '- {name: d, then: deny, when: "!(\\"a\\" in caller.groups) || request.stream"}'],
      [],
      false,
    ],
    ['who are denied on trial', [allowAll, '- {name: d, then: deny, mode: dryRun}'], [], true],
    [
      'whose rule fails whatever they send',
      [allowAll, '- {name: m, then: mask, detect: [pii], when: model.team == "x"}'],
      [],
      false,
    ],
    ['whose only rule fails', ['- {name: a, then: allow, when: model.team == "x"}'], [], false],
    ['who have to ask', [allowAll, '- {name: q, then: requireApproval, approvers: [a]}'], [], true],
    ['for whom there is no rule', ['- {name: m, then: mask, detect: [pii]}'], [], false],
  ])('a caller %s', (_who, rules, groups, expected) => {
    expect(admits(rules, groups)).toBe(expected);
  });
});
