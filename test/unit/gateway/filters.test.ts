import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config.ts';
import { paced } from '../../../src/exchange/pace.ts';
import { type FilterLists, openFilters } from '../../../src/gateway/filters.ts';
import { createLog } from '../../../src/observe/log.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';

describe('content filters in force', () => {
  let dir: string;
  let log: string[];
  let lists: FilterLists | undefined;
  const metrics = createMetrics({ version: '1', node: '1' });
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-filters-'));
    log = [];
  });
  afterEach(async () => {
    await lists?.close();
    rmSync(dir, { recursive: true });
  });

  async function open(interval: string, more: object = { filters: [{ name: 'bad', wordFiles: ['words'] }] }) {
    const file = join(dir, 'sallyport.yaml');
    const provider = { name: 'corp', issuer: 'https://idp.example', audience: 'a', algorithms: ['ES256'] };
    writeFileSync(
      file,
      stringify({ identity: { providers: [provider] }, policies: { reload: { interval } }, ...more }),
    );
    const loaded = loadConfig(file, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const target = { write: (line: string) => log.push(line) };
    lists = await openFilters({ config: loaded.config, log: createLog({ level: 'info', target }), metrics });
    return lists;
  }
  const write = (text: string | Buffer) => writeFileSync(join(dir, 'words'), text);
  const found = async (text: string) => Object.fromEntries(await paced(lists!.current.count(text)));

  it('are none where none are configured', async () => {
    expect(await open('off', {})).toBeUndefined();
  });

  it('are read again when a file changes, and named by the log, the status and a metric', async () => {
    write('bomb\nknife');
    await open('1s');
    const first = lists!.current.revision;
    expect(lists!.status).toMatch(new RegExp(`^1 filter\\(s\\), 2 entries, revision ${first}, in force since 2`));
    expect(log.join('')).toContain('content filters come into force');
    expect(await metrics.text()).toContain(`sallyport_filters_entries{revision="${first}"} 2`);
    write('bomb\nknife\npistol');
    await expect.poll(() => lists!.current.revision, { timeout: 10_000 }).not.toBe(first);
    expect(await found('a pistol')).toEqual({ bad: 1 });
    expect(lists!.status).toContain(`3 entries, revision ${lists!.current.revision}`);
    expect(log.filter((line) => line.includes('come into force'))).toHaveLength(2);
    expect(await metrics.text()).not.toContain(first);
  });

  it('stay when the new ones are wrong, which is said until they are right', async () => {
    write('bomb');
    await open('off');
    const { revision } = lists!.current;
    write(Buffer.of(0xff));
    await lists!.reload();
    expect(lists!.current.revision).toBe(revision);
    expect(lists!.status).toMatch(/; refused since \S+: .*words:1:1 is not UTF-8$/);
    expect(log.join('')).toContain('those in force stay');
    expect(await metrics.text()).toContain('sallyport_filter_reloads_total{outcome="refused"} 1');
    write('bomb');
    await lists!.reload();
    expect(lists!.status).not.toContain('refused');
    expect(log.at(-1)).toContain('read again: the same');
  });

  it('are not watched where that is off', async () => {
    write('bomb');
    await open('off');
    write('knife');
    expect(await found('a knife')).toEqual({});
    await lists!.reload();
    expect(await found('a knife')).toEqual({ bad: 1 });
  });

  it('that are wrong at the start stop it, and say what is wrong', async () => {
    await expect(open('off')).rejects.toThrow(/words:1:1 cannot be read: it is not there/);
  });
});
