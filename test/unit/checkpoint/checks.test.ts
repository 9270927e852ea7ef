import { describe, expect, it } from 'vitest';
import type { GateRequest, Stages } from '../../../src/checkpoint/stages.ts';
import { createCheckpoint } from '../../../src/checkpoint.ts';
import { forwardHeaders } from '../../../src/envoy/forward.ts';
import { formatById } from '../../../src/exchange/formats.ts';
import { refusal } from '../../../src/exchange/refusal.ts';
import { LateWork } from '../../../src/gateway/late.ts';
import { type Admission, LimitsUnavailable } from '../../../src/limits/limiter.ts';
import type { Decision, DecisionInput, Needs } from '../../../src/policy/decision.ts';
import type { RecordEvent } from '../../../src/record/events.ts';
import { caller, request as facts, model, nowMs } from '../policy/fixtures.ts';

const body = Buffer.from('{"card": "4111"}');
const request: GateRequest = {
  method: 'POST',
  path: '/v1/chat/completions?x=1',
  host: 'models.test',
  headers: [
    ['x-tenant', 'a'],
    ['x-tenant', 'b'],
    ['authorization', 'Bearer secret'],
    ['cookie', 'secret'],
  ],
  joined: false,
  body,
  clientAddress: '127.0.0.1',
  namedModel: undefined,
  peer: '',
  jwtAuthn: undefined,
};

const lists = { revision: '0123456789abcdef', names: ['slurs'] };
const allow: Decision = { verdict: 'allow', rules: [], revision: 'r', maskResponse: [], maskRequest: [], limits: [] };
const charge = { policy: 'p', rule: 'r', mode: 'enforce', key: '', windows: [], message: undefined } as const;

interface World {
  readonly needs?: Partial<Needs>;
  readonly decision?: Decision;
  readonly reserve?: () => Promise<Admission>;
  readonly durable?: () => Promise<void>;
  readonly expiresAtMs?: number;
}

function gate({ needs, decision = allow, reserve, durable, expiresAtMs }: World = {}) {
  const order: string[] = [];
  const events: RecordEvent[] = [];
  const inputs: DecisionInput[] = [];
  const released: string[] = [];
  const late = new LateWork({ failed: (_, error) => order.push(String(error)) });
  const chat = formatById('openai-chat')!;
  const stages = {
    newSession: () => 's',
    nowMs: () => nowMs,
    maskText: (text: string) => text,
    masking: { shown: (ids: readonly string[]) => ids, operators: () => ({}) },
    recorder: {
      state: 'open',
      writer: 'w',
      event: (event: RecordEvent) => {
        order.push(event.type);
        return events.push(event) - 1;
      },
      content: () => void order.push('content'),
      durable: async () => {
        order.push('durable');
        await durable?.();
      },
    },
    refuseTransport: () => undefined,
    findCredential: () => ({ ok: true, token: 't' }),
    identify: () => ({ ok: true, caller: caller(expiresAtMs === undefined ? {} : { expiresAtMs }) }),
    route: { ask: () => ({ kind: 'call', format: chat, endpoint: { operation: 'chat' } }), pick: () => model() },
    enter: () => () => {},
    read: () => ({ ok: true, value: facts() }),
    find: () => {
      order.push('find');
      return { masked: Buffer.from('masked'), findings: new Map([['credit_card', 1]]) };
    },
    filters: () => lists,
    filter: (using: unknown) => {
      expect(using).toBe(lists);
      order.push('filter');
      return new Map([['slurs', 2]]);
    },
    guard: async (names: readonly string[]) => {
      order.push(`guard ${names.join()}`);
      return new Map(names.map((name) => [name, { ok: true, flagged: true, categories: ['S1'], scores: new Map() }]));
    },
    policy: () => ({
      commit: 'c0ffee',
      needs: () => ({ findings: false, filters: false, guards: [], ...needs }),
      watchesResponses: () => false,
      enforcesOnResponses: () => false,
      asksToolCalls: () => 'none',
      decide: (input: DecisionInput) => {
        inputs.push(input);
        return decision;
      },
    }),
    vouch: () => undefined,
    limits: {
      reserve: reserve ?? (async () => ({ ok: true, reservations: [], states: [] })),
      release: (session: string) => released.push(session),
      headers: () => [['ratelimit', '"r";r=0;t=9']],
      retryAfter: () => ['retry-after', '9'],
    },
    later: (session: string, bytes: number, work: () => Promise<void>) => late.plan(session, bytes, work),
    forward: forwardHeaders,
    dispatched: () => {},
    refuse: (about: Parameters<typeof refusal>[0]) => refusal(about),
    failed: (_: string, error: unknown) => order.push(String(error)),
  } as unknown as Stages;
  return { checkpoint: createCheckpoint(stages), order, events, inputs, late, released };
}

