import { describe, expect, test } from 'vitest';
import { type Operator, operatorTypes } from '../../../src/detect/operator.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import { reviewPolicies } from '../../../src/policy/review.ts';
import { compile, demo, input, llama, policy, problemsOf, setOf, voice } from './fixtures.ts';

const all = '- {name: all, then: allow}';
const decide = (...rules: readonly string[]) => setOf({ 'p.yaml': policy([all, ...rules].join('\n')) }).decide(input());
const operators = (...rules: readonly string[]) => {
  const decision = decide(...rules);
  return decision.verdict === 'allow' ? decision.operators : decision;
};
const masking = (settings: string, detect = '[pii, credit_card]') =>
  `- {name: m${settings.length}${settings.replace(/[^a-z]/g, '').slice(0, 40)}, then: mask, detect: ${detect}, ${settings}}`;

const mask = (keepLast: number, by: string): Operator => ({ type: 'mask', keepLast, with: by });
const of = (type: Exclude<Operator['type'], 'mask'>): Operator => ({ type });

describe('the operators of a rule', () => {
  test.each<[string, Readonly<Record<string, Operator>> | undefined]>([
    ['on: response', undefined],
    ['operator: replace', undefined],
    ['operator: hash', { email: of('hash'), phone: of('hash'), credit_card: of('hash') }],
    ['operator: {type: encrypt}, operators: {pii: replace}', { credit_card: of('encrypt') }],
    ['operators: {credit_card: mask}', { credit_card: mask(4, '*') }],
    ['operators: {credit_card: {type: mask, keepLast: 2, with: "#"}}', { credit_card: mask(2, '#') }],
    ['operators: {pii: redact, email: {type: hash}}', { email: of('hash'), phone: of('redact') }],
    ['operators: {email: {type: hash}, pii: redact}', { email: of('hash'), phone: of('redact') }],
    ['operators: {all: mask, pii: hash}', { email: of('hash'), phone: of('hash'), credit_card: mask(4, '*') }],
  ])('%s', (settings, expected) => {
    expect(operators(masking(settings))).toEqual(expected && { request: {}, response: expected });
  });

  test('are those of the side that it masks', () => {
    expect(operators(masking('on: request, operators: {email: pseudonym}'))).toEqual({
      request: { email: of('pseudonym') },
      response: {},
    });
    expect(operators(masking('on: [request, response], operators: {email: hash}'))).toEqual({
      request: { email: of('hash') },
      response: { email: of('hash') },
    });
  });

  test('that matches count; the others of its detectors are replaced', () => {
    expect(operators(masking('operator: hash', '[email]'), masking('on: response', '[phone]'))).toEqual({
      request: {},
      response: { email: of('hash') },
    });
    expect(operators(masking('operator: hash, when: "false"'), masking('on: response', '[phone]'))).toBeUndefined();
    expect(operators(masking('operator: hash, mode: dryRun'), masking('on: response', '[phone]'))).toBeUndefined();
  });

  test('are those of rules that read the response, too', () => {
    const set = setOf({
      'p.yaml': policy([all, masking('operator: hash, when: response.status == 200', '[email]')].join('\n')),
    });
    const response = {
      status: 200,
      contentType: 'text/plain',
      findings: new Map(),
      outputTokens: 1,
      bytes: 1,
      phase: 'headers',
    } as const;
    expect(set.decideResponse(input(), response, undefined)).toMatchObject({
      mask: ['email'],
      operators: { email: of('hash') },
    });
  });
});

