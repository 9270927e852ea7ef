import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { authzFilter, procFilter, standaloneBootstrap } from '../../../src/envoy/bootstrap.ts';
import { checkEnvoyConfig } from '../../../src/envoy/check.ts';
import { gatewayCluster } from '../../../src/envoy/print/gateway.ts';
import { istioCluster } from '../../../src/envoy/print/istio.ts';
import { dnsLabel, serviceOf } from '../../../src/envoy/print/kubernetes.ts';
import { defaultPrintOptions, type PrintOptions } from '../../../src/envoy/print/options.ts';
import { yamlText } from '../../../src/envoy/print/yaml.ts';
import { printEnvoy } from '../../../src/envoy/print.ts';
import { composeOptions, envoyFiles } from '../../support/envoy-files.ts';

// biome-ignore lint/suspicious/noExplicitAny: foreign YAML, read by path
type Yaml = Record<string, any>;

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Yaml;
}

const objects = (text: string): readonly KubernetesObject[] =>
  parseAllDocuments(text).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as KubernetesObject;
  });
const ofKind = (text: string, kind: string): readonly KubernetesObject[] =>
  objects(text).filter((object) => object.kind === kind);

const istio = defaultPrintOptions('istio');
const gateway = defaultPrintOptions('envoy-gateway');
const inSidecars: PrintOptions = { ...istio, mesh: { ...istio.mesh, context: 'sidecar' } };
const tls = { caFile: '/c/ca', certFile: '/c/crt', keyFile: '/c/key', serverName: 'gate.example.com' };
const ownTls: PrintOptions = { ...istio, mesh: { ...istio.mesh, tls } };

describe('the files in envoy/', () => {
  it.each(Object.entries(envoyFiles))('%s is what its function prints', async (name, print) => {
    await expect(print()).toMatchFileSnapshot(join(import.meta.dirname, '..', '..', '..', 'envoy', name));
  });

  it.each(Object.entries(envoyFiles))('%s has no finding', (_, print) => {
    expect(checkEnvoyConfig(print())).toEqual({ findings: [] });
  });

  it.each([
    ['gates in sidecars', inSidecars],
    ['mTLS of the gate’s own', ownTls],
    ['gates in sidecars, mTLS of the gate’s own', { ...inSidecars, mesh: { ...inSidecars.mesh, tls } }],
  ])('Istio with %s has no finding', (_, options) => {
    expect(checkEnvoyConfig(printEnvoy('istio', options))).toEqual({ findings: [] });
  });
});

describe('standalone', () => {
  it('is the bootstrap that `up` runs, with comments', () => {
    const options = { ...istio, ...istio.standalone };
    const [document] = parseAllDocuments(printEnvoy('standalone', istio));
    expect(document?.toJS()).toEqual(standaloneBootstrap(options));
    expect(printEnvoy('standalone', istio)).toContain('# Above approvals.wait');
  });

  it('prints without a model', () => {
    const text = printEnvoy('standalone', { ...istio, models: [] });
    expect(checkEnvoyConfig(text)).toEqual({ findings: [] });
  });

  it('asks for the gate’s certificate by name, and shows its own', () => {
    const [document] = parseAllDocuments(envoyFiles['compose.yaml']());
    const [gate] = composeOptions.gates;
    const cluster = document?.toJS().static_resources.clusters[0];
    expect(gate).toMatchObject({ tls: { serverName: 'gateway' } });
    expect(cluster.transport_socket.typed_config.common_tls_context).toMatchObject({
      tls_certificates: [{ certificate_chain: { filename: '/certs/envoy.crt' } }],
      validation_context: { trusted_ca: { filename: '/certs/ca.crt' } },
    });
  });
});

