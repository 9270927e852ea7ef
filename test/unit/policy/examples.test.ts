import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { selectDetectors, UnknownDetectorError } from '../../../src/detect/registry.ts';
import { parseModels } from '../../../src/models/load.ts';
import type { Model } from '../../../src/models/model.ts';
import type { Decision, PolicySet } from '../../../src/policy/decision.ts';
import { loadPolicies } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import type { DetectorResolver } from '../../../src/policy/rules.ts';
import { caller, input, model, nowMs, request } from './fixtures.ts';

const dir = join(import.meta.dirname, '../../../policies');
const resolveDetectors: DetectorResolver = (names) => {
  try {
    return { ok: true, ids: selectDetectors(names).map(({ id }) => id) };
  } catch (error) {
    if (error instanceof UnknownDetectorError) return { ok: false, problem: error.message };
    throw error;
  }
};
const idsOf = (...names: string[]) =>
  selectDetectors(names)
    .map(({ id }) => id)
    .sort();

const jane = caller({ groups: ['ml-eng', 'pii-cleared'] });
const sam = caller({ subject: 'sam', groups: ['contractors'] });
const stranger = caller({ subject: 'batch', kind: 'service', email: undefined, groups: ['services'] });

let models: readonly Model[];
let set: PolicySet;
beforeAll(async () => {
  const registry = await parseModels(readFileSync(join(dir, 'models.yaml'), 'utf8'), () => Promise.resolve('secret'));
  if (!registry.ok) throw new Error(JSON.stringify(registry.problems));
  models = registry.models;
  const loaded = await loadPolicies({ dir, models, resolveDetectors, evaluationBudget: 20_000 });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  set = loaded.set;
});

const decide = (who: typeof jane, findings: Record<string, number> = {}, of = models[0]!, tokens = 4): Decision =>
  set.decide(
    input({ caller: who, model: of, findings: new Map(Object.entries(findings)), request: request({ tokens }) }),
  );

describe('the example policies', () => {
  test('let an engineer who is cleared see all but secrets', () => {
    expect(decide(jane)).toMatchObject({ verdict: 'allow', maskResponse: idsOf('secrets') });
    expect(decide(jane, { credit_card: 1, jwt: 1 })).toMatchObject({ verdict: 'allow' });
  });

  test('mask personal data and secrets for a contractor', () => {
    expect(decide(sam)).toMatchObject({
      verdict: 'allow',
      maskResponse: idsOf('secrets', 'pii'),
    });
  });

  test.each([
    [{ credit_card: 1 }, 'Your request contains a payment card number. Take it out and send the request again.'],
    [
      { jwt: 2 },
      'Your request contains a secret (a key, a token or a password). Take it out and send the request again.',
    ],
    [
      { credit_card: 1, jwt: 1 },
      'Your request contains a payment card number and a secret. Take it out and send the request again.',
    ],
  ])('refuse a contractor who sends %j, and say what to do', (findings, message) => {
    expect(decide(sam, findings)).toMatchObject({
      verdict: 'deny',
      by: 'data/contractors-send-no-cards-or-secrets',
      message,
    });
  });

  test('let a contractor send what is neither', () => {
    expect(decide(sam, { email_address: 3 })).toMatchObject({ verdict: 'allow' });
  });

  test('let engineers use every model, contractors the demo only, others none', () => {
    const other = model({ name: 'other' });
    expect(models.map((m) => m.name)).toEqual(['demo']);
    expect([jane, sam, stranger].map((who) => set.admits(who, models[0]!, nowMs))).toEqual([true, true, false]);
    expect([jane, sam, stranger].map((who) => set.admits(who, other, nowMs))).toEqual([true, false, false]);
    expect(decide(stranger)).toMatchObject({ verdict: 'deny', by: undefined });
  });

  test('try a rule about long prompts without enforcing it', () => {
    const decision = decide(jane, {}, models[0]!, 9000);
    expect(decision.verdict).toBe('allow');
    expect(decision.rules).toContainEqual({
      policy: 'access',
      rule: 'no-very-long-prompts',
      effect: 'deny',
      mode: 'dryRun',
    });
  });
});
