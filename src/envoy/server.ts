/** The gRPC server that Envoy talks to: ext_authz, ext_proc and grpc.health.v1 on one port. */
import { chmodSync, rmSync } from 'node:fs';
import type { Http2Server } from 'node:http2';
import grpc from '@grpc/grpc-js';
import { alternativeNames } from './certificate.ts';
import { AuthorizationService, ExternalProcessorService, HealthService } from './services.ts';
import type { CheckRequest, ProcessingRequest } from './wire.ts';

export type CheckCall = grpc.ServerUnaryCall<CheckRequest, object>;
export type CheckReply = grpc.sendUnaryData<object>;
export type ProcessCall = grpc.ServerDuplexStream<ProcessingRequest, object>;

export interface GrpcServerOptions {
  /** `unix:/path/to.sock` or `host:port`. */
  readonly listen: string;
  readonly tls: GrpcTls | undefined;
  /** Largest body of a Check, bytes; the message limit is this + 1 MiB (grpc-js stops at 4 MiB otherwise). */
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
  readonly check: (call: CheckCall, reply: CheckReply) => void;
  readonly process: (call: ProcessCall) => void;
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

const KEEPALIVE = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.http2.min_ping_interval_without_data_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
} as const;

/**
 * Envoy resets almost every ext_proc stream when it is done. Node's HTTP/2 server counts resets (1,000 burst, 33/s) and
 * then closes the whole connection; grpc-js has no option for it, so we set it on the options that it hands to
 * `http2.createServer`. Peers are trusted (socket, loopback or mTLS), so the limit protects nobody here.
 */
function allowStreamResets(server: grpc.Server): void {
  const internals = server as unknown as { commonServerOptions?: Record<string, unknown> };
  if (internals.commonServerOptions === undefined)
    throw new Error('this version of @grpc/grpc-js hides commonServerOptions; stream resets would end connections');
  internals.commonServerOptions['streamResetBurst'] = 1e9;
  internals.commonServerOptions['streamResetRate'] = 1e9;
  const { settings } = internals.commonServerOptions;
  internals.commonServerOptions['settings'] = {
    ...(settings as object | undefined),
    initialWindowSize: STREAM_WINDOW_BYTES,
  };
}

/**
 * Flow control (RFC 9113 section 5.2): with Node's 64 KiB a request body of 4 MiB waits for 64 round trips, and one
 * stream's body holds up all others on the connection.
 */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

function widenConnections(server: grpc.Server): void {
  const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
  for (const http2Server of http2Servers.keys())
    http2Server.on('session', (session) => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
}

type AnyCall = CheckCall | ProcessCall;

function peerAllowed(call: AnyCall, tls: GrpcTls | undefined): boolean {
  if (tls === undefined) return true;
  const certificate = call.getAuthContext().sslPeerCertificate;
  const names = certificate?.subjectaltname;
  return [...alternativeNames(names, 'URI'), ...alternativeNames(names, 'DNS')].some((name) =>
    tls.allowedIdentities.includes(name),
  );
}

const PEER_REFUSED = {
  code: grpc.status.PERMISSION_DENIED,
  details: 'the client certificate names no identity of listen.tls.allowedClients',
};

function addServices(server: grpc.Server, handlers: GrpcHandlers, tls: GrpcTls | undefined): void {
  server.addService(AuthorizationService as unknown as grpc.ServiceDefinition, {
    Check: (call: CheckCall, reply: CheckReply) =>
      peerAllowed(call, tls) ? handlers.check(call, reply) : reply(PEER_REFUSED),
  });
  server.addService(ExternalProcessorService as unknown as grpc.ServiceDefinition, {
    Process: (call: ProcessCall) => {
      if (peerAllowed(call, tls)) handlers.process(call);
      else call.emit('error', PEER_REFUSED);
    },
  });
  const health = () => ({ status: handlers.serving() ? 1 : 2 });
  server.addService(HealthService, {
    Check: (_call: unknown, reply: grpc.sendUnaryData<object>) => reply(null, health()),
    Watch: (call: grpc.ServerWritableStream<object, object>) => watchHealth(call, health),
  });
}

/** Health Watch: the state now, then each change (looked at once a second). */
function watchHealth(call: grpc.ServerWritableStream<object, object>, health: () => { status: number }): void {
  let last = health();
  call.write(last);
  const timer = setInterval(() => {
    const next = health();
    if (next.status !== last.status) call.write(next);
    last = next;
  }, 1_000);
  timer.unref();
  call.on('cancelled', () => clearInterval(timer));
}

function credentials(tls: GrpcTls | undefined): grpc.ServerCredentials {
  if (tls === undefined) return grpc.ServerCredentials.createInsecure();
  return grpc.ServerCredentials.createSsl(tls.ca, [{ private_key: tls.key, cert_chain: tls.cert }], true);
}

export async function startGrpcServer(options: GrpcServerOptions, handlers: GrpcHandlers): Promise<GrpcServer> {
  const server = new grpc.Server({
    ...KEEPALIVE,
    'grpc.max_receive_message_length': options.maxRequestBytes + ENVOY_BUFFER_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': 100_000,
  });
  allowStreamResets(server);
  addServices(server, handlers, options.tls);
  const socketPath = options.listen.startsWith('unix:') ? options.listen.slice('unix:'.length) : undefined;
  if (socketPath !== undefined) rmSync(socketPath, { force: true });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(options.listen, credentials(options.tls), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  widenConnections(server);
  if (socketPath !== undefined) chmodSync(socketPath, 0o600);
  const address = socketPath === undefined ? options.listen.replace(/:\d+$/, `:${port}`) : options.listen;
  return {
    address,
    get connections() {
      return (server as unknown as { sessions: Map<unknown, unknown> }).sessions.size;
    },
    finish: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
    close: () => server.forceShutdown(),
  };
}
