import type { Charge } from './windows.ts';

/** How one charge went. */
export interface Count {
  /** Whether the amount fits in. */
  readonly fits: boolean;
  /** Whether it was taken: it fits, and so does all else of its group and of group 0. */
  readonly taken: boolean;
  /** What the counter says afterwards. */
  readonly used: number;
}

/** What is to be added to a counter (or taken from it) when its session is over. */
export interface Correction {
  readonly counter: string;
  readonly by: number;
  readonly endsAtMs: number;
}

/**
 * The counters behind a limiter, in memory or shared. Both methods are atomic: nobody sees half of one. Reject with
 * LimitsUnavailable when the counters cannot be reached; the work may then have been done all the same.
 */
export interface Counters {
  /**
   * Takes every charge whose group fits, if group 0 does, else none, and then remembers that the session is open. An entry
   * is undefined for a dry run that could not be counted.
   */
  take(session: string, charges: readonly Charge[], nowMs: number): Promise<readonly (Count | undefined)[]>;
  /**
   * Corrects the counters that are still there, if the session is open, and ends it. Says whether it was. A counter never
   * goes below 0.
   */
  correct(session: string, corrections: readonly Correction[]): Promise<boolean>;
  health(): { readonly ready: boolean; readonly detail: string };
  close(): Promise<void>;
}

/** How long a counter outlives its window, so that replicas whose clocks differ by seconds still share it. */
export const slackMs = 60_000;
