/**
 * Envoy Gateway: its own policies where they have the field, an EnvoyPatchPolicy where they do not. Without the patch the
 * gate refuses every request (`envoy_misconfigured`), so a cluster where patches are not enabled is closed, not open.
 */
import type { Json } from '../bootstrap.ts';
import { EG, GATEWAY_API, gatewayRef, POLICY, patchPolicy } from './gateway-patch.ts';
import {
  gatewayClientTls,
  gatewayClientTlsNote,
  gatewayFilterOrder,
  gatewayFilterOrderNote,
  gatewayIdentityPreface,
} from './identities.ts';
import {
  byUpstream,
  clusterHint,
  dnsLabel,
  gateService,
  LONGEST_STREAM,
  MANY,
  networkPolicy,
  type Peer,
  refuseSameNames,
  resource,
  serviceOf,
} from './kubernetes.ts';
import type { PrintModel, PrintOptions } from './options.ts';
import { type CommentedDocument, yamlText } from './yaml.ts';

/** Where Envoy Gateway runs its proxies. */
const PROXIES = 'envoy-gateway-system';

export function printEnvoyGateway(options: PrintOptions): string {
  const { models } = options;
  refuseSameNames(models);
  const service = gateService(options.mesh);
  return yamlText([
    {
      ...service,
      head: [preface(models), gatewayIdentityPreface(options), service.head].filter((part) => part !== '').join('\n\n'),
    },
    referenceGrant(options, models),
    ...gateTls(options),
    clientTraffic(options),
    backendTraffic(options),
    securityPolicy(options, POLICY, options.mesh.proxy.namespace, gatewayRef(options), undefined),
    ...models.flatMap((model) => modelRoute(options, model)),
    extensionPolicy(options),
    patchPolicy(options),
    ...network(options, byUpstream(models)),
  ]);
}

function preface(models: readonly PrintModel[]): string {
  return `Sallyport in Envoy Gateway. Printed by \`sallyport envoy print --for envoy-gateway\`.
Read every document before you apply it: labels, hosts and ports are guesses where your cluster is not known.

EnvoyPatchPolicy must be enabled (EnvoyGateway: extensionApis.enableEnvoyPatchPolicy: true); without it every request is
refused with \`envoy_misconfigured: with_request_body.pack_as_bytes\`. Restrict by RBAC who may write one: it can undo all.

models.yaml must name Envoy Gateway's clusters, or the response gate refuses every answer (it compares with xds.cluster_name):
${clusterHint(models, gatewayCluster)}

A policy on a route replaces the Gateway's policy of that kind for this route: a SecurityPolicy, EnvoyExtensionPolicy or
BackendTrafficPolicy of somebody else's on a model's route takes the gate (or its timeouts) away. \`sallyport envoy check\`
reads Envoy's own config_dump and names such routes.`;
}

/** Envoy Gateway's name for the cluster of the route that `modelRoute` prints. */
export function gatewayCluster(model: PrintModel): string {
  return `httproute/${serviceOf(model.upstream).namespace}/${dnsLabel(model.name)}/rule/0`;
}

function referenceGrant(options: PrintOptions, models: readonly PrintModel[]): CommentedDocument {
  const { gate, proxy } = options.mesh;
  const namespaces = new Set([proxy.namespace, ...models.map((model) => serviceOf(model.upstream).namespace)]);
  return resource(
    `${GATEWAY_API}/v1beta1`,
    'ReferenceGrant',
    { name: POLICY, namespace: gate.namespace },
    {
      from: [
        ...[...namespaces].map((namespace) => ({ group: 'gateway.envoyproxy.io', kind: 'SecurityPolicy', namespace })),
        { group: 'gateway.envoyproxy.io', kind: 'EnvoyExtensionPolicy', namespace: proxy.namespace },
      ],
      to: [{ group: '', kind: 'Service', name: gate.service }],
    },
    'The policies below are in other namespaces than the gate.',
  );
}

