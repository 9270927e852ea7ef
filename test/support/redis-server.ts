/** A real redis-server (or valkey-server) of a test's own: on the loopback, nothing on the disk, gone with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The binary; undefined where none was brought (`npm test` does, and says why where it cannot). */
export const redisBinary = process.env['REDIS_SERVER_BIN'] || undefined;

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Ends it as a crash does (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it on the same port again, empty. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a server on a free port of the loopback. `args` as on its command line. */
export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  if (redisBinary === undefined) throw new Error('REDIS_SERVER_BIN names no redis-server');
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const port = await freePort();
  const run = () => launch(redisBinary, ['--port', String(port), '--dir', dir, ...args]);
  let child = await run();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: async () => {
      await kill();
      child = await run();
    },
    stop: async () => {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function launch(binary: string, args: readonly string[]): Promise<ChildProcess> {
  const fixed = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];
  const child = spawn(binary, [...fixed, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<ChildProcess>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(line);
    if (line.includes('Ready to accept connections')) resolve(child);
  });
  child.stderr.on('data', (data) => said.push(String(data)));
  child.on('error', reject);
  child.on('exit', () => reject(new Error(`redis-server ended:\n${said.join('\n')}`)));
  return promise;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export interface FaultyPath {
  readonly url: string;
  /** Connections that are open now. */
  readonly connections: number;
  /**
   * `true`: everything is accepted, and nothing is passed on any more, on old connections as on new ones. `'answers'`: what
   * is sent to the server arrives, and nothing comes back.
   */
  stall(on: boolean | 'answers'): void;
  close(): Promise<void>;
}

/** A way to a server that can be made to swallow everything, as a broken network does. */
export async function faultyPath(port: number): Promise<FaultyPath> {
  let stalled: boolean | 'answers' = false;
  const sockets = new Set<Socket>();
  const forward = (from: Socket, to: Socket, passes: () => boolean) => {
    sockets.add(from);
    from.on('data', (data) => passes() && to.write(data));
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((incoming) => {
    const outgoing = connect(port, '127.0.0.1');
    forward(incoming, outgoing, () => stalled !== true);
    forward(outgoing, incoming, () => stalled === false);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return sockets.size / 2;
    },
    stall: (on) => {
      stalled = on;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
