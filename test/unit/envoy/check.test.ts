import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { standaloneBootstrap } from '../../../src/envoy/bootstrap.ts';
import { type CheckOptions, checkEnvoyConfig, type Finding } from '../../../src/envoy/check.ts';
import { defaultPrintOptions } from '../../../src/envoy/print/options.ts';
import { printEnvoy } from '../../../src/envoy/print.ts';
import { composeOptions } from '../../support/envoy-files.ts';

// biome-ignore lint/suspicious/noExplicitAny: configurations are changed at any depth here
type Tree = any;

const options = defaultPrintOptions('istio');
const findings = (text: string, known: CheckOptions = {}): readonly Finding[] => {
  const result = checkEnvoyConfig(text, known);
  if ('error' in result) throw new Error(result.error);
  return result.findings;
};
const rules = (text: string, known: CheckOptions = {}): readonly string[] =>
  findings(text, known).map(({ rule, severity }) => `${severity} ${rule}`);

const bootstrap = (): Tree => structuredClone(standaloneBootstrap({ ...options, ...options.standalone }));
const remote = (): Tree => structuredClone(standaloneBootstrap(composeOptions));
const hcm = (tree: Tree): Tree => tree.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
const filters = (tree: Tree): Tree => hcm(tree).http_filters;
const authz = (tree: Tree): Tree => filters(tree)[0].typed_config;
const proc = (tree: Tree): Tree => filters(tree)[1].typed_config;
const host = (tree: Tree): Tree => hcm(tree).route_config.virtual_hosts[0];
const route = (tree: Tree): Tree => host(tree).routes[0];
const action = (tree: Tree): Tree => route(tree).route;
const cluster = (tree: Tree, index: number): Tree => tree.static_resources.clusters[index];
const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const type = (name: string): string => `type.googleapis.com/envoy.${name}`;
const perRoute = (tree: Tree, name: string, config: object): void => {
  route(tree).typed_per_filter_config = { [`envoy.filters.http.${name}`]: config };
};
const authzPerRoute = { '@type': type('extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute') };
const procPerRoute = { '@type': type('extensions.filters.http.ext_proc.v3.ExtProcPerRoute') };
const secondListener = (tree: Tree, over: (manager: Tree) => void): void => {
  const listener = structuredClone(tree.static_resources.listeners[0]);
  over(listener.filter_chains[0].filters[0].typed_config);
  tree.static_resources.listeners.push(listener);
};

type Case = readonly [expected: string, change: (tree: Tree) => unknown];

const AUTHZ: readonly Case[] = [
  ['opens ext_authz.failure_mode_allow', (t) => (authz(t).failure_mode_allow = true)],
  ['opens ext_authz.filter_enabled', (t) => (authz(t).filter_enabled = { default_value: { numerator: 50 } })],
  ['opens ext_authz.filter_enabled_metadata', (t) => (authz(t).filter_enabled_metadata = { filter: 'x' })],
  [
    'opens ext_authz.decoder_header_mutation_rules',
    (t) => (authz(t).decoder_header_mutation_rules = { disallow_all: true }),
  ],
  ['opens ext_authz.allowed_headers', (t) => (authz(t).allowed_headers = { patterns: [{ exact: 'authorization' }] })],
  ['opens ext_authz.disallowed_headers', (t) => (authz(t).disallowed_headers = { patterns: [{ exact: 'x-user' }] })],
  ['opens ext_authz.clear_route_cache', (t) => delete authz(t).clear_route_cache],
  ['breaks ext_authz.timeout', (t) => delete authz(t).grpc_service.timeout],
  ['breaks ext_authz.timeout', (t) => (authz(t).grpc_service.timeout = '0.2s')],
  ['breaks ext_authz.timeout', (t) => (authz(t).grpc_service.timeout = '30s')],
  ['breaks ext_authz.retry_policy', (t) => (authz(t).grpc_service.retry_policy = { num_retries: 1 })],
  ['breaks ext_authz.with_request_body', (t) => delete authz(t).with_request_body],
  ['breaks ext_authz.allow_partial_message', (t) => (authz(t).with_request_body.allow_partial_message = true)],
  ['breaks ext_authz.pack_as_bytes', (t) => delete authz(t).with_request_body.pack_as_bytes],
  ['breaks ext_authz.max_request_bytes', (t) => (authz(t).with_request_body.max_request_bytes = 8_388_608)],
  ['advice ext_authz.max_request_bytes_low', (t) => (authz(t).with_request_body.max_request_bytes = 8_192)],
  ['breaks ext_authz.enable_dynamic_metadata_ingestion', (t) => (authz(t).enable_dynamic_metadata_ingestion = false)],
  ['advice ext_authz.encode_raw_headers', (t) => delete authz(t).encode_raw_headers],
  ['advice ext_authz.validate_mutations', (t) => (authz(t).validate_mutations = false)],
  ['advice ext_authz.status_on_error', (t) => delete authz(t).status_on_error],
];

