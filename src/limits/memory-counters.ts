/** Counters of one process, gone with it. */
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { type Correction, type Count, type Counters, slackMs } from './counters.ts';
import { LimitsUnavailable } from './limiter.ts';
import type { Charge } from './windows.ts';

/** What one call frees at most, so that it holds nobody up. */
const freedAtOnce = 500;

/**
 * `maxCounters` bounds counters and open sessions together; at the bound LimitsUnavailable, until windows end. The clock is
 * the caller's alone: the library is told to keep everything (duration 0), and what has ended is freed here.
 */
export function createMemoryCounters({ maxCounters }: { readonly maxCounters: number }): Counters {
  const limiter = new RateLimiterMemory({ points: 0, duration: 0, keyPrefix: '' });
  const kept = new Keeper();
  const inTurn = createTurns();
  const usedOf = async ({ counter }: { counter: string }) => (await limiter.get(counter))?.consumedPoints;
  const free = async (nowMs: number) => {
    for (const name of kept.expired(nowMs - slackMs, freedAtOnce)) await limiter.delete(name);
  };

  const take = async (session: string, all: readonly Charge[], nowMs: number) => {
    await free(nowMs);
    const before = await Promise.all(all.map(usedOf));
    const room = maxCounters - kept.size - 1;
    const added = (group: (charge: Charge) => boolean) =>
      all.filter((charge, i) => before[i] === undefined && group(charge)).length;
    if (added(({ group }) => group === 0) > room) throw new LimitsUnavailable('there are too many counters of limits');
    const counted = (charge: Charge) => charge.group === 0 || added(() => true) <= room;
    const counts = decide(all, before);
    if (counts.some(({ fits }, i) => all[i]?.group === 0 && !fits)) return counts;
    kept.add(openKey(session), Math.max(...all.map(({ endsAtMs }) => endsAtMs)));
    return Promise.all(
      all.map(async (charge, i) => {
        if (!counted(charge)) return undefined;
        const count = counts[i] as Count;
        if (!count.taken) return count;
        kept.add(charge.counter, charge.endsAtMs);
        const { consumedPoints } = await limiter.penalty(charge.counter, charge.amount);
        return { ...count, used: consumedPoints };
      }),
    );
  };
  const correct = async (session: string, corrections: readonly Correction[], nowMs: number) => {
    await free(nowMs);
    if (!kept.remove(openKey(session))) return false;
    for (const { counter, by } of corrections) {
      const used = await usedOf({ counter });
      if (used !== undefined) await limiter.penalty(counter, Math.max(by, -used));
    }
    return true;
  };
  return {
    take: (session, charges, nowMs) => inTurn(() => take(session, charges, nowMs)),
    correct: (session, corrections, nowMs) => inTurn(() => correct(session, corrections, nowMs)),
    health: () => ({ ready: true, detail: `in memory, for this process alone: ${kept.size} of ${maxCounters}` }),
    close: async () => {},
  };
}

const openKey = (session: string): string => `open:${session}`;

/** Whether each charge fits, and would be taken. */
function decide(all: readonly Charge[], before: readonly (number | undefined)[]): readonly Count[] {
  const fits = all.map(({ amount, limit }, i) => (before[i] ?? 0) + amount <= limit);
  const full = new Set(all.filter((_, i) => !fits[i]).map(({ group }) => group));
  return all.map(({ group }, i) => ({
    fits: fits[i] === true,
    taken: !full.has(0) && !full.has(group),
    used: before[i] ?? 0,
  }));
}

/** One after the other, in the order of the calls: the library answers by promises, and what waits between them could be taken twice. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/** Names by the time at which they end. */
class Keeper {
  readonly #ends = new Map<string, number>();
  readonly #byEnd = new Map<number, Set<string>>();

  get size(): number {
    return this.#ends.size;
  }

  add(name: string, endsAtMs: number): void {
    this.remove(name);
    this.#ends.set(name, endsAtMs);
    const names = this.#byEnd.get(endsAtMs);
    if (names === undefined) this.#byEnd.set(endsAtMs, new Set([name]));
    else names.add(name);
  }

  /** Says whether it was there. */
  remove(name: string): boolean {
    const endsAtMs = this.#ends.get(name);
    if (endsAtMs === undefined) return false;
    this.#ends.delete(name);
    const names = this.#byEnd.get(endsAtMs);
    names?.delete(name);
    if (names?.size === 0) this.#byEnd.delete(endsAtMs);
    return true;
  }

  /** Removes `most` at most that ended at `untilMs` or before. */
  expired(untilMs: number, most: number): readonly string[] {
    const found: string[] = [];
    for (const [endsAtMs, names] of this.#byEnd) {
      if (endsAtMs > untilMs) continue;
      for (const name of names) {
        if (found.length === most) break;
        found.push(name);
      }
    }
    for (const name of found) this.remove(name);
    return found;
  }
}
