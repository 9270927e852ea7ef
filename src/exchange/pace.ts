/**
 * Long work in slices. A worker is a generator that yields wherever it may be interrupted (at least every millisecond or
 * so of work); small work never yields and is answered synchronously.
 */
export type Work<T> = Generator<undefined, T, undefined>;

/** How long one slice may hold the event loop, in milliseconds; the rest of the budget of 5 ms is for a slow step. */
const sliceMs = 2.5;

/** Runs the work to its end: synchronously when it is done within one slice, else with a turn of the event loop between slices. */
export function paced<T>(work: Work<T>): T | Promise<T> {
  const first = slice(work);
  return first.done ? first.value : rest(work);
}

function slice<T>(work: Work<T>): IteratorResult<undefined, T> {
  const until = performance.now() + sliceMs;
  for (;;) {
    const step = work.next();
    if (step.done || performance.now() >= until) return step;
  }
}

async function rest<T>(work: Work<T>): Promise<T> {
  for (;;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const step = slice(work);
    if (step.done) return step.value;
  }
}
