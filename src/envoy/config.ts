import { z } from 'zod';

/** Where something listens: a Unix socket, or host and port. */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const hostPort = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/;

/** `127.0.0.1:9190`, `[::1]:9190`. Port 0 takes any free one. */
const tcpAddress = z
  .string()
  .transform((text, context): { readonly kind: 'tcp'; readonly host: string; readonly port: number } => {
    const match = hostPort.exec(text);
    const port = Number(match?.[3]);
    if (match !== null && port <= 65_535) return { kind: 'tcp', host: match[1] ?? match[2] ?? '', port };
    context.addIssue({ code: 'custom', message: 'must be host:port, such as 127.0.0.1:9190' });
    return z.NEVER;
  });

/** `unix:/run/sallyport/gate.sock` (relative: to the config file), or host and port. */
const anyAddress = z.string().transform((text, context): Address => {
  if (text.startsWith('unix:') && text.length > 5) return { kind: 'unix', path: text.slice(5) };
  const tcp = tcpAddress.safeParse(text);
  if (tcp.success) return tcp.data;
  context.addIssue({ code: 'custom', message: 'must be unix:<path> or host:port' });
  return z.NEVER;
});

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** `500ms`, `30s`, `10m`, `1h`, as milliseconds. */
function duration(limits: { readonly minMs: number; readonly maxMs: number }) {
  return z.string().transform((text, context): number => {
    const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
    const ms = Number(match?.[1]) * unitsMs[(match?.[2] ?? 'ms') as keyof typeof unitsMs];
    if (match !== null && ms >= limits.minMs && ms <= limits.maxMs) return ms;
    const range = `from ${limits.minMs / 1_000}s to ${limits.maxMs / 1_000}s`;
    context.addIssue({ code: 'custom', message: `must be a duration such as 30s or 10m, ${range}` });
    return z.NEVER;
  });
}

const tls = z.strictObject({
  cert: z.string().min(1).describe('PEM file: certificate (chain) of the gRPC listener.'),
  key: z.string().min(1).describe('PEM file: its private key.'),
  clientCa: z.string().min(1).describe('PEM file: the CA that Envoy’s client certificate must come from.'),
  allowedClients: z
    .array(z.string().min(1))
    .min(1)
    .describe('URI or DNS names (SPIFFE ids, say) in the client certificates that may connect. Nobody else may.'),
});

const loopback = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

/** The section `listen`. The gRPC port is trusted by whoever can reach it, so it is not opened to a network without mTLS. */
export const listenSection = z
  .strictObject({
    grpc: anyAddress
      .prefault('unix:gate.sock')
      .describe('Where Envoy reaches both gates: `unix:<path>` (relative to stateDir) or `host:port`.'),
    tls: tls
      .optional()
      .describe('Mutual TLS for the gRPC listener. Required unless it is a Unix socket or the loopback.'),
    plaintext: z
      .literal('mesh')
      .optional()
      .describe('`mesh`: a sidecar does the mutual TLS, so the gRPC listener may be plain text on a network.'),
    public: tcpAddress.prefault('127.0.0.1:9190').describe('Public HTTP: console and API. Has the publicUrl.'),
    internal: tcpAddress
      .prefault('127.0.0.1:9191')
      .describe('Internal HTTP: /healthz, /readyz, /metrics. Not for the outside.'),
    envoy: tcpAddress
      .prefault('127.0.0.1:10000')
      .describe('Where the Envoy that `sallyport up` runs takes requests. Not used by `serve`.'),
  })
  .superRefine((listen, context) => {
    const open = listen.grpc.kind === 'tcp' && !loopback.test(listen.grpc.host);
    if (open && listen.tls === undefined && listen.plaintext === undefined)
      context.addIssue({
        code: 'custom',
        path: ['grpc'],
        message: 'is reachable from a network: needs listen.tls (or listen.plaintext: mesh behind a sidecar)',
      });
    if (listen.tls !== undefined && listen.plaintext !== undefined)
      context.addIssue({ code: 'custom', path: ['plaintext'], message: 'contradicts listen.tls: give one of them' });
  });

/** Largest request body in bytes; Envoy buffers it. The gRPC message limit is 1 MiB more. */
export const maxRequestBytes = z
  .number()
  .int()
  .min(1_024)
  .max(64 * 1_024 * 1_024)
  .default(4 * 1_024 * 1_024);

/** How long live streams may go on after SIGTERM, milliseconds. */
export const drainTimeout = duration({ minMs: 1_000, maxMs: 24 * 3_600_000 }).prefault('10m');

/** Keys that sign the plan between the two gates. */
export const planKeyFiles = z
  .array(z.string().min(1))
  .min(1)
  .max(2)
  .optional()
  .describe(
    'Files with the keys (32 bytes, base64url) that sign the plan which the request gate hands to the response gate. The first signs, both are accepted. Replicas behind one Envoy share them. Default: a key of its own in stateDir.',
  );