const PROC: readonly Case[] = [
  ['opens ext_proc.failure_mode_allow', (t) => (proc(t).failure_mode_allow = true)],
  ['opens ext_proc.observability_mode', (t) => (proc(t).observability_mode = true)],
  ['opens ext_proc.response_body_mode', (t) => (proc(t).processing_mode.response_body_mode = 'NONE')],
  ['opens ext_proc.response_body_mode', (t) => delete proc(t).processing_mode.response_body_mode],
  ['opens ext_proc.response_body_mode', (t) => (proc(t).processing_mode.response_body_mode = 'BUFFERED_PARTIAL')],
  ['breaks ext_proc.response_body_mode_held', (t) => (proc(t).processing_mode.response_body_mode = 'BUFFERED')],
  [
    'breaks ext_proc.response_body_mode_held',
    (t) => (proc(t).processing_mode.response_body_mode = 'FULL_DUPLEX_STREAMED'),
  ],
  ['opens ext_proc.response_trailer_mode', (t) => (proc(t).processing_mode.response_trailer_mode = 'SKIP')],
  ['opens ext_proc.response_trailer_mode', (t) => delete proc(t).processing_mode.response_trailer_mode],
  ['opens ext_proc.response_header_mode', (t) => (proc(t).processing_mode.response_header_mode = 'SKIP')],
  ['breaks ext_proc.request_header_mode', (t) => (proc(t).processing_mode.request_header_mode = 2)],
  ['breaks ext_proc.request_body_mode', (t) => (proc(t).processing_mode.request_body_mode = 'STREAMED')],
  ['opens ext_proc.mutation_rules', (t) => (proc(t).mutation_rules = { disallow_all: true })],
  ['opens ext_proc.forward_rules', (t) => (proc(t).forward_rules = { allowed_headers: { patterns: [] } })],
  ['breaks ext_proc.disable_immediate_response', (t) => (proc(t).disable_immediate_response = true)],
  ['breaks ext_proc.message_timeout', (t) => delete proc(t).message_timeout],
  ['breaks ext_proc.message_timeout', (t) => (proc(t).message_timeout = '1s')],
  ['breaks ext_proc.retry_policy', (t) => (proc(t).grpc_service.retry_policy = {})],
  ['breaks ext_proc.allow_mode_override', (t) => delete proc(t).allow_mode_override],
  ['breaks ext_proc.allowed_override_modes', (t) => delete proc(t).allowed_override_modes[0].response_trailer_mode],
  [
    'breaks ext_proc.allowed_override_modes',
    (t) => (proc(t).allowed_override_modes[0].request_header_mode = 'DEFAULT'),
  ],
  ['advice ext_proc.allowed_override_modes_only', (t) => delete proc(t).allowed_override_modes],
  [
    'advice ext_proc.allowed_override_modes_only',
    (t) => proc(t).allowed_override_modes.push({ request_body_mode: 'NONE' }),
  ],
  ['breaks ext_proc.route_cache_action', (t) => (proc(t).route_cache_action = 'RETAIN')],
  ['breaks ext_proc.disable_clear_route_cache', (t) => (proc(t).disable_clear_route_cache = true)],
  ['breaks ext_proc.request_attributes', (t) => proc(t).request_attributes.pop()],
  ['breaks ext_proc.request_attributes', (t) => proc(t).request_attributes.shift()],
  ['breaks ext_proc.response_attributes', (t) => delete proc(t).response_attributes],
  ['breaks ext_proc.response_attributes', (t) => proc(t).response_attributes.pop()],
  ['breaks ext_proc.forwarding_namespaces', (t) => (proc(t).metadata_options.forwarding_namespaces.untyped = [])],
  [
    'advice ext_proc.forwarding_namespaces_more',
    (t) => proc(t).metadata_options.forwarding_namespaces.untyped.push('envoy.lb'),
  ],
  ['advice ext_proc.forwarding_namespaces_more', (t) => (proc(t).metadata_options.forwarding_namespaces.typed = ['x'])],
  ['advice ext_proc.receiving_namespaces', (t) => (proc(t).metadata_options.receiving_namespaces = { untyped: ['x'] })],
  ['advice ext_proc.status_on_error', (t) => (proc(t).status_on_error = { code: 'InternalServerError' })],
];

const router = (t: Tree): Tree => filters(t)[2];
const between = (t: Tree, name: string, message: string): unknown =>
  filters(t).splice(2, 0, { name: `envoy.filters.http.${name}`, typed_config: { '@type': type(message) } });
