import { describe, expect, it } from 'vitest';
import type { GateRequest, Stages } from '../../../src/checkpoint/stages.ts';
import { createCheckpoint } from '../../../src/checkpoint.ts';
import { forwardHeaders } from '../../../src/envoy/forward.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { refusal } from '../../../src/exchange/refusal.ts';
import type { RecordEvent } from '../../../src/record/events.ts';
import { StateUnavailable } from '../../../src/state/store.ts';
import { caller, request as facts, model } from '../policy/fixtures.ts';

const request: GateRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  host: 'models.test',
  headers: [['x-sallyport-identity', 'forged']],
  joined: false,
  body: Buffer.from('{}'),
  clientAddress: '127.0.0.1',
  namedModel: undefined,
  peer: '',
  jwtAuthn: undefined,
};

const asked = { kind: 'call', format: openaiChat, endpoint: { operation: 'chat' } } as const;

/** A gate that says yes (or no) to everybody, and keeps in which order things happened. */
function gate(vouch: Stages['vouch'], verdict: 'allow' | 'deny' = 'allow') {
  const order: string[] = [];
  const events: RecordEvent[] = [];
  const stages = {
    newSession: () => 's',
    nowMs: () => 0,
    maskText: (text: string) => text,
    masking: { shown: (ids: readonly string[]) => ids, operators: () => ({}) },
    recorder: {
      state: 'open',
      writer: 'w',
      event: (event: RecordEvent) => {
        order.push(event.type);
        return events.push(event) - 1;
      },
      content: () => {},
      durable: async () => void order.push('durable'),
    },
    refuseTransport: () => undefined,
    findCredential: () => ({ ok: true, token: 't' }),
    identify: () => ({ ok: true, caller: caller() }),
    route: { ask: () => asked, pick: () => model({ identity: { header: 'x-sallyport-identity', audience: 'm' } }) },
    enter: () => () => {},
    read: () => ({ ok: true, value: facts() }),
    find: () => ({ masked: Buffer.alloc(0), findings: new Map() }),
    filters: () => undefined,
    filter: () => new Map(),
    policy: () => ({
      commit: undefined,
      needs: () => ({ findings: true, filters: false, guards: [] }),
      watchesResponses: () => false,
      enforcesOnResponses: () => false,
      asksToolCalls: () => 'none',
      decide: () => ({
        verdict,
        rules: [],
        maskResponse: [],
        maskRequest: [],
        limits: [],
        message: '',
        revision: 'r',
        by: undefined,
      }),
    }),
    vouch: (...args: Parameters<Stages['vouch']>) => {
      order.push('vouch');
      return vouch(...args);
    },
    forward: forwardHeaders,
    dispatched: () => {},
    refuse: (about: Parameters<typeof refusal>[0]) => refusal(about),
    failed: () => {},
  } as unknown as Stages;
  return { checkpoint: createCheckpoint(stages), order, events };
}

describe('who calls', () => {
  it('is signed before the record says yes, and put over what the client sent', async () => {
    const { checkpoint, order } = gate(async () => 'signed');
    const answer = await checkpoint(request);
    if (answer.kind !== 'forward') throw new Error('no');
    expect(order).toEqual(['vouch', 'request', 'decision', 'durable']);
    expect(answer.setHeaders.filter(([name]) => name === 'x-sallyport-identity')).toEqual([
      ['x-sallyport-identity', 'signed'],
    ]);
  });

  it('is not signed for a request that is denied', async () => {
    const { checkpoint, order } = gate(async () => 'signed', 'deny');
    expect((await checkpoint(request)).kind).toBe('reply');
    expect(order).not.toContain('vouch');
  });

  it.each([
    [new StateUnavailable('lost'), 'state_unavailable'],
    [new Error('no key'), 'gate_failed'],
  ])(
    'that cannot be signed is refused with 503, and no request is on the record as passed: %s',
    async (error, code) => {
      const { checkpoint, events } = gate(() => Promise.reject(error));
      expect(await checkpoint(request)).toMatchObject({ kind: 'reply', status: 503, code });
      expect(events).toMatchObject([{ type: 'refused', code }]);
    },
  );
});
