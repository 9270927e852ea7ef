/** Istio, beside the filters: how the gate and the models are reached, and by whom. */
import type { Json } from '../bootstrap.ts';
import { dnsLabel, MANY, networkPolicy, type Peer, resource, serviceOf } from './kubernetes.ts';
import type { PrintModel, PrintOptions } from './options.ts';
import type { CommentedDocument } from './yaml.ts';

export function gateHost({ mesh }: PrintOptions): string {
  return `${mesh.gate.service}.${mesh.gate.namespace}.svc.cluster.local`;
}

export function modelDestination(model: PrintModel): CommentedDocument {
  const { service, namespace } = serviceOf(model.upstream);
  return resource(
    'networking.istio.io/v1',
    'DestinationRule',
    { name: `sallyport-${dnsLabel(model.name)}`.slice(0, 63), namespace },
    {
      host: `${service}.${namespace}.svc.cluster.local`,
      trafficPolicy: {
        connectionPool: {
          tcp: { maxConnections: MANY },
          http: {
            h2UpgradePolicy: 'DO_NOT_UPGRADE',
            useClientProtocol: false,
            http1MaxPendingRequests: MANY,
            http2MaxRequests: MANY,
          },
        },
      },
    },
    `${model.name} is spoken to in HTTP/1.1. Its Service port must be named http-… (or appProtocol: http), not http2 or grpc.`,
    [
      [
        ['spec', 'trafficPolicy', 'connectionPool', 'http', 'h2UpgradePolicy'],
        'Over HTTP/2 trailers may end the answer while text is still held; the gate then refuses it.',
      ],
      [['spec', 'trafficPolicy', 'connectionPool', 'tcp'], 'One slot a live stream; Envoy’s default is 1,024 of them.'],
    ],
  );
}

export function gateDestination(options: PrintOptions): CommentedDocument {
  const { gate, tls } = options.mesh;
  const inMesh = tls === undefined;
  return resource(
    'networking.istio.io/v1',
    'DestinationRule',
    { name: gate.service, namespace: gate.namespace },
    {
      host: gateHost(options),
      trafficPolicy: {
        portLevelSettings: [
          {
            port: { number: gate.port },
            connectionPool: {
              tcp: {
                maxConnections: MANY,
                connectTimeout: '1s',
                tcpKeepalive: { time: '30s', interval: '10s', probes: 3 },
              },
              http: { http1MaxPendingRequests: MANY, http2MaxRequests: MANY },
            },
            tls: { mode: inMesh ? 'ISTIO_MUTUAL' : 'DISABLE' },
          },
        ],
      },
    },
    inMesh
      ? 'The way to the gate: the mesh’s mTLS, and room for every live stream. HTTP/2 comes with the Service’s appProtocol: grpc.'
      : 'Sidecars leave the gate’s port alone: it does its own mTLS (the cluster `sallyport` above).',
  );
}

function gateCallers({ mesh }: PrintOptions, models: readonly PrintModel[]): { principals: string[]; peers: Peer[] } {
  const principal = (namespace: string, account: string): string => `${mesh.trustDomain}/ns/${namespace}/sa/${account}`;
  if (mesh.context === 'gateway')
    return {
      principals: [principal(mesh.proxy.namespace, mesh.proxy.serviceAccount)],
      peers: [{ namespace: mesh.proxy.namespace, labels: mesh.proxy.labels }],
    };
  const services = models.map((model) => serviceOf(model.upstream));
  return {
    principals: [...new Set(services.map(({ service, namespace }) => principal(namespace, service)))],
    peers: services.map(({ service, namespace }) => ({ namespace, labels: { app: service } })),
  };
}

/** `plaintext: mesh` is only as good as this: the mesh's mTLS, and one principal that may call. */
export function gateIdentity(options: PrintOptions, models: readonly PrintModel[]): CommentedDocument[] {
  const { gate } = options.mesh;
  const selector = { matchLabels: { app: gate.service } };
  const { principals } = gateCallers(options, models);
  return [
    resource(
      'security.istio.io/v1',
      'PeerAuthentication',
      { name: gate.service, namespace: gate.namespace },
      { selector, mtls: { mode: 'STRICT' } },
      'The gate listens in plain text behind its sidecar: nobody may reach it without the mesh’s mTLS.',
    ),
    denyOthers(
      { name: `${gate.service}-gates`, namespace: gate.namespace },
      selector,
      principals,
      gate.port,
      `Whoever reaches the gRPC port is trusted: only ${principals.join(', ')} may.
A DENY rule, so that no ALLOW rule of anybody's opens it again.`,
    ),
  ];
}

function denyOthers(
  name: { readonly name: string; readonly namespace: string },
  selector: Json,
  principals: readonly string[],
  port: number,
  head: string,
): CommentedDocument {
  return resource(
    'security.istio.io/v1',
    'AuthorizationPolicy',
    name,
    {
      selector,
      action: 'DENY',
      rules: [{ from: [{ source: { notPrincipals: principals } }], to: [{ operation: { ports: [String(port)] } }] }],
    },
    head,
  );
}

export function gateNetwork(options: PrintOptions, models: readonly PrintModel[]): CommentedDocument[] {
  const { gate } = options.mesh;
  return [
    networkPolicy(
      `${gate.service}-gates`,
      gate,
      gateCallers(options, models).peers,
      'The same again below the mesh: only the proxies with the gates in them reach the gRPC port.',
    ),
  ];
}

/** At the gateway the model's own port must be closed to everybody else; a sidecar has the gates in it already. */
export function onlyWayToModel(options: PrintOptions, model: PrintModel): CommentedDocument[] {
  if (options.mesh.context === 'sidecar') return [];
  const target = serviceOf(model.upstream);
  const { port } = model.upstream;
  const { principals, peers } = gateCallers(options, []);
  const name = `sallyport-only-${dnsLabel(model.name)}`.slice(0, 63);
  return [
    resource(
      'security.istio.io/v1',
      'PeerAuthentication',
      { name, namespace: target.namespace },
      { selector: { matchLabels: { app: target.service } }, mtls: { mode: 'STRICT' } },
      `${model.name}: without mTLS there is no principal to name.`,
    ),
    denyOthers(
      { name, namespace: target.namespace },
      { matchLabels: { app: target.service } },
      principals,
      port,
      `The gateway is the only way to ${model.name}; \`sallyport doctor\` calls the model directly and fails if it answers.`,
    ),
    networkPolicy(name, { ...target, port }, peers, `The same below the mesh, for a pod whose sidecar is missing.`),
  ];
}