const ORDER: readonly Case[] = [
  ['opens filters.ext_authz_missing', (t) => filters(t).shift()],
  ['opens filters.ext_proc_missing', (t) => filters(t).splice(1, 1)],
  ['breaks filters.order', (t) => filters(t).splice(0, 2, filters(t)[1], filters(t)[0])],
  ['breaks filters.ext_authz_twice', (t) => filters(t).unshift(structuredClone(filters(t)[0]))],
  ['breaks filters.ext_proc_twice', (t) => filters(t).splice(1, 0, structuredClone(filters(t)[1]))],
  ['opens filters.router', (t) => filters(t).splice(1, 2, router(t), filters(t)[1])],
  ['opens filters.cache', (t) => between(t, 'cache', 'extensions.filters.http.cache.v3.CacheConfig')],
  ['breaks filters.compressor', (t) => between(t, 'compressor', 'extensions.filters.http.compressor.v3.Compressor')],
  ['advice filters.lua', (t) => between(t, 'lua', 'extensions.filters.http.lua.v3.Lua')],
  ['advice filters.wasm', (t) => between(t, 'wasm', 'extensions.filters.http.wasm.v3.Wasm')],
  ['opens route.ext_authz_not_enabled', (t) => (filters(t)[0].disabled = true)],
  ['opens route.ext_proc_not_enabled', (t) => (filters(t)[1].disabled = true)],
];

const CONNECTION: readonly Case[] = [
  ['opens http.normalize_path', (t) => delete hcm(t).normalize_path],
  ['opens http.merge_slashes', (t) => (hcm(t).merge_slashes = false)],
  ['opens http.path_with_escaped_slashes_action', (t) => delete hcm(t).path_with_escaped_slashes_action],
  [
    'opens http.path_with_escaped_slashes_action',
    (t) => (hcm(t).path_with_escaped_slashes_action = 'UNESCAPE_AND_FORWARD'),
  ],
  ['advice http.headers_with_underscores_action', (t) => delete hcm(t).common_http_protocol_options],
  ['breaks http.generate_request_id', (t) => (hcm(t).generate_request_id = false)],
  ['advice http.preserve_external_request_id', (t) => (hcm(t).preserve_external_request_id = true)],
  ['advice http.use_remote_address', (t) => delete hcm(t).use_remote_address],
  ['breaks http.stream_idle_timeout', (t) => (hcm(t).stream_idle_timeout = '30s')],
  ['advice http.stream_idle_timeout_low', (t) => delete hcm(t).stream_idle_timeout],
  ['breaks http.request_timeout', (t) => (hcm(t).request_timeout = '15s')],
  ['advice http.local_reply_config', (t) => delete hcm(t).local_reply_config],
  ['opens route.upgrade_configs', (t) => (hcm(t).upgrade_configs = [{ upgrade_type: 'websocket' }])],
  ['advice admin.address', (t) => (t.admin.address = { socket_address: { address: '0.0.0.0', port_value: 1 } })],
];

const MIRROR = [{ cluster: 'model_llama_1' }];
const RETRY = { retry_on: '5xx' };
const ROUTES: readonly Case[] = [
  ['breaks route.timeout', (t) => delete action(t).timeout],
  ['breaks route.timeout', (t) => (action(t).timeout = '60s')],
  ['advice route.max_stream_duration', (t) => delete action(t).max_stream_duration],
  ['breaks route.idle_timeout', (t) => (action(t).idle_timeout = '20s')],
  ['opens route.cluster_header', (t) => (action(t).cluster_header = 'x-model')],
  ['opens route.retry_policy', (t) => (action(t).retry_policy = RETRY)],
  ['opens route.retry_policy', (t) => (action(t).retry_policy = { ...RETRY, num_retries: 3 })],
  ['opens route.retry_policy', (t) => (host(t).retry_policy = RETRY)],
  ['opens route.hedge_policy', (t) => (action(t).hedge_policy = { initial_requests: 2 })],
  ['opens route.request_mirror_policies', (t) => (action(t).request_mirror_policies = MIRROR)],
  ['opens route.request_mirror_policies', (t) => (host(t).request_mirror_policies = MIRROR)],
  ['opens route.request_mirror_policies', (t) => (hcm(t).route_config.request_mirror_policies = MIRROR)],
  ['opens route.upgrade_configs', (t) => (action(t).upgrade_configs = [{ upgrade_type: 'CONNECT' }])],
  ['opens route.gate_disabled', (t) => perRoute(t, 'ext_authz', { ...authzPerRoute, disabled: true })],
  ['opens route.gate_disabled', (t) => perRoute(t, 'ext_proc', { ...procPerRoute, disabled: true })],
  [
    'opens route.gate_disabled',
    (t) => perRoute(t, 'ext_proc', { '@type': type('config.route.v3.FilterConfig'), disabled: true }),
  ],
  [
    'opens route.gate_disabled',
    (t) =>
      perRoute(t, 'ext_authz', {
        '@type': type('config.route.v3.FilterConfig'),
        config: { ...authzPerRoute, disabled: true },
      }),
  ],
  [
    'opens route.gate_disabled',
    (t) => (host(t).typed_per_filter_config = { 'envoy.filters.http.ext_proc': { ...procPerRoute, disabled: true } }),
  ],
  [
    'breaks route.disable_request_body_buffering',
    (t) => perRoute(t, 'ext_authz', { ...authzPerRoute, check_settings: { disable_request_body_buffering: true } }),
  ],
  [
    'breaks route.with_request_body',
    (t) =>
      perRoute(t, 'ext_authz', { ...authzPerRoute, check_settings: { with_request_body: { max_request_bytes: 1 } } }),
  ],
  [
    'opens route.other_service',
    (t) => perRoute(t, 'ext_authz', { ...authzPerRoute, check_settings: { grpc_service: {} } }),
  ],
  [
    'breaks ext_proc.request_header_mode',
    (t) =>
      perRoute(t, 'ext_proc', {
        ...procPerRoute,
        overrides: { processing_mode: { ...proc(t).processing_mode, request_header_mode: 'SKIP' } },
      }),
  ],
  [
    'opens ext_proc.response_body_mode',
    (t) =>
      perRoute(t, 'ext_proc', {
        ...procPerRoute,
        overrides: { processing_mode: { ...proc(t).processing_mode, response_body_mode: 'NONE' } },
      }),
  ],
  [
    'opens route.ext_proc_grpc_service',
    (t) => perRoute(t, 'ext_proc', { ...procPerRoute, overrides: { grpc_service: {} } }),
  ],
  [
    'opens route.ext_proc_failure_mode_allow',
    (t) => perRoute(t, 'ext_proc', { ...procPerRoute, overrides: { failure_mode_allow: true } }),
  ],
  [
    'breaks route.ext_proc_metadata_options',
    (t) => perRoute(t, 'ext_proc', { ...procPerRoute, overrides: { metadata_options: {} } }),
  ],
  ['opens listener.without_gates', (t) => secondListener(t, (manager) => manager.http_filters.splice(0, 2))],
];

