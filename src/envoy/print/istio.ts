/**
 * Istio: EnvoyFilters put both gates before the router, at the ingress gateway or in each model's sidecar. Istio's own
 * external authorizer (meshConfig.extensionProviders) has no field for raw headers and mutation checks, and there is none
 * for ext_proc, so both filters are given to Envoy as they are.
 */
import { authzFilter, gateCluster, type Json, localReplies, procFilter } from '../bootstrap.ts';
import { istioIdentities, istioIdentityPreface } from './identities.ts';
import {
  gateDestination,
  gateHost,
  gateIdentity,
  gateNetwork,
  modelDestination,
  onlyWayToModel,
} from './istio-trust.ts';
import {
  byUpstream,
  clusterHint,
  dnsLabel,
  gateService,
  LONGEST_STREAM,
  refuseSameNames,
  resource,
  serviceOf,
} from './kubernetes.ts';
import type { PrintModel, PrintOptions } from './options.ts';
import { type CommentedDocument, yamlText } from './yaml.ts';

type Place = 'GATEWAY' | 'SIDECAR_INBOUND';

/** Filters of ours carry our name: Istio's CUSTOM AuthorizationPolicy has an `envoy.filters.http.ext_authz` of its own. */
const ISTIO_AUTHZ = 'sallyport.ext_authz';
const ISTIO_PROC = 'sallyport.ext_proc';

export function printIstio(options: PrintOptions): string {
  const { models } = options;
  refuseSameNames(models);
  const servers = byUpstream(models);
  const documents =
    options.mesh.context === 'gateway' ? atGateway(options, models) : servers.flatMap((s) => inSidecar(options, s));
  return yamlText([
    withPreface(gateService(options.mesh), options, models),
    ...documents,
    ...istioIdentities(options, servers),
    ...servers.map((server) => modelDestination(server)),
    gateDestination(options),
    ...(options.mesh.tls === undefined ? gateIdentity(options, servers) : []),
    ...gateNetwork(options, servers),
    ...servers.flatMap((server) => onlyWayToModel(options, server)),
  ]);
}

function withPreface(
  document: CommentedDocument,
  options: PrintOptions,
  models: readonly PrintModel[],
): CommentedDocument {
  const where = options.mesh.context === 'gateway' ? 'at the ingress gateway' : 'in the sidecar of each model';
  const head = `Sallyport in Istio: both gates ${where}. Printed by \`sallyport envoy print --for istio\`.
Read every document before you apply it: labels, hosts and ports are guesses where your mesh is not known.

models.yaml must name Istio's clusters, or the response gate refuses every answer (it compares with xds.cluster_name):
${clusterHint(models, (model) => istioCluster(options, model))}
${
  options.mesh.tls === undefined
    ? `The gate listens in plain text behind its sidecar: listen: {grpc: "0.0.0.0:${options.mesh.gate.port}", plaintext: mesh} in sallyport.yaml.`
    : `The gate does its own mTLS: listen: {grpc: "0.0.0.0:${options.mesh.gate.port}", tls: …} in sallyport.yaml; the files named below
must be in the proxy’s container.`
}

${[istioIdentityPreface(options), document.head].filter((part) => part !== '').join('\n\n')}`;
  return { ...document, head };
}

/** Envoy's name for the model's cluster where the gates are. */
export function istioCluster(options: PrintOptions, model: PrintModel): string {
  const { service, namespace } = serviceOf(model.upstream);
  return options.mesh.context === 'gateway'
    ? `outbound|${model.upstream.port}||${service}.${namespace}.svc.cluster.local`
    : `inbound|${model.upstream.port}||`;
}

/** The gate's cluster: Istio's own, with the mesh's mTLS, or one that we add, with the gate's. */
function gateClusterName(options: PrintOptions): string {
  return options.mesh.tls === undefined ? `outbound|${options.mesh.gate.port}||${gateHost(options)}` : 'sallyport';
}

