/** The gRPC server that Envoy talks to: ext_authz, ext_proc and grpc.health.v1 on one port. */
import { chmodSync, rmSync } from 'node:fs';
import http2, { type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { alternativeNames } from './certificate.ts';
import { type GrpcCall, type GrpcMethod, type GrpcReceiver, grpcStatus, serveGrpc } from './grpc.ts';
import { type CheckRequest, decodeCheckRequest } from './wire.ts';

export interface GrpcServerOptions {
  /** `unix:/path/to.sock` or `host:port`. */
  readonly listen: string;
  readonly tls: GrpcTls | undefined;
  /** Largest body of a Check, bytes; the message limit is this + 16 MiB. */
  readonly maxRequestBytes: number;
}

/** mTLS; only clients whose certificate carries one of these URI or DNS names may call. */
export interface GrpcTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly allowedIdentities: readonly string[];
}

export interface GrpcHandlers {
  readonly check: (request: CheckRequest, call: GrpcCall) => void;
  readonly process: (call: GrpcCall) => GrpcReceiver;
  /** grpc.health.v1: whether new work is welcome. */
  readonly serving: () => boolean;
}

export interface GrpcServer {
  /** `unix:…` or `host:port` with the port that was bound. */
  readonly address: string;
  /** Connections that are open. */
  readonly connections: number;
  /**
   * No new connections, GOAWAY on those that are there; resolves when every call has ended. Call it once `serving` has been
   * false for a while: nghttp2 reads no stream that begins after its GOAWAY (not even after the first of two, RFC 9113
   * section 6.8, which Node cannot send), so a call that was on its way then gets no answer.
   */
  finish(): Promise<void>;
  /** Ends what is left, now. */
  close(): void;
}

/**
 * What a message may be longer than the longest request: an answer that is faster than the reply to its headers waits in
 * Envoy, as much as the body limit and a read of the connection's buffer (1 MiB by our bootstrap; more elsewhere), and
 * comes as one chunk.
 */
const ENVOY_BUFFER_BYTES = 16 * 1024 * 1024;

/** A connection whose ping is not answered in time is dead: Envoy makes a new one. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/**
 * Flow control (RFC 9113 section 5.2): with Node's 64 KiB a request body of 4 MiB waits for 64 round trips, and one
 * stream's body holds up all others on the connection.
 */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Envoy resets almost every ext_proc stream when it is done. Node counts resets (1,000 burst, 33/s) and then closes the
 * whole connection. Peers are trusted (socket, loopback or mTLS), so that limit, and the one on memory, protect nobody here.
 */
const HTTP2_OPTIONS = {
  streamResetBurst: 1e9,
  streamResetRate: 1e9,
  maxSessionMemory: Number.MAX_SAFE_INTEGER,
  settings: { initialWindowSize: STREAM_WINDOW_BYTES, maxConcurrentStreams: 100_000, enablePush: false },
};

function peerAllowed(session: ServerHttp2Session, tls: GrpcTls | undefined): boolean {
  if (tls === undefined) return true;
  const names = (session.socket as TLSSocket).getPeerCertificate().subjectaltname;
  return [...alternativeNames(names, 'URI'), ...alternativeNames(names, 'DNS')].some((name) =>
    tls.allowedIdentities.includes(name),
  );
}

const PEER_REFUSED = {
  code: grpcStatus.permissionDenied,
  details: 'the client certificate names no identity of listen.tls.allowedClients',
};

const refusePeer: GrpcMethod = (call) => {
  call.fail(PEER_REFUSED);
  return { message() {}, end() {}, closed() {} };
};

/** A method with one message each way. */
function unary(answer: (message: Buffer, call: GrpcCall) => void): GrpcMethod {
  return (call) => {
    let asked = false;
    return {
      message: (bytes) => {
        if (asked) return;
        asked = true;
        answer(bytes, call);
      },
      end: () => {
        if (!asked) call.fail({ code: grpcStatus.internal, details: 'the call has no message' });
      },
      closed: () => {},
    };
  };
}

/** `HealthCheckResponse.status`: SERVING or NOT_SERVING. https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
const SERVING = Buffer.from([0x08, 1]);
const NOT_SERVING = Buffer.from([0x08, 2]);

function methodsOf(handlers: GrpcHandlers): Map<string, GrpcMethod> {
  const health = () => (handlers.serving() ? SERVING : NOT_SERVING);
  return new Map([
    [
      '/envoy.service.auth.v3.Authorization/Check',
      unary((message, call) => handlers.check(decodeCheckRequest(message), call)),
    ],
    ['/envoy.service.ext_proc.v3.ExternalProcessor/Process', handlers.process],
    ['/grpc.health.v1.Health/Check', unary((_, call) => call.answer(health()))],
    ['/grpc.health.v1.Health/Watch', (call) => watchHealth(call, health)],
  ]);
}

/** Health Watch: the state now, then each change (looked at once a second). */
function watchHealth(call: GrpcCall, health: () => Buffer): GrpcReceiver {
  let last = health();
  call.send(last);
  const timer = setInterval(() => {
    const next = health();
    if (next !== last) call.send(next);
    last = next;
  }, 1_000).unref();
  return { message() {}, end() {}, closed: () => clearInterval(timer) };
}

function keepAlive(session: ServerHttp2Session): void {
  const timer = setInterval(() => {
    const dead = setTimeout(() => session.destroy(), KEEPALIVE_TIMEOUT_MS).unref();
    session.ping(() => clearTimeout(dead));
  }, KEEPALIVE_MS).unref();
  session.once('close', () => clearInterval(timer));
}

function listen(server: Http2Server, address: string): Promise<string> {
  const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? [];
  if (socketPath !== undefined) rmSync(socketPath, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const bound = (): void => {
      server.off('error', reject);
      if (socketPath === undefined) resolve(`${host}:${(server.address() as AddressInfo).port}`);
      else {
        chmodSync(socketPath, 0o600);
        resolve(address);
      }
    };
    if (socketPath === undefined) server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }, bound);
    else {
      // Made inside the call: with this mask it never exists with a wider mode.
      const mask = process.umask(0o177);
      server.listen(socketPath, bound);
      process.umask(mask);
    }
  });
}

/** Rejects when the address cannot be bound. */
export async function startGrpcServer(options: GrpcServerOptions, handlers: GrpcHandlers): Promise<GrpcServer> {
  const { tls } = options;
  const server =
    tls === undefined
      ? http2.createServer(HTTP2_OPTIONS)
      : http2.createSecureServer({
          ...HTTP2_OPTIONS,
          ca: tls.ca,
          cert: tls.cert,
          key: tls.key,
          requestCert: true,
          rejectUnauthorized: true,
        });
  const methods = methodsOf(handlers);
  const refused = new Map([...methods.keys()].map((path) => [path, refusePeer]));
  const maxMessageBytes = options.maxRequestBytes + ENVOY_BUFFER_BYTES;
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => {});
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    keepAlive(session);
    const served = peerAllowed(session, tls) ? methods : refused;
    session.on('stream', (stream, headers) => serveGrpc(stream, headers, served, maxMessageBytes));
  });
  const address = await listen(server, options.listen);
  server.on('error', () => {});
  return {
    address,
    get connections() {
      return sessions.size;
    },
    finish: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.close();
      }),
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}