const NAMED = { check_settings: { context_extensions: { 'sallyport.model': 'llama' } } };
const named = (t: Tree, over: object): void => {
  delete action(t).cluster_header;
  Object.assign(action(t), over);
  perRoute(t, 'ext_authz', { ...authzPerRoute, ...NAMED });
};
const WEIGHTED = { clusters: [{ name: 'model_llama_1', weight: 1 }] };
const NAMED_ROUTES: readonly Case[] = [
  ['breaks route.weighted_clusters', (t) => named(t, { weighted_clusters: WEIGHTED })],
  [
    'advice route.model_not_named',
    (t) => [named(t, { cluster: 'model_llama_1' }), delete route(t).typed_per_filter_config],
  ],
];

const http2 = { [httpOptions]: { explicit_http_config: { http2_protocol_options: {} } } };
const CLUSTERS: readonly Case[] = [
  ['breaks gate.http2', (t) => delete cluster(t, 0).typed_extension_protocol_options],
  [
    'advice gate.keepalive',
    (t) =>
      delete cluster(t, 0).typed_extension_protocol_options[httpOptions].explicit_http_config.http2_protocol_options
        .connection_keepalive,
  ],
  ['breaks gate.max_requests', (t) => delete cluster(t, 0).circuit_breakers.thresholds[0].max_requests],
  ['breaks gate.max_pending_requests', (t) => (cluster(t, 0).circuit_breakers.thresholds[0].max_pending_requests = 10)],
  ['breaks gate.cluster_missing', (t) => (cluster(t, 0).name = 'gate')],
  ['breaks model.http1', (t) => (cluster(t, 1).typed_extension_protocol_options = http2)],
  ['breaks model.http1', (t) => (cluster(t, 1).http2_protocol_options = {})],
  [
    'breaks model.http1',
    (t) => (cluster(t, 1).typed_extension_protocol_options = { [httpOptions]: { auto_config: {} } }),
  ],
  [
    'breaks model.http1',
    (t) => (cluster(t, 1).typed_extension_protocol_options = { [httpOptions]: { use_downstream_protocol_config: {} } }),
  ],
  ['advice model.max_connections', (t) => delete cluster(t, 1).circuit_breakers],
];

const tls = (t: Tree): Tree => cluster(t, 0).transport_socket.typed_config.common_tls_context;
const TRANSPORT: readonly Case[] = [
  ['opens gate.plaintext', (t) => delete cluster(t, 0).transport_socket],
  ['opens gate.trusted_ca', (t) => delete tls(t).validation_context.trusted_ca],
  ['opens gate.subject_alt_names', (t) => delete tls(t).validation_context.match_typed_subject_alt_names],
  ['breaks gate.client_certificate', (t) => delete tls(t).tls_certificates],
];

const named0 = (cases: readonly Case[]): readonly (readonly [string, string, Case[1]])[] =>
  cases.map(([expected, change]) => [
    expected,
    change
      .toString()
      .replace(/^\(t\) => /, '')
      .slice(0, 90),
    change,
  ]);

