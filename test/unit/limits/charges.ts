/** Limits as a decision names them, and a limiter's observer that counts. */
import type { LimitsObserver, TokenDemand } from '../../../src/limits/limiter.ts';
import type { LimitCharge, LimitWindow } from '../../../src/policy/decision.ts';

export const minute = 60_000;
export const day = 86_400_000;
/** A Wednesday, 2026-11-18T12:00:00Z. */
export const noon = Date.UTC(2026, 10, 18, 12);

export const requests = (amount: number, windowMs = minute): LimitWindow => ({ unit: 'requests', amount, windowMs });
export const tokens = (amount: number, windowMs = minute): LimitWindow => ({ unit: 'tokens', amount, windowMs });

export const limit = (windows: readonly LimitWindow[], more: Partial<LimitCharge> = {}): LimitCharge => ({
  policy: 'budgets',
  rule: 'per-person',
  mode: 'enforce',
  key: 'string:alice',
  windows,
  message: undefined,
  ...more,
});

/** What a request sends and may get back. */
export const of = (inputTokens: number, maxOutputTokens = 0): TokenDemand => ({ inputTokens, maxOutputTokens });

export const countingObserver = () => {
  const seen: Record<string, number> = {};
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  const observer: LimitsObserver = {
    reserved: () => count('reserved'),
    refused: (by) => count(`refused ${by.policy}/${by.rule} ${by.unit}`),
    settled: (how) => count(how),
    stands: () => count('stands'),
    unavailable: (instead) => count(`unavailable: ${instead}`),
  };
  return { seen, observer };
};
