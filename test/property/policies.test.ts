import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Decision, DecisionInput, PolicySet, RuleHit } from '../../src/policy/decision.ts';
import { caller, demo, input, llama, policy, request, setOf } from '../unit/policy/fixtures.ts';

/** Conditions that match, do not, fail, or cost about as much as one evaluation may. */
const conditions = [
  undefined,
  '"ml-eng" in caller.groups',
  'request.stream',
  'variables.big',
  'variables.costly',
  '!variables.costly || request.messages.all(a, a.text != "x")',
  'request.maxTokens > 10',
  'variables.broken || request.stream',
  '"email" in request.findings',
  'request.messages.all(a, request.messages.all(b, a.text != "" || b.text != ""))',
] as const;
const spec = `  variables:
    - {name: big, expression: request.tokens > 100}
    - {name: costly, expression: 'request.messages.all(a, request.messages.exists(b, a.text == b.text))'}
    - {name: broken, expression: request.maxTokens > 1}
`;
const effects = [
  'then: allow',
  'then: deny',
  'then: requireApproval, approvers: [oncall]',
  'then: limit, by: caller.subject, limits: [{requests: 5, per: 1m}]',
  'then: limit, by: caller.claims.gone, limits: [{tokens: 5, per: 1h}]',
  'then: mask, detect: [pii]',
  'then: mask, detect: [jwt, email], on: [request, response]',
  'then: mask, detect: [credit_card], on: request',
] as const;

const rule = fc.record({
  when: fc.constantFrom(...conditions),
  effect: fc.oneof({ weight: 3, arbitrary: fc.constant('then: allow') }, fc.constantFrom(...effects)),
  mode: fc.constantFrom('enforce', 'enforce', 'enforce', 'dryRun'),
  models: fc.constantFrom('', 'models: [demo], ', 'models: ["llama-*"], '),
});
const situation: fc.Arbitrary<DecisionInput> = fc
  .record({
    messages: fc.integer({ min: 0, max: 30 }),
    stream: fc.boolean(),
    maxTokens: fc.constantFrom(undefined, 5, 50),
    tokens: fc.constantFrom(5, 500),
    email: fc.boolean(),
    groups: fc.constantFrom([], ['ml-eng']),
    model: fc.constantFrom(demo, llama),
  })
  .map(({ messages, stream, maxTokens, tokens, email, groups, model }) =>
    input({
      model,
      caller: caller({ groups }),
      findings: new Map(email ? [['email', 1]] : []),
      request: request({
        messages: Array.from({ length: messages }, (_, i) => ({ role: 'user', text: `text ${i}` })),
        stream,
        maxTokens,
        tokens,
      }),
    }),
  );

interface Named {
  readonly text: string;
}

/** Rules dealt to some files, in this order. */
function fileSet(rules: readonly Named[], names: readonly string[]): PolicySet {
  const files: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const own = rules.filter((_, i) => i % names.length === index).map(({ text }) => text);
    if (own.length > 0) files[`${name}.yaml`] = policy(own.join('\n'), spec).replace('name: test', `name: ${name}`);
  }
  return setOf(files, 500);
}

const hitOf = ({ rule: name, effect, mode, error }: RuleHit): string =>
  `${name} ${effect} ${mode} ${error?.replace(/ at .*/, '')}`;

/** All that must not depend on where a rule stands; of several that deny, the first gives its words. */
function meaning(decision: Decision): object {
  const hits = decision.rules.map(hitOf).sort();
  if (decision.verdict === 'deny') return { verdict: 'deny', hits, isRule: decision.by !== undefined };
  return {
    verdict: decision.verdict,
    hits,
    maskRequest: decision.maskRequest,
    maskResponse: decision.maskResponse,
    limits: decision.limits.map((limit) => [limit.rule, limit.key, limit.mode]).sort(),
    demands: decision.verdict === 'allow' ? [] : decision.demands.map((demand) => demand.rule).sort(),
  };
}

test('the order of rules, and the files that they are in, never change what is decided', { timeout: 60_000 }, () => {
  const scenario = fc.array(rule, { minLength: 1, maxLength: 8 }).chain((rules) => {
    const named = rules.map(({ when, effect, mode, models }, i): Named => {
      const condition = when === undefined ? '' : `, when: ${JSON.stringify(when)}`;
      return { text: `- {name: r${i}, mode: ${mode}, ${models}${effect}${condition}}` };
    });
    return fc.tuple(
      fc.constant(named),
      fc.shuffledSubarray(named, { minLength: named.length }),
      fc.constantFrom(['a'], ['a', 'b'], ['c', 'b', 'a']),
      situation,
    );
  });
  const verdicts = new Set<string>();
  fc.assert(
    fc.property(scenario, ([rules, shuffled, names, asked]) => {
      const decided = fileSet(rules, ['a']).decide(asked);
      verdicts.add(decided.verdict);
      expect(meaning(fileSet(shuffled, names).decide(asked))).toEqual(meaning(decided));
    }),
    { numRuns: 120 },
  );
  expect([...verdicts].sort()).toEqual(['allow', 'deny', 'requireApproval']);
});