describe('content checks', () => {
  it('are made before the decision where a rule reads them, and are part of the request event', async () => {
    const { checkpoint, order, events, inputs } = gate({ needs: { findings: true } });
    const answer = await checkpoint(request);
    expect(order).toEqual(['find', 'filter', 'request', 'content', 'decision', 'durable']);
    expect(answer.afterwards).toBeUndefined();
    expect(inputs[0]?.findings).toEqual(new Map([['credit_card', 1]]));
    expect(events[0]).toMatchObject({ checked: true, findings: { credit_card: 1 }, filters: { slurs: 2 } });
    expect(events[1]).toMatchObject({ type: 'decision', filtersRevision: lists.revision });
  });

  it('are made after the answer where none does, and follow as an event of their own', async () => {
    const { checkpoint, order, events, inputs, late } = gate();
    const answer = await checkpoint(request);
    expect(order).toEqual(['request', 'decision', 'durable']);
    expect(inputs[0]?.findings.size).toBe(0);
    expect(events[0]).toMatchObject({ checked: false, findings: {}, filters: {} });
    answer.afterwards?.();
    await late.pending('s');
    expect(order.slice(3)).toEqual(['find', 'filter', 'content', 'findings']);
    expect(events.at(-1)).toMatchObject({
      findings: { credit_card: 1 },
      filters: { slurs: 2 },
      request: { leaf: 0, writer: 'w' },
    });
  });

  it('are on the record before a no is answered, whoever asks', async () => {
    const deny: Decision = { verdict: 'deny', rules: [], revision: 'r', by: 'p/r', message: 'No.' };
    const { checkpoint, order } = gate({ decision: deny });
    const answer = await checkpoint(request);
    expect(answer.kind).toBe('reply');
    expect(answer.afterwards).toBeUndefined();
    expect(order).toEqual(['request', 'find', 'filter', 'content', 'findings', 'decision', 'end', 'durable']);
  });

  it('of a large body are made on the path: the end of the answer must not wait for seconds of work', async () => {
    const { checkpoint, order } = gate();
    await checkpoint({ ...request, body: Buffer.alloc(2 * 1024 * 1024) });
    expect(order).toEqual(['find', 'filter', 'request', 'content', 'decision', 'durable']);
  });

  it('do not ask guards about a request that is denied whatever they say', async () => {
    const deny: Decision = { verdict: 'deny', rules: [], revision: 'r', by: 'p/r', message: 'No.' };
    const { checkpoint, order, events } = gate({ decision: deny, needs: { guards: ['safety'] } });
    expect(await checkpoint(request)).toMatchObject({ kind: 'reply', status: 403 });
    expect(order.some((what) => what.startsWith('guard'))).toBe(false);
    expect(events[0]).toMatchObject({ guards: {} });
  });

  it('are made for a request whose record fails in between, too', async () => {
    const durable = async () => {
      throw new Error('no');
    };
    const { checkpoint, late, order } = gate({ durable });
    const answer = await checkpoint(request);
    expect(answer).toMatchObject({ kind: 'reply', status: 503 });
    answer.afterwards?.();
    await late.pending('s');
    expect(order.slice(-2)).toEqual(['content', 'findings']);
  });

  it('ask the guards that a rule reads, and no others; what they say is on the record', async () => {
    const { checkpoint, order, events, inputs } = gate({ needs: { guards: ['safety'] } });
    await checkpoint(request);
    expect(order[0]).toBe('guard safety');
    expect(inputs.at(-1)?.guards.get('safety')).toMatchObject({ flagged: true });
    expect(events[0]).toMatchObject({ guards: { safety: { flagged: true, categories: ['S1'], code: '' } } });
  });

  it('show rules the headers without credentials, and the path without its query', async () => {
    const { checkpoint, inputs } = gate();
    await checkpoint(request);
    expect(inputs[0]?.http).toMatchObject({ path: '/v1/chat/completions', headers: new Map([['x-tenant', 'a, b']]) });
  });

  it('that took longer than the credential is good end with 401', async () => {
    const { checkpoint, order } = gate({ expiresAtMs: nowMs });
    expect(await checkpoint(request)).toMatchObject({ status: 401, code: 'token_expired' });
    expect(order).toEqual(['refused']);
  });
});

