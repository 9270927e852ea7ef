import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { VerifiedByEnvoy } from '../../../src/envoy/bootstrap.ts';
import {
  bootstrap,
  both,
  filter,
  filters,
  hcm,
  jwtAuthn,
  listener,
  NAMESPACE,
  neither,
  objects,
  print,
  provider,
  rules,
  type Tree,
} from './verified-by-envoy.ts';

describe('what the gateway takes and Envoy does not send', () => {
  it('is not asked where nobody says what the gateway takes', () => {
    expect(rules(stringify(bootstrap(neither)))).toEqual([]);
  });
  it.each<[string, VerifiedByEnvoy, string[]]>([
    [
      'metadata of jwt_authn',
      { peers: false, jwtAuthn: true },
      ['breaks ext_authz.metadata_context_namespaces', 'breaks identity.jwt_authn_missing'],
    ],
    ['certificates of peers', { peers: true, jwtAuthn: false }, ['breaks ext_authz.include_peer_certificate']],
  ])('%s', (_name, verified, expected) => {
    expect(rules(stringify(bootstrap(neither)), verified)).toEqual(expected);
  });
  it.each(['istio', 'envoy-gateway'] as const)('in the objects of %s too', (target) => {
    const found = rules(print(target, neither), both);
    expect(found).toContain('breaks ext_authz.metadata_context_namespaces');
    expect(found).toContain('breaks ext_authz.include_peer_certificate');
  });
});

const setMetadata = (namespace: string): Tree =>
  filter('set_metadata', 'set_metadata.v3.Config', { metadata: [{ metadata_namespace: namespace, value: {} }] });
const lua = (code: string): Tree => filter('lua', 'lua.v3.Lua', { default_source_code: { inline_string: code } });
const WRITING = `h:streamInfo():dynamicMetadata():set("${NAMESPACE}", "payload", claims)`;
const tls = (context: object): Tree => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    common_tls_context: context,
  },
});

type Case = readonly [name: string, expected: readonly string[], change: (tree: Tree) => unknown];
const FORGED = ['opens identity.metadata_writer'];
const UNSEEN = ['advice identity.metadata_writer_unseen'];

const CASES: readonly Case[] = [
  ['both in order', [], () => {}],
  [
    'jwt_authn after ext_authz',
    ['breaks identity.jwt_authn_order'],
    (t) => filters(t).splice(0, 2, filters(t)[1], filters(t)[0]),
  ],
  ['no jwt_authn', ['breaks identity.jwt_authn_missing'], (t) => filters(t).shift()],
  [
    'a provider that tells nobody',
    ['breaks identity.payload_in_metadata'],
    (t) => (filters(t)[0] = jwtAuthn({ providers: { login: { issuer: 'https://a.example.com' } } })),
  ],
  [
    'a provider for any issuer',
    ['opens identity.jwt_authn_issuer'],
    (t) => (filters(t)[0] = jwtAuthn({ providers: { login: provider, any: { payload_in_metadata: 'payload' } } })),
  ],
  [
    'claims of tokens that nobody verified',
    ['opens identity.jwt_authn_unverified'],
    (t) =>
      (filters(t)[0] = jwtAuthn({
        requirement_map: { x: { requires_any: { requirements: [{ extractOnlyWithoutValidation: {} }] } } },
      })),
  ],
  [
    'header_to_metadata',
    FORGED,
    (t) =>
      filters(t).unshift(
        filter('header_to_metadata', 'header_to_metadata.v3.Config', {
          request_rules: [{ header: 'x-user', on_header_present: { metadata_namespace: NAMESPACE, key: 'payload' } }],
        }),
      ),
  ],
  [
    'json_to_metadata, in protobuf’s other spelling',
    FORGED,
    (t) =>
      filters(t).unshift(
        filter('json_to_metadata', 'json_to_metadata.v3.JsonToMetadata', {
          requestRules: { rules: [{ onPresent: { metadataNamespace: NAMESPACE, key: 'payload' } }] },
        }),
      ),
  ],
  ['set_metadata', FORGED, (t) => filters(t).unshift(setMetadata(NAMESPACE))],
  ['set_metadata of another namespace', [], (t) => filters(t).unshift(setMetadata('envoy.lb'))],
  ['set_metadata after the gate has read it', [], (t) => filters(t).splice(3, 0, setMetadata(NAMESPACE))],
  [
    'set_metadata on a route',
    FORGED,
    (t) =>
      (hcm(t).route_config.virtual_hosts[0].routes[0].typed_per_filter_config = {
        'envoy.filters.http.set_metadata': setMetadata(NAMESPACE).typed_config,
      }),
  ],
  [
    'the PROXY protocol of the connection',
    FORGED,
    (t) =>
      (listener(t).listener_filters = [
        {
          name: 'envoy.filters.listener.proxy_protocol',
          typed_config: { rules: [{ tlv_type: 2, on_tlv_present: { metadata_namespace: NAMESPACE, key: 'payload' } }] },
        },
      ]),
  ],
  [
    'another ext_proc',
    FORGED,
    (t) =>
      filters(t).unshift(
        filter('ext_proc', 'ext_proc.v3.ExternalProcessor', {
          grpc_service: { envoy_grpc: { cluster_name: 'other' } },
          metadata_options: { receiving_namespaces: { untyped: [NAMESPACE] } },
        }),
      ),
  ],
  ['Lua that writes it', FORGED, (t) => filters(t).unshift(lua(WRITING))],
  ['Lua that writes metadata', UNSEEN, (t) => filters(t).unshift(lua('h:streamInfo():dynamicMetadata():set(x, y, z)'))],
  ['Lua that does not', [], (t) => filters(t).unshift(lua('h:headers():remove("x")'))],
  [
    'Lua from a file',
    UNSEEN,
    (t) => filters(t).unshift(filter('lua', 'lua.v3.Lua', { default_source_code: { filename: '/x.lua' } })),
  ],
  ['Wasm', UNSEEN, (t) => filters(t).unshift(filter('wasm', 'wasm.v3.Wasm', { config: {} }))],
  ['Go', UNSEEN, (t) => filters(t).unshift(filter('golang', 'golang.v3alpha.Config', { library_id: 'x' }))],
  [
    'a role-based filter that only reads it',
    [],
    (t) =>
      filters(t).unshift(
        filter('rbac', 'rbac.v3.RBAC', {
          rules: { policies: { p: { principals: [{ metadata: { filter: NAMESPACE, path: [{ key: 'payload' }] } }] } } },
        }),
      ),
  ],
  [
    'certificates that nobody verified',
    ['opens identity.accept_untrusted'],
    (t) =>
      (listener(t).filter_chains[0].transport_socket = tls({
        validation_context: { trusted_ca: { filename: '/ca' }, trust_chain_verification: 'ACCEPT_UNTRUSTED' },
      })),
  ],
  [
    'certificates that nobody verified, by number, behind SDS',
    ['opens identity.accept_untrusted'],
    (t) =>
      (listener(t).filter_chains[0].transport_socket = tls({
        combined_validation_context: { default_validation_context: { trustChainVerification: 1 } },
      })),
  ],
  [
    'certificates that have expired',
    ['opens identity.allow_expired_certificate'],
    (t) =>
      (listener(t).filter_chains[0].transport_socket = tls({
        validation_context: { allow_expired_certificate: true },
      })),
  ],
  [
    'certificates as they should be',
    [],
    (t) =>
      (listener(t).filter_chains[0].transport_socket = tls({
        validation_context: { trusted_ca: { filename: '/ca' }, trust_chain_verification: 'VERIFY_TRUST_CHAIN' },
      })),
  ],
];

