/** An Envoy bootstrap, or what Envoy itself says of its configuration (`/config_dump`). */
import { checkGateCluster, checkModelCluster } from './clusters.ts';
import { checkConnection, upgradesOf } from './connection.ts';
import { finding, type Known, type Report } from './finding.ts';
import { checkIdentities } from './identities.ts';
import { checkGates, checkOrder, type Filter, filterOf, type Gates, gatesOf } from './order.ts';
import type { Place } from './place.ts';
import { checkRoute, checkScope } from './routes.ts';

interface Parts {
  readonly root: Place;
  readonly listeners: readonly Place[];
  readonly clusters: readonly Place[];
  readonly routes: readonly Place[];
  readonly admin: Place;
}

export function isBootstrap(root: Place): boolean {
  return ['static_resources', 'dynamic_resources', 'admin', 'node'].some((key) => root.get(key).exists);
}

export function isConfigDump(root: Place): boolean {
  return root
    .get('configs')
    .items()
    .some((part) => part.type.endsWith('Dump'));
}

export function checkEnvoyDocument(root: Place, known: Known, report: Report): void {
  checkParts(isConfigDump(root) ? ofDump(root) : ofBootstrap(root), known, report);
}

function ofBootstrap(root: Place): Parts {
  const resources = root.get('static_resources');
  return {
    root,
    listeners: resources.get('listeners').items(),
    clusters: resources.get('clusters').items(),
    routes: [],
    admin: root.get('admin'),
  };
}

function ofDump(root: Place): Parts {
  const dumps = (type: string): readonly Place[] =>
    root
      .get('configs')
      .items()
      .filter((part) => part.type === type);
  const inside = (type: string, keys: readonly string[], ...down: readonly string[]): readonly Place[] =>
    dumps(type).flatMap((dump) =>
      keys.flatMap((key) =>
        dump
          .get(key)
          .items()
          .map((entry) => entry.get(...down))
          .filter((place) => place.exists),
      ),
    );
  const [bootstrap] = dumps('BootstrapConfigDump');
  return {
    root: root.get('configs'),
    listeners: [
      ...inside('ListenersConfigDump', ['static_listeners'], 'listener'),
      ...inside('ListenersConfigDump', ['dynamic_listeners'], 'active_state', 'listener'),
    ],
    clusters: inside('ClustersConfigDump', ['static_clusters', 'dynamic_active_clusters'], 'cluster'),
    routes: inside('RoutesConfigDump', ['static_route_configs', 'dynamic_route_configs'], 'route_config'),
    admin: (bootstrap ?? root).get('bootstrap', 'admin'),
  };
}

function managersOf(listener: Place): readonly (readonly [listener: Place, hcm: Place])[] {
  return [...listener.get('filter_chains').items(), listener.get('default_filter_chain')]
    .flatMap((chain) => chain.get('filters').items())
    .map((filter) => filter.get('typed_config'))
    .filter((config) => config.type === 'HttpConnectionManager')
    .map((hcm) => [listener, hcm] as const);
}

/** What sees a connection before its requests. */
function connectionFilters(listener: Place): readonly Place[] {
  const chains = [...listener.get('filter_chains').items(), listener.get('default_filter_chain')];
  const filters = chains.flatMap((chain) => chain.get('filters').items());
  const isManager = (filter: Place): boolean => filter.get('typed_config').type === 'HttpConnectionManager';
  return [listener.get('listener_filters'), ...filters.filter((filter) => !isManager(filter))];
}

interface Manager {
  readonly listener: Place;
  readonly hcm: Place;
  readonly filters: readonly Filter[];
  readonly gates: Gates;
  readonly routes: Place;
}

function checkParts(parts: Parts, known: Known, report: Report): void {
  const managers = parts.listeners.flatMap(managersOf).map((found) => managerOf(found, parts));
  const gated = managers.filter(({ gates }) => gates.authz.length > 0 || gates.proc.length > 0);
  if (gated.length === 0) {
    const [first] = managers;
    checkOrder([], gatesOf([]), first === undefined ? parts.root : first.hcm.get('http_filters'), report);
    return;
  }
  for (const manager of gated) checkManager(manager, known, report);
  checkClusters(gated, parts, report);
  for (const manager of managers) if (!gated.includes(manager)) checkBypass(manager, gated, report);
  checkAdmin(parts.admin, report);
}

function managerOf([listener, hcm]: readonly [Place, Place], parts: Parts): Manager {
  const filters = hcm.get('http_filters').items().map(filterOf);
  const name = hcm.get('rds', 'route_config_name').text;
  const routes =
    parts.routes.find((config) => name !== '' && config.get('name').text === name) ?? hcm.get('route_config');
  return { listener, hcm, filters, gates: gatesOf(filters), routes };
}

