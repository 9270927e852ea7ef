/** Counters of one process, gone with it. */
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { type Correction, type Count, type Counters, slackMs } from './counters.ts';
import { LimitsUnavailable } from './limiter.ts';
import type { Charge } from './windows.ts';

/** What one call frees at most, so that it holds nobody up. */
const freedAtOnce = 500;

export interface MemoryCountersOptions {
  /** Bounds counters and open sessions together; at the bound LimitsUnavailable, until windows or sessions end. */
  readonly maxCounters: number;
  /** Milliseconds that have passed, by a clock that nobody sets. Default: performance.now. */
  readonly elapsedMs?: () => number;
}

/**
 * The library is told to keep everything (duration 0): it would free by the system's clock, and a clock that is set forward
 * and back again would open a window a second time. Freed here once a window has truly ended, and `slackMs` on top.
 */
export function createMemoryCounters(options: MemoryCountersOptions): Counters {
  const { maxCounters, elapsedMs = () => performance.now() } = options;
  const limiter = new RateLimiterMemory({ points: 0, duration: 0, keyPrefix: '' });
  const kept = new Keeper();
  const inTurn = createTurns();
  const usedOf = async ({ counter }: { counter: string }) => (await limiter.get(counter))?.consumedPoints;
  const free = async () => {
    for (const name of kept.expired(elapsedMs(), freedAtOnce)) await limiter.delete(name);
  };

  const take = async (session: string, all: readonly Charge[], nowMs: number) => {
    await free();
    const keep = (name: string, endsAtMs: number) => kept.add(name, endsAtMs, elapsedMs() + endsAtMs - nowMs + slackMs);
    const before = await Promise.all(all.map(usedOf));
    const room = maxCounters - kept.size - 1;
    const added = (group: (charge: Charge) => boolean) =>
      all.filter((charge, i) => before[i] === undefined && group(charge)).length;
    if (added(({ group }) => group === 0) > room) throw new LimitsUnavailable('there are too many counters of limits');
    const counted = (charge: Charge) => charge.group === 0 || added(() => true) <= room;
    const counts = decide(all, before);
    if (counts.some(({ fits }, i) => all[i]?.group === 0 && !fits)) return counts;
    keep(openKey(session), Math.max(...all.map(({ endsAtMs }) => endsAtMs)));
    return Promise.all(
      all.map(async (charge, i) => {
        if (!counted(charge)) return undefined;
        const count = counts[i] as Count;
        if (!count.taken) return count;
        keep(charge.counter, charge.endsAtMs);
        const { consumedPoints } = await limiter.penalty(charge.counter, charge.amount);
        return { ...count, used: consumedPoints };
      }),
    );
  };
  const correct = async (session: string, corrections: readonly Correction[]) => {
    await free();
    if (!kept.remove(openKey(session))) return false;
    for (const { counter, by } of corrections) {
      const used = await usedOf({ counter });
      if (used !== undefined) await limiter.penalty(counter, Math.max(by, -used));
    }
    return true;
  };
  return {
    take: (session, charges, nowMs) => inTurn(() => take(session, charges, nowMs)),
    correct: (session, corrections) => inTurn(() => correct(session, corrections)),
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

/** Names by the end of their window, so that freeing looks at windows rather than at names. */
class Keeper {
  readonly #ends = new Map<string, number>();
  readonly #windows = new Map<number, { readonly freeAtMs: number; readonly names: Set<string> }>();

  get size(): number {
    return this.#ends.size;
  }

  add(name: string, endsAtMs: number, freeAtMs: number): void {
    if (this.#ends.get(name) === endsAtMs) return;
    this.remove(name);
    this.#ends.set(name, endsAtMs);
    const window = this.#windows.get(endsAtMs);
    if (window === undefined) this.#windows.set(endsAtMs, { freeAtMs, names: new Set([name]) });
    else window.names.add(name);
  }

  /** Says whether it was there. */
  remove(name: string): boolean {
    const endsAtMs = this.#ends.get(name);
    if (endsAtMs === undefined) return false;
    this.#ends.delete(name);
    const window = this.#windows.get(endsAtMs);
    window?.names.delete(name);
    if (window?.names.size === 0) this.#windows.delete(endsAtMs);
    return true;
  }

  /** Removes `most` at most that may be freed. */
  expired(elapsedMs: number, most: number): readonly string[] {
    const found: string[] = [];
    for (const { freeAtMs, names } of this.#windows.values()) {
      if (freeAtMs > elapsedMs) continue;
      for (const name of names) {
        if (found.length === most) break;
        found.push(name);
      }
    }
    for (const name of found) this.remove(name);
    return found;
  }
}
