import { describe, expect, it } from 'vitest';
import { clockSteps } from '../../../src/gateway/clock-steps.ts';

const hour = 3_600_000;

function clocks() {
  let [wallMs, tick] = [Date.UTC(2026, 0, 15), 0];
  const isEven = clockSteps({ now: () => wallMs, monotonic: () => tick });
  return {
    isEven,
    set: (byMs: number) => {
      wallMs += byMs;
    },
    pass: (ms: number) => {
      wallMs += ms;
      tick += ms;
    },
  };
}

describe('the look at the clock', () => {
  it('finds nothing in time that passes, nor in small corrections', () => {
    const { isEven, pass, set } = clocks();
    expect(isEven()).toBe(true);
    pass(48 * hour);
    expect(isEven()).toBe(true);
    for (let n = 0; n < 100; n++) {
      pass(10_000);
      set(30_000);
      expect(isEven()).toBe(true);
    }
  });

  it.each([3 * hour, -3 * hour, 60_001])('trusts no clock that was set by %d ms for over an hour', (byMs) => {
    const { isEven, pass, set } = clocks();
    set(byMs);
    expect(isEven()).toBe(false);
    pass(hour);
    expect(isEven()).toBe(false);
    pass(600_001);
    expect(isEven()).toBe(true);
  });

  it('waits again when the clock is set back', () => {
    const { isEven, pass, set } = clocks();
    set(3 * hour);
    isEven();
    pass(hour);
    set(-3 * hour);
    expect(isEven()).toBe(false);
    pass(hour);
    expect(isEven()).toBe(false);
  });
});
