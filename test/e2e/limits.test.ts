/** Limits through the gate: two gateway processes behind one Envoy that count in one Redis, and what they do without it. */
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { type Asked, ask, chat, codeOf, type Got, open, streamedChat } from './support/ask.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { eventually } from './support/stack.ts';
import { answerJson, completion, DONE, delta } from './support/upstream.ts';

const policy = (limits: string) => `apiVersion: sallyport/v1
kind: Policy
metadata: {name: budgets}
spec:
  rules:
    - {name: members-may-chat, when: '"ml-eng" in caller.groups || "contractors" in caller.groups', then: allow}
    - {name: per-person, then: limit, by: caller.subject, limits: [${limits}]}
    - {name: trial, mode: dryRun, then: limit, limits: [{requests: 1, per: 1d}]}
`;

const suite = describe.skipIf(redisBinary === undefined);

suite('limits through the gate (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  const start = (limits: string, { gates = 2, ...section }: { gates?: number; [key: string]: unknown } = {}) =>
    startFleet({
      gates,
      config: { state: { engine: 'redis', url: redis.url }, limits: { timeoutMs: 1000, ...section } },
      policies: { 'budgets.yaml': policy(limits) },
    });
  /** The same caller for all requests, with one token. */
  const as = async (fleet: Fleet, who: 'jane' | 'sam'): Promise<Asked> => {
    const token = await fleet.token(who);
    return { url: fleet.url, token: async () => token };
  };
  const connect = () => createClient({ url: redis.url }).connect();
  type Client = Awaited<ReturnType<typeof connect>>;
  /** Does something with the counters of limits. */
  const inRedis = async <T>(work: (client: Client, keys: string[]) => Promise<T>): Promise<T> => {
    const client = await connect();
    try {
      return await work(client, await client.keys('{sallyport:}limits:*'));
    } finally {
      client.destroy();
    }
  };
  const forget = () => inRedis(async (client, keys) => keys.length > 0 && client.del(keys));
  /** Counters of the unit, dry runs' too, by what they say; how many sessions are open. */
  const counted = (unit: 'r' | 't') =>
    inRedis(async (client, keys) => {
      const counters = keys.filter((key) => new RegExp(`:${unit}\\d+:\\d+$`).test(key));
      const values = await Promise.all(counters.map(async (key) => Number(await client.get(key))));
      return { values: values.toSorted((x, y) => x - y), open: keys.filter((key) => key.includes(':open:')).length };
    });
  const number = ({ headers }: Got, name: string) => Number(headers[name]);

  describe('of 100 requests a day', () => {
    let fleet: Fleet;
    beforeAll(async () => {
      await forget();
      fleet = await start('{requests: 100, per: 1d}');
    });
    afterAll(() => fleet?.close());

    test('let exactly 100 of 1,000 at once pass, over two gateways; 900 get 429, and nothing of them reaches the model', async () => {
      const jane = await as(fleet, 'jane');
      const got = await Promise.all(Array.from({ length: 1000 }, () => ask(jane)));
      const passed = got.filter(({ status }) => status === 200);
      const refused = got.filter(({ status }) => status === 429);
      expect([passed.length, refused.length]).toEqual([100, 900]);
      expect(fleet.model.arrived).toHaveLength(100);
      expect((await counted('r')).values).toEqual([1, 100]);
      for (const one of refused.slice(0, 20)) {
        expect(codeOf(one)).toBe('rate_limit_exceeded');
        const seconds = number(one, 'retry-after');
        expect(seconds >= 1 && seconds <= 86_400).toBe(true);
        expect(one.headers).toMatchObject({
          'ratelimit-policy': '"per-person-requests-1d";q=100;w=86400;qu="requests"',
          ratelimit: expect.stringMatching(/^"per-person-requests-1d";r=0;t=\d+$/),
          'x-ratelimit-limit-requests': '100',
          'x-ratelimit-remaining-requests': '0',
          'x-ratelimit-reset-requests': expect.stringMatching(/^(\d+h)?(\d+m)?\d+s$/),
        });
        expect(JSON.stringify(one)).not.toContain('trial');
      }
      const remaining = passed.map((one) => number(one, 'x-ratelimit-remaining-requests'));
      expect(remaining.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    });

    test('leave another caller his own', async () => {
      const got = await ask(await as(fleet, 'sam'));
      expect([got.status, got.headers['x-ratelimit-remaining-requests']]).toEqual([200, '99']);
    });

    test('end every session that they opened', async () => {
      await eventually(async () => ((await counted('r')).open === 0 ? true : undefined), 'all sessions are settled');
    });
  });

  describe('of tokens a day', () => {
    let fleet: Fleet;
    beforeEach(async () => {
      await forget();
      fleet.model.answer = answerJson('ok');
    });
    beforeAll(async () => {
      fleet = await start('{tokens: 1000, per: 1d}');
    });
    afterAll(() => fleet?.close());
    /** What the one counter says once all sessions are over. */
    const settled = () =>
      eventually(async () => {
        const { values, open } = await counted('t');
        return open === 0 ? values : undefined;
      }, 'all sessions are settled');

    test('reserve what is asked for, and settle by the usage that the model reports', async () => {
      const jane = await as(fleet, 'jane');
      const first = await ask(jane, { ...chat, max_tokens: 600 });
      expect(first.status).toBe(200);
      const left = number(first, 'x-ratelimit-remaining-tokens');
      expect(left).toBeGreaterThan(300);
      expect(left).toBeLessThan(400);
      // 3 and 5, as the model said.
      expect(await settled()).toEqual([8]);
      const second = await ask(jane, { ...chat, max_tokens: 600 });
      expect(number(second, 'x-ratelimit-remaining-tokens')).toBe(left - 8);
    });

    test('charge in full what was used beyond the reservation, and refuse from then on', async () => {
      const jane = await as(fleet, 'jane');
      const usage = { prompt_tokens: 700, completion_tokens: 500, total_tokens: 1200 };
      fleet.model.answer = (_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(completion('ok', { usage }));
      expect((await ask(jane, { ...chat, max_tokens: 10 })).status).toBe(200);
      expect(await settled()).toEqual([1200]);
      const refused = await ask(jane, { ...chat, max_tokens: 10 });
      expect([refused.status, refused.headers['x-ratelimit-remaining-tokens']]).toEqual([429, '0']);
    });

    test('settle what was delivered of a stream that the caller ended', async () => {
      const jane = await as(fleet, 'jane');
      const text = 'word '.repeat(80);
      fleet.model.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(delta(text));
      };
      const call = await open(jane, { ...streamedChat, max_tokens: 900 });
      await call.saw('word word');
      expect((await counted('t')).open).toBe(1);
      call.abort();
      const [used = 0] = await settled();
      expect(used).toBeGreaterThan(50);
      expect(used).toBeLessThan(250);
    });

    test('settle what was delivered of a stream without usage', async () => {
      const jane = await as(fleet, 'jane');
      fleet.model.answer = (_, response) =>
        response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(delta('word '.repeat(80)) + delta('', 'stop') + DONE);
      expect((await ask(jane, { ...streamedChat, max_tokens: 900 })).status).toBe(200);
      const [used = 0] = await settled();
      expect(used).toBeGreaterThanOrEqual(100);
      expect(used).toBeLessThan(250);
    });

    test('refuse a request that is too large for the whole limit, without a word of coming back', async () => {
      const jane = await as(fleet, 'jane');
      const refused = await ask(jane, { ...chat, max_tokens: 5000 });
      expect([refused.status, codeOf(refused)]).toEqual([429, 'rate_limit_exceeded']);
      expect(refused.headers['x-should-retry']).toBe('false');
      expect(fleet.model.arrived.every(({ body }) => !body.includes('5000'))).toBe(true);
    });

    test('charge a request that the model breaks off for no more than was sent', async () => {
      const jane = await as(fleet, 'jane');
      fleet.model.answer = (_, response) => response.destroy();
      expect((await ask(jane, { ...chat, max_tokens: 600 })).status).toBeGreaterThanOrEqual(500);
      const [used = 0] = await settled();
      expect(used).toBeLessThan(20);
    });
  });

  describe('without Redis', () => {
    let fleet: Fleet | undefined;
    beforeEach(() => redis.restart());
    const stop = async () => {
      await fleet?.close();
      fleet = undefined;
    };

    test('are closed: 503, nothing reaches the model, and open again by themselves', async () => {
      fleet = await start('{requests: 100, per: 1d}', { gates: 1 });
      try {
        const jane = await as(fleet, 'jane');
        expect((await ask(jane)).status).toBe(200);
        await redis.kill();
        const refused = await ask(jane);
        expect([refused.status, codeOf(refused)]).toEqual([503, 'limits_unavailable']);
        expect(fleet.model.arrived).toHaveLength(1);
        await redis.restart();
        await eventually(async () => ((await ask(jane)).status === 200 ? true : undefined), 'the gate is open');
      } finally {
        await stop();
      }
    });

    test('hold for each process by itself where the config says `local`', async () => {
      fleet = await start('{requests: 3, per: 1d}', { gates: 1, onUnavailable: 'local' });
      try {
        const jane = await as(fleet, 'jane');
        for (let i = 0; i < 3; i++) expect((await ask(jane)).status).toBe(200);
        expect((await ask(jane)).status).toBe(429);
        await redis.kill();
        const statuses = [];
        for (let i = 0; i < 4; i++) statuses.push((await ask(jane)).status);
        expect(statuses).toEqual([200, 200, 200, 429]);
      } finally {
        await stop();
      }
    });
  });
});
