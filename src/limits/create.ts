/** The limiter over its counters: what is charged, what that came to, and what is put right afterwards. */
import { randomBytes } from 'node:crypto';
import type { Correction, Count, Counters } from './counters.ts';
import { Later } from './later.ts';
import {
  type Admission,
  type Limiter,
  type LimitState,
  type LimitsObserver,
  LimitsUnavailable,
  type Reservation,
} from './limiter.ts';
import { type Charge, chargesOf, wholeTokens } from './windows.ts';

export interface LimiterOptions {
  readonly counters: Counters;
  /** Used while `counters` are out of reach; undefined: the gate closes. */
  readonly local: Counters | undefined;
  /** Tokens assumed for an answer that has no maximum. */
  readonly assumedMaxTokens: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly observer: LimitsObserver;
  /** Pause between attempts to settle what could not be settled. Default 1000. */
  readonly retryPauseMs?: number;
}

/** Ten minutes of trying, with the default pause; then the reservation stands. */
const retries = 600;
const mostWaiting = 10_000;

export function createLimiter(options: LimiterOptions): Limiter {
  const { counters, local, now, observer } = options;
  // Local counters are this process's: nobody else may settle them, nor they what is shared.
  const localPrefix = `~${randomBytes(9).toString('base64url')}:`;
  const later = new Later({
    pauseMs: options.retryPauseMs ?? 1000,
    most: mostWaiting,
    attempts: retries,
    givenUp: observer.stands,
  });

  const correct = async (session: string, corrections: readonly Correction[], how: 'settled' | 'released') => {
    const done = (open: boolean) => open && observer.settled(how);
    const shared = corrections.filter(({ counter }) => !counter.startsWith('~'));
    const own = corrections.filter(({ counter }) => counter.startsWith(localPrefix));
    if (local !== undefined && own.length > 0) done(await local.correct(session, own));
    if (shared.length === 0) return;
    const work = async () => {
      const live = shared.filter(({ endsAtMs }) => endsAtMs > now());
      if (live.length > 0) done(await counters.correct(session, live));
    };
    await work().catch(() => later.add(work));
  };

  const take = async (session: string, charges: readonly Charge[], nowMs: number) => {
    try {
      return await counters.take(session, charges, nowMs);
    } catch (error) {
      if (!(error instanceof LimitsUnavailable)) throw error;
      const giveBack = charges.map((charge) => ({ ...charge, by: -charge.amount }));
      if (error.unsure) later.add(async () => void (await counters.correct(session, giveBack)));
      if (charges.every(({ group }) => group !== 0)) {
        observer.unavailable('open');
        return charges.map(() => undefined);
      }
      observer.unavailable(local === undefined ? 'closed' : 'local');
      if (local === undefined) throw error;
      return undefined;
    }
  };

  return {
    async reserve(session, limits, demand, nowMs) {
      const charges = chargesOf(limits, demand, options.assumedMaxTokens, nowMs);
      if (charges.length === 0) return { ok: true, reservations: [], states: [] };
      let counted = charges;
      let counts = await take(session, charges, nowMs);
      if (counts === undefined && local !== undefined) {
        counted = charges.map((charge) => ({ ...charge, counter: localPrefix + charge.counter }));
        counts = await local.take(session, counted, nowMs);
      }
      const admission = admit(counted, counts ?? [], nowMs);
      if (admission.ok) observer.reserved();
      else observer.refused(admission.by);
      return admission;
    },
    release: (session, reservations) =>
      correct(
        session,
        reservations.map((reservation) => ({ ...reservation, by: -reservation.amount })),
        'released',
      ),
    settle: (session, reservations, used) =>
      correct(
        session,
        reservations.map((reservation) => ({ ...reservation, by: settledBy(reservation, used.tokens) })),
        'settled',
      ),
    health() {
      const health = counters.health();
      if (health.ready || local === undefined) return health;
      return { ready: true, detail: `each process by itself for now: ${health.detail}` };
    },
    async close() {
      await later.close();
      await counters.close();
      await local?.close();
    },
  };
}

/** What was used instead of what was reserved; where that is no number, what was reserved stands. */
function settledBy({ unit, amount }: Reservation, tokens: number): number {
  return unit === 'requests' || Number.isNaN(tokens) ? 0 : wholeTokens(tokens) - amount;
}

function admit(charges: readonly Charge[], counts: readonly (Count | undefined)[], nowMs: number): Admission {
  const all = charges.flatMap((charge, i) => {
    const count = counts[i];
    return count === undefined ? [] : [{ charge, count, state: stateOf(charge, count, nowMs) }];
  });
  const states = all.map(({ state }) => state);
  const refusing = all.filter(({ charge, count }) => charge.group === 0 && !count.fits);
  const [first] = refusing.toSorted((a, b) => b.state.resetMs - a.state.resetMs);
  if (first !== undefined)
    return {
      ok: false,
      by: first.state,
      message: first.charge.of.message,
      states,
      retryable: refusing.every(({ charge }) => charge.amount <= charge.limit),
    };
  const taken = all.filter(({ count }) => count.taken);
  return { ok: true, reservations: taken.map(({ charge }) => reservationOf(charge)), states };
}

const reservationOf = ({ counter, amount, endsAtMs, window }: Charge): Reservation => ({
  counter,
  unit: window.unit,
  amount,
  endsAtMs,
});

function stateOf({ of, window, limit, endsAtMs }: Charge, { fits, used }: Count, nowMs: number): LimitState {
  return {
    policy: of.policy,
    rule: of.rule,
    mode: of.mode,
    unit: window.unit,
    limit,
    remaining: Math.max(0, limit - used),
    windowMs: window.windowMs,
    resetMs: endsAtMs - nowMs,
    exceeded: !fits,
  };
}