/** Envoy Gateway has no sidecars: the gate does its own mTLS, and the proxies show a certificate. */
function gateTls(options: PrintOptions): CommentedDocument[] {
  const { gate, proxy, tls } = options.mesh;
  return [
    resource(
      `${GATEWAY_API}/v1`,
      'BackendTLSPolicy',
      { name: POLICY, namespace: gate.namespace },
      {
        targetRefs: [{ group: '', kind: 'Service', name: gate.service, sectionName: 'grpc-gates' }],
        validation: {
          caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'sallyport-ca' }],
          hostname: tls?.serverName ?? `${gate.service}.${gate.namespace}.svc`,
        },
      },
      `TLS to the gate: listen: {grpc: "0.0.0.0:${gate.port}", tls: …} in sallyport.yaml, with a certificate for this host name. ConfigMap sallyport-ca holds the
CA (key ca.crt). BackendTLSPolicy is v1 since Gateway API 1.4 (Envoy Gateway 1.6).`,
    ),
    resource(
      EG,
      'EnvoyProxy',
      { name: POLICY, namespace: proxy.namespace },
      {
        backendTLS: { clientCertificateRef: { group: '', kind: 'Secret', name: 'sallyport-client' } },
        ...gatewayFilterOrder(options),
      },
      `The certificate that the proxies show to the gate; its DNS or URI name must be in listen.tls.allowedClients.
Refer to this object from your Gateway (spec.infrastructure.parametersRef), or move the field to the one you have.`,
      options.verifiedByEnvoy?.jwtAuthn ? [gatewayFilterOrderNote] : [],
    ),
  ];
}

function clientTraffic(options: PrintOptions): CommentedDocument {
  return resource(
    EG,
    'ClientTrafficPolicy',
    { name: POLICY, namespace: options.mesh.proxy.namespace },
    {
      targetRefs: [gatewayRef(options)],
      path: { escapedSlashesAction: 'RejectRequest', disableMergeSlashes: false },
      headers: { withUnderscoresAction: 'RejectRequest', requestID: 'Generate' },
      timeout: { http: { streamIdleTimeout: '15m' } },
      ...gatewayClientTls(options),
    },
    'Paths and headers that the gate and the model must read alike (Envoy Gateway normalizes paths by itself).',
    [
      [
        ['spec', 'timeout', 'http', 'streamIdleTimeout'],
        'Above the wait for an approval and the longest silence of a model. Default: 5 minutes.',
      ],
      ...(options.verifiedByEnvoy?.peers ? [gatewayClientTlsNote] : []),
    ],
  );
}

function backendTraffic(options: PrintOptions): CommentedDocument {
  return resource(
    EG,
    'BackendTrafficPolicy',
    { name: POLICY, namespace: options.mesh.proxy.namespace },
    {
      targetRefs: [gatewayRef(options)],
      useClientProtocol: false,
      timeout: { http: { requestTimeout: '0s', maxStreamDuration: LONGEST_STREAM } },
      circuitBreaker: { maxConnections: MANY, maxPendingRequests: MANY, maxParallelRequests: MANY },
    },
    `The way to the models: no retry (do not add one: the model would be called again, unseen by the gates) and no mirror.
Models speak HTTP/1.1: no appProtocol kubernetes.io/h2c on their Services.`,
    [
      [['spec', 'timeout', 'http', 'requestTimeout'], 'Envoy’s default ends every answer after 15 s.'],
      [['spec', 'circuitBreaker'], 'One slot a live stream; Envoy’s default is 1,024 of them.'],
    ],
  );
}

function toGate(options: PrintOptions): { readonly [key: string]: Json } {
  const { gate } = options.mesh;
  return {
    backendRefs: [{ group: '', kind: 'Service', name: gate.service, namespace: gate.namespace, port: gate.port }],
    backendSettings: {
      circuitBreaker: { maxConnections: MANY, maxPendingRequests: MANY, maxParallelRequests: MANY },
      tcpKeepalive: { idleTime: '30s', interval: '10s', probes: 3 },
      timeout: { tcp: { connectTimeout: '1s' } },
    },
  };
}

