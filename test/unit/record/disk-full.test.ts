import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openJournal } from '../../../src/record/journal.ts';
import { folder, journalOptions, records } from './events.ts';

/** Writes requests until the journal refuses, and prints what was durable and how it was refused. */
const script = (dir: string) => `
  const { openJournal } = await import(${source('journal.ts')});
  const { journalConfig } = await import(${source('config.ts')});
  const journal = await openJournal(journalConfig.parse({ dir: ${JSON.stringify(dir)} }));
  let durable = -1;
  try {
    for (;;) {
      const leaf = journal.event({ type: 'request', session: 's' + durable, at: 1, model: 'x'.repeat(3000) });
      await journal.durable();
      durable = leaf;
    }
  } catch (error) {
    console.log(JSON.stringify({ durable, code: error.code, cause: error.cause?.code, state: journal.state }));
  }
  await journal.close();`;

function source(name: string): string {
  return JSON.stringify(fileURLToPath(new URL(`../../../src/record/${name}`, import.meta.url)));
}

describe('a journal on a file system that takes no more', () => {
  it('closes the gate in the middle of a write, and keeps all that was durable for the next start', async () => {
    const dir = folder();
    // The operating system's own limit for a file, 64 KiB: the last write is cut short, the next one fails.
    const child = spawnSync(
      'sh',
      ['-c', 'ulimit -f 128; exec "$0" --input-type=module -e "$1"', process.execPath, script(dir)],
      {
        encoding: 'utf8',
      },
    );
    const outcome = JSON.parse(child.stdout) as { durable: number; code: string; cause: string; state: string };
    expect(outcome).toMatchObject({ code: 'journal_failed', cause: 'EFBIG', state: 'failed' });
    expect(outcome.durable).toBeGreaterThan(5);

    const journal = await openJournal(journalOptions(dir));
    onTestFinished(() => journal.close());
    expect(journal.recovered.damage).toEqual([]);
    expect(journal.recovered.cut?.bytes).toBeGreaterThan(0);
    const requests = (await records(dir)).filter((record) => record.kind === 'event' && record.type === 'request');
    expect(requests).toHaveLength(outcome.durable + 1);
  });
});
