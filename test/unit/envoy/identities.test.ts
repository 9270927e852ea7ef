/** Identities that the gate takes from Envoy: what is printed for them, and what `envoy check` says of them. */
import { describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { standaloneBootstrap, type VerifiedByEnvoy } from '../../../src/envoy/bootstrap.ts';
import { checkEnvoyConfig } from '../../../src/envoy/check.ts';
import { defaultPrintOptions, type PrintOptions } from '../../../src/envoy/print/options.ts';
import { type PrintTarget, printEnvoy, printTargets } from '../../../src/envoy/print.ts';

// biome-ignore lint/suspicious/noExplicitAny: configurations are read and changed at any depth here
type Tree = any;

const NAMESPACE = 'envoy.filters.http.jwt_authn';
const both: VerifiedByEnvoy = { peers: true, jwtAuthn: true };
const neither: VerifiedByEnvoy = { peers: false, jwtAuthn: false };
const jwtProviders = [
  { issuer: 'https://login.example.com', audiences: ['sallyport'], jwksUri: 'https://login.example.com/keys' },
  { issuer: 'https://ci.example.com', audiences: ['sallyport', 'models'], jwksUri: undefined },
];

function options(target: PrintTarget, verifiedByEnvoy: VerifiedByEnvoy, context: 'gateway' | 'sidecar' = 'gateway') {
  const base = defaultPrintOptions(target === 'envoy-gateway' ? 'envoy-gateway' : 'istio');
  return { ...base, verifiedByEnvoy, jwtProviders, mesh: { ...base.mesh, context } } satisfies PrintOptions;
}
const print = (target: PrintTarget, verified = both, context: 'gateway' | 'sidecar' = 'gateway'): string =>
  printEnvoy(target, options(target, verified, context));
const objects = (text: string): Tree[] => parseAllDocuments(text).map((document) => document.toJS());
const ofKind = (text: string, kind: string): readonly Tree[] => objects(text).filter((one) => one.kind === kind);

const findings = (text: string, verifiedByEnvoy?: VerifiedByEnvoy) => {
  const checked = checkEnvoyConfig(text, verifiedByEnvoy === undefined ? {} : { verifiedByEnvoy });
  if ('error' in checked) throw new Error(checked.error);
  return checked.findings;
};
const rules = (text: string, verifiedByEnvoy?: VerifiedByEnvoy): readonly string[] =>
  findings(text, verifiedByEnvoy).map(({ severity, rule }) => `${severity} ${rule}`);

const provider = { issuer: 'https://login.example.com', payload_in_metadata: 'payload' };
const jwtAuthn = (over: object = {}): Tree => ({
  name: NAMESPACE,
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
    providers: { login: provider },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'login' } }],
    ...over,
  },
});
/** The standalone bootstrap, with jwt_authn where it belongs. */
function bootstrap(verified: VerifiedByEnvoy = both): Tree {
  const { standalone, ...rest } = options('standalone', verified);
  const tree: Tree = structuredClone(standaloneBootstrap({ ...rest, ...standalone }));
  if (verified.jwtAuthn) filters(tree).unshift(jwtAuthn());
  return tree;
}
const listener = (tree: Tree): Tree => tree.static_resources.listeners[0];
const hcm = (tree: Tree): Tree => listener(tree).filter_chains[0].filters[0].typed_config;
const filters = (tree: Tree): Tree[] => hcm(tree).http_filters;
const authz = (tree: Tree): Tree =>
  filters(tree).find(({ name }) => name === 'envoy.filters.http.ext_authz').typed_config;
const filter = (name: string, message: string, config: object): Tree => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.http.${message}`, ...config },
});

describe('what is printed', () => {
  it.each(printTargets)('asks %s for nothing where the gateway takes no identity from Envoy', (target) => {
    const text = print(target, neither);
    for (const part of ['metadata_context_namespaces', 'include_peer_certificate', 'jwt', 'clientValidation'])
      expect(text).not.toContain(part);
  });

  it.each(printTargets)(
    'asks %s for both, says what is needed beside it, and has no finding but what it cannot print',
    (target) => {
      const text = print(target);
      expect(text).toContain('include_peer_certificate');
      expect(text).toContain('metadata_context_namespaces');
      expect(text).toContain('identity.peers:');
      expect(text).toContain('identity.jwtAuthn:');
      expect(text).toContain('extract_only_without_validation');
      const found = rules(text, both);
      expect(found).toEqual(target === 'standalone' ? ['breaks identity.jwt_authn_missing'] : []);
    },
  );

  it('standalone: exactly what was asked for', () => {
    expect(authz(bootstrap(neither))).not.toHaveProperty('include_peer_certificate');
    expect(authz(bootstrap({ peers: true, jwtAuthn: false }))).toMatchObject({ include_peer_certificate: true });
    expect(authz(bootstrap({ peers: true, jwtAuthn: false }))).not.toHaveProperty('metadata_context_namespaces');
    expect(authz(bootstrap({ peers: false, jwtAuthn: true }))).toMatchObject({
      metadata_context_namespaces: [NAMESPACE],
    });
    expect(authz(bootstrap({ peers: false, jwtAuthn: true }))).not.toHaveProperty('include_peer_certificate');
  });

  it('Istio: the tokens are verified where the gates are, and taken away', () => {
    const [atGateway] = ofKind(print('istio'), 'RequestAuthentication');
    expect(atGateway).toMatchObject({
      metadata: { namespace: 'istio-ingress' },
      spec: {
        selector: { matchLabels: { istio: 'ingress' } },
        jwtRules: [
          {
            issuer: 'https://login.example.com',
            audiences: ['sallyport'],
            jwksUri: 'https://login.example.com/keys',
            forwardOriginalToken: false,
          },
          { issuer: 'https://ci.example.com', audiences: ['sallyport', 'models'], forwardOriginalToken: false },
        ],
      },
    });
    expect(atGateway.spec.jwtRules[1]).not.toHaveProperty('jwksUri');
    const [inSidecar] = ofKind(print('istio', both, 'sidecar'), 'RequestAuthentication');
    expect(inSidecar).toMatchObject({
      metadata: { namespace: 'models' },
      spec: { selector: { matchLabels: { app: 'llama' } } },
    });
  });

  it('Istio: in a sidecar whoever calls must have a certificate', () => {
    const strict = ofKind(print('istio', both, 'sidecar'), 'PeerAuthentication').find(
      ({ metadata }) => metadata.namespace === 'models',
    );
    expect(strict?.spec).toEqual({ selector: { matchLabels: { app: 'llama' } }, mtls: { mode: 'STRICT' } });
    expect(print('istio', both, 'sidecar')).toContain('Never allow the SPIFFE id of a gateway');
  });

  it('Envoy Gateway: jwt_authn comes first, clients show certificates, and the patch asks for both', () => {
    const text = print('envoy-gateway');
    expect(ofKind(text, 'EnvoyProxy')[0].spec.filterOrder).toEqual([
      { name: NAMESPACE, before: 'envoy.filters.http.ext_authz' },
    ]);
    expect(ofKind(text, 'ClientTrafficPolicy')[0].spec.tls.clientValidation).toMatchObject({ optional: true });
    const patched = ofKind(text, 'EnvoyPatchPolicy')[0].spec.jsonPatches.map(({ operation }: Tree) => operation);
    expect(patched).toContainEqual(expect.objectContaining({ path: 'include_peer_certificate', value: true }));
    expect(patched).toContainEqual(
      expect.objectContaining({ path: 'metadata_context_namespaces', value: [NAMESPACE] }),
    );
  });
});

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
