/** Istio's objects: what EnvoyFilters insert and merge, and the routes and destinations beside them. */
import { checkGateCluster } from './clusters.ts';
import { checkConnection } from './connection.ts';
import { finding, type Known, type Report } from './finding.ts';
import { checkIdentities } from './identities.ts';
import { checkGates, checkOrder, type Filter, filterOf, type Gates, gatesOf } from './order.ts';
import type { Place } from './place.ts';
import { checkRoute, checkScope, checkUpgrades } from './routes.ts';

const WEBSOCKET: ReadonlySet<string> = new Set(['websocket']);
const ENOUGH = 10_000;

export function checkIstioObjects(objects: readonly Place[], known: Known, report: Report): void {
  const ofKind = (kind: string): readonly Place[] => objects.filter((object) => object.get('kind').text === kind);
  const groups = groupByWorkload(ofKind('EnvoyFilter'));
  const gated = groups.flatMap((patches) => checkWorkload(patches, known, report));
  const [first] = objects;
  if (gated.length === 0 && first !== undefined)
    checkOrder([], gatesOf([]), ofKind('EnvoyFilter')[0]?.get('spec', 'config_patches') ?? first, report);
  for (const service of ofKind('VirtualService')) checkVirtualService(service, report);
  const hosts = new Set(gated.map(({ cluster }) => cluster?.split('|')[3]));
  for (const rule of ofKind('DestinationRule')) checkDestination(rule, hosts, report);
}

/** Patches that end up in the same proxies, in the order in which Istio applies them. */
function groupByWorkload(filters: readonly Place[]): readonly (readonly Place[])[] {
  const groups = new Map<string, Place[]>();
  for (const filter of filters) {
    const target = JSON.stringify([
      filter.get('metadata', 'namespace').value,
      filter.get('spec', 'workload_selector').value,
    ]);
    groups.set(target, [...(groups.get(target) ?? []), ...filter.get('spec', 'config_patches').items()]);
  }
  return [...groups.values()];
}

/** INSERT_FIRST puts a filter before all, so the last of them comes first; the others follow as they are written. */
function chainOf(patches: readonly Place[]): readonly Filter[] {
  const chain: Filter[] = [];
  for (const patch of patches) {
    if (patch.get('apply_to').text !== 'HTTP_FILTER') continue;
    const operation = patch.get('patch', 'operation').text;
    const filter = filterOf(patch.get('patch', 'value'));
    if (operation === 'INSERT_FIRST') chain.unshift(filter);
    else if (/^(INSERT|ADD|REPLACE)/.test(operation)) chain.push(filter);
  }
  return chain;
}

function checkWorkload(patches: readonly Place[], known: Known, report: Report): readonly Gates[] {
  const filters = chainOf(patches);
  const gates = gatesOf(filters);
  const [first] = patches;
  if (first === undefined || (gates.authz.length === 0 && gates.proc.length === 0)) return [];
  const values = (applyTo: string): readonly Place[] =>
    patches.filter((patch) => patch.get('apply_to').text === applyTo).map((patch) => patch.get('patch', 'value'));
  checkOrder(filters, gates, first, report);
  checkGates(gates, known, report);
  const others = patches.filter((patch) => patch.get('apply_to').text !== 'HTTP_FILTER');
  checkIdentities({ filters, gates, writers: others, sockets: others, isWhole: false }, known, report);
  const manager = values('NETWORK_FILTER')
    .map((value) => value.get('typed_config'))
    .find((config) => config.type === 'HttpConnectionManager');
  checkConnection(manager ?? first.get('typed_config'), known, report);
  for (const scope of [...values('VIRTUAL_HOST'), ...values('ROUTE_CONFIGURATION')])
    checkScope(scope, gates, known, report);
  const context = { gates, known, upgrades: WEBSOCKET, clearsRouteCache: true };
  const routes = values('HTTP_ROUTE');
  for (const route of routes) checkRoute(route, context, report);
  // Istio lets websockets in unless a route says otherwise.
  if (!routes.some((route) => route.get('route', 'upgrade_configs').exists))
    checkUpgrades((routes[0] ?? first).get('route'), context, report);
  for (const cluster of values('CLUSTER'))
    if (cluster.get('name').text === gates.cluster) checkGateCluster(cluster, report);
  return [gates];
}

function checkVirtualService(service: Place, report: Report): void {
  for (const route of service.get('spec', 'http').items()) {
    if (route.get('redirect').exists || route.get('direct_response').exists) continue;
    const attempts = route.get('retries', 'attempts');
    if (attempts.number !== 0)
      report(
        finding(attempts, {
          rule: 'route.retry_policy',
          severity: 'opens',
          shouldBe: '0',
          why: 'Istio retries twice by default: the model is called again after one decision, one approval and one record.',
        }),
      );
    for (const mirror of [route.get('mirror'), route.get('mirrors')])
      if (mirror.exists)
        report(
          finding(mirror, {
            rule: 'route.request_mirror_policies',
            severity: 'opens',
            shouldBe: 'not set',
            why: 'A copy of the request goes to a service that no rule was asked about.',
          }),
        );
    const timeout = route.get('timeout');
    if (timeout.seconds)
      report(
        finding(timeout, {
          rule: 'route.timeout',
          severity: 'breaks',
          shouldBe: '0s',
          why: 'Envoy ends the answer.',
        }),
      );
    if (route.get('route').items().length > 1)
      report(
        finding(
          route.get('route'),
          {
            rule: 'route.weighted_clusters',
            severity: 'breaks',
            shouldBe: 'one destination',
            why: 'The destination is drawn by Envoy, not by the gate: what differs from the plan is refused.',
          },
          `${route.get('route').items().length} destinations`,
        ),
      );
  }
}

function checkDestination(rule: Place, gateHosts: ReadonlySet<string | undefined>, report: Report): void {
  const isGate = gateHosts.has(rule.get('spec', 'host').text);
  const policy = rule.get('spec', 'traffic_policy');
  const pools = [policy, ...policy.get('port_level_settings').items()].map((part) =>
    part.get('connection_pool', 'http'),
  );
  for (const http of pools) {
    const upgrade = http.get('h2_upgrade_policy');
    const client = http.get('use_client_protocol');
    const isHttp2 = upgrade.text === 'UPGRADE' || client.isTrue;
    if (!isGate && isHttp2)
      report(
        finding(upgrade.text === 'UPGRADE' ? upgrade : client, {
          rule: 'model.http1',
          severity: 'breaks',
          shouldBe: 'h2UpgradePolicy: DO_NOT_UPGRADE, useClientProtocol: false',
          why: 'An answer over HTTP/2 may end with trailers while text is still held; the gate then ends it as failed.',
        }),
      );
    const most = http.get('http2_max_requests');
    if (isGate && most.number !== undefined && most.number < ENOUGH)
      report(
        finding(most, {
          rule: 'gate.max_requests',
          severity: 'breaks',
          shouldBe: '100000',
          why: `Each live stream takes one: the next request after ${most.number} is refused.`,
        }),
      );
  }
}
