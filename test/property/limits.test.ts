import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryCounters } from '../../src/limits/memory-counters.ts';
import { windowEnd } from '../../src/limits/windows.ts';
import { expectAsModelled, rounds } from '../unit/limits/model.ts';

test('whatever is reserved, settled and released at once, no limit is passed and counters end at what was used', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(rounds, async (all) => {
      runs += 1;
      await expectAsModelled(createMemoryCounters({ maxCounters: 10_000 }), all);
    }),
    { numRuns: 300 },
  );
  expect(runs).toBeGreaterThanOrEqual(300);
});

test('every moment is in exactly one window of each length', () => {
  const lengths = fc.constantFrom(1000, 60_000, 3_600_000, 5 * 3_600_000, 86_400_000, 7 * 86_400_000, 30 * 86_400_000);
  fc.assert(
    fc.property(lengths, fc.integer({ min: 0, max: 4_102_444_800_000 }), (windowMs, nowMs) => {
      const endsAtMs = windowEnd(windowMs, nowMs);
      expect(endsAtMs > nowMs && endsAtMs - windowMs <= nowMs).toBe(true);
      expect(windowEnd(windowMs, endsAtMs - 1)).toBe(endsAtMs);
      expect(windowEnd(windowMs, endsAtMs)).toBe(endsAtMs + windowMs);
    }),
  );
});