describe('a bootstrap with one setting changed has exactly that finding', () => {
  describe.each([
    ['ext_authz', AUTHZ],
    ['ext_proc', PROC],
    ['the filter chain', ORDER],
    ['the connection manager', CONNECTION],
    ['routes', ROUTES],
    ['clusters', CLUSTERS],
  ])('%s', (_, cases) => {
    it.each(named0(cases))('%s: %s', (expected, _change, change) => {
      const tree = bootstrap();
      change(tree);
      if (expected === 'breaks gate.cluster_missing') expect(rules(stringify(tree))).toContain(expected);
      else expect(rules(stringify(tree))).toEqual([expected]);
    });
  });

  it.each(named0(TRANSPORT))('the way to a remote gate — %s: %s', (expected, _change, change) => {
    const tree = remote();
    expect(rules(stringify(tree))).toEqual([]);
    change(tree);
    expect(rules(stringify(tree))).toEqual([expected]);
  });

  it.each(named0(NAMED_ROUTES))('a route with a cluster of its own — %s: %s', (expected, _change, change) => {
    const tree = bootstrap();
    named(tree, { cluster: 'model_llama_1' });
    expect(rules(stringify(tree))).toEqual([]);
    const other = bootstrap();
    change(other);
    expect(rules(stringify(other))).toEqual([expected]);
  });
});

describe('what is fine', () => {
  it.each<readonly [string, (tree: Tree) => unknown]>([
    [
      'a gate that is enabled on the route',
      (t) => {
        for (const filter of filters(t).slice(0, 2)) filter.disabled = true;
        route(t).typed_per_filter_config = {
          'envoy.filters.http.ext_authz': authzPerRoute,
          'envoy.filters.http.ext_proc': { '@type': type('config.route.v3.FilterConfig'), config: {} },
        };
      },
    ],
    [
      'an endpoint picker’s own ext_proc nearer the router',
      (t) => {
        const picker = structuredClone(filters(t)[1]);
        picker.name = 'picker';
        picker.typed_config.grpc_service.envoy_grpc.cluster_name = 'picker';
        picker.typed_config.failure_mode_allow = true;
        filters(t).splice(2, 0, picker);
      },
    ],
    ['no retries, written out', (t) => (action(t).retry_policy = { ...RETRY, num_retries: 0 })],
    [
      'an upgrade that the route turns off',
      (t) => {
        hcm(t).upgrade_configs = [{ upgrade_type: 'websocket' }];
        action(t).upgrade_configs = [{ upgrade_type: 'WebSocket', enabled: false }];
      },
    ],
    ['a stream without idle timeout', (t) => (hcm(t).stream_idle_timeout = '0s')],
    [
      'enums by number',
      (t) => Object.assign(proc(t).processing_mode, { response_body_mode: 1, response_trailer_mode: 1 }),
    ],
    [
      'a listener that leads to nothing of ours',
      (t) =>
        secondListener(t, (manager) => {
          manager.http_filters.splice(0, 2);
          manager.route_config.virtual_hosts[0].routes[0] = {
            match: { prefix: '/' },
            direct_response: { status: 204 },
          };
        }),
    ],
  ])('%s', (_, change) => {
    const tree = bootstrap();
    change(tree);
    expect(rules(stringify(tree))).toEqual([]);
  });

  it('limits are the gateway’s own, when they are given', () => {
    const text = stringify(
      standaloneBootstrap({ ...options, ...options.standalone, approvalsWaitS: 120, maxRequestBytes: 1024 }),
    );
    expect(rules(text, { approvalsWaitS: 120, maxRequestBytes: 1024 })).toEqual([]);
    expect(rules(text)).toEqual(['advice ext_authz.max_request_bytes_low']);
    expect(rules(stringify(bootstrap()), { approvalsWaitS: 60 })).toEqual(['breaks ext_authz.timeout']);
  });
});

describe('a finding', () => {
  it('says where, what it is, what it should be and why', () => {
    const changed = printEnvoy('standalone', options).replace('message_timeout: 5s', 'message_timeout: 0.1s');
    const line = changed.split('\n').findIndex((one) => one.includes('message_timeout: 0.1s')) + 1;
    expect(findings(changed)).toEqual([
      {
        rule: 'ext_proc.message_timeout',
        severity: 'breaks',
        path: 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[1].typed_config.message_timeout',
        line,
        is: '"0.1s"',
        shouldBe: '5s or more',
        why: expect.stringContaining('200 ms'),
      },
    ]);
  });

  it('of a setting that is missing is at the line of what lacks it', () => {
    const text = printEnvoy('standalone', options).replace(/^ *message_timeout: 5s\n/m, '');
    const [found] = findings(text);
    const line = text.split('\n')[(found?.line ?? 0) - 1];
    expect(found).toMatchObject({ rule: 'ext_proc.message_timeout', is: 'not set' });
    expect(line).toContain('ext_proc.v3.ExternalProcessor');
  });

  it('has no line in JSON', () => {
    const tree = bootstrap();
    proc(tree).failure_mode_allow = true;
    expect(findings(JSON.stringify(tree))).toMatchObject([
      { rule: 'ext_proc.failure_mode_allow', line: undefined, is: 'true' },
    ]);
  });

  it('comes with the worst first', () => {
    const tree = bootstrap();
    delete hcm(tree).local_reply_config;
    delete proc(tree).message_timeout;
    proc(tree).failure_mode_allow = true;
    expect(findings(stringify(tree)).map(({ severity }) => severity)).toEqual(['opens', 'breaks', 'advice']);
  });

  it('is the same when fields are in camelCase', () => {
    const tree = bootstrap();
    const { failure_mode_allow: _, ...rest } = authz(tree);
    filters(tree)[0] = { name: filters(tree)[0].name, typedConfig: { ...rest, failureModeAllow: true } };
    expect(rules(stringify(tree))).toEqual(['opens ext_authz.failure_mode_allow']);
  });
});

