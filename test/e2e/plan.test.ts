import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Plan } from '../../src/checkpoint/stages.ts';
import { PLAN_FRESH_MS, sealPlan } from '../../src/envoy/plan.ts';
import type { CheckRequest } from '../../src/envoy/wire.ts';
import { type Forger, startForger } from './support/forger.ts';
import { type EnvoyConfig, eventually, type Stack, startStack } from './support/stack.ts';

let stack: Stack;
let forger: Forger;

/** ext_authz goes to the forger, ext_proc to the gateway. */
function splitGates(config: EnvoyConfig, socket: string): void {
  const { clusters, listeners } = config.static_resources;
  const gate = clusters.find(({ name }) => name === 'sallyport')!;
  const text = JSON.stringify(gate).replaceAll('"sallyport"', '"forger"');
  const forged = JSON.parse(text) as {
    name: string;
    load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint: unknown }] }] };
  };
  forged.load_assignment.endpoints[0].lb_endpoints[0].endpoint = { address: { pipe: { path: socket } } };
  clusters.push(forged);
  const manager = listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
  // An Envoy whose clients choose the request's id: a replayed plan then fits its request.
  Object.assign(manager, { preserve_external_request_id: true });
  const filters = manager.http_filters;
  const authz = filters.find(({ name }) => name.endsWith('ext_authz'))!;
  authz.typed_config['grpc_service'] = { envoy_grpc: { cluster_name: 'forger' }, timeout: '5s' };
}

beforeAll(async () => {
  let socket = '';
  stack = await startStack({
    config: { record: { journal: { refusals: { perSecond: 1000 }, syncIntervalMs: 10 } } },
    envoy: (config) => {
      const pipe = JSON.stringify(config).match(/"path":"([^"]*)gate\.sock"/)![1]!;
      socket = join(pipe, 'forger.sock');
      splitGates(config, socket);
    },
  });
  forger = await startForger(socket);
});
afterAll(async () => {
  forger.close();
  await stack.close();
});

const key = () =>
  createSecretKey(Buffer.from(readFileSync(join(stack.config.stateDir, 'plan.key'), 'utf8').trim(), 'base64url'));
const requestIdOf = (check: CheckRequest) => check.headers.find(([name]) => name === 'x-request-id')![1];

let number = 0;
const good = (check: CheckRequest, change: Partial<Plan> = {}): Plan => ({
  session: `0198c2f4-1d2a-7c3b-8e4f-${String(++number).padStart(12, '0')}`,
  format: 'openai-chat',
  stream: false,
  mask: ['email_address'],
  cluster: 'model_demo_1',
  requestId: requestIdOf(check),
  issuedAtMs: Date.now(),
  revision: 'sha256:0',
  request: { writer: 'w', leaf: 0 },
  reservations: [],
  maskRequest: [],
  tokens: 1,
  opaque: false,
  watched: false,
  ...change,
});

async function ask(): Promise<{ status: number; code: string | undefined; reached: number; text: string }> {
  const before = stack.model.arrived.length;
  stack.model.answer = (_request, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"choices":[{"index":0,"message":{"role":"assistant","content":"write to jane.doe@example.com"}}]}');
  const response = await fetch(`${stack.url}/v1/chat/completions`, { method: 'POST', body: '{}' });
  const text = await response.text();
  const code = (JSON.parse(text) as { error?: { code: string } }).error?.code;
  return { status: response.status, code, reached: stack.model.arrived.length - before, text };
}

test('the plan that the forger makes with the real key is good: the refusals below are not for another reason', async () => {
  forger.plan = (check) => sealPlan(good(check), { keys: [key()] });
  const answer = await ask();
  expect(answer).toMatchObject({ status: 200, reached: 1 });
  expect(answer.text).toContain('<EMAIL_ADDRESS>');
  expect(answer.text).not.toContain('jane.doe');
});