describe('of two rules that mask one detector', () => {
  const written = [...operatorTypes.map((type) => `on: request, operator: ${type}`)];
  const inOrder = written.flatMap((stronger, i) => written.slice(i).map((weaker) => [stronger, weaker] as const));
  test.each(inOrder)('%s goes before %s, in whatever order they are', (stronger, weaker) => {
    const [one, other] = [masking(stronger, '[email]'), masking(weaker, '[email, phone]').replace('name: ', 'name: z')];
    const alone = operators(masking(stronger, '[email]'));
    for (const both of [operators(one, other), operators(other, one)]) {
      expect(both && 'request' in both && both.request['email']).toEqual(
        alone === undefined ? undefined : 'request' in alone && alone.request['email'],
      );
    }
  });

  test('that both mask, the one that keeps less', () => {
    const keeps = (keepLast: number, by: string) =>
      masking(`operator: {type: mask, keepLast: ${keepLast}, with: "${by}"}`, '[email]').replace(
        '- {name: ',
        `- {name: k${keepLast}${by === '#' ? 'h' : 's'}`,
      );
    const both = [keeps(4, '*'), keeps(2, '*'), keeps(2, '#')];
    for (const rules of [both, both.toReversed()])
      expect(operators(...rules)).toEqual({ request: {}, response: { email: mask(2, '#') } });
  });
});

describe('a complaint', () => {
  test.each([
    [
      'operator: hsah',
      'p.yaml:6:67: spec.rules.0.operator: must be one of: redact, replace, hash, encrypt, pseudonym, mask. Did you mean "hash"?',
    ],
    ['operator: 4', 'spec.rules.0.operator: must be an operator: redact, replace'],
    ['operator: {keepLast: 4}', 'spec.rules.0.operator: must be an operator: redact, replace'],
    ['operator: {type: hash, keepLast: 4}', 'p.yaml:6:90: spec.rules.0.operator: unknown key "keepLast".'],
    [
      'operator: {type: mask, keepLst: 4}',
      'p.yaml:6:89: spec.rules.0.operator: unknown key "keepLst". Did you mean "keepLast"?',
    ],
    ['operator: {type: mask, with: "<"}', 'p.yaml:6:86: spec.rules.0.operator.with: must be one of: * # ? _ . x X •'],
    ['operator: {type: mask, keepLast: -1}', 'p.yaml:6:90: spec.rules.0.operator.keepLast: is less than 0'],
    ['operators: {email: maks}', 'p.yaml:6:76: spec.rules.0.operators.email: must be one of: '],
    ['operators: {emial: hash}', 'p.yaml:6:76: there is no detector or category "emial"'],
    ['operators: {jwt: hash}', 'p.yaml:6:74: jwt is nothing that this rule masks: add it to detect'],
    ['operator: pseudonym', 'p.yaml:6:67: pseudonym takes the place of a value before the model sees it'],
    ['on: [response], operator: pseudonym', 'it needs "on: request"'],
    ['on: response, operators: {email: {type: pseudonym}}', 'it needs "on: request"'],
    ['operater: hash', 'unknown key "operater". Did you mean "operator"?'],
  ])('about %s', (settings, expected) => {
    const problems = problemsOf({
      'p.yaml': policy(`- {name: m, then: mask, detect: [pii, credit_card], ${settings}}`),
    });
    expect(problems).toEqual([expect.stringContaining(expected)]);
  });

  test('about an effect that has no operators', () => {
    expect(problemsOf({ 'p.yaml': policy('- {name: a, then: allow, operator: hash}') })).toEqual([
      expect.stringContaining('unknown key "operator". It is for: mask.'),
    ]);
  });
});

test('a rule that masks more by its operator is not superfluous', () => {
  const warnings = (...rules: readonly string[]) => {
    const compiled = compile({ 'p.yaml': policy([all, ...rules].join('\n')) });
    if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join('\n'));
    return reviewPolicies(compiled, [demo, llama, voice]).map(({ about, message }) => `${about}: ${message}`);
  };
  const [one, less, more] = ['replace', 'mask', 'redact'].map(
    (operator) => `- {name: ${operator}, then: mask, detect: [email], operator: ${operator}}`,
  ) as [string, string, string];
  expect(warnings(one, less)).toEqual(['test/mask: changes nothing: test/replace always masks the same']);
  expect(warnings(one, more)).toEqual([]);
});