function atGateway(options: PrintOptions, models: readonly PrintModel[]): CommentedDocument[] {
  const { proxy } = options.mesh;
  const filter = envoyFilter(
    options,
    { name: 'sallyport-gates', namespace: proxy.namespace, labels: proxy.labels },
    'GATEWAY',
    undefined,
    models.map((model) => ({ match: { vhost: { route: { name: dnsLabel(model.name) } } }, model })),
    `Both gates, for every route of this gateway: a route that is no model's is refused (403), never let through.
To gate only some, run them on a gateway of their own. EnvoyFilters that insert before the router later come after the
gates: none of them may change requests or answers.`,
  );
  return [filter, ...models.map((model) => gatewayRoute(options, model))];
}

function inSidecar(options: PrintOptions, model: PrintModel): CommentedDocument[] {
  const { service, namespace } = serviceOf(model.upstream);
  const { port } = model.upstream;
  const filter = envoyFilter(
    options,
    { name: `sallyport-gates-${dnsLabel(model.name)}`.slice(0, 63), namespace, labels: { app: service } },
    'SIDECAR_INBOUND',
    port,
    [{ match: { vhost: { name: `inbound|http|${port}` } }, model: isAlone(options.models, model) ? model : undefined }],
    `Both gates in the sidecar of ${model.name}: whoever calls it passes them. The pod must not exclude this port from its
sidecar (traffic.sidecar.istio.io/excludeInboundPorts), and a Sidecar object, if there is one, must let it reach the gate.
The address on the record is what x-forwarded-for says, where a gateway of the mesh has set it.`,
  );
  return [
    filter,
    resource(
      'networking.istio.io/v1',
      'VirtualService',
      { name: `sallyport-${dnsLabel(model.name)}`.slice(0, 63), namespace },
      { hosts: [`${service}.${namespace}.svc.cluster.local`], gateways: ['mesh'], http: [plainRoute(model)] },
      `Istio's callers retry twice by default, and each retry would be one more request to decide, pay and record.`,
      [[['spec', 'http', 0, 'retries'], 'No retries.']],
    ),
  ];
}

/** A server of several models: its sidecar's one route cannot name which, so the gate goes by the request. */
function isAlone(models: readonly PrintModel[], { upstream }: PrintModel): boolean {
  return (
    models.filter((other) => other.upstream.host === upstream.host && other.upstream.port === upstream.port).length ===
    1
  );
}

function plainRoute(model: PrintModel): { readonly [key: string]: Json } {
  const { service, namespace } = serviceOf(model.upstream);
  return {
    name: dnsLabel(model.name),
    timeout: '0s',
    retries: { attempts: 0 },
    route: [
      { destination: { host: `${service}.${namespace}.svc.cluster.local`, port: { number: model.upstream.port } } },
    ],
  };
}

function gatewayRoute(options: PrintOptions, model: PrintModel): CommentedDocument {
  const { proxy, domain } = options.mesh;
  const name = dnsLabel(model.name);
  return resource(
    'networking.istio.io/v1',
    'VirtualService',
    { name: `sallyport-${name}`.slice(0, 63), namespace: proxy.namespace },
    {
      hosts: [`${name}.${domain}`],
      gateways: [`${proxy.namespace}/${proxy.gateway}`],
      http: [plainRoute(model)],
    },
    `The route of ${model.name}. If you have one already: give it this name (the EnvoyFilter finds it by it), these
retries and this timeout; one destination, no weights and no mirror.`,
    [
      [
        ['spec', 'http', 0, 'retries'],
        'Istio’s default is two retries: the model would be called again, unseen by the gates.',
      ],
      [
        ['spec', 'http', 0, 'route'],
        'One destination: a weighted one is drawn after the gate has decided, and refused.',
      ],
    ],
  );
}

interface RoutePatch {
  readonly match: Json;
  /** Undefined: the route serves several, and names none. */
  readonly model: PrintModel | undefined;
}

