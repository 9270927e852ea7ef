import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../src/checkpoint/stages.ts';
import { openPlan, PLAN_FRESH_MS, sealPlan, UsedPlans } from '../../../src/envoy/plan.ts';

const key = createSecretKey(Buffer.alloc(32, 1));
const other = createSecretKey(Buffer.alloc(32, 2));
const plan: Plan = {
  session: 's1',
  format: 'openai-chat',
  stream: true,
  mask: ['email_address'],
  cluster: 'model_demo_1',
  requestId: 'r1',
  issuedAtMs: 1_000_000,
  revision: 'sha256:0',
  request: { writer: 'w', leaf: 7 },
  reservations: [],
  maskRequest: [],
  tokens: 1,
  opaque: false,
  watched: false,
};
const stream = { nowMs: 1_000_000, requestId: 'r1', cluster: 'model_demo_1' };
const sealed = sealPlan(plan, { keys: [key] });

test('a plan comes back as it went', () => {
  expect(openPlan(sealed, { keys: [key] }, stream)).toEqual({ ok: true, plan });
});

test('with operators, too', () => {
  const operators = { request: {}, response: { email_address: { type: 'mask', keepLast: 2, with: '#' } as const } };
  const more = { ...plan, operators };
  expect(openPlan(sealPlan(more, { keys: [key] }), { keys: [key] }, stream)).toEqual({ ok: true, plan: more });
});

test('an old key is accepted while it is listed, and only then', () => {
  expect(openPlan(sealed, { keys: [other, key] }, stream).ok).toBe(true);
  expect(openPlan(sealed, { keys: [other] }, stream)).toEqual({ ok: false, why: 'forged' });
});

test.each([
  ['missing', undefined, {}],
  ['missing', '', {}],
  ['malformed', 'nothing', {}],
  ['malformed', 'a.b', {}],
  ['stale', sealed, { nowMs: plan.issuedAtMs + PLAN_FRESH_MS + 1 }],
  ['stale', sealed, { nowMs: plan.issuedAtMs - PLAN_FRESH_MS - 1 }],
  ['other_request', sealed, { requestId: 'r2' }],
  ['other_request', sealed, { requestId: undefined }],
  ['other_cluster', sealed, { cluster: 'model_other_1' }],
  ['other_cluster', sealed, { cluster: undefined }],
] as const)('a %s plan is refused', (why, text, change) => {
  expect(openPlan(text, { keys: [key] }, { ...stream, ...change })).toEqual({ ok: false, why });
});

describe('a request that is to be masked', () => {
  const masking = sealPlan({ ...plan, maskRequest: ['email_address'] }, { keys: [key] });

  test.each([undefined, ''])('has no route before that: cluster %j', (cluster) => {
    expect(openPlan(masking, { keys: [key] }, { ...stream, cluster })).toMatchObject({ ok: true });
  });

  test.each(['model_demo_1', 'model_other_1'])('is refused on a route that it has already: %s', (cluster) => {
    expect(openPlan(masking, { keys: [key] }, { ...stream, cluster })).toEqual({ ok: false, why: 'fixed_route' });
  });
});

test('what a plan of the version before does not say is nothing', () => {
  const { watched, maskRequest, reservations, tokens, opaque, ...before } = plan;
  expect([watched, maskRequest, reservations, tokens, opaque]).toEqual([false, [], [], 1, false]);
  const text = sealPlan(before as Plan, { keys: [key] });
  expect(openPlan(text, { keys: [key] }, stream)).toEqual({ ok: true, plan: { ...plan, tokens: 0 } });
});

test('every changed character is noticed', () => {
  for (let i = 0; i < sealed.length; i++) {
    const flipped = sealed[i] === 'A' ? 'B' : 'A';
    const changed = sealed.slice(0, i) + flipped + sealed.slice(i + 1);
    const opened = openPlan(changed, { keys: [key] }, stream);
    // The last character of base64url may carry unused bits: then the bytes are the same and so is the plan.
    if (opened.ok)
      expect(Buffer.from(changed.split('.')[1]!, 'base64url')).toEqual(Buffer.from(sealed.split('.')[1]!, 'base64url'));
  }
});

test('a plan is good for one stream, also long after', () => {
  const used = new UsedPlans();
  expect(used.use('s1', 0)).toBe(true);
  expect(used.use('s1', 1)).toBe(false);
  expect(used.use('s2', 3 * PLAN_FRESH_MS)).toBe(true);
  expect(used.use('s1', 3 * PLAN_FRESH_MS)).toBe(false);
});