describe('Istio', () => {
  const filters = (text: string): readonly Yaml[] =>
    ofKind(text, 'EnvoyFilter').flatMap(({ spec }) => spec['configPatches']);

  it('inserts ext_authz, then ext_proc, before the router', () => {
    const inserted = filters(printEnvoy('istio', istio)).filter(({ applyTo }) => applyTo === 'HTTP_FILTER');
    expect(inserted.map(({ patch }) => [patch.operation, patch.value.name])).toEqual([
      ['INSERT_BEFORE', 'sallyport.ext_authz'],
      ['INSERT_BEFORE', 'sallyport.ext_proc'],
    ]);
    for (const { match } of inserted)
      expect(match.listener.filterChain.filter.subFilter.name).toBe('envoy.filters.http.router');
  });

  it('gives both filters every setting that they have standalone, but for the cluster and the route cache', () => {
    const [, authz, proc] = filters(printEnvoy('istio', istio)).map(({ patch }) => patch.value.typed_config);
    const cluster = { envoy_grpc: { cluster_name: 'outbound|9443||sallyport.sallyport.svc.cluster.local' } };
    const standalone = (filter: unknown): object => (filter as { typed_config: object }).typed_config;
    expect(authz).toEqual({
      ...standalone(authzFilter(istio, false)),
      grpc_service: { ...cluster, timeout: '45s' },
    });
    expect(authz).not.toHaveProperty('clear_route_cache');
    expect(proc).toEqual({ ...standalone(procFilter()), grpc_service: cluster });
  });

  it('names the model of its route, and takes upgrades and retries away', () => {
    const [route] = filters(printEnvoy('istio', istio)).filter(({ applyTo }) => applyTo === 'HTTP_ROUTE');
    expect(route).toMatchObject({
      match: { context: 'GATEWAY', routeConfiguration: { vhost: { route: { name: 'llama' } } } },
      patch: {
        operation: 'MERGE',
        value: {
          route: {
            retry_policy: { num_retries: 0 },
            upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }],
            timeout: '0s',
          },
          typed_per_filter_config: {
            'sallyport.ext_authz': { check_settings: { context_extensions: { 'sallyport.model': 'llama' } } },
          },
        },
      },
    });
    const [service] = ofKind(printEnvoy('istio', istio), 'VirtualService');
    expect(service?.spec['http']).toMatchObject([{ name: 'llama', retries: { attempts: 0 }, timeout: '0s' }]);
  });

  it('speaks HTTP/1.1 to models and HTTP/2 to the gate, with room for every stream', () => {
    const [model, gate] = ofKind(printEnvoy('istio', istio), 'DestinationRule');
    expect(model?.spec['trafficPolicy'].connectionPool).toMatchObject({
      tcp: { maxConnections: 100_000 },
      http: { h2UpgradePolicy: 'DO_NOT_UPGRADE', useClientProtocol: false },
    });
    expect(gate?.spec['trafficPolicy'].portLevelSettings).toMatchObject([
      {
        port: { number: 9443 },
        connectionPool: { http: { http2MaxRequests: 100_000 } },
        tls: { mode: 'ISTIO_MUTUAL' },
      },
    ]);
  });

  it('lets only the gateway’s principal call a gate in plain text, and only with the mesh’s mTLS', () => {
    const text = printEnvoy('istio', istio);
    const principal = 'cluster.local/ns/istio-ingress/sa/istio-ingress';
    const strict = ofKind(text, 'PeerAuthentication').find(({ metadata }) => metadata.name === 'sallyport');
    expect(strict?.spec).toEqual({ selector: { matchLabels: { app: 'sallyport' } }, mtls: { mode: 'STRICT' } });
    const policy = ofKind(text, 'AuthorizationPolicy').find(({ metadata }) => metadata.name === 'sallyport-gates');
    expect(policy?.spec).toMatchObject({
      action: 'DENY',
      rules: [{ from: [{ source: { notPrincipals: [principal] } }], to: [{ operation: { ports: ['9443'] } }] }],
    });
  });

  it('makes the gateway the only way to the model', () => {
    const text = printEnvoy('istio', istio);
    const named = (kind: string): KubernetesObject | undefined =>
      ofKind(text, kind).find(({ metadata }) => metadata.name === 'sallyport-only-llama');
    expect(named('AuthorizationPolicy')).toMatchObject({
      metadata: { namespace: 'models' },
      spec: {
        action: 'DENY',
        selector: { matchLabels: { app: 'llama' } },
        rules: [{ to: [{ operation: { ports: ['8000'] } }] }],
      },
    });
    expect(named('NetworkPolicy')?.spec).toMatchObject({
      podSelector: { matchLabels: { app: 'llama' } },
      ingress: [{ ports: [{ port: 8000 }] }],
    });
    expect(named('PeerAuthentication')?.spec).toMatchObject({ mtls: { mode: 'STRICT' } });
  });

  it('brings its own cluster, and no authentication by the mesh, when the gate does mTLS itself', () => {
    const text = printEnvoy('istio', ownTls);
    const added = filters(text).find(({ applyTo }) => applyTo === 'CLUSTER');
    expect(added?.['patch']).toMatchObject({ operation: 'ADD', value: { name: 'sallyport', transport_socket: {} } });
    expect(ofKind(text, 'PeerAuthentication').map(({ metadata }) => metadata.name)).toEqual(['sallyport-only-llama']);
    expect(text).toContain('listen: {grpc: "0.0.0.0:9443", tls: …} in sallyport.yaml');
  });

  it('gates inbound traffic of one port in the model’s own sidecar', () => {
    const text = printEnvoy('istio', inSidecars);
    const [filter] = ofKind(text, 'EnvoyFilter');
    expect(filter?.metadata.namespace).toBe('models');
    expect(filter?.spec['workloadSelector']).toEqual({ labels: { app: 'llama' } });
    for (const { applyTo, match } of filter?.spec['configPatches'] ?? []) {
      expect(match.context).toBe('SIDECAR_INBOUND');
      if (applyTo === 'HTTP_ROUTE') expect(match.routeConfiguration).toEqual({ vhost: { name: 'inbound|http|8000' } });
      else expect(match.listener.portNumber).toBe(8000);
    }
    const [policy] = ofKind(text, 'AuthorizationPolicy');
    expect(policy?.spec['rules'][0].from[0].source.notPrincipals).toEqual(['cluster.local/ns/models/sa/llama']);
  });

  it('says how models.yaml must name the clusters', () => {
    const [model] = istio.models;
    expect(istioCluster(istio, model!)).toBe('outbound|8000||llama.models.svc.cluster.local');
    expect(istioCluster(inSidecars, model!)).toBe('inbound|8000||');
    expect(printEnvoy('istio', istio)).toContain('#   llama: outbound|8000||llama.models.svc.cluster.local');
  });
});

