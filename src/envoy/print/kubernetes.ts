/** What the Istio and the Envoy Gateway output have in common. */
import type { BootstrapModel, Json } from '../bootstrap.ts';
import type { MeshOptions, PrintModel } from './options.ts';
import type { CommentedDocument, Note } from './yaml.ts';

/** The proxy's circuit breakers: one slot a live stream. */
export const MANY = 100_000;
/** Longest stream, and longest silence in one: the same as standalone. */
export const LONGEST_STREAM = '3600s';

export function resource(
  apiVersion: string,
  kind: string,
  metadata: { readonly name: string; readonly namespace: string },
  spec: Json,
  head: string,
  notes: readonly Note[] = [],
): CommentedDocument {
  return { value: { apiVersion, kind, metadata, spec }, head, notes };
}

/** A name that Kubernetes takes (RFC 1123 label). Throws for one without a letter or digit. */
export function dnsLabel(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  if (label === '') throw new Error(`the model name ${JSON.stringify(name)} has no letter or digit to name objects by`);
  return label;
}

export interface ServiceName {
  readonly service: string;
  readonly namespace: string;
}

/** `llama.models.svc.cluster.local`, `llama.models`. Throws for a host that names no namespace: it is no Service. */
export function serviceOf(upstream: BootstrapModel['upstream']): ServiceName {
  const [service, namespace, svc] = upstream.host.split('.');
  const isAddress = /^[\d.]+$|:/.test(upstream.host);
  if (!service || !namespace || isAddress || (svc !== undefined && svc !== 'svc'))
    throw new Error(`${upstream.host} is not a Service: in a mesh a model's host is <service>.<namespace>[.svc.…]`);
  return { service, namespace };
}

/** Objects are named after models: two that Kubernetes could not tell apart are an error. */
export function refuseSameNames(models: readonly PrintModel[]): void {
  const seen = new Map<string, string>();
  for (const { name } of models) {
    const other = seen.get(dnsLabel(name));
    if (other !== undefined)
      throw new Error(
        `the models ${other} and ${name} would share the name ${dnsLabel(name)} in Kubernetes: print them apart`,
      );
    seen.set(dnsLabel(name), name);
  }
}

/** One model of each server: what is said about a Service is said once. */
export function byUpstream(models: readonly PrintModel[]): readonly PrintModel[] {
  const seen = new Map<string, PrintModel>();
  for (const model of models) {
    const server = `${model.upstream.host}:${model.upstream.port}`;
    if (!seen.has(server)) seen.set(server, model);
  }
  return [...seen.values()];
}

export interface Peer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Only `from` reaches the pods `app: <service>` on this port. */
export function networkPolicy(
  name: string,
  target: ServiceName & { readonly port: number },
  from: readonly Peer[],
  head: string,
): CommentedDocument {
  return resource(
    'networking.k8s.io/v1',
    'NetworkPolicy',
    { name, namespace: target.namespace },
    {
      podSelector: { matchLabels: { app: target.service } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: from.map((peer) => ({
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': peer.namespace } },
            podSelector: { matchLabels: peer.labels },
          })),
          ports: [{ protocol: 'TCP', port: target.port }],
        },
      ],
    },
    `${head}
The port is the container's, and the pods are those labelled app: ${target.service}: change both if yours differ. Needs a CNI
that enforces NetworkPolicy. Once a pod is selected, every port that no policy names is closed: add your metrics scraper.`,
  );
}

export function gateService(mesh: MeshOptions): CommentedDocument {
  const { namespace, service, port } = mesh.gate;
  return resource(
    'v1',
    'Service',
    { name: service, namespace },
    {
      selector: { app: service },
      ports: [{ name: 'grpc-gates', port, targetPort: port, protocol: 'TCP', appProtocol: 'grpc' }],
    },
    'Sallyport’s gRPC port (`listen.grpc`). Its public HTTP port is another Service’s matter.',
  );
}

/** How models.yaml must name the clusters, or the response gate refuses them: it compares with Envoy's xds.cluster_name. */
export function clusterHint(models: readonly PrintModel[], clusterOf: (model: PrintModel) => string): string {
  return models.map((model) => `  ${model.name}: ${clusterOf(model)}`).join('\n');
}
