/** The Envoy that `up` runs in front of the gateway. */
import type { Config } from '../config.ts';
import {
  type BootstrapOptions,
  type GateAddress,
  standaloneBootstrap,
  type VerifiedByEnvoy,
} from '../envoy/bootstrap.ts';
import { adminSocket, type Envoy, launchEnvoy } from '../envoy/launch.ts';
import type { Model } from '../models/model.ts';
import type { Log } from '../observe/log.ts';

/** Longest wait for an approval, seconds; becomes `approvals.wait` when approvals come. */
export const APPROVALS_WAIT_S = 30;

/** How Envoy reaches the gateway of this config. A port of 0 cannot be known here: pass the bound address. */
export function gateAddress(config: Config, bound?: string): GateAddress {
  const { grpc } = config.listen;
  if (grpc.kind === 'unix') return { kind: 'pipe', path: grpc.path };
  const port = Number(bound?.slice(bound.lastIndexOf(':') + 1) ?? grpc.port);
  return { kind: 'tcp', host: grpc.host, port, tls: undefined };
}

/** The identities that this config takes from Envoy. */
export function verifiedByEnvoy({ identity }: Pick<Config, 'identity'>): VerifiedByEnvoy {
  return { peers: identity.peers.allow.length > 0, jwtAuthn: identity.jwtAuthn.enabled };
}

/** What an Envoy for this gateway and its models is configured from: the one that `up` runs, and `envoy print`. */
export function frontOptions(config: Config, models: readonly Model[], gate = gateAddress(config)): BootstrapOptions {
  const { host, port } = config.listen.envoy;
  return {
    listen: { host, port },
    gates: [gate],
    models: models.map(({ cluster, upstream }) => ({ cluster, upstream })),
    maxRequestBytes: config.maxRequestBytes,
    approvalsWaitS: APPROVALS_WAIT_S,
    verifiedByEnvoy: verifiedByEnvoy(config),
    admin: { path: adminSocket(config.stateDir) },
  };
}

export interface Front {
  readonly envoy: Envoy;
  /** Resolves with the reason when Envoy ends by itself. */
  readonly failed: Promise<string>;
}

/** What Envoy says of each start although it is meant so: the gateway, not a limit of connections, holds callers off. */
const expected = /no configured limit to the number of allowed active downstream connections/;

/** Puts a line of Envoy's (`warning …`, `error …`) into our log, as severe as Envoy says. */
export function logLine(log: Pick<Log, 'debug' | 'warn' | 'error'>, line: string): void {
  const level = expected.test(line) ? 'debug' : /^(error|critical)\b/.test(line) ? 'error' : 'warn';
  log[level]('envoy says', { part: 'envoy', line });
}

export async function startFront(
  binary: string,
  config: Config,
  models: readonly Model[],
  gate: GateAddress,
  log: Log,
): Promise<Front> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const envoy = await launchEnvoy({
    binary,
    dir: config.stateDir,
    config: standaloneBootstrap(frontOptions(config, models, gate)),
    concurrency: undefined,
    onLine: (line) => logLine(log, line),
    onExit: (why) => resolve(`Envoy ended (${why}).`),
  });
  return { envoy, failed: promise };
}
