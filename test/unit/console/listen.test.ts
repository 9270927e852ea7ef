import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Listening, listenTcp, listenUnix } from '../../../src/console/listen.ts';

let folder: string;
const open: Listening[] = [];
const app = new Hono().get('/', (c) => c.text('here'));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-listen-'));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((listening) => listening.close()));
  rmSync(folder, { recursive: true });
});

const keep = async (listening: Promise<Listening>) => {
  open.push(await listening);
  return listening;
};

function get(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/' }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

describe('a Unix socket', () => {
  it('answers, and only its owner may connect', async () => {
    const path = join(folder, 'admin.sock');
    await keep(listenUnix(app, path));
    expect(await get(path)).toBe('here');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('leaves the file mode of everything else alone', async () => {
    const before = process.umask();
    const pending = keep(listenUnix(app, join(folder, 'admin.sock')));
    expect(process.umask()).toBe(before);
    await pending;
    expect(process.umask()).toBe(before);
  });

  it('replaces one that a dead process left', async () => {
    const path = join(folder, 'admin.sock');
    writeFileSync(path, '');
    await keep(listenUnix(app, path));
    expect(await get(path)).toBe('here');
  });

  it('is not taken from a gateway that is running', async () => {
    const path = join(folder, 'admin.sock');
    await keep(listenUnix(app, path));
    await expect(listenUnix(app, path)).rejects.toMatchObject({
      code: 'address_in_use',
      message: expect.stringContaining('Another gateway'),
    });
    expect(await get(path)).toBe('here');
  });

  it('is refused when its path is longer than the system takes', async () => {
    await expect(listenUnix(app, join(folder, 'x'.repeat(120)))).rejects.toMatchObject({ code: 'address_unusable' });
  });

  it('is refused in a folder that is not there', async () => {
    await expect(listenUnix(app, join(folder, 'none', 'a.sock'))).rejects.toMatchObject({ name: 'ListenError' });
  });
});

describe('a TCP listener', () => {
  it('takes any free port for 0', async () => {
    const { url } = await keep(listenTcp(app, { host: '127.0.0.1', port: 0 }));
    expect(await (await fetch(url)).text()).toBe('here');
  });

  it('says which address is in use', async () => {
    const { url } = await keep(listenTcp(app, { host: '127.0.0.1', port: 0 }));
    const port = Number(new URL(url).port);
    await expect(listenTcp(app, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'address_in_use',
      message: `127.0.0.1:${port} is in use by another program.`,
    });
  });

  it('has a bounded number of connections', async () => {
    const { url } = await keep(listenTcp(app, { host: '127.0.0.1', port: 0 }));
    const port = Number(new URL(url).port);
    const sockets: Socket[] = [];
    try {
      for (let n = 0; n < 1000; n++) sockets.push(await opened(port));
      const extra = await opened(port);
      await once(extra.resume(), 'close');
      sockets.pop()?.destroy();
      await vi.waitFor(async () => expect(await (await fetch(url)).text()).toBe('here'), { timeout: 5000 });
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('stops, and does not wait for idle connections', async () => {
    const { url, close } = await listenTcp(app, { host: '127.0.0.1', port: 0 });
    await (await fetch(url)).text();
    await close();
    await expect(fetch(url)).rejects.toThrow();
  });

  it('cuts off an answer that does not end in time', async () => {
    const endless = new Hono().get(
      '/',
      () => new Response(new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(10)) })),
    );
    const { url, close } = await listenTcp(endless, { host: '127.0.0.1', port: 0 });
    const reading = fetch(url).then((response) => response.text());
    reading.catch(() => {});
    await fetch(url);
    await close();
    await expect(reading).rejects.toThrow();
  });
});

async function opened(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  return socket.on('error', () => {});
}
