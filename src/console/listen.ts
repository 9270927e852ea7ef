import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';

/** A listener that is up. */
export interface Listening {
  /** `http://127.0.0.1:9190`, or `unix:<path>`. */
  readonly url: string;
  /** Stops accepting, lets answers under way finish for up to a second, then closes what is left. */
  close(): Promise<void>;
}

/** A listener could not be opened; `message` says which and why. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'address_in_use' | 'address_unusable';
  constructor(code: ListenError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

const closeGraceMs = 1_000;
/** Connections that a TCP listener has at once; the next one is closed. */
const maxConnections = 1_000;
/** A TCP connection on which nothing moves is closed. */
const idleMs = 30_000;
/** sun_path of unix(7) is 108 bytes with its end. */
const maxSocketPathBytes = 107;

/** Serves an app on host and port (0: any free one). Throws ListenError. */
export async function listenTcp(app: Hono, at: { readonly host: string; readonly port: number }): Promise<Listening> {
  const server = serverOf(app);
  server.maxConnections = maxConnections;
  server.requestTimeout = 15_000;
  server.setTimeout(idleMs);
  await listening(server, () => server.listen(at.port, at.host), `${at.host}:${at.port}`);
  const { port } = server.address() as AddressInfo;
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return { url: `http://${host}:${port}`, close: () => closing(server) };
}

/**
 * Serves an app on a Unix socket with mode 0600: who can connect is decided by the file system. A socket file that nobody
 * listens on is replaced; one that somebody does is an error. Throws ListenError.
 */
export async function listenUnix(app: Hono, path: string): Promise<Listening> {
  if (Buffer.byteLength(path) > maxSocketPathBytes)
    throw new ListenError(
      'address_unusable',
      `The socket path ${path} is longer than ${maxSocketPathBytes} bytes: choose a shorter stateDir.`,
    );
  if (await answers(path))
    throw new ListenError('address_in_use', `Another gateway is running: it listens on ${path}.`);
  rmSync(path, { force: true });
  const server = serverOf(app);
  // The socket is made inside the call of listen(): with this mask it never exists with a wider mode.
  const bind = () => {
    const mask = process.umask(0o177);
    server.listen(path);
    process.umask(mask);
  };
  await listening(server, bind, path);
  chmodSync(path, 0o600);
  return { url: `unix:${path}`, close: () => closing(server) };
}

function serverOf(app: Hono): Server {
  // By default Node looks every 30 s only whether a time is over.
  const server = createServer({ connectionsCheckingInterval: 1_000 }, getRequestListener(app.fetch));
  server.requestTimeout = 30_000;
  server.headersTimeout = 5_000;
  server.keepAliveTimeout = 5_000;
  return server;
}

function listening(server: Server, listen: () => void, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      const message = inUse
        ? `${name} is in use by another program.`
        : `${name} cannot be listened on (${error.code}).`;
      reject(new ListenError(inUse ? 'address_in_use' : 'address_unusable', message, error));
    });
    server.once('listening', resolve);
    listen();
  });
}

function closing(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), closeGraceMs);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Whether somebody accepts connections on this socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
