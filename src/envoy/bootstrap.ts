/** Envoy's standalone bootstrap, as plain data: what `up` runs, what `envoy print --for standalone` shows. */
import { refusal } from '../exchange/refusal.ts';
import { UPSTREAM_HEADER } from './forward.ts';
import { JWT_AUTHN } from './wire.ts';

/** A JSON-shaped piece of Envoy's config. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export type GateAddress =
  | { readonly kind: 'pipe'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls: GateTls | undefined };

/** Files that Envoy reads to speak mTLS with the gateway. */
export interface GateTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly serverName: string;
}

export interface BootstrapOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** One address a gateway process. */
  readonly gates: readonly [GateAddress, ...GateAddress[]];
  readonly models: readonly BootstrapModel[];
  /** Largest request body, bytes; over it Envoy answers 413. */
  readonly maxRequestBytes: number;
  /** Longest that a request may wait for an approval, seconds. */
  readonly approvalsWaitS: number;
  /** Default: none. */
  readonly verifiedByEnvoy?: VerifiedByEnvoy;
  /** A Unix socket path, or host and port. */
  readonly admin: { readonly path: string } | { readonly host: string; readonly port: number };
  /** Set only in tests: `http2_protocol_options` for the models' clusters. */
  readonly modelsSpeakHttp2?: boolean;
}

/** Which identities the gate takes from Envoy, which has verified them: it is told to send what they are read from. */
export interface VerifiedByEnvoy {
  /** mTLS peers (`identity.peers`). */
  readonly peers: boolean;
  /** What Envoy's jwt_authn filter has verified (`identity.jwtAuthn`). */
  readonly jwtAuthn: boolean;
}

export interface BootstrapModel {
  readonly cluster: string;
  readonly upstream: { readonly host: string; readonly port: number; readonly tls: boolean };
}

const type = (name: string): string => `type.googleapis.com/${name}`;
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** One slot a live stream; Envoy's default of 1,024 would refuse the next. */
const UNLIMITED = { max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 };
/** Longest silence of a model inside a stream, seconds, over which Envoy ends it. */
const MODEL_SILENCE_S = 900;
const LONGEST_STREAM_S = 3600;

function address(host: string, port: number): Json {
  return { socket_address: { address: host, port_value: port } };
}

function tlsContext(tls: GateTls): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': type('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
      sni: tls.serverName,
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_certificates: [{ certificate_chain: { filename: tls.certFile }, private_key: { filename: tls.keyFile } }],
        validation_context: {
          trusted_ca: { filename: tls.caFile },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: tls.serverName } }],
        },
      },
    },
  };
}

/** The gateway's own cluster: HTTP/2, health-checked, so that a draining process gets no new request. */
export function gateCluster(gates: BootstrapOptions['gates']): Json {
  const tls = gates[0].kind === 'tcp' ? gates[0].tls : undefined;
  const endpoints = gates.map((gate) => ({
    endpoint: { address: gate.kind === 'pipe' ? { pipe: { path: gate.path } } : address(gate.host, gate.port) },
  }));
  const named = gates.some((gate) => gate.kind === 'tcp' && !/^[\d.:[\]a-f]+$/i.test(gate.host));
  return {
    name: 'sallyport',
    type: named ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    circuit_breakers: { thresholds: [UNLIMITED] },
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: {
        '@type': type(HTTP_OPTIONS),
        explicit_http_config: {
          http2_protocol_options: {
            connection_keepalive: { interval: '30s', timeout: '5s' },
            max_concurrent_streams: 100_000,
          },
        },
      },
    },
    health_checks: [
      {
        timeout: '2s',
        interval: '1s',
        no_traffic_interval: '1s',
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        grpc_health_check: {},
      },
    ],
    // One gateway that is slow to answer its health check is still better asked than skipped: it fails closed itself.
    common_lb_config: { healthy_panic_threshold: { value: gates.length > 1 ? 10 : 100 } },
    ...(tls === undefined ? {} : { transport_socket: tlsContext(tls) }),
    load_assignment: { cluster_name: 'sallyport', endpoints: [{ lb_endpoints: endpoints }] },
  };
}

function modelCluster(model: BootstrapModel, http2: boolean): Json {
  const { host, port, tls } = model.upstream;
  return {
    name: model.cluster,
    type: /^[\d.]+$|:/.test(host) ? 'STATIC' : 'STRICT_DNS',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [UNLIMITED] },
    ...(http2
      ? {
          typed_extension_protocol_options: {
            [HTTP_OPTIONS]: { '@type': type(HTTP_OPTIONS), explicit_http_config: { http2_protocol_options: {} } },
          },
        }
      : {}),
    ...(tls
      ? {
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: {
              '@type': type('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
              sni: host,
              auto_sni_san_validation: true,
              common_tls_context: {
                validation_context: { trusted_ca: { filename: '/etc/ssl/certs/ca-certificates.crt' } },
              },
            },
          },
        }
      : {}),
    load_assignment: {
      cluster_name: model.cluster,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(host, port) } }] }],
    },
  };
}