describe('Envoy Gateway', () => {
  const text = printEnvoy('envoy-gateway', gateway);

  it('puts the request gate on the Gateway and, with the model’s name, on each route', () => {
    const policies = ofKind(text, 'SecurityPolicy');
    expect(policies.map(({ metadata, spec }) => [metadata.namespace, spec['targetRefs'][0].kind])).toEqual([
      ['gateways', 'Gateway'],
      ['models', 'HTTPRoute'],
    ]);
    for (const { spec } of policies)
      expect(spec['extAuth']).toMatchObject({
        failOpen: false,
        statusOnError: 503,
        timeout: '45s',
        bodyToExtAuth: { maxRequestBytes: 4_194_304 },
      });
    expect(policies[1]?.spec['extAuth'].contextExtensions).toEqual([
      { name: 'sallyport.model', type: 'Value', value: 'llama' },
    ]);
  });

  it('patches what the policies have no field for, by the names of their filters', () => {
    const [patch] = ofKind(text, 'EnvoyPatchPolicy');
    const paths = patch?.spec['jsonPatches'].map(({ operation }: { operation: { path?: string } }) => operation.path);
    expect(paths).toEqual([
      'status_on_error',
      'validate_mutations',
      'encode_raw_headers',
      'with_request_body',
      'status_on_error',
      'allowed_override_modes',
      'request_attributes',
      'response_attributes',
      'processing_mode',
      'local_reply_config',
      undefined,
    ]);
    expect(patch?.spec['jsonPatches'][0].name).toBe('gateways/models/http');
  });

  it('ends no stream after 15 seconds, and has no retry', () => {
    const [policy] = ofKind(text, 'BackendTrafficPolicy');
    expect(policy?.spec).toMatchObject({ timeout: { http: { requestTimeout: '0s' } }, useClientProtocol: false });
    expect(policy?.spec).not.toHaveProperty('retry');
  });

  it('grants the policies the way to the gate’s Service', () => {
    const [grant] = ofKind(text, 'ReferenceGrant');
    expect(grant?.spec['from']).toEqual([
      { group: 'gateway.envoyproxy.io', kind: 'SecurityPolicy', namespace: 'gateways' },
      { group: 'gateway.envoyproxy.io', kind: 'SecurityPolicy', namespace: 'models' },
      { group: 'gateway.envoyproxy.io', kind: 'EnvoyExtensionPolicy', namespace: 'gateways' },
    ]);
  });

  it('says how models.yaml must name the clusters', () => {
    expect(gatewayCluster(gateway.models[0]!)).toBe('httproute/models/llama/rule/0');
  });
});

describe('names', () => {
  it.each([
    ['Llama 3.1/8B', 'llama-3-1-8b'],
    ['-x-', 'x'],
    ['a'.repeat(80), 'a'.repeat(63)],
  ])('the model %j is the label %j', (name, label) => expect(dnsLabel(name)).toBe(label));

  it('refuses a model name of which no label can be made', () => expect(() => dnsLabel('模型')).toThrow(/no letter/));

  it.each(['llama', '10.0.0.1', '::1', 'api.example.com', ''])('refuses %j as a Service', (host) => {
    expect(() => serviceOf({ host, port: 80, tls: false })).toThrow(/is not a Service/);
  });

  const onOneService = (options: PrintOptions, second: string): PrintOptions => ({
    ...options,
    models: [options.models[0]!, { ...options.models[0]!, name: second }],
  });

  it('prints a route for each of two models on one Service, and one way to the Service', () => {
    const text = printEnvoy('istio', onOneService(istio, 'qwen'));
    expect(ofKind(text, 'VirtualService').map(({ metadata }) => metadata.name)).toEqual([
      'sallyport-llama',
      'sallyport-qwen',
    ]);
    expect(ofKind(text, 'DestinationRule')).toHaveLength(2);
    expect(text).toContain('sallyport.model: qwen');
  });

  it('names no model in a sidecar that serves two', () => {
    const text = printEnvoy('istio', onOneService(inSidecars, 'qwen'));
    expect(ofKind(text, 'EnvoyFilter')).toHaveLength(1);
    expect(text).not.toContain('sallyport.model');
  });

  it.each(['istio', 'envoy-gateway'] as const)('refuses two models of one Kubernetes name for %s', (target) => {
    expect(() => printEnvoy(target, onOneService(istio, 'LLAMA'))).toThrow(
      /llama and LLAMA would share the name llama/,
    );
  });

  it('loses no comment: a path that is not there is an error', () => {
    expect(() => yamlText([{ value: { a: 1 }, head: '', notes: [[['b'], 'x']] }])).toThrow(
      /comment on what is not there: b/,
    );
  });
});
