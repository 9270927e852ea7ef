/** The limits as the gates see them: charged before a yes, settled at the session's end. */

import type { LimitStage, Plan } from '../checkpoint/stages.ts';
import type { Config } from '../config.ts';
import type { Ending } from '../envoy/sessions.ts';
import { estimatedTokens } from '../exchange/text-size.ts';
import { limitHeaders, retryAfter } from '../limits/headers.ts';
import type { Limiter } from '../limits/limiter.ts';
import { openLimiter } from '../limits/open.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from './request.ts';

export interface GateLimits extends LimitStage {
  /** A session is over, however it ended. */
  readonly over: (plan: Plan, ending: Ending) => void;
}

/** Rejects with StateUnavailable where its Redis cannot be used, unless the config says `local`. */
export async function openLimits(
  { limits, state }: Config,
  environment: Readonly<Record<string, string | undefined>>,
  metrics: Metrics,
): Promise<Limiter> {
  return await openLimiter({
    config: limits,
    state,
    environment,
    now: nowMs,
    observer: {
      reserved: () => metrics.limit('reserved'),
      refused: () => metrics.limit('refused'),
      settled: (how) => metrics.limit(how),
      stands: () => metrics.limit('stands'),
      unavailable: (instead) => metrics.limit(instead),
    },
  });
}

export function limitStage(limiter: Limiter): GateLimits {
  return {
    reserve: (session, charges, demand) => limiter.reserve(session, charges, demand, nowMs()),
    release: (session, reservations) => void limiter.release(session, reservations),
    headers: (format, states) => limitHeaders(states, format, nowMs()),
    retryAfter,
    over: ({ session, reservations, tokens }, ending) => {
      if (reservations.length === 0) return;
      if (ending.notSent || NEVER_SENT.has(ending.how)) void limiter.release(session, reservations);
      else void limiter.settle(session, reservations, { tokens: usedTokens(tokens, ending) });
    },
  };
}

/** Ends of sessions whose request never reached a model, whatever Envoy says. */
const NEVER_SENT: ReadonlySet<Ending['how']> = new Set(['not_dispatched', 'client_gone', 'denied']);

/**
 * As the model reported them; else the request as estimated, and what was delivered. Before its end a stream reports little
 * (Anthropic's `message_start` says `output_tokens: 1`): then what was delivered counts where that is more.
 */
export function usedTokens(
  estimated: number,
  {
    how,
    inputTokens = 0,
    outputTokens = 0,
    textBytes,
  }: Pick<Ending, 'how' | 'inputTokens' | 'outputTokens' | 'textBytes'>,
): number {
  const delivered = estimatedTokens(textBytes);
  const reported = how === 'complete' && outputTokens > 0;
  return (inputTokens > 0 ? inputTokens : estimated) + (reported ? outputTokens : Math.max(outputTokens, delivered));
}