/** ext_authz with every setting that keeps the gate closed. `clearRouteCache`: only where the gate picks the route. */
export function authzFilter(
  options: Pick<BootstrapOptions, 'maxRequestBytes' | 'approvalsWaitS' | 'verifiedByEnvoy'>,
  clearRouteCache: boolean,
): Json {
  return {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': type('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'),
      transport_api_version: 'V3',
      failure_mode_allow: false,
      status_on_error: { code: 'ServiceUnavailable' },
      validate_mutations: true,
      encode_raw_headers: true,
      ...(clearRouteCache ? { clear_route_cache: true } : {}),
      grpc_service: { envoy_grpc: { cluster_name: 'sallyport' }, timeout: `${options.approvalsWaitS + 15}s` },
      with_request_body: {
        max_request_bytes: options.maxRequestBytes,
        allow_partial_message: false,
        pack_as_bytes: true,
      },
      ...(options.verifiedByEnvoy?.peers ? { include_peer_certificate: true } : {}),
      ...(options.verifiedByEnvoy?.jwtAuthn ? { metadata_context_namespaces: [JWT_AUTHN] } : {}),
    },
  };
}

/** The one mode override that the gate may ask for: a buffered request body, equal to it in every field. */
const OVERRIDE_MODE = {
  request_header_mode: 'SEND',
  request_body_mode: 'BUFFERED',
  response_header_mode: 'SEND',
  response_body_mode: 'STREAMED',
  request_trailer_mode: 'SKIP',
  response_trailer_mode: 'SEND',
};

export function procFilter(): Json {
  return {
    name: 'envoy.filters.http.ext_proc',
    typed_config: {
      '@type': type('envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor'),
      failure_mode_allow: false,
      status_on_error: { code: 'ServiceUnavailable' },
      message_timeout: '5s',
      allow_mode_override: true,
      allowed_override_modes: [OVERRIDE_MODE],
      route_cache_action: 'DEFAULT',
      grpc_service: { envoy_grpc: { cluster_name: 'sallyport' } },
      request_attributes: ['xds.cluster_name', 'request.id'],
      response_attributes: ['response.code_details', 'xds.cluster_name'],
      metadata_options: { forwarding_namespaces: { untyped: ['envoy.filters.http.ext_authz'] } },
      processing_mode: {
        request_header_mode: 'SEND',
        request_body_mode: 'NONE',
        response_header_mode: 'SEND',
        response_body_mode: 'STREAMED',
        request_trailer_mode: 'SKIP',
        response_trailer_mode: 'SEND',
      },
    },
  };
}

/** Envoy's own replies, in the shape that the caller's SDK expects. What the gate said itself is left alone. */
export function localReplies(): Json {
  const details = 'response.code_details';
  const mapper = (expression: string, code: 'request_too_large' | 'gate_failed' | 'model_unavailable'): Json => {
    const reply = refusal({ code, session: undefined });
    return {
      filter: {
        extension_filter: {
          name: 'envoy.access_loggers.extension_filters.cel',
          typed_config: {
            '@type': type('envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter'),
            expression,
          },
        },
      },
      status_code: reply.status,
      headers_to_add: reply.headers
        .filter(([name]) => name !== 'content-type')
        .map(([key, value]) => ({ header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })),
      body_format_override: {
        content_type: 'application/json',
        text_format_source: { inline_string: reply.body.replaceAll('%', '%%') },
      },
    };
  };
  return {
    mappers: [
      mapper(`${details} == 'request_payload_too_large'`, 'request_too_large'),
      mapper(`${details} == 'ext_authz_error' || ${details}.startsWith('ext_proc_error')`, 'gate_failed'),
      mapper(
        `${details}.startsWith('upstream_') || ${details}.startsWith('no_healthy_upstream') || ${details}.startsWith('cluster_not_found')`,
        'model_unavailable',
      ),
    ],
  };
}

function connectionManager(options: BootstrapOptions): Json {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: 'sallyport',
      // The address on the record is the peer's, and a client's own x-request-id is replaced.
      use_remote_address: true,
      generate_request_id: true,
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'REJECT_REQUEST',
      common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
      stream_idle_timeout: `${MODEL_SILENCE_S}s`,
      request_headers_timeout: '15s',
      // Runs until the gate has answered the Check, so it is above the wait for an approval: a slow body ends, a held one does not.
      request_timeout: `${options.approvalsWaitS + 60}s`,
      server_header_transformation: 'OVERWRITE',
      local_reply_config: localReplies(),
      route_config: {
        name: 'sallyport',
        virtual_hosts: [
          {
            name: 'models',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                route: {
                  cluster_header: UPSTREAM_HEADER,
                  timeout: '0s',
                  max_stream_duration: { max_stream_duration: `${LONGEST_STREAM_S}s` },
                },
              },
            ],
          },
        ],
      },
      http_filters: [
        authzFilter(options, true),
        procFilter(),
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': type('envoy.extensions.filters.http.router.v3.Router') },
        },
      ],
    },
  };
}

export function standaloneBootstrap(options: BootstrapOptions): Json {
  const { admin } = options;
  return {
    node: { id: 'sallyport', cluster: 'sallyport' },
    admin: { address: 'path' in admin ? { pipe: { path: admin.path } } : address(admin.host, admin.port) },
    static_resources: {
      listeners: [
        {
          name: 'sallyport',
          address: address(options.listen.host, options.listen.port),
          per_connection_buffer_limit_bytes: 1024 * 1024,
          filter_chains: [{ filters: [connectionManager(options)] }],
        },
      ],
      clusters: [
        gateCluster(options.gates),
        ...options.models.map((model) => modelCluster(model, options.modelsSpeakHttp2 === true)),
      ],
    },
    layered_runtime: {
      layers: [
        {
          name: 'sallyport',
          static_layer: {
            // Without it Envoy resets ext_proc streams that are done; the gate stands that, but it costs.
            'envoy.reloadable_features.ext_proc_graceful_grpc_close': true,
          },
        },
      ],
    },
  };
}
