/**
 * Envoy itself validates what we print: the bootstraps as they are; of the Istio and Envoy Gateway output the parts that
 * are Envoy's own configuration, put together as their control planes do.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { standaloneBootstrap } from '../../src/envoy/bootstrap.ts';
import { authzOf, patched, procsOf, type Translated } from '../../src/envoy/check/gateway-translate.ts';
import { Place } from '../../src/envoy/check/place.ts';
import { checkEnvoyConfig } from '../../src/envoy/check.ts';
import { adminSocket, launchEnvoy, validateEnvoyConfig } from '../../src/envoy/launch.ts';
import { defaultPrintOptions, type PrintOptions } from '../../src/envoy/print/options.ts';
import { printEnvoy } from '../../src/envoy/print.ts';
import { composeOptions, envoyFiles } from '../support/envoy-files.ts';
import { envoyBinary } from './support/stack.ts';

// biome-ignore lint/suspicious/noExplicitAny: foreign YAML, read and put together by path
type Tree = any;

let folder: string;
/** As in docker-compose.yml: the certificates that `compose/certificates.sh` makes. */
let certificates: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-envoy-'));
  certificates = join(folder, 'certs');
  execFileSync('sh', [join(import.meta.dirname, '..', '..', 'compose', 'certificates.sh'), certificates], {
    stdio: 'pipe',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function validate(name: string, text: string): Promise<string | undefined> {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  return validateEnvoyConfig(envoyBinary(), file);
}

const withCertificates = (text: string): string => text.replaceAll('/certs/', `${certificates}/`);
const file = (name: string): string => readFileSync(join(import.meta.dirname, '..', '..', 'envoy', name), 'utf8');
const read = (text: string): readonly Tree[] => parseAllDocuments(text).map((document) => document.toJS() as Tree);

/** A bootstrap to put printed parts into: one listener, one connection manager, the clusters that they name. */
function host(clusters: readonly object[]): Tree {
  const tree = structuredClone(
    standaloneBootstrap({ ...composeOptions, gates: [{ kind: 'pipe', path: join(folder, 'gate.sock') }] }),
  ) as Tree;
  tree.static_resources.clusters = clusters;
  return tree;
}
const manager = (tree: Tree): Tree => tree.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
const own = (index: number, name: string): Tree => {
  const tree = standaloneBootstrap({ ...composeOptions, gates: [{ kind: 'pipe', path: '/gate.sock' }] }) as Tree;
  return { ...structuredClone(tree.static_resources.clusters[index]), name };
};
const gateCluster = (name: string): Tree => own(0, name);
const modelCluster = own(1, 'model');

describe('the bootstraps', () => {
  it('Envoy accepts envoy/standalone.yaml', async () => {
    expect(await validate('standalone', file('standalone.yaml'))).toBeUndefined();
  });

  it('Envoy accepts envoy/compose.yaml with the certificates that its init step makes', async () => {
    expect(await validate('compose', withCertificates(file('compose.yaml')))).toBeUndefined();
  });

  it('Envoy refuses a bootstrap with a setting that it does not know (so the others are known to it)', async () => {
    const text = file('standalone.yaml').replace('validate_mutations', 'validate_mutation');
    expect(await validate('unknown', text)).toMatch(/validate_mutation/);
  });

  it('what a running Envoy says of its configuration has no finding, and names what is changed in it', async () => {
    const dump = async (change: (tree: Tree) => void): Promise<string> => {
      const dir = mkdtempSync(join(folder, 'run-'));
      const tree = structuredClone(
        standaloneBootstrap({
          ...composeOptions,
          listen: { host: '127.0.0.1', port: 0 },
          gates: [{ kind: 'pipe', path: join(dir, 'gate.sock') }],
          admin: { path: adminSocket(dir) },
        }),
      ) as Tree;
      change(tree);
      const envoy = await launchEnvoy({
        binary: envoyBinary(),
        dir,
        config: tree,
        concurrency: 1,
        onLine: () => {},
        onExit: () => {},
      });
      return envoy.admin('GET', '/config_dump').finally(() => envoy.stop(0));
    };
    expect(checkEnvoyConfig(await dump(() => {}))).toEqual({ findings: [] });
    const open = await dump((tree) => {
      manager(tree).http_filters[1].typed_config.failure_mode_allow = true;
      manager(tree).route_config.virtual_hosts[0].routes[0].route.retry_policy = { retry_on: '5xx' };
    });
    expect(checkEnvoyConfig(open)).toMatchObject({
      findings: [{ rule: 'ext_proc.failure_mode_allow' }, { rule: 'route.retry_policy' }],
    });
  });

  it('the certificates are for the gateway and for Envoy, from one CA', () => {
    const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
    for (const name of ['gateway', 'envoy']) {
      const path = join(certificates, `${name}.crt`);
      expect(openssl('verify', '-CAfile', join(certificates, 'ca.crt'), path)).toContain('OK');
      expect(openssl('x509', '-in', path, '-noout', '-ext', 'subjectAltName')).toContain(`DNS:${name}`);
    }
  });
});

/** Merges what an EnvoyFilter merges into a connection manager that is like Istio's, and inserts its filters. */
function asIstioWould(text: string): Tree {
  const patches = read(text)
    .filter(({ kind }) => kind === 'EnvoyFilter')
    .flatMap(({ spec }) => spec.configPatches);
  const values = (applyTo: string): readonly Tree[] =>
    patches.filter((patch) => patch.applyTo === applyTo).map(({ patch }) => patch.value);
  const filters = values('HTTP_FILTER');
  const gate = filters[0].typed_config.grpc_service.envoy_grpc.cluster_name;
  const added = values('CLUSTER');
  const tree = host([...(added.length > 0 ? added : [gateCluster(gate)]), modelCluster]);
  const hcm = manager(tree);
  const [settings] = values('NETWORK_FILTER');
  for (const key of Object.keys(settings.typed_config)) delete hcm[key];
  delete hcm.stream_idle_timeout;
  Object.assign(hcm, settings.typed_config, {
    stream_idle_timeout: '0s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
  });
  hcm.http_filters = [...filters, hcm.http_filters.at(-1)];
  hcm.route_config.virtual_hosts[0].routes = values('HTTP_ROUTE').map(({ route, ...rest }) => ({
    match: { prefix: '/' },
    route: { cluster: 'model', ...route },
    ...rest,
  }));
  return tree;
}

describe('Istio', () => {
  const options = defaultPrintOptions('istio');
  const tls = { ...(composeOptions.gates[0] as { tls: Tree }).tls };
  const variants: readonly (readonly [string, PrintOptions])[] = [
    ['at the gateway', options],
    ['in sidecars', { ...options, mesh: { ...options.mesh, context: 'sidecar' } }],
    ['with the gate’s own mTLS', { ...options, mesh: { ...options.mesh, tls } }],
    ['with identities from Envoy', { ...options, verifiedByEnvoy: { peers: true, jwtAuthn: true } }],
  ];

  it.each(variants)('Envoy accepts the filters, routes and cluster %s', async (name, variant) => {
    const tree = asIstioWould(printEnvoy('istio', variant));
    expect(await validate(`istio-${name.replaceAll(/\W/g, '-')}`, withCertificates(stringify(tree)))).toBeUndefined();
  });

  it('the whole of it, as Envoy sees it, has no finding', () => {
    const whole = asIstioWould(printEnvoy('istio', options));
    expect(checkEnvoyConfig(stringify(whole))).toEqual({ findings: [] });
  });
});

/** What Envoy Gateway makes of its policies (see gateway-translate.ts), enabled on each route. */
function asEnvoyGatewayWould(text: string): Tree {
  const objects = read(text);
  const place = (value: unknown): Place => new Place(value, [], { label: '', line: () => undefined });
  const ofKind = (kind: string): readonly Place[] => objects.filter((object) => object.kind === kind).map(place);
  const patches = ofKind('EnvoyPatchPolicy').flatMap((policy) => policy.get('spec', 'jsonPatches').items());
  const translated = [
    ...ofKind('SecurityPolicy').map(authzOf),
    ...ofKind('EnvoyExtensionPolicy').flatMap(procsOf),
  ].filter((filter): filter is Translated => filter !== undefined);
  const filters = translated.map((filter) => patched(filter, patches));
  const gates = filters.map(({ config }) => (config as Tree).grpc_service.envoy_grpc.cluster_name as string);
  const tree = host([...gates.map(gateCluster), modelCluster]);
  const hcm = manager(tree);
  const router = hcm.http_filters.at(-1);
  hcm.http_filters = [...filters.map(({ name, config }) => ({ name, disabled: true, typed_config: config })), router];
  const replies = patches.find((patch) => patch.get('operation', 'path').text === 'local_reply_config');
  hcm.local_reply_config = replies?.get('operation', 'value').value;
  const [, ofRoute, proc] = filters;
  hcm.route_config.virtual_hosts[0].routes = [
    {
      match: { prefix: '/' },
      route: { cluster: 'model', timeout: '0s', max_stream_duration: { max_stream_duration: '3600s' } },
      typed_per_filter_config: {
        [ofRoute?.name ?? '']: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
          check_settings: { context_extensions: { 'sallyport.model': 'llama' } },
        },
        [proc?.name ?? '']: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', config: {} },
      },
    },
  ];
  return tree;
}

describe('Envoy Gateway', () => {
  const text = printEnvoy('envoy-gateway', defaultPrintOptions('envoy-gateway'));

  it('Envoy accepts the filters that its policies become, patched', async () => {
    expect(await validate('envoy-gateway', stringify(asEnvoyGatewayWould(text)))).toBeUndefined();
  });

  it('Envoy accepts what the patches add where identities come from Envoy', async () => {
    const options = { ...defaultPrintOptions('envoy-gateway'), verifiedByEnvoy: { peers: true, jwtAuthn: true } };
    const tree = asEnvoyGatewayWould(printEnvoy('envoy-gateway', options));
    expect(manager(tree).http_filters[0].typed_config).toMatchObject({
      include_peer_certificate: true,
      metadata_context_namespaces: ['envoy.filters.http.jwt_authn'],
    });
    expect(await validate('envoy-gateway-identities', stringify(tree))).toBeUndefined();
  });

  it('the patches make them what they are standalone', () => {
    const [authz, , proc] = manager(asEnvoyGatewayWould(text)).http_filters.map((one: Tree) => one.typed_config);
    const [ours, ourProc] = manager(host([])).http_filters.map((one: Tree) => one.typed_config);
    const {
      clear_route_cache: _,
      grpc_service: { timeout },
      ...settings
    } = ours;
    expect(authz).toMatchObject({ ...settings, grpc_service: { timeout } });
    const { grpc_service: __, route_cache_action: ___, ...procSettings } = ourProc;
    expect(proc).toMatchObject(procSettings);
  });
});

describe('the files in envoy/', () => {
  it.each(Object.entries(envoyFiles))('%s is what its function prints', (name, print) => {
    expect(file(name)).toBe(print());
  });
});
