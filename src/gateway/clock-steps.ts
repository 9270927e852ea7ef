export interface Clocks {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. Default `performance.now`. */
  readonly monotonic?: () => number;
}

/** The wall clock was set when it and the monotonic one differ by more since the last look. */
const stepMs = 60_000;
/** Longer than any token lives that the gateway gives out. */
const settledMs = 4_200_000;

/**
 * A look at the clock, to be taken regularly: whether it has gone evenly for over an hour, or ever since the process began. By
 * a clock that was set ahead for a moment, revocations and used assertions would seem to have expired.
 */
export function clockSteps({ now, monotonic = () => performance.now() }: Clocks): () => boolean {
  let [wallMs, tick] = [now(), monotonic()];
  let setAtTick = Number.NEGATIVE_INFINITY;
  return () => {
    const [nextMs, next] = [now(), monotonic()];
    if (Math.abs(nextMs - wallMs - (next - tick)) > stepMs) setAtTick = next;
    [wallMs, tick] = [nextMs, next];
    return next - setAtTick > settledMs;
  };
}