describe('limits', () => {
  const limited: Decision = { ...allow, limits: [charge] };
  const state = {
    policy: 'p',
    rule: 'r',
    mode: 'enforce',
    unit: 'requests',
    limit: 1,
    remaining: 0,
    windowMs: 60_000,
    resetMs: 9_000,
    exceeded: true,
  } as const;
  const reservation = { counter: 'c', unit: 'requests', amount: 1, endsAtMs: nowMs + 1 } as const;

  it('that are used up are answered with 429, headers and when to come back; the decision says limit', async () => {
    const refuse = async (): Promise<Admission> => ({
      ok: false,
      by: state,
      message: 'Enough.',
      states: [state],
      retryable: true,
    });
    const { checkpoint, events } = gate({ decision: limited, reserve: refuse });
    const answer = await checkpoint(request);
    expect(answer).toMatchObject({ kind: 'reply', status: 429, code: 'rate_limit_exceeded' });
    if (answer.kind !== 'reply') throw new Error('no');
    expect(answer.headers).toContainEqual(['ratelimit', '"r";r=0;t=9']);
    expect(answer.headers).toContainEqual(['retry-after', '9']);
    expect(answer.headers.filter(([name]) => name === 'x-should-retry')).toEqual([['x-should-retry', 'true']]);
    expect(events.find(({ type }) => type === 'decision')).toMatchObject({
      verdict: 'limit',
      message: 'Enough.',
      commit: 'c0ffee',
    });
  });

  it('that the request will never fit in tell the SDK not to try again', async () => {
    const refuse = async (): Promise<Admission> => ({
      ok: false,
      by: state,
      message: undefined,
      states: [state],
      retryable: false,
    });
    const answer = await gate({ decision: limited, reserve: refuse }).checkpoint(request);
    if (answer.kind !== 'reply') throw new Error('no');
    expect(answer.headers.filter(([name]) => name === 'x-should-retry')).toEqual([['x-should-retry', 'false']]);
    expect(answer.headers.some(([name]) => name === 'retry-after')).toBe(false);
    expect(answer.body).toContain('larger than the whole limit p/r of 1 requests');
  });

  it('that are free again only after more than a minute tell the SDK not to try again, and when', async () => {
    const day = { ...state, windowMs: 86_400_000, resetMs: 3_600_000 };
    const refuse = async (): Promise<Admission> => ({
      ok: false,
      by: day,
      message: undefined,
      states: [day],
      retryable: true,
    });
    const answer = await gate({ decision: limited, reserve: refuse }).checkpoint(request);
    if (answer.kind !== 'reply') throw new Error('no');
    expect(answer.headers.filter(([name]) => name === 'x-should-retry')).toEqual([['x-should-retry', 'false']]);
    expect(answer.headers.some(([name]) => name === 'retry-after')).toBe(true);
  });

  it('go with the plan of a yes, and with its answer as headers', async () => {
    const pass = async (): Promise<Admission> => ({
      ok: true,
      reservations: [reservation],
      states: [{ ...state, exceeded: false }],
    });
    const { checkpoint, released } = gate({ decision: limited, reserve: pass });
    const answer = await checkpoint(request);
    if (answer.kind !== 'forward') throw new Error('no');
    expect(answer.plan.reservations).toEqual([reservation]);
    expect(answer.responseHeaders).toEqual([['ratelimit', '"r";r=0;t=9']]);
    expect(released).toEqual([]);
  });

  it('give back what was reserved when the record then fails', async () => {
    const pass = async (): Promise<Admission> => ({ ok: true, reservations: [reservation], states: [] });
    const durable = async () => {
      throw Object.assign(new Error('full'), { name: 'JournalUnavailable' });
    };
    const { checkpoint, released, late } = gate({ decision: limited, reserve: pass, durable });
    expect(await checkpoint(request)).toMatchObject({ status: 503, code: 'record_unavailable' });
    expect(released).toEqual(['s']);
    // Work that was planned for after an answer that never came does not hold the process.
    await late.idle();
    expect(late.pending('s')).toBeUndefined();
  });

  it('whose counters are out of reach close the gate', async () => {
    const { checkpoint } = gate({ decision: limited, reserve: () => Promise.reject(new LimitsUnavailable('gone')) });
    expect(await checkpoint(request)).toMatchObject({ status: 503, code: 'limits_unavailable' });
  });
});
