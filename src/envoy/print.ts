/** `sallyport envoy print`: what an operator gives Envoy, Istio or Envoy Gateway, as YAML with the reasons beside it. */
import { type BootstrapOptions, type Json, standaloneBootstrap } from './bootstrap.ts';
import { UPSTREAM_HEADER } from './forward.ts';
import { printEnvoyGateway } from './print/gateway.ts';
import { standaloneIdentityNotes } from './print/identities.ts';
import { printIstio } from './print/istio.ts';
import type { PrintOptions } from './print/options.ts';
import { type Note, yamlText } from './print/yaml.ts';

export const printTargets = ['standalone', 'istio', 'envoy-gateway'] as const;
export type PrintTarget = (typeof printTargets)[number];

export function printEnvoy(target: PrintTarget, options: PrintOptions): string {
  switch (target) {
    case 'standalone':
      return printStandalone({ ...options, ...options.standalone });
    case 'istio':
      return printIstio(options);
    case 'envoy-gateway':
      return printEnvoyGateway(options);
  }
}

const HCM = ['static_resources', 'listeners', 0, 'filter_chains', 0, 'filters', 0, 'typed_config'];
const AUTHZ = [...HCM, 'http_filters', 0, 'typed_config'];
const PROC = [...HCM, 'http_filters', 1, 'typed_config'];
const ROUTE = [...HCM, 'route_config', 'virtual_hosts', 0, 'routes', 0, 'route'];

/** The bootstrap that `sallyport up` runs, for an Envoy that you run yourself. */
export function printStandalone(options: BootstrapOptions): string {
  const value = standaloneBootstrap(options);
  const head = `Envoy for Sallyport: both gates in front of ${options.models.map(({ cluster }) => cluster).join(', ') || 'no model yet'}.
Printed by \`sallyport envoy print --for standalone\`; \`sallyport envoy check FILE\` says what a change opens.`;
  return yamlText([{ value, head, notes: [...notes(value), ...standaloneIdentityNotes(options, AUTHZ)] }]);
}

function notes(value: Json): Note[] {
  const all: Note[] = [
    [
      [...HCM, 'use_remote_address'],
      'The address on the record is the peer’s. Behind another proxy: set xff_num_trusted_hops too.',
    ],
    [[...HCM, 'normalize_path'], 'The gate and the model must read one path the same way.'],
    [
      [...HCM, 'stream_idle_timeout'],
      'Above the wait for an approval, and above the longest silence of a model in a stream.',
    ],
    [
      [...HCM, 'local_reply_config'],
      'Envoy’s own refusals in the shape that OpenAI’s SDKs turn into their exceptions.',
    ],
    [
      [...ROUTE, 'cluster_header'],
      `The gate picks the model: it overwrites ${UPSTREAM_HEADER}, whatever the client sent. Never weighted_clusters.`,
    ],
    [
      [...ROUTE, 'timeout'],
      'Streams are long; max_stream_duration ends them. No retries, no mirroring: each would call the model unseen.',
    ],
    [
      [...HCM, 'http_filters', 0],
      'The request gate. First of the two: its signed plan is what the response gate goes by.',
    ],
    [[...AUTHZ, 'clear_route_cache'], 'Without it the route is picked before the gate sets the header.'],
    [[...AUTHZ, 'grpc_service'], 'Above approvals.wait (Envoy’s default is 200 ms).'],
    [
      [...AUTHZ, 'with_request_body'],
      'The whole body or none, as bytes. Envoy answers 413 above the limit; keep it equal to the gateway’s maxRequestBytes.',
    ],
    [[...HCM, 'http_filters', 1], 'The response gate.'],
    [
      [...PROC, 'allowed_override_modes'],
      'Must equal what the gate asks for in every field; another one is silently ignored by Envoy.',
    ],
    [
      [...PROC, 'metadata_options'],
      'How the plan travels. Nothing else is forwarded, and nothing is taken back (no receiving_namespaces).',
    ],
    [
      [...PROC, 'processing_mode', 'response_trailer_mode'],
      'SKIP would pass a model’s trailers on and lose text that the gate still holds.',
    ],
    [
      ['static_resources', 'clusters', 0, 'circuit_breakers'],
      'One slot a live stream; Envoy’s default is 1,024 of them.',
    ],
  ];
  if (hasModels(value))
    all.push([
      ['static_resources', 'clusters', 1],
      'Models speak HTTP/1.1: no HTTP/2 here, or text that the gate holds at the end meets trailers and the stream is refused.',
    ]);
  return all;
}

function hasModels(value: Json): boolean {
  const { static_resources } = value as { static_resources: { clusters: readonly Json[] } };
  return static_resources.clusters.length > 1;
}