describe('a plan that is not ours, not fresh or not for this request closes the gate', () => {
  let replayed: string | undefined;
  const cases: readonly (readonly [string, (check: CheckRequest) => string | undefined])[] = [
    ['missing', () => undefined],
    ['empty', () => ''],
    ['garbage', () => 'no plan at all'],
    ['signed with another key', (check) => sealPlan(good(check), { keys: [createSecretKey(Buffer.alloc(32, 7))] })],
    ['changed after signing', (check) => `x${sealPlan(good(check), { keys: [key()] })}`],
    ['stale', (check) => sealPlan(good(check, { issuedAtMs: Date.now() - PLAN_FRESH_MS - 1_000 }), { keys: [key()] })],
    [
      'from the future',
      (check) => sealPlan(good(check, { issuedAtMs: Date.now() + PLAN_FRESH_MS + 5_000 }), { keys: [key()] }),
    ],
    ['for another request', (check) => sealPlan(good(check, { requestId: 'another' }), { keys: [key()] })],
    ['for another cluster', (check) => sealPlan(good(check, { cluster: 'model_other_1' }), { keys: [key()] })],
    [
      'on its way to be masked, with a route already',
      (check) => sealPlan(good(check, { maskRequest: ['jwt'] }), { keys: [key()] }),
    ],
    [
      'whose answer is watched by rules of another process',
      (check) => sealPlan(good(check, { watched: true }), { keys: [key()] }),
    ],
    ['of an unknown detector', (check) => sealPlan(good(check, { mask: ['no_such_detector'] }), { keys: [key()] })],
  ];
  test.each(cases)('%s', async (name, plan) => {
    forger.plan = plan;
    const answer = await ask();
    expect(answer.status, answer.text).toBe(503);
    expect(answer.code).toBe(name === 'of an unknown detector' ? 'gate_failed' : 'plan_invalid');
    expect(answer.text).not.toContain('jane.doe');
    // The plan is read before the request leaves Envoy; what the plan asks for, when the answer comes.
    expect(answer.reached).toBe(name === 'of an unknown detector' ? 1 : 0);
  });
  test('replayed on another stream, even with the same request id', async () => {
    const id = crypto.randomUUID();
    const session = `0198c2f4-1d2a-7c3b-8e4f-${String(++number).padStart(12, '0')}`;
    forger.plan = (check) => {
      replayed ??= sealPlan(good(check, { session, requestId: requestIdOf(check) }), { keys: [key()] });
      return replayed;
    };
    const headers = { 'x-request-id': id };
    const post = () => fetch(`${stack.url}/v1/chat/completions`, { method: 'POST', body: '{}', headers });
    const first = await post();
    expect(first.status).toBe(200);
    await first.arrayBuffer();
    const second = await post();
    expect(second.status).toBe(503);
    expect(((await second.json()) as { error: { code: string } }).error.code).toBe('plan_invalid');
  });
});

test('every plan that was refused is on the record, with why and for what', async () => {
  const refusedWhy = async () =>
    (await stack.journal()).flatMap((line) =>
      line.kind === 'event' && line.event.type === 'refused' ? [line.event as Record<string, unknown>] : [],
    );
  const events = await eventually(async () => {
    const found = await refusedWhy();
    return found.length >= 10 && found.some(({ detail }) => detail === 'plan replayed') ? found : undefined;
  }, 'the refusals in the journal');
  expect(new Set(events.map(({ detail }) => detail))).toEqual(
    new Set(
      ['missing', 'malformed', 'forged', 'stale', 'other_request', 'other_cluster', 'fixed_route', 'replayed'].map(
        (why) => `plan ${why}`,
      ),
    ),
  );
  const ends = (await stack.journal()).filter((line) => line.kind === 'event' && line.event['how'] === 'gate_failed');
  // The session was let through before anything was wrong: the rules of another process, the unknown detector.
  expect(ends).toMatchObject([
    { event: { code: 'plan_invalid', detail: 'plan unwatched', status: 503 } },
    { event: { code: 'gate_failed' } },
  ]);
  for (const event of events)
    expect(event).toMatchObject({
      code: 'plan_invalid',
      status: 503,
      http: { method: 'POST', path: '/v1/chat/completions', requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    });
});
