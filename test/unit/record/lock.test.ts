import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openJournal } from '../../../src/record/journal.ts';
import { folder, journalOptions, records } from './events.ts';

/** A process that opens a journal in `dir`, writes one request, says so, and stays. */
async function owner(dir: string): Promise<ChildProcess> {
  const source = new URL('../../../src/record/', import.meta.url);
  const script = `
    const { openJournal } = await import(${JSON.stringify(fileURLToPath(new URL('journal.ts', source)))});
    const { journalConfig } = await import(${JSON.stringify(fileURLToPath(new URL('config.ts', source)))});
    const journal = await openJournal(journalConfig.parse({ dir: ${JSON.stringify(dir)} }));
    journal.event({ type: 'request', session: 's', at: 1, caller: {}, http: {} });
    await journal.durable();
    process.stdout.write('ready');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child.stdout!, 'data');
  return child;
}

describe('the lock of a journal folder', () => {
  it('holds against another process while its owner lives, and is free the moment a kill -9 ends it', async () => {
    const dir = folder();
    const child = await owner(dir);
    await expect(openJournal(journalOptions(dir))).rejects.toMatchObject({
      code: 'journal_locked',
      message: expect.stringContaining('another live process writes the journal'),
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const journal = await openJournal(journalOptions(dir));
    onTestFinished(() => journal.close());
    expect(journal.recovered.unended).toBe(1);
    const found = await records(dir);
    expect(found.map((record) => record.kind === 'event' && record.type)).toEqual(['request', 'end']);
  });
});
