import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { createMemoryState } from '../../src/state/memory.ts';
import { openSqliteState } from '../../src/state/sqlite.ts';
import { expectSameAnswers, steps } from '../unit/state/same-answers.ts';

const dir = mkdtempSync(join(tmpdir(), 'state-property-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('whatever is done to them, SQLite and memory answer alike', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      runs += 1;
      const clock = { nowMs: 1_000 };
      const now = () => clock.nowMs;
      const sqlite = openSqliteState({ file: join(dir, `${runs}.db`), busyTimeoutMs: 1000, now });
      try {
        await expectSameAnswers([createMemoryState({ now }), sqlite], clock, all);
      } finally {
        await sqlite.close();
      }
    }),
    { numRuns: 100 },
  );
  expect(runs).toBeGreaterThanOrEqual(100);
});
