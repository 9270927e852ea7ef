import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { listenTcp } from '../../../src/console/listen.ts';
import { readForm, UploadBudget } from '../../../src/console/oauth/form.ts';
import { exchangeForm, type Gateway, startOauth } from './oauth-gateway.ts';

const formType = 'application/x-www-form-urlencoded';
const limits = { maxBytes: 1_048_576, deadlineMs: 60_000, budget: new UploadBudget(1_048_576) };

/** A body that a test sends piece by piece. */
function upload() {
  let control!: ReadableStreamDefaultController<Uint8Array>;
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      control = controller;
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const headers = { 'content-type': formType };
  return {
    request: new Request('http://x/', { ...{ method: 'POST', headers, body }, ...{ duplex: 'half' } }),
    send: (text: string) => control.enqueue(Buffer.from(text)),
    end: () => control.close(),
    abort: () => control.error(new Error('aborted')),
    isCancelled: () => cancelled,
  };
}

async function listen(gateway: Gateway) {
  const listening = await listenTcp(gateway.app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => listening.close());
  const { port } = new URL(listening.url);
  /** Says that a body follows, and sends a piece of it. */
  const begin = (path: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: Number(port) });
      onTestFinished(() => void socket.destroy());
      socket.on('error', reject);
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${formType}\r\ncontent-length: 1000\r\n\r\ntoken=`,
        () => resolve(socket),
      );
    });
  return { url: listening.url, begin };
}

describe('a body that comes slowly', () => {
  it('is refused when its time is over', async () => {
    const { request, send, isCancelled } = upload();
    send('a=1');
    expect(await readForm(request, { ...limits, deadlineMs: 10 })).toMatchObject({ ok: false, status: 408 });
    expect(isCancelled()).toBe(true);
  });

  it.each(['/oauth/token', '/oauth/revoke', '/saml/sso/acs'])(
    'keeps nobody else out, even a hundred of them at %s',
    async (path) => {
      const gateway = await startOauth();
      const { url, begin } = await listen(gateway);
      await Promise.all(Array.from({ length: 100 }, () => begin(path)));
      const body = new URLSearchParams(exchangeForm(await gateway.token()));
      expect((await fetch(`${url}/oauth/token`, { method: 'POST', body })).status).toBe(200);
      const revocation = new URLSearchParams({ token: 'x' });
      expect((await fetch(`${url}/oauth/revoke`, { method: 'POST', body: revocation })).status).toBe(200);
    },
  );

  it('takes of what long bodies may hold together, and gives it back', async () => {
    const budget = new UploadBudget(50_000);
    const [one, two, three] = [upload(), upload(), upload()];
    const reading = readForm(one.request, { ...limits, budget });
    one.send(`a=${'x'.repeat(100_000)}`);
    two.send(`a=${'x'.repeat(100_000)}`);
    expect(await readForm(two.request, { ...limits, budget })).toMatchObject({ ok: false, status: 503 });
    three.send(`a=${'x'.repeat(60_000)}`);
    three.end();
    expect(await readForm(three.request, { ...limits, budget })).toMatchObject({ ok: true });
    one.end();
    expect(await reading).toMatchObject({ ok: true, bytes: 100_002 });
    expect(budget.take(50_000)).toBe(true);
  });
});

describe('a body that ends early', () => {
  it('is a bad request', async () => {
    const { request, send, abort } = upload();
    send('a=1');
    abort();
    expect(await readForm(request, limits)).toEqual({ ok: false, status: 400, problem: 'The body ended early.' });
  });

  it('is counted on the record with other refusals, and not logged', async () => {
    const gateway = await startOauth();
    const { begin } = await listen(gateway);
    const socket = await begin('/oauth/token');
    await vi.waitFor(() => expect(socket.bytesWritten).toBeGreaterThan(100));
    socket.destroy();
    await vi.waitFor(() => expect(gateway.record.credentials).toHaveLength(1));
    expect(gateway.record.credentials).toMatchObject([{ action: 'refused', detail: 'The body ended early.' }]);
    expect(gateway.failures).toEqual([]);
  });
});

describe('one endpoint that is busy', () => {
  it('answers 503 on the record, and others still answer', async () => {
    const gateway = await startOauth();
    const { promise, resolve } = Promise.withResolvers<void>();
    const durable = vi.spyOn(gateway.record, 'durable').mockImplementation(() => promise);
    const form = exchangeForm(await gateway.token());
    const waiting = Array.from({ length: 64 }, () => gateway.post('/oauth/token', form));
    await vi.waitFor(() => expect(durable).toHaveBeenCalledTimes(64));
    expect((await gateway.post('/oauth/token', form)).status).toBe(503);
    expect(gateway.record.credentials.at(-1)).toMatchObject({ action: 'refused', code: 'temporarily_unavailable' });
    expect((await gateway.post('/oauth/revoke', { token: 'x' })).status).toBe(200);
    resolve();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(64).fill(200));
    expect((await gateway.post('/oauth/token', form)).status).toBe(200);
  });
});