describe('an Envoy that sends identities', () => {
  it.each(CASES)('%s', (_name, expected, change) => {
    const tree = bootstrap();
    change(tree);
    expect(rules(stringify(tree))).toEqual(expected);
    expect(rules(JSON.stringify(tree), both)).toEqual(expected);
  });

  it.each(CASES.filter(([, [first]]) => first?.startsWith('opens')))(
    '%s is nobody’s business where it sends none',
    (_name, _expected, change) => {
      const tree = bootstrap(neither);
      filters(tree).unshift(jwtAuthn());
      change(tree);
      expect(rules(stringify(tree))).toEqual([]);
    },
  );
});

describe('objects of a control plane', () => {
  it('Istio: an EnvoyFilter that writes the namespace before the gate', () => {
    const [document, ...rest] = objects(print('istio'));
    const others = rest.map((one) => {
      if (one.kind !== 'EnvoyFilter') return one;
      const patch = { applyTo: 'HTTP_FILTER', patch: { operation: 'INSERT_FIRST', value: setMetadata(NAMESPACE) } };
      return { ...one, spec: { ...one.spec, configPatches: [patch, ...one.spec.configPatches] } };
    });
    expect(rules([document, ...others].map((one) => stringify(one)).join('---\n'))).toEqual(FORGED);
  });

  it.each<[string, (spec: Tree) => void, string[]]>([
    [
      'certificates that nobody verified',
      (spec) => (spec.tls.clientValidation.mode = 'RequireAny'),
      ['opens identity.accept_untrusted'],
    ],
    [
      'certificates that are asked for only',
      (spec) => (spec.tls.clientValidation.mode = 'Request'),
      ['opens identity.accept_untrusted'],
    ],
    [
      'certificates that have expired',
      (spec) => (spec.tls.clientValidation.allowExpiredCertificate = true),
      ['opens identity.allow_expired_certificate'],
    ],
    [
      'certificates that are verified where there are any',
      (spec) => (spec.tls.clientValidation.mode = 'VerifyIfGiven'),
      [],
    ],
  ])('Envoy Gateway: %s', (_name, change, expected) => {
    const all = objects(print('envoy-gateway'));
    change(all.find(({ kind }) => kind === 'ClientTrafficPolicy').spec);
    expect(rules(all.map((one) => stringify(one)).join('---\n'))).toEqual(expected);
  });

  it('Envoy Gateway: the default order, in which ext_authz comes first', () => {
    const all = objects(print('envoy-gateway'));
    const proxy = all.find(({ kind }) => kind === 'EnvoyProxy');
    const text = () => all.map((one) => stringify(one)).join('---\n');
    proxy.spec.filterOrder = [{ name: 'envoy.filters.http.ext_authz', after: NAMESPACE }];
    expect(rules(text())).toEqual([]);
    delete proxy.spec.filterOrder;
    expect(rules(text())).toEqual(['breaks identity.jwt_authn_order']);
    all.splice(all.indexOf(proxy), 1);
    expect(rules(text())).toEqual(['breaks identity.jwt_authn_order']);
  });
});
