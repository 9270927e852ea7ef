/** Request rates and token budgets: fixed UTC windows, reserved before dispatch, settled once by what was used. */
import type { LimitCharge } from '../policy/decision.ts';

/** One window that a session holds a reservation in; goes with the plan, so that whoever takes the stream can settle it. */
export interface Reservation {
  /** Key of the counter, the window's start included: settled into this window and no other. */
  readonly counter: string;
  readonly unit: 'requests' | 'tokens';
  /** What was reserved. */
  readonly amount: number;
  /** Epoch milliseconds at which the window ends. */
  readonly endsAtMs: number;
}

/** Where a limit stands after this request, for `RateLimit` and `x-ratelimit-*` headers. */
export interface LimitState {
  readonly policy: string;
  readonly rule: string;
  readonly mode: 'enforce' | 'dryRun';
  readonly unit: 'requests' | 'tokens';
  readonly limit: number;
  /** 0 at least. */
  readonly remaining: number;
  readonly windowMs: number;
  /** Milliseconds until the window ends. */
  readonly resetMs: number;
  /** This one is used up: an enforced one refuses, a dry run is only recorded. */
  readonly exceeded: boolean;
}

export type Admission =
  | { readonly ok: true; readonly reservations: readonly Reservation[]; readonly states: readonly LimitState[] }
  | {
      readonly ok: false;
      /** The limit that refused. Nothing stays reserved. */
      readonly by: LimitState;
      readonly message: string | undefined;
      readonly states: readonly LimitState[];
    };

/** What a session used, once it is over. */
export interface Used {
  /** Input and output together. */
  readonly tokens: number;
}

export interface Limiter {
  /**
   * Charges every window of every limit, or none. `tokens`: estimate of the request and the most that the answer may have.
   * Rejects with LimitsUnavailable when the shared counters are out of reach and the config does not say `local`.
   */
  reserve(charges: readonly LimitCharge[], tokens: number, nowMs: number): Promise<Admission>;
  /** Gives all of it back: nothing was dispatched. Once a session. */
  release(session: string, reservations: readonly Reservation[]): Promise<void>;
  /** Replaces what was reserved by what was used, once a session, as long as the window lasts. */
  settle(session: string, reservations: readonly Reservation[], used: Used): Promise<void>;
  health(): { readonly ready: boolean; readonly detail: string };
  close(): Promise<void>;
}

/** The counters cannot be reached: the gate closes (503). */
export class LimitsUnavailable extends Error {
  readonly code = 'limits_unavailable';
}
