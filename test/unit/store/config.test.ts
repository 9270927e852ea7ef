import { describe, expect, it } from 'vitest';
import { storeConfig } from '../../../src/store/config.ts';

describe('the store section of the config', () => {
  it('is the embedded engine when nothing is said', () => {
    expect(storeConfig.parse(undefined)).toEqual({
      engine: 'embedded',
      dir: 'store',
      memoryBytes: 1024 ** 3,
      insertTimeoutMs: 120_000,
      queryTimeoutMs: 30_000,
      retention: { eventDays: 400, contentDays: 90 },
    });
  });

  it.each([
    [{ engine: 'postgres' }, 'engine'],
    [{ engine: 'embedded', url: 'http://x' }, 'url'],
    [{ engine: 'embedded', memoryBytes: 1000 }, 'memoryBytes'],
    [{ engine: 'clickhouse' }, 'url'],
    [{ engine: 'clickhouse', url: 'ftp://x' }, 'url'],
    [{ engine: 'clickhouse', url: 'https://me:secret@x' }, 'url'],
    [{ engine: 'clickhouse', url: 'https://x', database: 'a; DROP TABLE b' }, 'database'],
    [{ engine: 'clickhouse', url: 'https://x', password: 'in clear' }, 'password'],
    [{ engine: 'clickhouse', url: 'https://x', passwordEnv: 'A', passwordFile: 'b' }, 'passwordFile'],
    [{ engine: 'clickhouse', url: 'https://x', certFile: 'a' }, 'keyFile'],
    [{ engine: 'embedded', retention: { contentDays: 0 } }, 'contentDays'],
  ])('refuses %j and names %s', (section, name) => {
    const result = storeConfig.safeParse(section);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(name);
    expect(JSON.stringify(result.error?.issues)).not.toContain('secret');
  });
});
