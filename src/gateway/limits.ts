/** The limits as the gates see them: charged before a yes, settled at the session's end. */
import type { LimitStage, Plan } from '../checkpoint/stages.ts';
import type { Ending } from '../envoy/sessions.ts';
import { LimitsUnavailable } from '../limits/limiter.ts';

export interface GateLimits extends LimitStage {
  /** A session is over, however it ended. */
  readonly over: (plan: Plan, ending: Ending) => void;
}

export function limitStage(): GateLimits {
  return {
    reserve: () => Promise.reject(new LimitsUnavailable('limits are not built yet')),
    release: () => {},
    assumedMaxTokens: 4096,
    headers: () => [],
    over: () => {},
  };
}