describe('a config_dump', () => {
  const dump = (tree: Tree): Tree => ({
    configs: [
      { '@type': type('admin.v3.BootstrapConfigDump'), bootstrap: { admin: tree.admin } },
      {
        '@type': type('admin.v3.ClustersConfigDump'),
        dynamic_active_clusters: tree.static_resources.clusters.map((one: Tree) => ({ cluster: one })),
      },
      {
        '@type': type('admin.v3.ListenersConfigDump'),
        dynamic_listeners: tree.static_resources.listeners.map((listener: Tree) => ({
          name: 'x',
          active_state: { listener },
        })),
      },
      { '@type': type('admin.v3.RoutesConfigDump'), dynamic_route_configs: [{ route_config: hcm(tree).route_config }] },
    ],
  });
  const byRds = (tree: Tree): Tree => {
    const whole = dump(tree);
    const manager =
      whole.configs[2].dynamic_listeners[0].active_state.listener.filter_chains[0].filters[0].typed_config;
    manager.rds = { route_config_name: 'sallyport' };
    whole.configs[3].dynamic_route_configs[0].route_config = structuredClone(manager.route_config);
    delete manager.route_config;
    return whole;
  };

  it('of our own configuration has no finding', () => {
    expect(rules(JSON.stringify(byRds(bootstrap())))).toEqual([]);
  });

  it('is read through to routes that come by RDS', () => {
    const tree = bootstrap();
    action(tree).retry_policy = RETRY;
    const [found] = findings(JSON.stringify(byRds(tree)));
    expect(found).toMatchObject({
      rule: 'route.retry_policy',
      path: 'configs[3].dynamic_route_configs[0].route_config.virtual_hosts[0].routes[0].route.retry_policy',
    });
  });

  it('without a listener says that nobody asks', () => {
    expect(rules(JSON.stringify({ configs: [{ '@type': type('admin.v3.ListenersConfigDump') }] }))).toEqual([
      'opens filters.ext_authz_missing',
      'opens filters.ext_proc_missing',
    ]);
  });
});

