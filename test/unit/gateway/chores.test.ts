import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chores } from '../../../src/gateway/chores.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const quiet = () => {
  const lines: string[] = [];
  return {
    lines,
    log: {
      warn: (text: string) => void lines.push(`warn ${text}`),
      info: (text: string) => void lines.push(`info ${text}`),
    },
  };
};

describe('what is done again and again', () => {
  it('is done once before the start goes on, then each time after it ended', async () => {
    let runs = 0;
    const { stop } = await chores(quiet().log, [{ part: 'x', everyMs: 1000, run: async () => void runs++ }]);
    expect(runs).toBe(1);
    await vi.advanceTimersByTimeAsync(3000);
    expect(runs).toBe(4);
    await stop();
    await vi.advanceTimersByTimeAsync(3000);
    expect(runs).toBe(4);
  });

  it('goes on after a failure, which is told once, as is its end', async () => {
    let isBroken = true;
    const { lines, log } = quiet();
    const run = async () => {
      if (isBroken) throw new Error('lost');
    };
    const { stop } = await chores(log, [{ part: 'x', everyMs: 1000, run }]);
    await vi.advanceTimersByTimeAsync(5000);
    isBroken = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect(lines).toEqual([expect.stringMatching(/^warn .*failed/), expect.stringMatching(/^info .*again/)]);
    await stop();
  });

  it('is not begun again while it runs, and is waited for at the stop', async () => {
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const run = async () => {
      runs++;
      if (runs === 2) await gate.promise;
    };
    const { stop } = await chores(quiet().log, [{ part: 'x', everyMs: 1000, run }]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(runs).toBe(2);
    let isStopped = false;
    const stopping = stop().then(() => {
      isStopped = true;
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(isStopped).toBe(false);
    gate.resolve();
    await stopping;
    expect(isStopped).toBe(true);
  });
});
