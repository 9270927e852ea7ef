/** What callers are told of their limits, in the words of their own SDK. */
import type { LimitState } from './limiter.ts';

export type Header = readonly [name: string, value: string];

type Unit = LimitState['unit'];
const units: readonly Unit[] = ['requests', 'tokens'];

/** RFC 9651, section 3.3.1: an Integer has 15 digits at most. */
const largestInteger = 999_999_999_999_999;

/**
 * `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), and what the SDK of the format reads:
 * `anthropic-ratelimit-*` (platform.claude.com, "Rate limits", response headers) for `anthropic-messages`, OpenAI's
 * `x-ratelimit-*` (platform.openai.com, "Rate limits", headers) for all others. Of each unit the tightest window is shown;
 * dry runs never are, nor the key that a limit counts by.
 */
export function limitHeaders(states: readonly LimitState[], format: string, nowMs: number): readonly Header[] {
  const shown = units.flatMap((unit) => tightest(states, unit) ?? []);
  if (shown.length === 0) return [];
  const sdk = format === 'anthropic-messages' ? anthropicHeaders : openaiHeaders;
  return [
    ['ratelimit-policy', shown.map(policyItem).join(', ')],
    ['ratelimit', shown.map(limitItem).join(', ')],
    ...shown.flatMap((state) => sdk(state, nowMs)),
  ];
}

/** Seconds until a refusal by `by` may be over (RFC 9110, section 10.2.3), 1 at least: for 429. */
export const retryAfter = (by: LimitState): Header => ['retry-after', String(Math.max(1, secondsLeft(by)))];

/** Fewest left; of equals, the one that lasts longest. One that refused comes first: it is what the caller has to heed. */
function tightest(states: readonly LimitState[], unit: Unit): LimitState | undefined {
  const [first] = states
    .filter((state) => state.mode === 'enforce' && state.unit === unit)
    .toSorted((a, b) => Number(b.exceeded) - Number(a.exceeded) || a.remaining - b.remaining || b.resetMs - a.resetMs);
  return first;
}

const policyItem = (state: LimitState): string =>
  `"${nameOf(state)}";q=${integer(state.limit)};w=${integer(Math.ceil(state.windowMs / 1000))};qu="${state.unit}"`;

const limitItem = (state: LimitState): string =>
  `"${nameOf(state)}";r=${integer(state.remaining)};t=${integer(secondsLeft(state))}`;

/** The rule, unit and window: unlike any other of the list. Only characters of a token. */
const nameOf = ({ rule, unit, windowMs }: LimitState): string =>
  `${rule.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 100)}-${unit}-${windowName(windowMs)}`;

/** `1d`, `5h`, `90s`: as policies write it. */
function windowName(windowMs: number): string {
  const unit = windowUnits.find(([, ms]) => windowMs % ms === 0) ?? (['s', 1000] as const);
  return `${Math.ceil(windowMs / unit[1])}${unit[0]}`;
}

const windowUnits = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const;

function openaiHeaders(state: LimitState): readonly Header[] {
  const { unit, limit, remaining } = state;
  return [
    [`x-ratelimit-limit-${unit}`, String(limit)],
    [`x-ratelimit-remaining-${unit}`, String(remaining)],
    [`x-ratelimit-reset-${unit}`, goDuration(secondsLeft(state))],
  ];
}

function anthropicHeaders({ unit, limit, remaining, resetMs }: LimitState, nowMs: number): readonly Header[] {
  return [
    [`anthropic-ratelimit-${unit}-limit`, String(limit)],
    [`anthropic-ratelimit-${unit}-remaining`, String(remaining)],
    // RFC 3339, without fractions, as Anthropic writes it.
    [`anthropic-ratelimit-${unit}-reset`, new Date(nowMs + resetMs).toISOString().replace(/\.\d+Z$/, 'Z')],
  ];
}

const secondsLeft = ({ resetMs }: LimitState): number => Math.max(0, Math.ceil(resetMs / 1000));

const integer = (value: number): string => String(Math.min(value, largestInteger));

/** `45s`, `1m30s`, `24h0m0s`: how Go, and OpenAI, write durations. */
function goDuration(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