describe('Kubernetes objects', () => {
  const changed = (
    target: 'istio' | 'envoy-gateway',
    kind: string,
    change: (object: Tree) => unknown,
    index = 0,
  ): string => {
    const objects = parseAllDocuments(printEnvoy(target, defaultPrintOptions(target))).map((one) => one.toJS() as Tree);
    change(objects.filter((object) => object.kind === kind)[index]);
    return objects.map((object) => stringify(object)).join('---\n');
  };
  const patch = (filter: Tree, index: number): Tree => filter.spec.configPatches[index].patch.value;
  const http = (service: Tree): Tree => service.spec.http[0];

  it.each<readonly [string, string, (object: Tree) => unknown]>([
    ['opens ext_authz.failure_mode_allow', 'EnvoyFilter', (f) => (patch(f, 1).typed_config.failure_mode_allow = true)],
    [
      'opens ext_proc.response_trailer_mode',
      'EnvoyFilter',
      (f) => delete patch(f, 2).typed_config.processing_mode.response_trailer_mode,
    ],
    ['opens filters.ext_proc_missing', 'EnvoyFilter', (f) => f.spec.configPatches.splice(2, 1)],
    ['opens filters.ext_authz_missing', 'EnvoyFilter', (f) => f.spec.configPatches.splice(1, 1)],
    ['breaks filters.order', 'EnvoyFilter', (f) => (f.spec.configPatches[2].patch.operation = 'INSERT_FIRST')],
    ['opens http.merge_slashes', 'EnvoyFilter', (f) => delete patch(f, 0).typed_config.merge_slashes],
    ['opens http.normalize_path', 'EnvoyFilter', (f) => (patch(f, 0).typed_config.normalize_path = false)],
    ['opens route.upgrade_configs', 'EnvoyFilter', (f) => delete patch(f, 3).route.upgrade_configs],
    ['opens route.retry_policy', 'EnvoyFilter', (f) => (patch(f, 3).route.retry_policy = { num_retries: 2 })],
    [
      'opens route.gate_disabled',
      'EnvoyFilter',
      (f) => (patch(f, 3).typed_per_filter_config['sallyport.ext_authz'] = { disabled: true }),
    ],
    ['opens route.retry_policy', 'VirtualService', (s) => delete http(s).retries],
    ['opens route.request_mirror_policies', 'VirtualService', (s) => (http(s).mirror = { host: 'shadow' })],
    ['breaks route.timeout', 'VirtualService', (s) => (http(s).timeout = '15s')],
    [
      'breaks route.weighted_clusters',
      'VirtualService',
      (s) => http(s).route.push({ destination: { host: 'b' }, weight: 5 }),
    ],
    [
      'breaks model.http1',
      'DestinationRule',
      (d) => (d.spec.trafficPolicy.connectionPool.http.h2UpgradePolicy = 'UPGRADE'),
    ],
    [
      'breaks model.http1',
      'DestinationRule',
      (d) => (d.spec.trafficPolicy.connectionPool.http.useClientProtocol = true),
    ],
  ])('Istio, %s in %s', (expected, kind, change) => {
    expect(rules(changed('istio', kind, change))).toEqual([expected]);
  });

  it('Istio, room at the gate for fewer streams than there may be', () => {
    const text = changed(
      'istio',
      'DestinationRule',
      (rule) => {
        rule.spec.trafficPolicy.portLevelSettings[0].connectionPool.http.http2MaxRequests = 100;
      },
      1,
    );
    expect(rules(text)).toEqual(['breaks gate.max_requests']);
  });

  const auth = (policy: Tree): Tree => policy.spec.extAuth;
  const ext = (policy: Tree): Tree => policy.spec.extProc[0];
  const dropPatch =
    (path: string) =>
    (policy: Tree): void => {
      policy.spec.jsonPatches = policy.spec.jsonPatches.filter(({ operation }: Tree) => operation.path !== path);
    };
  it.each<readonly [string, string, (object: Tree) => unknown]>([
    ['opens ext_authz.failure_mode_allow', 'SecurityPolicy', (p) => (auth(p).failOpen = true)],
    ['breaks ext_authz.timeout', 'SecurityPolicy', (p) => delete auth(p).timeout],
    ['opens ext_authz.allowed_headers', 'SecurityPolicy', (p) => (auth(p).headersToExtAuth = ['authorization'])],
    [
      'breaks ext_authz.retry_policy',
      'SecurityPolicy',
      (p) => (auth(p).grpc.backendSettings.retry = { numRetries: 1 }),
    ],
    ['breaks gate.max_requests', 'SecurityPolicy', (p) => delete auth(p).grpc.backendSettings],
    ['opens ext_proc.failure_mode_allow', 'EnvoyExtensionPolicy', (p) => (ext(p).failOpen = true)],
    ['opens ext_proc.observability_mode', 'EnvoyExtensionPolicy', (p) => (ext(p).shadowMode = true)],
    ['breaks ext_proc.message_timeout', 'EnvoyExtensionPolicy', (p) => delete ext(p).messageTimeout],
    ['breaks ext_proc.response_attributes', 'EnvoyPatchPolicy', dropPatch('response_attributes')],
    ['breaks ext_proc.forwarding_namespaces', 'EnvoyExtensionPolicy', (p) => delete ext(p).metadata],
    [
      'advice ext_proc.receiving_namespaces',
      'EnvoyExtensionPolicy',
      (p) => (ext(p).metadata.writableNamespaces = ['x']),
    ],
    [
      'breaks ext_proc.allow_mode_override',
      'EnvoyExtensionPolicy',
      (p) => delete ext(p).processingMode.allowModeOverride,
    ],
    ['breaks filters.ext_proc_twice', 'EnvoyExtensionPolicy', (p) => p.spec.extProc.push(structuredClone(ext(p)))],
    [
      'breaks ext_authz.max_request_bytes',
      'EnvoyPatchPolicy',
      (p) => (p.spec.jsonPatches[3].operation.value.max_request_bytes = 9e6),
    ],
    ['breaks ext_proc.request_attributes', 'EnvoyPatchPolicy', dropPatch('request_attributes')],
    ['opens ext_proc.response_trailer_mode', 'EnvoyPatchPolicy', dropPatch('processing_mode')],
    ['advice ext_proc.allowed_override_modes_only', 'EnvoyPatchPolicy', dropPatch('allowed_override_modes')],
    ['advice http.local_reply_config', 'EnvoyPatchPolicy', dropPatch('local_reply_config')],
    ['opens route.upgrade_configs', 'EnvoyPatchPolicy', (p) => p.spec.jsonPatches.pop()],
    [
      'opens http.path_with_escaped_slashes_action',
      'ClientTrafficPolicy',
      (p) => (p.spec.path.escapedSlashesAction = 'KeepUnchanged'),
    ],
    ['opens http.merge_slashes', 'ClientTrafficPolicy', (p) => (p.spec.path.disableMergeSlashes = true)],
    ['breaks http.generate_request_id', 'ClientTrafficPolicy', (p) => (p.spec.headers.requestID = 'Disable')],
    ['advice http.stream_idle_timeout_low', 'ClientTrafficPolicy', (p) => delete p.spec.timeout],
    ['opens route.retry_policy', 'BackendTrafficPolicy', (p) => (p.spec.retry = {})],
    ['breaks model.http1', 'BackendTrafficPolicy', (p) => (p.spec.useClientProtocol = true)],
    ['advice model.max_connections', 'BackendTrafficPolicy', (p) => delete p.spec.circuitBreaker],
    ['advice route.max_stream_duration', 'BackendTrafficPolicy', (p) => delete p.spec.timeout],
    [
      'opens route.request_mirror_policies',
      'HTTPRoute',
      (r) => (r.spec.rules[0].filters = [{ type: 'RequestMirror' }]),
    ],
    ['breaks route.weighted_clusters', 'HTTPRoute', (r) => r.spec.rules[0].backendRefs.push({ name: 'b', port: 1 })],
    ['breaks route.timeout', 'HTTPRoute', (r) => (r.spec.rules[0].timeouts.request = '10s')],
  ])('Envoy Gateway, %s in %s', (expected, kind, change) => {
    expect(new Set(rules(changed('envoy-gateway', kind, change)))).toEqual(new Set([expected]));
  });

  it('Envoy Gateway, without the patch: the gate’s demands are named', () => {
    const text = changed('envoy-gateway', 'EnvoyPatchPolicy', (policy) => {
      policy.spec.jsonPatches = [];
    });
    expect(new Set(rules(text))).toEqual(
      new Set([
        'opens ext_proc.response_trailer_mode',
        'opens route.upgrade_configs',
        'breaks ext_authz.pack_as_bytes',
        'breaks ext_proc.request_attributes',
        'breaks ext_proc.response_attributes',
        'advice ext_authz.encode_raw_headers',
        'advice ext_authz.validate_mutations',
        'advice ext_proc.allowed_override_modes_only',
        'advice ext_proc.status_on_error',
        'advice http.local_reply_config',
      ]),
    );
  });

  it('Envoy Gateway, a policy of somebody else’s on a route takes the gate away', () => {
    const text = `${printEnvoy('envoy-gateway', defaultPrintOptions('envoy-gateway'))}---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {name: other, namespace: models}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: llama}], lua: []}
`;
    expect(findings(text)).toMatchObject([
      { rule: 'route.ext_proc_not_enabled', severity: 'opens', path: 'EnvoyExtensionPolicy models/other: spec' },
    ]);
  });

  it.each([
    ['Istio', 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\nspec: {}\n'],
    [
      'Istio',
      'apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: x}\nspec: {configPatches: []}\n',
    ],
  ])('%s without the gates in it is not called clean', (_, text) => {
    expect(rules(text)).toEqual(['opens filters.ext_authz_missing', 'opens filters.ext_proc_missing']);
  });

  it('Envoy Gateway without the gates in it is not called clean', () => {
    const text =
      'apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\nmetadata: {name: x}\nspec: {}\n';
    expect(rules(text)).toEqual(
      expect.arrayContaining(['opens filters.ext_authz_missing', 'opens filters.ext_proc_missing']),
    );
  });

  it('names the object and the line', () => {
    const text = printEnvoy('istio', options).replace('attempts: 0', 'attempts: 3');
    const line = text.split('\n').findIndex((one) => one.includes('attempts: 3')) + 1;
    expect(findings(text)).toMatchObject([
      { path: 'VirtualService istio-ingress/sallyport-llama: spec.http[0].retries.attempts', line, is: '3' },
    ]);
  });
});

describe('what is no Envoy configuration is an error, not a clean result', () => {
  it.each([
    ['nothing', ''],
    ['a list', '- a\n- b\n'],
    ['text', 'hello'],
    ['other YAML', 'a: 1\n'],
    ['another Kubernetes object', 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\n'],
    ['broken YAML', 'a: [1,\nb: 2\n'],
    ['broken JSON', '{"static_resources": '],
    ['an alias without its anchor', 'static_resources: *nowhere\n'],
    [
      'a bomb of aliases',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(40)}]\nc: &c [${'*b,'.repeat(40)}]\nnode: [${'*c,'.repeat(40)}]\n`,
    ],
  ])('%s', (_, text) => {
    expect(checkEnvoyConfig(text)).toEqual({ error: expect.stringMatching(/./) });
  });

  it.each([
    ['strings where mappings belong', 'static_resources: {listeners: [x, 1, null], clusters: y}\n'],
    ['an empty bootstrap', 'static_resources: {}\n'],
    ['own keys of objects', 'static_resources: {listeners: [{__proto__: {filter_chains: 1}, constructor: 2}]}\n'],
  ])('%s: nobody asks', (_, text) => {
    expect(rules(text)).toEqual(['opens filters.ext_authz_missing', 'opens filters.ext_proc_missing']);
  });

  it('YAML merge keys and anchors are followed', () => {
    const text = `x-authz: &authz\n${stringify(authz(bootstrap()))
      .split('\n')
      .map((one) => `  ${one}`)
      .join('\n')}\n${stringify(bootstrap())}`;
    const merged = parse(text, { merge: true });
    expect(merged['x-authz'].failure_mode_allow).toBe(false);
    expect(rules(text)).toEqual([]);
  });
});
