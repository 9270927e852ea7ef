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

  /** What may have been taken without our hearing of it. Dry runs aside: nobody knows which of them fitted. */
  const giveBack = async (session: string, charges: readonly Charge[]) => {
    const enforced = charges.filter(({ group }) => group === 0);
    const all = enforced.map(({ counter, amount, endsAtMs }) => ({ counter, by: -amount, endsAtMs }));
    if (await counters.correct(session, all)) observer.settled('released');
  };

  const take = async (session: string, charges: readonly Charge[], nowMs: number): Promise<readonly Outcome[]> => {
    try {
      return outcomes(charges, await counters.take(session, charges, nowMs));
    } catch (error) {
      if (!(error instanceof LimitsUnavailable)) throw error;
      if (error.unsure) later.add(() => giveBack(session, charges));
      const onTrial = charges.every(({ group }) => group !== 0);
      if (!onTrial && local === undefined) throw error;
      observer.unavailable(onTrial ? 'open' : 'local');
      if (onTrial || local === undefined) return [];
      const own = charges.map((charge) => ({ ...charge, counter: localPrefix + charge.counter }));
      return outcomes(own, await local.take(session, own, nowMs));
    }
  };

  return {
    async reserve(session, limits, demand, nowMs) {
      const charges = chargesOf(limits, demand, options.assumedMaxTokens, nowMs);
      if (charges.length === 0) return { ok: true, reservations: [], states: [] };
      const admission = await take(session, charges, nowMs).then(
        (taken) => admit(taken, nowMs),
        (error: unknown) => {
          if (error instanceof LimitsUnavailable) observer.unavailable('closed');
          throw error;
        },
      );
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

/** A charge and what came of it. */
interface Outcome {
  readonly charge: Charge;
  readonly count: Count;
}

/** Leaves out dry runs that were not counted; an enforced charge that was not counted must not pass. */
function outcomes(charges: readonly Charge[], counts: readonly (Count | undefined)[]): readonly Outcome[] {
  return charges.flatMap((charge, i) => {
    const count = counts[i];
    if (count === undefined && charge.group === 0) throw new LimitsUnavailable('a limit was not counted');
    return count === undefined ? [] : [{ charge, count }];
  });
}

function admit(outcomes: readonly Outcome[], nowMs: number): Admission {
  const all = outcomes.map(({ charge, count }) => ({ charge, count, state: stateOf(charge, count, nowMs) }));
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
