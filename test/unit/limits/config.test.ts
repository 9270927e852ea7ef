import { describe, expect, test } from 'vitest';
import { limitsSection } from '../../../src/limits/config.ts';
import { openLimiter } from '../../../src/limits/open.ts';
import { stateSection } from '../../../src/state/config.ts';
import { countingObserver, limit, noon, of, requests } from './charges.ts';

describe('the section limits', () => {
  test('closes, waits briefly and assumes a middling answer by default', () => {
    const defaults = { onUnavailable: 'closed', timeoutMs: 250, assumedMaxTokens: 4096, maxCounters: 200_000 };
    expect(limitsSection.parse({})).toEqual(defaults);
  });

  test.each([
    [{ store: 'sqlite' }],
    [{ onUnavailable: 'open' }],
    [{ timeoutMs: 0 }],
    [{ timeoutMs: 60_000 }],
    [{ assumedMaxTokens: 0 }],
    [{ assumedMaxTokens: 1.5 }],
    [{ maxCounters: 0 }],
    [{ url: 'redis://elsewhere' }],
  ])('refuses %j', (config) => {
    expect(limitsSection.safeParse(config).success).toBe(false);
  });

  const open = (config: object, state: object) => {
    const { observer } = countingObserver();
    const sections = { config: limitsSection.parse(config), state: stateSection.parse(state) };
    return openLimiter({ ...sections, environment: {}, now: () => noon, observer });
  };

  test('counts in memory where the state is not in Redis', async () => {
    const limiter = await open({}, {});
    expect(limiter.health().detail).toMatch(/^in memory/);
    expect(await limiter.reserve('s', [limit([requests(0)])], of(0), noon)).toMatchObject({ ok: false });
    await limiter.close();
  });

  test('may count in memory although the state is in Redis', async () => {
    const limiter = await open({ store: 'memory' }, { engine: 'redis', url: 'redis://127.0.0.1:1' });
    expect(limiter.health().detail).toMatch(/^in memory/);
    await limiter.close();
  });

  test('does not count in a Redis that is not there', async () => {
    await expect(open({ store: 'redis' }, {})).rejects.toThrow('needs state.engine: redis');
  });

  test('starts without its Redis where limits may be local, and stops at once', async () => {
    const limiter = await open({ onUnavailable: 'local' }, { engine: 'redis', url: 'redis://127.0.0.1:1' });
    expect(limiter.health()).toMatchObject({ ready: true, detail: expect.stringMatching(/^each process by itself/) });
    expect(await limiter.reserve('s', [limit([requests(1)])], of(0), noon)).toMatchObject({ ok: true });
    expect(await limiter.reserve('t', [limit([requests(1)])], of(0), noon)).toMatchObject({ ok: false });
    await limiter.close();
  });
});
