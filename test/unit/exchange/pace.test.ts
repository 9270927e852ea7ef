import { describe, expect, it } from 'vitest';
import { Abandoned, Pacer, type Work } from '../../../src/exchange/pace.ts';

/** A pacer on a clock of its own: `turns` holds what the event loop would run next. */
function paced(sliceMs: number) {
  let at = 0;
  const due: (() => void)[] = [];
  const pacer = new Pacer({ now: () => at, nextTurn: (run) => due.push(run), sliceMs });
  /** Runs one turn of the event loop; answers with how long it was held. */
  const turn = (): number => {
    const began = at;
    for (const run of due.splice(0)) run();
    return at - began;
  };
  function* work(steps: number, stepMs: number): Work<number> {
    for (let i = 1; i < steps; i++) {
      at += stepMs;
      yield;
    }
    at += stepMs;
    return steps;
  }
  return { pacer, turn, work, now: () => at, isDue: () => due.length > 0 };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the pacer', () => {
  it('answers small work at once, without a turn of the event loop', () => {
    const { pacer, work } = paced(2);
    expect(pacer.run(work(3, 0.1))).toBe(3);
    expect(pacer.waiting).toBe(0);
  });

  it.each([1, 8, 50, 500])('holds the loop for one slice a turn, with %i bodies in work', async (bodies) => {
    const { pacer, turn, work, now, isDue } = paced(2);
    const began = now();
    const results = Array.from({ length: bodies }, () => pacer.run(work(40, 0.25)));
    // All that arrive in one turn share its slice.
    expect(now() - began).toBeLessThanOrEqual(2 + 0.25);
    let longest = 0;
    let turns = 0;
    for (; isDue(); turns++) longest = Math.max(longest, turn());
    expect(await Promise.all(results)).toEqual(new Array(bodies).fill(40));
    expect(longest).toBeLessThanOrEqual(2 + 2 * 0.25);
    expect(turns).toBeGreaterThanOrEqual((bodies * 10) / 2.5 - 2);
  });

  it('lets small work pass what is long, and goes on with what is long', async () => {
    const { pacer, turn, work, isDue } = paced(2);
    const order: string[] = [];
    const long = Promise.resolve(pacer.run(work(40, 0.25))).then(() => order.push('long'));
    const others = Array.from({ length: 20 }, () => Promise.resolve(pacer.run(work(40, 0.25))));
    const small = Promise.resolve(pacer.run(work(1, 0.1))).then(() => order.push('small'));
    // One step for each that came before it, and not all of their work.
    for (let i = 0; i < 6; i++) turn();
    await small;
    expect(order).toEqual(['small']);
    while (isDue()) {
      // A flood of small work in every turn.
      if (order.length < 2) for (let i = 0; i < 10; i++) void pacer.run(work(1, 0.1));
      turn();
      await settled();
    }
    await Promise.all([long, ...others]);
    expect(order).toEqual(['small', 'long']);
  });

  it('gives a step that cannot be cut a turn of its own, whatever came before it', async () => {
    let at = 0;
    const due: (() => void)[] = [];
    const pacer = new Pacer({ now: () => at, nextTurn: (run) => due.push(run), sliceMs: 2 });
    function* work(): Work<string> {
      at += 1.5;
      yield 'long';
      at += 3;
      yield 'long';
      at += 3;
      return 'done';
    }
    const result = pacer.run(work());
    const turns = [at];
    while (due.length > 0) {
      const began = at;
      for (const run of due.splice(0)) run();
      turns.push(at - began);
    }
    expect(await result).toBe('done');
    expect(turns).toEqual([1.5, 3, 3]);
    expect(pacer.waiting).toBe(0);
  });

  it('ends work that nobody waits for, and its clean-up runs', async () => {
    const { pacer, turn, work, isDue } = paced(2);
    let cancelled = false;
    let cleaned = false;
    function* tidy(): Work<number> {
      try {
        return yield* work(1000, 0.5);
      } finally {
        cleaned = true;
      }
    }
    const result = Promise.resolve(pacer.run(tidy(), () => cancelled));
    const refusal = expect(result).rejects.toBeInstanceOf(Abandoned);
    turn();
    expect(cleaned).toBe(false);
    cancelled = true;
    turn();
    expect(cleaned).toBe(true);
    await refusal;
    expect(isDue()).toBe(false);
    expect(() => pacer.run(work(1, 0), () => true)).toThrow(Abandoned);
  });

  it('passes on what work throws, at once or later, and goes on with the rest', async () => {
    const { pacer, turn, work, isDue } = paced(2);
    function* failing(steps: number): Work<number> {
      yield* work(steps, 0.5);
      throw new Error('boom');
    }
    expect(() => pacer.run(failing(1))).toThrow('boom');
    const failed = expect(pacer.run(failing(20))).rejects.toThrow('boom');
    const fine = pacer.run(work(20, 0.5));
    while (isDue()) turn();
    await failed;
    expect(await fine).toBe(20);
  });
});
