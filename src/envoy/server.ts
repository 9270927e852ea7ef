/** The gRPC server that Envoy talks to: ext_authz, ext_proc and grpc.health.v1 on one port. */
import { chmodSync, rmSync } from 'node:fs';
import { constants, type ServerHttp2Session } from 'node:http2';
import grpc from '@grpc/grpc-js';
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
  /**
   * Asks live connections to go (GOAWAY with the highest stream id: RFC 9113 section 6.8), so that a request already on
   * its way is still answered. New connections are still accepted.
   */
  announceShutdown(): void;
  /** Connections that are open. */
  readonly connections: number;
  /** No new connections; resolves when every call has ended. */
  finish(): Promise<void>;
  /** Ends what is left, now. */
  close(): void;
}

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
}

/** Names in a client certificate: its URI and DNS subject alternative names. Node quotes and escapes what has a comma in it. */
function certificateNames(subjectAltName: string | undefined): string[] {
  return (subjectAltName ?? '').split(', ').flatMap((entry) => (/^(URI|DNS):/.test(entry) ? [entry.slice(4)] : []));
}

/** The first of the two GOAWAYs of a graceful shutdown; Node and grpc-js only know the second, which races with new streams. */
function announceShutdown(server: grpc.Server): void {
  for (const session of sessionsOf(server).keys()) session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
}

function sessionsOf(server: grpc.Server): Map<ServerHttp2Session, unknown> {
  return (server as unknown as { sessions: Map<ServerHttp2Session, unknown> }).sessions;
}

type AnyCall = CheckCall | ProcessCall;

function peerAllowed(call: AnyCall, tls: GrpcTls | undefined): boolean {
  if (tls === undefined) return true;
  const certificate = call.getAuthContext().sslPeerCertificate;
  return certificateNames(certificate?.subjectaltname).some((name) => tls.allowedIdentities.includes(name));
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
    'grpc.max_receive_message_length': options.maxRequestBytes + 1024 * 1024,
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
  if (socketPath !== undefined) chmodSync(socketPath, 0o600);
  const address = socketPath === undefined ? options.listen.replace(/:\d+$/, `:${port}`) : options.listen;
  return {
    address,
    announceShutdown: () => announceShutdown(server),
    get connections() {
      return sessionsOf(server).size;
    },
    finish: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
    close: () => server.forceShutdown(),
  };
}
