import { describe, expect, it } from 'vitest';
import type { Answer, GateRequest, Stages } from '../../../src/checkpoint/stages.ts';
import { createCheckpoint } from '../../../src/checkpoint.ts';
import { createAuthz } from '../../../src/envoy/authz.ts';
import type { CheckRequest } from '../../../src/envoy/wire.ts';
import { readRequest } from '../../../src/exchange/formats.ts';
import { LargeBodies } from '../../../src/exchange/large-bodies.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { refusal } from '../../../src/exchange/refusal.ts';

const body = Buffer.from(
  JSON.stringify({ model: 'none', messages: [{ role: 'user', content: 'é '.repeat(1_000_000) }] }),
);
const media = { contentType: 'application/json', contentEncoding: undefined };
const request: GateRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  host: 'models.test',
  headers: [],
  joined: false,
  body,
  clientAddress: '127.0.0.1',
  namedModel: undefined,
  peer: '',
  jwtAuthn: undefined,
};

const asked = { kind: 'call', format: openaiChat, endpoint: { operation: 'chat' } } as const;

/** A gate that reads bodies, and then knows no model. */
function gate(places: LargeBodies) {
  const events: { code?: string; detail?: string }[] = [];
  const failures: unknown[] = [];
  const stages = {
    newSession: () => 's',
    nowMs: () => 0,
    maskText: (text: string) => text,
    masking: { shown: (ids: readonly string[]) => ids, operators: () => ({}) },
    recorder: { state: 'open', event: (event: object) => events.push(event) },
    refuseTransport: () => undefined,
    findCredential: () => ({ ok: true, token: 't' }),
    identify: () => ({ ok: true, caller: { subject: 'jane', issuer: 'i', groups: [], claims: {} } }),
    route: { ask: () => asked, pick: () => undefined },
    enter: (one: GateRequest) => places.enter(one.body.length, one.cancelled),
    read: (one: GateRequest, about: typeof asked) => readRequest(about, media, one.body, one.cancelled),
    refuse: (about: Parameters<typeof refusal>[0]) => refusal(about),
    failed: (_: string, error: unknown) => failures.push(error),
  } as unknown as Stages;
  return { checkpoint: createCheckpoint(stages), events, failures };
}

const outcome = (answer: Answer) => (answer.kind === 'reply' ? [answer.status, answer.code] : ['forward']);

describe('large bodies at the request gate', () => {
  it('are read up to the cap, wait up to the bound, and are refused with 503 beyond it', async () => {
    const places = new LargeBodies({ most: 1, mostWaiting: 1 });
    const { checkpoint, events, failures } = gate(places);
    const answers = await Promise.all([1, 2, 3].map(() => checkpoint(request)));
    expect(answers.map(outcome)).toEqual([
      [403, 'unknown_model'],
      [403, 'unknown_model'],
      [503, 'overloaded'],
    ]);
    const refused = answers[2] as Extract<Answer, { kind: 'reply' }>;
    expect(refused.headers).toContainEqual(['retry-after', '1']);
    expect(refused.headers).toContainEqual(['x-should-retry', 'true']);
    expect(events.map(({ code }) => code).sort()).toEqual(['overloaded', 'unknown_model', 'unknown_model']);
    expect(failures).toEqual([]);
    expect([places.inWork, places.waiting]).toEqual([0, 0]);
  });

  it('are given up when their client goes away, which is on the record and no failure', async () => {
    const places = new LargeBodies();
    const { checkpoint, events, failures } = gate(places);
    let gone = false;
    const answer = checkpoint({ ...request, cancelled: () => gone });
    gone = true;
    expect(outcome(await answer)).toEqual([503, 'overloaded']);
    expect(events.map(({ detail }) => detail)).toEqual(['abandoned: the client went away before the answer']);
    expect(failures).toEqual([]);
    expect(places.inWork).toBe(0);
  });
});

describe('the ext_authz edge', () => {
  it('tells the checkpoint when Envoy cancels a Check that was not answered', () => {
    let seen: GateRequest | undefined;
    const authz = createAuthz({
      checkpoint: (given) => {
        seen = given;
        return new Promise(() => {});
      },
    } as Parameters<typeof createAuthz>[0]);
    const envoy = { contextExtensions: new Map(), rawHeaders: true, sourcePrincipal: '', sourceCertificate: '' };
    const check = { ...request, ...envoy, headers: [['x-request-id', 'r']] };
    const call = { gone: false, send() {}, answer() {}, finish() {}, fail() {} };
    authz(check as unknown as CheckRequest, call);
    expect(seen?.cancelled?.()).toBe(false);
    call.gone = true;
    expect(seen?.cancelled?.()).toBe(true);
  });
});
