/** `sallyport envoy print` for the gateway of this configuration: its models, its address, its limits. */
import { type Config, environment } from '../config.ts';
import type { GateAddress, GateTls } from '../envoy/bootstrap.ts';
import { adminSocket } from '../envoy/launch.ts';
import { defaultPrintOptions, type MeshOptions, type PrintOptions } from '../envoy/print/options.ts';
import { type PrintTarget, printEnvoy } from '../envoy/print.ts';
import { loadModels } from '../models/load.ts';
import type { Model } from '../models/model.ts';
import { APPROVALS_WAIT_S, gateAddress } from './front.ts';
import { GatewayRefused } from './parts.ts';

/** Where the printed files expect Envoy's certificate for the gate; mount it there, or change the paths. */
const CERTIFICATES = '/etc/sallyport-tls';

export async function printForConfig(config: Config, target: PrintTarget): Promise<string> {
  const loaded = await loadModels(config.models.file, environment());
  if (!loaded.ok) {
    const [first] = loaded.problems;
    throw new GatewayRefused(`${config.models.file}: ${first?.path}: ${first?.message}`);
  }
  return printEnvoy(target, printOptions(config, loaded.models, target));
}

/** Pure. Throws for a mesh whose models are not Services (see `serviceOf`). */
export function printOptions(config: Config, models: readonly Model[], target: PrintTarget): PrintOptions {
  const { mesh } = defaultPrintOptions(target === 'envoy-gateway' ? 'envoy-gateway' : 'istio');
  const tls: GateTls = {
    caFile: `${CERTIFICATES}/ca.crt`,
    certFile: `${CERTIFICATES}/tls.crt`,
    keyFile: `${CERTIFICATES}/tls.key`,
    serverName: `${mesh.gate.service}.${mesh.gate.namespace}.svc`,
  };
  const own = config.listen.tls === undefined ? undefined : tls;
  const gate = reachable(gateAddress(config));
  return {
    models: models.map(({ name, cluster, upstream }) => ({ name, cluster, upstream })),
    maxRequestBytes: config.maxRequestBytes,
    approvalsWaitS: APPROVALS_WAIT_S,
    standalone: {
      listen: { host: config.listen.envoy.host, port: config.listen.envoy.port },
      gates: [gate.kind === 'tcp' ? { ...gate, tls: own } : gate],
      admin: { path: adminSocket(config.stateDir) },
    },
    mesh: { ...mesh, tls: own, gate: meshGate(config, mesh) },
  };
}

/** What listens on every address is reached on this machine's own; elsewhere the operator puts the name in. */
function reachable(gate: GateAddress): GateAddress {
  if (gate.kind === 'pipe') return gate;
  if (gate.host === '0.0.0.0') return { ...gate, host: '127.0.0.1' };
  return gate.host === '::' ? { ...gate, host: '::1' } : gate;
}

function meshGate({ listen }: Config, { gate }: MeshOptions): MeshOptions['gate'] {
  return listen.grpc.kind === 'tcp' ? { ...gate, port: listen.grpc.port } : gate;
}
