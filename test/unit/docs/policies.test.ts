import { describe, expect, test } from 'vitest';
import { builtInDetectors } from '../../../src/gateway/detectors.ts';
import type { Model } from '../../../src/models/model.ts';
import { Budget } from '../../../src/policy/budget.ts';
import { CelCompiler } from '../../../src/policy/cel.ts';
import type { DecisionInput, PolicySet } from '../../../src/policy/decision.ts';
import { compilePolicies } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import { caller, input, model, request } from '../policy/fixtures.ts';
import { blocks } from './markdown.ts';

const page = 'docs/policies.md';
const llama = model({ name: 'llama-70b', team: 'ml-platform', labels: { risk: 'low' } });

function load(files: readonly { readonly path: string; readonly text: string }[], models: readonly Model[]): PolicySet {
  const loaded = compilePolicies(files, {
    resolveDetectors: builtInDetectors.resolve,
    models,
    evaluationBudget: 20_000,
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.set;
}

const examples = blocks(page)
  .filter(({ language }) => language === 'yaml')
  .map(({ file, text }) => ({ path: file!.replace('policies/', ''), text }));
const example = (name: string) =>
  load(
    examples.filter(({ path }) => path.endsWith(`${name}.yaml`)),
    [llama],
  );

describe('the example policies', () => {
  test('each load alone, and all together', () => {
    expect(examples.map(({ path }) => path)).toEqual([
      '_platform/chat.yaml',
      '_platform/effects.yaml',
      '_platform/trial.yaml',
      '_platform/operators.yaml',
      '_platform/pseudonyms.yaml',
      '_platform/absent.yaml',
    ]);
    for (const one of examples) expect(load([one], [llama]).revision).toMatch(/^sha256:/);
    expect(load(examples, [llama]).revision).toMatch(/^sha256:/);
  });

  test('chat: engineers pass, cards are refused with a count, all but the cleared are masked', () => {
    const set = example('chat');
    const decide = (over: Partial<DecisionInput>) => set.decide(input({ model: llama, ...over }));
    const masked = decide({});
    expect(masked).toMatchObject({ verdict: 'allow' });
    expect(masked.verdict === 'allow' && masked.maskResponse).toContain('email_address');
    expect(decide({ caller: caller({ groups: ['ml-eng', 'pii-cleared'] }) })).toMatchObject({ maskResponse: [] });
    expect(decide({ findings: new Map([['credit_card', 2]]) })).toMatchObject({
      verdict: 'deny',
      message: 'Remove the 2 card number(s).',
    });
    expect(decide({ caller: caller({ groups: ['sales'] }) })).toMatchObject({ verdict: 'deny', by: undefined });
  });

  test('effects: a human for SQL tools, a budget a person, no keys in answers, changes by their owners', () => {
    const files = examples.filter(({ path }) => /chat|effects/.test(path));
    const set = load(files, [llama]);
    expect(set.decide(input({ model: llama }))).toMatchObject({
      verdict: 'requireApproval',
      demands: [{ approvers: ['security-oncall'], grant: { scope: 'request', uses: 1, forMs: 1_800_000 } }],
      limits: [{ key: 'string:jane', windows: [{ unit: 'requests' }, { unit: 'tokens' }] }],
    });
    expect(set.decide(input({ model: llama, request: request({ tools: [] }) }))).toMatchObject({ verdict: 'allow' });
    const response = {
      status: 200,
      contentType: 'application/json',
      findings: new Map([['jwt', 1]]),
      outputTokens: undefined,
      bytes: 0,
      phase: 'finding',
    } as const;
    expect(set.decideResponse(input({ model: llama }), response, undefined).stop?.by).toBe(
      'effects/no-keys-in-answers',
    );
    const change = {
      kind: 'version',
      model: 'llama-70b',
      fromVersion: '1',
      toVersion: '2',
      fields: [],
      by: 'x',
    } as const;
    const by = (group: string) => set.decideLifecycle(change, llama, caller({ groups: [group] }), 0).verdict;
    expect([by('ml-platform'), by('sales')]).toEqual(['allow', 'deny']);
  });

  test('trial: a long prompt is reported and not denied by it', () => {
    const decision = example('trial').decide(input({ model: llama, request: request({ tokens: 9000 }) }));
    expect(decision).toMatchObject({
      by: undefined,
      rules: [{ rule: 'long-prompts', effect: 'deny', mode: 'dryRun' }],
    });
  });

  test('absent: fields that may be absent are asked for first', () => {
    const set = example('absent');
    const by = (over: Partial<DecisionInput>) => {
      const decision = set.decide(input({ model: llama, request: request({ tools: [] }), ...over }));
      return decision.verdict === 'deny' ? decision.by : 'allowed';
    };
    expect(by({})).toBeUndefined();
    expect(by({ caller: caller({ email: undefined }) })).toBe('absent/only-our-domain');
    expect(by({ caller: caller({ groups: ['contractors'] }), request: request() })).toBe(
      'absent/no-sql-for-contractors',
    );
    expect(by({ model: model({ name: 'llama-70b', labels: {} }) })).toBeUndefined();
    const evening = { model: model({ labels: { risk: 'high' } }), nowMs: Date.UTC(2026, 0, 15, 19, 0) };
    expect(by(evening)).toBe('absent/high-risk-models-in-office-hours');
  });
});

describe('an error in a rule, as the page says', () => {
  const set = (rules: string) =>
    load(
      [
        {
          path: 'p.yaml',
          text: `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  rules:\n${rules}`,
        },
      ],
      [llama],
    );
  const failing = "when: 'request.maxTokens > 5'";
  const everybody = '    - {name: all, then: allow}\n';
  test.each([
    ['does not match in an allow', `    - {name: r, ${failing}, then: allow}\n`, { verdict: 'deny', by: undefined }],
    ['denies in a deny', `${everybody}    - {name: r, ${failing}, then: deny}\n`, { verdict: 'deny', by: 'p/r' }],
    [
      'denies in a mask',
      `${everybody}    - {name: r, ${failing}, then: mask, detect: [all]}\n`,
      { verdict: 'deny', by: 'p/r' },
    ],
    [
      'is recorded only on trial',
      `${everybody}    - {name: r, ${failing}, then: deny, mode: dryRun}\n`,
      { verdict: 'allow' },
    ],
  ])('%s', (_name, rules, expected) => {
    const decision = set(rules).decide(input({ model: llama }));
    expect(decision).toMatchObject(expected);
    expect(decision.rules.find(({ rule }) => rule === 'r')?.error).toMatch(/^no_such_key at p\.yaml:\d+:\d+$/);
  });

  test('of a message leaves the denial', () => {
    const rules = `    - {name: r, then: deny, messageExpression: 'string(request.maxTokens)'}\n`;
    expect(set(rules).decide(input({ model: llama }))).toMatchObject({
      verdict: 'deny',
      by: 'p/r',
      message: expect.stringContaining('p/r'),
    });
  });
});

describe('expressions of the page', () => {
  const expressions = blocks(page)
    .filter(({ language }) => language === 'cel')
    .flatMap(({ text }) => text.trim().split('\n'));
  test.each(expressions)('%s', (expression) => {
    const compiled = CelCompiler.create({ budget: new Budget(20_000) }).compile(expression);
    expect(compiled).toMatchObject({ ok: true });
    expect(compiled.ok && compiled.program.run({})).toBe(true);
  });
  test('are some', () => expect(expressions.length).toBeGreaterThan(5));
});
