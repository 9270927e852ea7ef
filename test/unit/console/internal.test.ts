import { describe, expect, it } from 'vitest';
import { createInternalApp, type InternalSources } from '../../../src/console/internal.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';

const ready = () => ({ ready: true }) as const;

function app(change: Partial<InternalSources> = {}) {
  return createInternalApp({
    version: '1.0.0',
    parts: { journal: ready, store: ready, policies: () => ({ ready: true, detail: 'sha256:00' }), keys: ready },
    tolerated: ['store'],
    draining: () => false,
    metrics: createMetrics({ version: '1.0.0', node: 'v24' }),
    ...change,
  });
}

async function readyz(change?: Partial<InternalSources>) {
  const response = await app(change).request('/readyz');
  return { status: response.status, ...((await response.json()) as { parts: object }) };
}

describe('the internal listener', () => {
  it('is alive as soon as it answers', async () => {
    const response = await app({ draining: () => true }).request('/healthz');
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok', version: '1.0.0' }]);
  });

  it('is ready when all parts are, and shows each', async () => {
    const answer = await readyz();
    expect(answer).toMatchObject({ status: 'ready', reasons: [] });
    expect(answer.parts).toEqual({
      journal: { ready: true },
      store: { ready: true },
      policies: { ready: true, detail: 'sha256:00' },
      keys: { ready: true },
    });
  });

  it.each([
    ['a part is not', { parts: { journal: () => ({ ready: false, reason: 'full' }) as const } }, ['journal: full']],
    ['it is shutting down', { draining: () => true }, ['shutting down']],
    [
      'the state of a part cannot be read',
      {
        parts: {
          keys: () => {
            throw new RangeError('secret');
          },
        },
      },
      ['keys: its state cannot be read (RangeError)'],
    ],
  ])('is not ready when %s, with the reason and 503', async (_, change, reasons) => {
    const response = await app(change).request('/readyz');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ status: 'not ready', reasons });
  });

  it('stays ready without the store, and says so', async () => {
    const response = await app({ parts: { store: () => ({ ready: false, reason: 'restarting' }) } }).request('/readyz');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: 'ready',
      parts: { store: { ready: false, reason: 'restarting' } },
    });
  });

  it('gives metrics in the text format of Prometheus', async () => {
    const response = await app().request('/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('# TYPE sallyport_requests_total counter');
  });

  it('has nothing else', async () => {
    expect((await app().request('/')).status).toBe(404);
    expect((await app().request('/metrics', { method: 'POST' })).status).toBe(404);
  });
});