function checkManager({ listener, hcm, filters, gates, routes }: Manager, known: Known, report: Report): void {
  checkConnection(hcm, known, report);
  checkOrder(filters, gates, hcm.get('http_filters'), report);
  checkGates(gates, known, report);
  checkIdentities(
    { filters, gates, writers: [...connectionFilters(listener), routes], sockets: [listener], isWhole: true },
    known,
    report,
  );
  const context = {
    gates,
    known,
    upgrades: upgradesOf(hcm, known),
    clearsRouteCache: gates.authz.every(({ config }) => config.get('clear_route_cache').isTrue),
  };
  checkScope(routes, gates, known, report);
  for (const host of routes.get('virtual_hosts').items()) {
    checkScope(host, gates, known, report);
    for (const route of host.get('routes').items()) {
      checkRoute(route, context, report);
      checkEnabled(route, host, routes, gates, report);
    }
  }
}

/** A filter that is disabled in the chain (as Envoy Gateway writes them) must be enabled on each route. */
function checkEnabled(route: Place, host: Place, routes: Place, gates: Gates, report: Report): void {
  if (!route.get('route').exists) return;
  const named = [route, host, routes].map((scope) => new Map(scope.get('typed_per_filter_config').entries()));
  const isOn = (filter: Filter): boolean => {
    const setting = named.map((settings) => settings.get(filter.name)).find((found) => found !== undefined);
    return setting !== undefined && !setting.get('disabled').isTrue;
  };
  for (const [kind, filters] of [
    ['ext_authz', gates.authz],
    ['ext_proc', gates.proc],
  ] as const) {
    if (filters.length === 0 || filters.some((filter) => !filter.disabled || isOn(filter))) continue;
    report(
      finding(
        route.get('typed_per_filter_config'),
        {
          rule: `route.${kind}_not_enabled`,
          severity: 'opens',
          shouldBe: `the gate’s ${kind} enabled`,
          why: 'The filter is disabled in the chain, and this route does not enable it: it goes past the gate.',
        },
        `${kind} is off on ${route.get('name').text || 'this route'}`,
      ),
    );
  }
}

/** Clusters that the routes of a connection manager name; undefined when a header names them. */
function routedBy({ routes }: Manager): readonly string[] | undefined {
  const names: string[] = [];
  for (const host of routes.get('virtual_hosts').items())
    for (const route of host.get('routes').items()) {
      const action = route.get('route');
      if (action.get('cluster_header').exists) return undefined;
      const weighted = action.get('weighted_clusters', 'clusters').items();
      names.push(...[action.get('cluster'), ...weighted.map((one) => one.get('name'))].map(({ text }) => text));
    }
  return names.filter((name) => name !== '');
}

function checkClusters(gated: readonly Manager[], { clusters, root }: Parts, report: Report): void {
  const gates = new Set(gated.flatMap((manager) => [...manager.gates.authz, ...manager.gates.proc].map(clusterOf)));
  for (const gate of gates) {
    const cluster = clusters.find((one) => one.get('name').text === gate);
    if (cluster !== undefined) checkGateCluster(cluster, report);
    else if (gate !== '' && !hasDiscovery(root))
      report(
        finding(
          root.get('static_resources', 'clusters'),
          {
            rule: 'gate.cluster_missing',
            severity: 'breaks',
            shouldBe: `a cluster named ${gate}`,
            why: 'The filters call it; without it every request is refused.',
          },
          `no cluster ${gate}`,
        ),
      );
  }
  const routed = gated.map(routedBy);
  for (const cluster of clusters) {
    const name = cluster.get('name').text;
    if (gates.has(name)) continue;
    if (routed.some((names) => names === undefined || names.includes(name))) checkModelCluster(cluster, report);
  }
}

function clusterOf({ config }: Filter): string {
  return config.get('grpc_service', 'envoy_grpc', 'cluster_name').text;
}

const hasDiscovery = (root: Place): boolean =>
  Array.isArray(root.value) ||
  root.get('dynamic_resources', 'cds_config').exists ||
  root.get('dynamic_resources', 'ads_config').exists;

/** A listener without the gates that leads to a cluster behind them. */
function checkBypass(manager: Manager, gated: readonly Manager[], report: Report): void {
  const open = routedBy(manager);
  const gates = new Set(gated.map(({ gates: { cluster } }) => cluster));
  const closed = gated.map(routedBy);
  const isModel = (name: string): boolean =>
    !gates.has(name) && closed.some((names) => names === undefined || names.includes(name));
  const reached = open === undefined ? ['any cluster (cluster_header)'] : open.filter(isModel);
  if (reached.length === 0) return;
  report(
    finding(
      manager.hcm.get('http_filters'),
      {
        rule: 'listener.without_gates',
        severity: 'opens',
        shouldBe: 'both gates, or no route to a model',
        why: 'This listener leads to a model past the gates.',
      },
      `no gate on the way to ${[...new Set(reached)].join(', ')}`,
    ),
  );
}

function checkAdmin(admin: Place, report: Report): void {
  const address = admin.get('address', 'socket_address', 'address');
  if (!address.exists || /^(127(\.\d{1,3}){3}|::1|localhost)$/.test(address.text)) return;
  report(
    finding(address, {
      rule: 'admin.address',
      severity: 'advice',
      shouldBe: 'a Unix socket or the loopback',
      why: 'Who reaches Envoy’s admin port can stop it, and read its whole configuration.',
    }),
  );
}
