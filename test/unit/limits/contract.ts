import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Counters } from '../../../src/limits/counters.ts';
import { createLimiter } from '../../../src/limits/create.ts';
import type { Admission, Limiter } from '../../../src/limits/limiter.ts';
import type { LimitCharge } from '../../../src/policy/decision.ts';
import { countingObserver, day, limit, minute, noon, of, requests, tokens } from './charges.ts';

/** What every limiter must do, whatever counts for it. `open` gives counters that are empty. */
export function limiterContract(name: string, open: () => Promise<Counters> | Counters): void {
  describe(`${name} keep the contract of a limiter:`, () => {
    let nowMs: number;
    let limiter: Limiter;
    let seen: Record<string, number>;
    let sessions: number;
    beforeEach(async () => {
      nowMs = noon;
      sessions = 0;
      const counting = countingObserver();
      seen = counting.seen;
      const counters = await open();
      const rest = { local: undefined, assumedMaxTokens: 100, now: () => nowMs, observer: counting.observer };
      limiter = createLimiter({ counters, ...rest });
    });
    afterEach(() => limiter.close());

    const ask = (charges: readonly LimitCharge[], demand = of(0), session = `s${++sessions}`) =>
      limiter.reserve(session, charges, demand, nowMs);
    const passes = async (charges: readonly LimitCharge[], demand = of(0)) => (await ask(charges, demand)).ok;
    const holds = (admission: Admission) => (admission.ok ? admission.reservations : []);
    /** What is left of a limit's windows, without taking any. */
    const left = async (charge: LimitCharge) => {
      const admission = await ask([charge], of(0), 'probe');
      const taken = charge.windows.map(({ unit }) => (unit === 'requests' && holds(admission).length > 0 ? 1 : 0));
      await limiter.release('probe', holds(admission));
      return admission.states.map(({ remaining }, i) => remaining + (taken[i] ?? 0));
    };

    describe('reserving', () => {
      test('lets as many requests pass as the limit says, and not one more', async () => {
        const charge = limit([requests(3)]);
        const passed = [];
        for (let i = 0; i < 5; i++) passed.push(await passes([charge]));
        expect(passed).toEqual([true, true, true, false, false]);
      });

      test('lets exactly as many pass when all come at once', async () => {
        const charge = limit([requests(100), tokens(1000)]);
        const passed = await Promise.all(Array.from({ length: 300 }, () => passes([charge], of(5))));
        expect(passed.filter(Boolean)).toHaveLength(100);
        expect(await left(charge)).toEqual([0, 500]);
      });

      test('counts what is sent and the most that may come back', async () => {
        const charge = limit([tokens(100)]);
        expect(await passes([charge], of(30, 40))).toBe(true);
        expect(await left(charge)).toEqual([30]);
        expect(await passes([charge], of(30, 1))).toBe(false);
        expect(await passes([charge], of(30, 0))).toBe(true);
      });

      test('a large request that is refused leaves the rest to smaller ones', async () => {
        const charge = limit([tokens(100)]);
        await ask([charge], of(60));
        const asked = await Promise.all([ask([charge], of(50)), ask([charge], of(40)), ask([charge], of(1))]);
        expect(asked.map(({ ok }) => ok)).toEqual([false, true, false]);
      });

      test('takes all windows of all limits, or none', async () => {
        const own = limit([requests(10), tokens(100, day)]);
        const group = limit([requests(2)], { rule: 'per-group', key: 'string:eng' });
        expect([await passes([own, group], of(10)), await passes([own, group], of(10))]).toEqual([true, true]);
        expect(await passes([own, group], of(10))).toBe(false);
        expect([await left(own), await left(group)]).toEqual([[8, 80], [0]]);
      });

      test('a flood that one limit refuses takes nothing from another, not even for a moment', async () => {
        const group = (rest: Partial<LimitCharge>) => [
          limit([requests(1)], { ...rest }),
          limit([requests(3)], { rule: 'per-group', key: 'string:eng' }),
        ];
        const flood = Array.from({ length: 50 }, () => passes(group({ key: 'string:mallory' })));
        const others = ['string:ann', 'string:ben'].map((key) => passes(group({ key })));
        expect((await Promise.all(flood)).filter(Boolean)).toHaveLength(1);
        expect(await Promise.all(others)).toEqual([true, true]);
      });

      test.each<[string, Partial<LimitCharge>]>([
        ['key', { key: 'string:bob' }],
        ['type of key', { key: 'int:1' }],
        ['rule', { rule: 'other' }],
        ['policy', { policy: 'other' }],
        ['mode', { mode: 'dryRun' }],
        ['policy and rule, cut elsewhere', { policy: 'budgetsper', rule: '-person' }],
      ])('counts apart for another %s', async (_, other) => {
        const [one, two] = [
          limit([requests(1)], { key: 'string:1' }),
          limit([requests(1)], { key: 'string:1', ...other }),
        ];
        await ask([one]);
        expect([await left(one), await left(two)]).toEqual([[0], [1]]);
      });

      test('charges a window that is named twice once, by the smaller amount', async () => {
        const charge = limit([requests(5), requests(2), requests(9)]);
        const admission = await ask([charge]);
        expect(admission.states).toMatchObject([{ limit: 2, remaining: 1 }]);
        expect(holds(admission)).toHaveLength(1);
      });

      test('says where each window stands, and which one refused: of several, the one that lasts longest', async () => {
        const charge = limit([requests(1), requests(1, day), tokens(50)], { message: 'Enough for today.' });
        const first = await ask([charge], of(20));
        const state = { policy: 'budgets', rule: 'per-person', mode: 'enforce', exceeded: false };
        expect(first).toMatchObject({
          ok: true,
          states: [
            { ...state, unit: 'requests', limit: 1, remaining: 0, windowMs: minute, resetMs: minute },
            { ...state, unit: 'requests', limit: 1, remaining: 0, windowMs: day, resetMs: day / 2 },
            { ...state, unit: 'tokens', limit: 50, remaining: 30, windowMs: minute, resetMs: minute },
          ],
        });
        const second = await ask([charge], of(20));
        expect(second).toMatchObject({
          ...{ ok: false, message: 'Enough for today.', retryable: true },
          by: { unit: 'requests', windowMs: day, resetMs: day / 2, exceeded: true },
          states: [{ exceeded: true }, { exceeded: true }, { exceeded: false, remaining: 30 }],
        });
      });

      test('says that a request is too large for any window', async () => {
        const admission = await ask([limit([tokens(50)])], of(51));
        expect(admission).toMatchObject({ ok: false, retryable: false, by: { remaining: 50, exceeded: true } });
      });

      test('without any limit asks nothing of anybody', async () => {
        expect(await ask([])).toEqual({ ok: true, reservations: [], states: [] });
        expect(await ask([limit([])])).toEqual({ ok: true, reservations: [], states: [] });
      });

      test.each([Number.NaN])('throws for %s tokens: a bug', async (wrong) => {
        await expect(ask([limit([tokens(5)])], of(wrong))).rejects.toThrow(RangeError);
      });

      test.each([Number.POSITIVE_INFINITY, 1e300, Number.MAX_SAFE_INTEGER, 2 ** 31])(
        'refuses a request that may use %s tokens, and counts on',
        async (most) => {
          const charge = limit([tokens(1000)]);
          expect(await passes([charge], of(1, most))).toBe(false);
          expect(await left(charge)).toEqual([1000]);
        },
      );

      test('never gives anything back for fewer than no tokens', async () => {
        const charge = limit([tokens(10)]);
        await ask([charge], of(-5, -5));
        expect(await left(charge)).toEqual([10]);
      });
    });

    describe('an answer without a maximum', () => {
      test('is assumed to have as many tokens as the config says', async () => {
        const charge = limit([tokens(1000)]);
        await ask([charge], { inputTokens: 10, maxOutputTokens: undefined });
        expect(await left(charge)).toEqual([890]);
      });

      test('but no more than the window has room for at all', async () => {
        const charge = limit([tokens(50), tokens(1000, day)]);
        expect(await passes([charge], { inputTokens: 10, maxOutputTokens: undefined })).toBe(true);
        expect(await left(charge)).toEqual([0, 890]);
        expect(await passes([limit([tokens(9)])], { inputTokens: 10, maxOutputTokens: undefined })).toBe(false);
      });
    });

    describe('a dry run', () => {
      const dry = limit([requests(1), tokens(50)], { rule: 'trial', mode: 'dryRun' });

      test('refuses nobody, and says when it would have', async () => {
        const exceeded = [];
        for (let i = 0; i < 3; i++) {
          const admission = await ask([dry], of(10));
          expect(admission.ok).toBe(true);
          exceeded.push(admission.states.map((state) => state.exceeded));
        }
        expect(exceeded).toEqual([
          [false, false],
          [true, false],
          [true, false],
        ]);
        expect(await left(dry)).toEqual([0, 40]);
      });

      test('is charged only for what passes', async () => {
        const one = limit([requests(0)]);
        expect(await ask([one, dry], of(10))).toMatchObject({ ok: false, by: { rule: 'per-person' } });
        expect(await left(dry)).toEqual([1, 50]);
      });

      test('keeps nothing from another one', async () => {
        const other = { ...dry, rule: 'other', windows: [requests(5)] };
        await ask([dry, other]);
        await ask([dry, other]);
        expect([await left(dry), await left(other)]).toEqual([[0, 50], [3]]);
      });

      test('is settled as any other', async () => {
        const admission = await ask([dry], of(40));
        await limiter.settle('s1', holds(admission), { tokens: 5 });
        expect(await left(dry)).toEqual([0, 45]);
      });
    });

    describe('settling', () => {
      test.each([
        ['fewer', 12, 88],
        ['as many', 50, 50],
        ['more', 70, 30],
        ['more than the limit has', 500, 0],
        ['none', 0, 100],
      ])('%s tokens than reserved leaves what was not used', async (_, used, remaining) => {
        const charge = limit([requests(10), tokens(100)]);
        const admission = await ask([charge], of(20, 30));
        await limiter.settle('s1', holds(admission), { tokens: used });
        expect(await left(charge)).toEqual([9, remaining]);
        expect(seen['settled']).toBe(1);
      });

      test('beyond the limit counts in full', async () => {
        const charge = limit([tokens(100)]);
        const [one, two] = [holds(await ask([charge], of(10))), holds(await ask([charge], of(10)))];
        await limiter.settle('s1', one, { tokens: 180 });
        expect(await left(charge)).toEqual([0]);
        await limiter.settle('s2', two, { tokens: 0 });
        expect(await passes([charge], of(0))).toBe(false);
      });

      test.each([
        ['settled again', (held: ReturnType<typeof holds>) => limiter.settle('s1', held, { tokens: 0 })],
        ['released afterwards', (held: ReturnType<typeof holds>) => limiter.release('s1', held)],
      ])('is done once: %s, nothing changes', async (_, again) => {
        const charge = limit([requests(10), tokens(100)]);
        const held = holds(await ask([charge], of(50)));
        await limiter.settle('s1', held, { tokens: 30 });
        await Promise.all([again(held), again(held)]);
        expect(await left(charge)).toEqual([9, 70]);
        expect(seen).toMatchObject({ settled: 1 });
      });

      test('leaves a window that has ended, and the one after it, alone', async () => {
        const charge = limit([tokens(100), tokens(1000, day)]);
        const held = holds(await ask([charge], of(50)));
        nowMs += minute;
        await ask([charge], of(20));
        await limiter.settle('s1', held, { tokens: 10 });
        expect(await left(charge)).toEqual([80, 970]);
        nowMs -= minute;
        expect(await left(charge)).toEqual([50, 970]);
      });

      test('without a session that holds anything does nothing', async () => {
        const charge = limit([tokens(100)]);
        const held = holds(await ask([charge], of(50)));
        await limiter.settle('nobody', held, { tokens: 0 });
        await limiter.release('nobody', held);
        await limiter.settle('s1', [], { tokens: 0 });
        expect(await left(charge)).toEqual([50]);
      });

      test('by no number leaves what was reserved, and is done', async () => {
        const charge = limit([tokens(100)]);
        const held = holds(await ask([charge], of(50)));
        await limiter.settle('s1', held, { tokens: Number.NaN });
        await limiter.settle('s1', held, { tokens: 0 });
        expect(await left(charge)).toEqual([50]);
      });
    });

    describe('releasing', () => {
      test('gives back requests and tokens, once, whatever comes after it', async () => {
        const charge = limit([requests(10), tokens(100)]);
        await ask([charge], of(50));
        const held = holds(await ask([charge], of(20)));
        await Promise.all([limiter.release('s2', held), limiter.release('s2', held)]);
        await limiter.settle('s2', held, { tokens: 50 });
        expect(await left(charge)).toEqual([9, 50]);
      });

      test('of many at once gives back what they reserved and no more', async () => {
        const charge = limit([requests(100), tokens(10_000)]);
        const held = await Promise.all(Array.from({ length: 100 }, (_, i) => ask([charge], of(7), `r${i}`)));
        await Promise.all(held.flatMap((one, i) => [0, 1, 2].map(() => limiter.release(`r${i}`, holds(one)))));
        expect(await left(charge)).toEqual([100, 10_000]);
      });
    });

    describe('the clock', () => {
      test('opens a new window at its whole multiple in UTC', async () => {
        const charge = limit([requests(1, day)]);
        nowMs = Date.UTC(2026, 10, 18, 23, 59, 59, 999);
        expect(await ask([charge])).toMatchObject({ ok: true, states: [{ resetMs: 1 }] });
        expect(await passes([charge])).toBe(false);
        nowMs += 1;
        expect(await ask([charge])).toMatchObject({ ok: true, states: [{ resetMs: day }] });
      });

      test('set back opens no window again that was used up', async () => {
        const charge = limit([requests(1)]);
        await ask([charge]);
        nowMs += minute;
        await ask([charge]);
        for (const jump of [-minute, minute, -30_000, 20_000]) {
          nowMs += jump;
          expect(await passes([charge])).toBe(false);
        }
      });

      test('set forward and back again opens the windows on the way, once each', async () => {
        const charge = limit([requests(2, day)]);
        const passed = [];
        for (const jump of [0, day, -day, day, -day, 0]) {
          nowMs += jump;
          passed.push(await passes([charge]));
        }
        expect(passed).toEqual([true, true, true, true, false, false]);
      });

      test('of two replicas may differ by seconds: each window has its limit, whoever counts', async () => {
        const charge = limit([requests(1)]);
        const ahead = await limiter.reserve('ahead', [charge], of(0), nowMs + minute);
        const behind = await limiter.reserve('behind', [charge], of(0), nowMs);
        const again = await limiter.reserve('again', [charge], of(0), nowMs + minute + 2000);
        expect([ahead.ok, behind.ok, again.ok]).toEqual([true, true, false]);
      });
    });

    test('tells its observer what it did', async () => {
      const charge = limit([requests(2)]);
      const held = [];
      for (let i = 0; i < 3; i++) held.push(holds(await ask([charge])));
      await limiter.settle('s1', held[0] ?? [], { tokens: 0 });
      await limiter.release('s2', held[1] ?? []);
      expect(seen).toEqual({ reserved: 2, 'refused budgets/per-person requests': 1, settled: 1, released: 1 });
    });
  });
}