function envoyFilter(
  options: PrintOptions,
  target: { readonly name: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  context: Place,
  portNumber: number | undefined,
  routes: readonly RoutePatch[],
  head: string,
): CommentedDocument {
  const cluster = gateClusterName(options);
  const hcm = { name: 'envoy.filters.network.http_connection_manager' };
  const listener = (filter: Json): Json => ({
    ...(portNumber === undefined ? {} : { portNumber }),
    filterChain: { filter },
  });
  const beforeRouter = (filter: Json): Json => ({
    applyTo: 'HTTP_FILTER',
    match: { context, listener: listener({ ...hcm, subFilter: { name: 'envoy.filters.http.router' } }) },
    patch: { operation: 'INSERT_BEFORE', value: filter },
  });
  const patches: Json[] = [
    {
      applyTo: 'NETWORK_FILTER',
      match: { context, listener: listener(hcm) },
      patch: { operation: 'MERGE', value: { ...hcm, typed_config: connectionSettings() } },
    },
    beforeRouter(throughCluster(authzFilter(options, false), ISTIO_AUTHZ, cluster)),
    beforeRouter(throughCluster(procFilter(), ISTIO_PROC, cluster)),
    ...routes.map(({ match, model }) => ({
      applyTo: 'HTTP_ROUTE',
      match: { context, routeConfiguration: match },
      patch: { operation: 'MERGE', value: routeSettings(model) },
    })),
    ...(options.mesh.tls === undefined ? [] : [addGateCluster(options, context)]),
  ];
  const at = (index: number): (string | number)[] => ['spec', 'configPatches', index];
  return resource(
    'networking.istio.io/v1alpha3',
    'EnvoyFilter',
    { name: target.name, namespace: target.namespace },
    { workloadSelector: { labels: target.labels }, configPatches: patches },
    head,
    [
      [
        at(0),
        'Paths and headers that the gate and the model must read alike; Envoy’s own refusals in the SDKs’ shape.',
      ],
      [at(1), 'The request gate. Inserted first, so that it stays before the response gate.'],
      [at(2), 'The response gate.'],
      ...routes.map(
        ({ model }, index) =>
          [
            at(3 + index),
            model === undefined ? 'This route serves several models.' : `Names the model of this route: ${model.name}.`,
          ] as const,
      ),
      ...(options.mesh.tls === undefined ? [] : [[at(3 + routes.length), 'The gate, with its own mTLS.'] as const]),
    ],
  );
}

/** The filters as they are standalone, under our own name and with the mesh's name for the gate's cluster. */
function throughCluster(filter: Json, name: string, cluster: string): Json {
  const { typed_config } = filter as { typed_config: { grpc_service: object } };
  return {
    name,
    typed_config: {
      ...typed_config,
      grpc_service: { ...typed_config.grpc_service, envoy_grpc: { cluster_name: cluster } },
    } as Json,
  };
}

/** Merged into Istio's connection manager: it normalizes paths already, has no idle timeout, and lets websockets in. */
function connectionSettings(): Json {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
    generate_request_id: true,
    local_reply_config: localReplies(),
  };
}

function routeSettings(model: PrintModel | undefined): Json {
  return {
    route: {
      timeout: '0s',
      max_stream_duration: { max_stream_duration: LONGEST_STREAM },
      // Lists are appended by MERGE, so Istio's websocket upgrade cannot be removed from the connection manager, only here.
      upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }],
      retry_policy: { num_retries: 0 },
    },
    ...(model === undefined
      ? {}
      : {
          typed_per_filter_config: {
            [ISTIO_AUTHZ]: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
              check_settings: { context_extensions: { 'sallyport.model': model.name } },
            },
          },
        }),
  };
}

function addGateCluster(options: PrintOptions, context: Place): Json {
  const { gate, tls } = options.mesh;
  return {
    applyTo: 'CLUSTER',
    match: { context: context === 'GATEWAY' ? context : 'SIDECAR_OUTBOUND' },
    patch: {
      operation: 'ADD',
      value: gateCluster([{ kind: 'tcp', host: gateHost(options), port: gate.port, tls }]),
    },
  };
}
