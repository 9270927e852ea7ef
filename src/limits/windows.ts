/** From limits to counters: which windows a request is charged in, and with how much. */
import { createHash } from 'node:crypto';
import type { LimitCharge, LimitWindow } from '../policy/decision.ts';
import type { TokenDemand } from './limiter.ts';

/** One window of one limit, and what this request would take of it. */
export interface Charge {
  readonly counter: string;
  readonly amount: number;
  readonly limit: number;
  readonly endsAtMs: number;
  /** 0: enforced. Each dry run has a number of its own. What is in one group is taken as a whole or not at all. */
  readonly group: number;
  readonly window: LimitWindow;
  readonly of: LimitCharge;
}

const weekMs = 7 * 86_400_000;
/** 1970-01-05, a Monday. */
const mondayMs = 4 * 86_400_000;
/** What one request or answer counts at most: sums of millions of them are still exact, in JavaScript and in Redis. */
const mostTokens = 2 ** 40;

/** Start of the window that `nowMs` is in. */
export function windowStart(windowMs: number, nowMs: number): number {
  const firstMs = windowMs % weekMs === 0 ? mondayMs : 0;
  return Math.floor((nowMs - firstMs) / windowMs) * windowMs + firstMs;
}

/** Its end, when the next one begins. */
export const windowEnd = (windowMs: number, nowMs: number): number => windowStart(windowMs, nowMs) + windowMs;

/** Whole tokens, 0 at least. Throws RangeError for what is no number: a bug. */
export function wholeTokens(tokens: number): number {
  if (Number.isNaN(tokens)) throw new RangeError('tokens must be a number');
  return Math.min(Math.max(0, Math.ceil(tokens)), mostTokens);
}

/**
 * The windows that `charges` name, each counter once. Where the client named no maximum, `assumedMaxTokens` is assumed for
 * the answer, but no more than the window has room for at all: an assumption alone must not make a request too large for ever.
 */
export function chargesOf(
  charges: readonly LimitCharge[],
  demand: TokenDemand,
  assumedMaxTokens: number,
  nowMs: number,
): readonly Charge[] {
  const input = wholeTokens(demand.inputTokens);
  const most = demand.maxOutputTokens === undefined ? undefined : wholeTokens(demand.maxOutputTokens);
  const tokensFor = (limit: number) => input + (most ?? Math.min(assumedMaxTokens, Math.max(0, limit - input)));
  const found = new Map<string, Charge>();
  for (const [index, of] of charges.entries()) {
    const rule = ruleKey(of);
    for (const window of of.windows) {
      const { unit, amount: limit, windowMs } = window;
      const endsAtMs = windowEnd(windowMs, nowMs);
      const counter = `${rule}:${unit === 'requests' ? 'r' : 't'}${windowMs}:${endsAtMs}`;
      const known = found.get(counter);
      if (known !== undefined && known.limit <= limit) continue;
      const amount = unit === 'requests' ? 1 : tokensFor(limit);
      found.set(counter, {
        ...{ counter, amount, limit, endsAtMs, window, of },
        group: of.mode === 'enforce' ? 0 : index + 1,
      });
    }
  }
  return [...found.values()];
}

/**
 * Names a rule's counters for one key. 144 bits of SHA-256: nobody reads the key from it, and no two rules or keys meet.
 * JSON keeps the parts apart.
 */
function ruleKey({ policy, rule, mode, key }: LimitCharge): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([policy, rule, mode, key]))
    .digest();
  return digest.subarray(0, 18).toString('base64url');
}
