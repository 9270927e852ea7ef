/** Any sequence of reservations and their ends, many at once, against a brute force that keeps every reservation in a list. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Counters } from '../../../src/limits/counters.ts';
import { createLimiter } from '../../../src/limits/create.ts';
import type { Limiter, Reservation } from '../../../src/limits/limiter.ts';
import type { LimitCharge, LimitWindow } from '../../../src/policy/decision.ts';
import { countingObserver, day, limit, minute, noon, of, requests, tokens } from './charges.ts';

/** Several keys of one rule, rules that share nothing, windows of both units and lengths, a dry run. */
const known: readonly LimitCharge[] = [
  limit([requests(3), tokens(40, day)], { key: 'string:a' }),
  limit([requests(3), tokens(40, day)], { key: 'string:b' }),
  limit([tokens(60), requests(9, day)], { rule: 'group' }),
  limit([requests(2), tokens(30)], { rule: 'trial', mode: 'dryRun' }),
];

const nth = fc.nat(30);
const step = fc.oneof(
  fc.record({
    op: fc.constant('reserve'),
    charges: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
    input: fc.nat(30),
    most: fc.nat(30),
  }),
  fc.record({ op: fc.constant('settle'), nth, used: fc.nat(80) }),
  fc.record({ op: fc.constant('release'), nth }),
);
/** What begins at once, and how long the clock stands before the next. */
export const rounds = fc.array(
  fc.record({ at: fc.array(step, { minLength: 1, maxLength: 8 }), waitMs: fc.constantFrom(0, 0, 1000, minute, day) }),
  { minLength: 1, maxLength: 12 },
);
type Rounds = typeof rounds extends fc.Arbitrary<infer R> ? R : never;
type Step = Rounds[number]['at'][number];

interface Held {
  readonly session: string;
  readonly reservations: readonly Reservation[];
  /** As the brute force has it. */
  readonly entries: Entry[];
  over: boolean;
}
interface Entry {
  readonly charge: LimitCharge;
  readonly window: LimitWindow;
  readonly endsAtMs: number;
  amount: number;
}

/** Plays `all`, each round at once, and expects of every answer, and of what is left at the end, what the brute force says. */
export async function expectAsModelled(counters: Counters, all: Rounds): Promise<void> {
  const clock = { nowMs: noon };
  const { observer } = countingObserver();
  const now = () => clock.nowMs;
  const limiter = createLimiter({ counters, local: undefined, assumedMaxTokens: 1, now, observer });
  const world: World = { limiter, clock, held: [], entries: [] };
  for (const { at, waitMs } of all) {
    await Promise.all(at.map((one) => play(world, one)));
    for (const charge of known) await expectLeft(world, charge);
    clock.nowMs += waitMs;
  }
}

interface World {
  readonly limiter: Limiter;
  readonly clock: { nowMs: number };
  readonly held: Held[];
  readonly entries: Entry[];
}

/** The brute force answers at once, in the order of the calls; the limiter must come to the same. */
async function play(world: World, one: Step): Promise<void> {
  const { limiter, clock, held, entries } = world;
  if (one.op === 'reserve') {
    const charges = one.charges.map((i) => known[i] as LimitCharge);
    const expected = reserveByForce(world, charges, one.input + one.most);
    const session = `s${held.length}`;
    const place: Held = { session, reservations: [], entries: expected ?? [], over: expected === undefined };
    held.push(place);
    entries.push(...place.entries);
    const admission = await limiter.reserve(session, charges, of(one.input, one.most), clock.nowMs);
    expect(admission.ok).toBe(expected !== undefined);
    if (admission.ok) Object.assign(place, { reservations: admission.reservations });
    expect(place.reservations.map(({ amount }) => amount)).toEqual(place.entries.map(({ amount }) => amount));
    return;
  }
  const session = held[one.nth];
  // Only what has been answered can be settled.
  if (session === undefined || session.reservations.length === 0) return;
  const live = session.entries.filter(({ endsAtMs }) => endsAtMs > clock.nowMs);
  const { session: name, reservations } = session;
  if (!session.over && live.length > 0) {
    session.over = true;
    for (const entry of live) {
      if (one.op === 'release') entry.amount = 0;
      else if (entry.window.unit === 'tokens') entry.amount = one.used;
    }
  }
  if (one.op === 'release') await limiter.release(name, reservations);
  else await limiter.settle(name, reservations, { tokens: one.used });
}

const endOf = ({ windowMs }: LimitWindow, nowMs: number) => nowMs - (nowMs % windowMs) + windowMs;

function usedByForce({ entries }: World, charge: LimitCharge, window: LimitWindow, endsAtMs: number): number {
  return entries
    .filter((entry) => entry.charge === charge && entry.window === window && entry.endsAtMs === endsAtMs)
    .reduce((sum, { amount }) => sum + amount, 0);
}

function reserveByForce(world: World, charges: readonly LimitCharge[], cost: number): Entry[] | undefined {
  const wanted = charges.map((charge) =>
    charge.windows.map((window) => {
      const endsAtMs = endOf(window, world.clock.nowMs);
      return { charge, window, endsAtMs, amount: window.unit === 'requests' ? 1 : cost };
    }),
  );
  const fitting = wanted.filter((windows) =>
    windows.every(
      ({ charge, window, endsAtMs, amount }) => usedByForce(world, charge, window, endsAtMs) + amount <= window.amount,
    ),
  );
  const refused = wanted.some((windows) => !fitting.includes(windows) && windows[0]?.charge.mode === 'enforce');
  return refused ? undefined : fitting.flat();
}

async function expectLeft(world: World, charge: LimitCharge): Promise<void> {
  const { limiter, clock } = world;
  const admission = await limiter.reserve('probe', [charge], of(0), clock.nowMs);
  const taken = admission.ok && admission.reservations.length > 0 ? 1 : 0;
  if (admission.ok) await limiter.release('probe', admission.reservations);
  const left = admission.states.map(({ remaining, unit }) => remaining + (unit === 'requests' ? taken : 0));
  const expected = charge.windows.map((window) =>
    Math.max(0, window.amount - usedByForce(world, charge, window, endOf(window, clock.nowMs))),
  );
  expect(left).toEqual(expected);
}
