/**
 * Request rates and token budgets: fixed UTC windows, reserved before dispatch, settled once by what was used.
 *
 * A window of `windowMs` begins at a whole multiple of `windowMs` since 1970-01-01T00:00Z, so `1d` is the UTC day; windows of
 * whole weeks begin on a Monday. Each rule has counters of its own, and a dry run has others than the enforced rule.
 */
import type { LimitCharge } from '../policy/decision.ts';

/** One window that a session holds a reservation in; goes with the plan, so that whoever takes the stream can settle it. */
export interface Reservation {
  /** Key of the counter, the window's start included: settled into this window and no other. Says nothing of the caller. */
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
  /** The request did not fit in: an enforced one refuses, a dry run is only recorded. */
  readonly exceeded: boolean;
}

export type Admission =
  | { readonly ok: true; readonly reservations: readonly Reservation[]; readonly states: readonly LimitState[] }
  | {
      readonly ok: false;
      /** The limit that refused; of several, the one whose window ends last. Nothing stays reserved. */
      readonly by: LimitState;
      readonly message: string | undefined;
      readonly states: readonly LimitState[];
      /** False: the request is larger than a whole limit, so that no window will ever take it. */
      readonly retryable: boolean;
    };

/** What a request may cost in tokens. */
export interface TokenDemand {
  /** Estimate of what is sent. */
  readonly inputTokens: number;
  /** The most that the answer may have, all choices together; undefined: the client named no maximum, and one is assumed. */
  readonly maxOutputTokens: number | undefined;
}

/** What a session used, once it is over. */
export interface Used {
  /** Input and output together. */
  readonly tokens: number;
}

export interface Limiter {
  /**
   * Charges every window of every limit, or none; dry runs are charged beside them, each rule by itself. `session`: under
   * this name, and once, it is settled or released later. Rejects with LimitsUnavailable when the counters are out of reach
   * (or too many), some charge is enforced, and the config does not say `local`.
   */
  reserve(session: string, charges: readonly LimitCharge[], demand: TokenDemand, nowMs: number): Promise<Admission>;
  /**
   * Gives all of it back, requests too: nothing was dispatched. What comes second of release and settle does nothing, also
   * in another process. Never rejects: what cannot be reached is tried again in the background for a while, then stands.
   */
  release(session: string, reservations: readonly Reservation[]): Promise<void>;
  /** Replaces the tokens that were reserved by those used, more or fewer, in windows that have not ended. Otherwise as `release`. */
  settle(session: string, reservations: readonly Reservation[], used: Used): Promise<void>;
  health(): { readonly ready: boolean; readonly detail: string };
  /** Tries once more what is still to be given back, then closes. */
  close(): Promise<void>;
}

/** Told what happens, for metrics. */
export interface LimitsObserver {
  /** A request passed its limits. */
  reserved(): void;
  /** A request was refused by this limit. */
  refused(by: LimitState): void;
  settled(how: 'settled' | 'released'): void;
  /** A reservation that can no longer be settled or given back: it stands until its windows end. */
  stands(): void;
  /** The counters were out of reach; what was done instead. `open`: there were only dry runs. */
  unavailable(instead: 'closed' | 'local' | 'open'): void;
}

/** The counters cannot be reached, or are too many: the gate closes (503). */
export class LimitsUnavailable extends Error {
  readonly code = 'limits_unavailable';
  /** Whether what was asked for may have been done all the same. */
  readonly unsure: boolean;

  constructor(message: string, options: { readonly cause?: unknown; readonly unsure?: boolean } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.unsure = options.unsure ?? false;
  }
}
