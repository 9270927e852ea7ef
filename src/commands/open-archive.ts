import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, environment } from '../config.ts';
import { openRecord } from '../gateway/record.ts';
import { createLog } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import type { OpenArchive } from './admin-client.ts';

const readyWithinMs = 20_000;
const pollMs = 50;

/**
 * Opens the record where no gateway runs: journal and store, both owned by one process at a time. What the last run did not
 * ship is shipped first, so that the newest sessions are there.
 */
export const openArchive: OpenArchive = async (config: Config) => {
  // A look must not make an empty record where there is none: the folder may be the wrong one.
  if (!existsSync(config.record.journal.dir)) throw new Error('there is none yet');
  const record = await openRecord({
    config,
    environment: environment(),
    log: createLog({ level: 'silent', target: process.stderr }),
    metrics: createMetrics({ version: '', node: process.version }),
    disk: undefined,
  });
  try {
    const deadlineMs = performance.now() + readyWithinMs;
    while (!record.health().ok) {
      const health = record.health();
      if (performance.now() > deadlineMs)
        throw new Error(`the store does not answer: ${health.ok ? '' : health.error}`);
      await sleep(pollMs);
    }
    await Promise.race([record.shipper.drained(), sleep(readyWithinMs, undefined, { ref: false })]);
  } catch (error) {
    await record.close();
    throw error;
  }
  return { archive: record.archive, close: () => record.close() };
};