function securityPolicy(
  options: PrintOptions,
  name: string,
  namespace: string,
  target: Json,
  model: string | undefined,
): CommentedDocument {
  return resource(
    EG,
    'SecurityPolicy',
    { name, namespace },
    {
      targetRefs: [target],
      extAuth: {
        failOpen: false,
        statusOnError: 503,
        timeout: `${options.approvalsWaitS + 15}s`,
        bodyToExtAuth: { maxRequestBytes: options.maxRequestBytes },
        ...(model === undefined
          ? {}
          : { contextExtensions: [{ name: 'sallyport.model', type: 'Value', value: model }] }),
        grpc: toGate(options),
      },
    },
    model === undefined
      ? `The request gate for every route of the Gateway: a route that is no model's is refused (403), never let through.
statusOnError needs Envoy Gateway 1.8; leave it out on 1.6 and 1.7 (the patch below sets it).`
      : `The request gate on the route of ${model}, with its name. contextExtensions needs Envoy Gateway 1.7; on 1.6 leave this
document out: the model is then the one that the request names.`,
    [[['spec', 'extAuth', 'timeout'], 'Above approvals.wait.']],
  );
}

function modelRoute(options: PrintOptions, model: PrintModel): CommentedDocument[] {
  const { proxy, domain } = options.mesh;
  const { service, namespace } = serviceOf(model.upstream);
  const name = dnsLabel(model.name);
  return [
    resource(
      `${GATEWAY_API}/v1`,
      'HTTPRoute',
      { name, namespace },
      {
        parentRefs: [{ name: proxy.gateway, namespace: proxy.namespace, sectionName: proxy.listener }],
        hostnames: [`${name}.${domain}`],
        rules: [
          {
            backendRefs: [{ name: service, port: model.upstream.port }],
            timeouts: { request: '0s' },
          },
        ],
      },
      `The route of ${model.name}. One rule, one backend, no weights, no RequestMirror filter, no retry; if you change its name or
the place of the rule, the cluster in models.yaml changes with it.`,
    ),
    securityPolicy(
      options,
      `${POLICY}-${name}`.slice(0, 63),
      namespace,
      { group: GATEWAY_API, kind: 'HTTPRoute', name },
      model.name,
    ),
  ];
}

function extensionPolicy(options: PrintOptions): CommentedDocument {
  return resource(
    EG,
    'EnvoyExtensionPolicy',
    { name: POLICY, namespace: options.mesh.proxy.namespace },
    {
      targetRefs: [gatewayRef(options)],
      extProc: [
        {
          ...toGate(options),
          failOpen: false,
          messageTimeout: '5s',
          processingMode: {
            allowModeOverride: true,
            request: { attributes: ['request.id'] },
            response: { body: 'Streamed', attributes: ['response.code_details'] },
          },
          metadata: { accessibleNamespaces: ['envoy.filters.http.ext_authz'] },
        },
      ],
    },
    `The response gate, after the request gate (Envoy Gateway's order of filters; an EnvoyProxy's filterOrder must keep it).
Not in this API, so in the patch below: response trailers, xds.cluster_name, allowed_override_modes (and the status on error
before 1.9).`,
  );
}

function network(options: PrintOptions, models: readonly PrintModel[]): CommentedDocument[] {
  const { gate, proxy } = options.mesh;
  const proxies: Peer = {
    namespace: PROXIES,
    labels: {
      'gateway.envoyproxy.io/owning-gateway-name': proxy.gateway,
      'gateway.envoyproxy.io/owning-gateway-namespace': proxy.namespace,
    },
  };
  return [
    networkPolicy(
      `${gate.service}-gates`,
      gate,
      [proxies],
      'Only the Gateway’s proxies reach the gate (and only with their certificate).',
    ),
    ...models.map((model) => {
      const target = { ...serviceOf(model.upstream), port: model.upstream.port };
      return networkPolicy(
        `sallyport-only-${dnsLabel(model.name)}`.slice(0, 63),
        target,
        [proxies],
        `The Gateway is the only way to ${model.name}; \`sallyport doctor\` calls the model directly and fails if it answers.`,
      );
    }),
  ];
}
