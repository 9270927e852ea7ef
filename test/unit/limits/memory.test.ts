import { describe, expect, test } from 'vitest';
import { createLimiter } from '../../../src/limits/create.ts';
import { LimitsUnavailable } from '../../../src/limits/limiter.ts';
import { createMemoryCounters } from '../../../src/limits/memory-counters.ts';
import { countingObserver, day, limit, minute, noon, of, requests } from './charges.ts';
import { limiterContract } from './contract.ts';

limiterContract('counters in memory', () => createMemoryCounters({ maxCounters: 10_000 }));

describe('counters in memory', () => {
  const open = (maxCounters: number) => {
    const { observer, seen } = countingObserver();
    const clock = { nowMs: noon };
    const counters = createMemoryCounters({ maxCounters, elapsedMs: () => clock.nowMs });
    const now = () => clock.nowMs;
    return {
      counters,
      clock,
      seen,
      limiter: createLimiter({ counters, local: undefined, assumedMaxTokens: 1, now, observer }),
    };
  };
  const charge = (i: number, windowMs = minute) => limit([requests(5, windowMs)], { key: `string:${i}` });

  test('are bounded, sessions under way included: at the bound what needs a new one is unavailable', async () => {
    const { limiter, clock, seen } = open(10);
    const ask = (i: number, session: string) => limiter.reserve(session, [charge(i)], of(0), clock.nowMs);
    for (let i = 0; i < 5; i++) expect(await ask(i, `s${i}`)).toMatchObject({ ok: true });
    await expect(ask(5, 's5')).rejects.toThrow(LimitsUnavailable);
    await expect(ask(0, 's6')).rejects.toMatchObject({ code: 'limits_unavailable', unsure: false });
    expect(seen).toMatchObject({ reserved: 5, 'unavailable: closed': 2 });
    const held = (await limiter.reserve('none', [], of(0), clock.nowMs)).ok;
    expect(held).toBe(true);
  });

  test('that exist go on at the bound once a session has ended', async () => {
    const { limiter, clock } = open(4);
    const first = await limiter.reserve('a', [charge(0)], of(0), clock.nowMs);
    await limiter.reserve('b', [charge(0)], of(0), clock.nowMs);
    await limiter.reserve('c', [charge(0)], of(0), clock.nowMs);
    await expect(limiter.reserve('d', [charge(0)], of(0), clock.nowMs)).rejects.toThrow('too many counters');
    await limiter.settle('a', first.ok ? first.reservations : [], { tokens: 0 });
    expect(await limiter.reserve('d', [charge(0)], of(0), clock.nowMs)).toMatchObject({ ok: true });
  });

  test('are freed a minute after their windows have ended, a few hundred with each request', async () => {
    const { limiter, clock, counters } = open(10_000);
    for (let i = 0; i < 1000; i++) await limiter.reserve(`s${i}`, [charge(i)], of(0), clock.nowMs);
    expect(counters.health().detail).toContain(': 2000 of 10000');
    clock.nowMs += 2 * minute;
    const freed = [];
    for (let i = 0; i < 5; i++) {
      await limiter.reserve(`t${i}`, [charge(0, day)], of(0), clock.nowMs);
      freed.push(counters.health().detail.replace(/^.*: /, ''));
    }
    expect(freed).toEqual(['1502 of 10000', '1003 of 10000', '504 of 10000', '5 of 10000', '6 of 10000']);
  });

  test('never close for a dry run: it goes uncounted at the bound', async () => {
    const { limiter, clock, seen } = open(3);
    const dry = { ...charge(9), mode: 'dryRun' } as const;
    expect(await limiter.reserve('a', [charge(0), dry, { ...dry, key: 'x' }], of(0), clock.nowMs)).toMatchObject({
      ok: true,
      reservations: [{ unit: 'requests' }],
      states: [{ mode: 'enforce' }],
    });
    await limiter.reserve('b', [charge(0)], of(0), clock.nowMs);
    expect(await limiter.reserve('c', [dry], of(0), clock.nowMs)).toMatchObject({
      ok: true,
      reservations: [],
      states: [],
    });
    expect(seen).toEqual({ reserved: 3, 'unavailable: open': 1 });
  });
});
