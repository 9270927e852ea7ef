/** Envoy Gateway's policies, judged as the Envoy configuration that they become. */

import { checkConnection } from './connection.ts';
import { finding, type Known, type Report } from './finding.ts';
import { checkGatewayIdentities } from './gateway-identities.ts';
import { authzOf, patched, procsOf, type Translated } from './gateway-translate.ts';
import { checkGates, checkOrder, type Filter, filterOf, type Gates } from './order.ts';
import { type Key, Place } from './place.ts';
import { checkRoute } from './routes.ts';

const ENOUGH = 10_000;

interface Objects {
  readonly all: readonly Place[];
  readonly ofKind: (kind: string) => readonly Place[];
  readonly patches: readonly Place[];
}

export function checkGatewayObjects(objects: readonly Place[], known: Known, report: Report): void {
  const ofKind = (kind: string): readonly Place[] => objects.filter((object) => object.get('kind').text === kind);
  const patches = ofKind('EnvoyPatchPolicy').flatMap((policy) => policy.get('spec', 'jsonPatches').items());
  const all = { all: objects, ofKind, patches };
  const gates = checkFilters(all, known, report);
  checkClients(all, known, report);
  checkRoutes(all, gates, known, report);
  checkGatewayIdentities(ofKind, gates, known, report);
}

/** A derived value: its findings are at the object that it was derived from. */
function derived(value: unknown, from: Place, as: string): Place {
  const line = from.line;
  return new Place(value, [], { label: `${from.where} (as ${as})`, line: () => line });
}

function checkFilters({ all, ofKind, patches }: Objects, known: Known, report: Report): Gates {
  const authz: Filter[] = [];
  const proc: Filter[] = [];
  const add = (to: Filter[], from: Place, translated: Translated, as: string): void => {
    const { name, config } = patched(translated, patches);
    to.push(filterOf(derived({ name, typed_config: config, disabled: true }, from, as)));
  };
  for (const policy of ofKind('SecurityPolicy').filter((one) => isOurs(one.get('spec', 'extAuth', 'grpc'), all))) {
    const filter = authzOf(policy);
    if (filter === undefined) continue;
    add(authz, policy.get('spec', 'extAuth'), filter, 'ext_authz');
    checkBackend(policy.get('spec', 'extAuth', 'grpc'), report);
  }
  for (const policy of ofKind('EnvoyExtensionPolicy')) {
    const entries = policy.get('spec', 'extProc').items();
    for (const [index, filter] of procsOf(policy).entries()) {
      const entry = entries[index];
      if (entry === undefined || !isOurs(entry, all)) continue;
      add(proc, entry, filter, 'ext_proc');
      checkBackend(entry, report);
    }
  }
  const gates: Gates = { authz, proc, cluster: undefined };
  const [first] = all;
  if (first !== undefined) checkOrder([...authz, ...proc], gates, first, report);
  checkTwice(ofKind('EnvoyExtensionPolicy'), all, report);
  checkGates(gates, known, report);
  return gates;
}

const backends = (service: Place): readonly string[] =>
  service
    .get('backendRefs')
    .items()
    .map((ref) => ref.get('name').text);

/** By its Service's name where one is called after us; else every one is taken for ours. */
function isOurs(service: Place, objects: readonly Place[]): boolean {
  const named = (place: Place): boolean => backends(place).some((name) => /sallyport/i.test(name));
  const isAnyNamed = objects.some((object) =>
    [object.get('spec', 'extAuth', 'grpc'), ...object.get('spec', 'extProc').items()].some(named),
  );
  return !isAnyNamed || named(service);
}

function checkTwice(policies: readonly Place[], objects: readonly Place[], report: Report): void {
  for (const policy of policies) {
    const [, second] = policy
      .get('spec', 'extProc')
      .items()
      .filter((entry) => isOurs(entry, objects));
    if (second !== undefined)
      report(
        finding(
          second,
          {
            rule: 'filters.ext_proc_twice',
            severity: 'breaks',
            shouldBe: 'one',
            why: 'A plan is good for one stream; the second one is refused as a replay.',
          },
          'a second ext_proc of the gate',
        ),
      );
  }
}

function checkBackend(service: Place, report: Report): void {
  const limit = service.get('backendSettings', 'circuitBreaker', 'maxParallelRequests');
  const value = limit.number ?? 1024;
  if (value < ENOUGH)
    report(
      finding(limit, {
        rule: 'gate.max_requests',
        severity: 'breaks',
        shouldBe: '100000',
        why: `Each live stream takes one: the next request after ${value} is refused.`,
      }),
    );
}

const SLASHES: Readonly<Record<string, string>> = {
  KeepUnchanged: 'KEEP_UNCHANGED',
  RejectRequest: 'REJECT_REQUEST',
  UnescapeAndForward: 'UNESCAPE_AND_FORWARD',
  UnescapeAndRedirect: 'UNESCAPE_AND_REDIRECT',
};
const UNDERSCORES: Readonly<Record<string, string>> = {
  Allow: 'ALLOW',
  RejectRequest: 'REJECT_REQUEST',
  DropHeader: 'DROP_HEADER',
};

function checkClients({ all, ofKind, patches }: Objects, known: Known, report: Report): void {
  const [policy] = ofKind('ClientTrafficPolicy');
  const [first] = all;
  const from = policy ?? first;
  if (from === undefined) return;
  const spec = policy?.get('spec') ?? new Place(undefined, [], from.source);
  const requestId = spec.get('headers', 'requestID').text || 'Generate';
  const timeout = spec.get('timeout', 'http', 'streamIdleTimeout').seconds;
  const hasReplies = patches.some(
    (patch) => patch.get('operation', 'path').text.replace(/^\//, '') === 'local_reply_config',
  );
  const hcm = {
    normalize_path: true,
    merge_slashes: !spec.get('path', 'disableMergeSlashes').isTrue,
    path_with_escaped_slashes_action: SLASHES[spec.get('path', 'escapedSlashesAction').text || 'UnescapeAndRedirect'],
    common_http_protocol_options: {
      headers_with_underscores_action:
        UNDERSCORES[spec.get('headers', 'withUnderscoresAction').text || 'RejectRequest'],
    },
    generate_request_id: requestId === 'Generate' || requestId === 'PreserveOrGenerate',
    preserve_external_request_id: requestId.startsWith('Preserve') || spec.get('headers', 'preserveXRequestID').isTrue,
    ...(timeout === undefined ? {} : { stream_idle_timeout: `${timeout}s` }),
    ...(hasReplies ? { local_reply_config: {} } : {}),
  };
  checkConnection(derived(hcm, from, 'connection manager'), known, report);
}

/** Policies that name the route, else those that name none of the routes in the file (their Gateway's). */
function policyFor(policies: readonly Place[], route: Place | undefined, routes: readonly Place[]): Place | undefined {
  const targets = (policy: Place): readonly (readonly [string, string])[] =>
    [...policy.get('spec', 'targetRefs').items(), policy.get('spec', 'targetRef')].map(
      (ref) => [ref.get('kind').text, ref.get('name').text] as const,
    );
  const names = (policy: Place, one: Place | undefined): boolean =>
    targets(policy).some(([kind, name]) => kind === 'HTTPRoute' && name === one?.get('metadata', 'name').text);
  return (
    policies.find((policy) => names(policy, route)) ??
    policies.find((policy) => !routes.some((other) => names(policy, other)))
  );
}

function checkRoutes({ all, ofKind, patches }: Objects, gates: Gates, known: Known, report: Report): void {
  const routes = ofKind('HTTPRoute');
  const policies = ofKind('BackendTrafficPolicy');
  const removesUpgrades = patches.some(
    (patch) =>
      patch.get('operation', 'op').text === 'remove' &&
      patch.get('operation', 'jsonPath').text.endsWith('.upgrade_configs'),
  );
  const context = { gates, known, upgrades: new Set<string>(), clearsRouteCache: true };
  for (const route of routes.length > 0 ? routes : [undefined]) {
    const policy = policyFor(policies, route, routes);
    const from = policy ?? route ?? all[0];
    if (from === undefined) continue;
    for (const rule of route === undefined ? [undefined] : route.get('spec', 'rules').items())
      checkRoute(derived(routeOf(rule, policy, removesUpgrades), rule ?? from, 'route'), context, report);
    if (policy !== undefined) checkModelTraffic(policy, report);
    if (route !== undefined) checkOverriding(route, ofKind, all, report);
  }
}

/** The Envoy route of one rule of an HTTPRoute, under a BackendTrafficPolicy. */
function routeOf(rule: Place | undefined, policy: Place | undefined, removesUpgrades: boolean): object {
  const at = (place: Place | undefined, ...keys: Key[]): Place | undefined => place?.get(...keys);
  const timeout =
    at(rule, 'timeouts', 'request')?.seconds ?? at(policy, 'spec', 'timeout', 'http', 'requestTimeout')?.seconds;
  const longest = at(policy, 'spec', 'timeout', 'http', 'maxStreamDuration')?.seconds;
  const idle = at(policy, 'spec', 'timeout', 'http', 'streamIdleTimeout')?.seconds;
  const retry = [at(policy, 'spec', 'retry'), at(rule, 'retry')].find((place) => place?.exists);
  const mirrors =
    at(rule, 'filters')
      ?.items()
      .filter((filter) => filter.get('type').text === 'RequestMirror') ?? [];
  const backendRefs = at(rule, 'backendRefs')?.items() ?? [];
  const written = at(policy, 'spec', 'httpUpgrade');
  // Envoy Gateway gives every route the websocket upgrade unless a policy lists others.
  const upgrades = written?.exists ? written.items().map((one) => one.get('type').text) : ['websocket'];
  return {
    route: {
      ...(backendRefs.length > 1 ? { weighted_clusters: { clusters: backendRefs.map(({ value }) => value) } } : {}),
      ...(timeout === undefined ? {} : { timeout: `${timeout}s` }),
      ...(longest === undefined ? {} : { max_stream_duration: { max_stream_duration: `${longest}s` } }),
      ...(idle === undefined ? {} : { idle_timeout: `${idle}s` }),
      ...(retry === undefined
        ? {}
        : { retry_policy: { num_retries: retry.get('numRetries').number ?? retry.get('attempts').number ?? 2 } }),
      ...(mirrors.length === 0 ? {} : { request_mirror_policies: mirrors.map(({ value }) => value) }),
      ...(removesUpgrades ? {} : { upgrade_configs: upgrades.map((type) => ({ upgrade_type: type })) }),
    },
  };
}

function checkModelTraffic(policy: Place, report: Report): void {
  const client = policy.get('spec', 'useClientProtocol');
  if (client.isTrue)
    report(
      finding(client, {
        rule: 'model.http1',
        severity: 'breaks',
        shouldBe: 'false',
        why: 'An answer over HTTP/2 may end with trailers while text is still held; the gate then ends it as failed.',
      }),
    );
  const limit = policy.get('spec', 'circuitBreaker', 'maxConnections');
  if ((limit.number ?? 1024) < ENOUGH)
    report(
      finding(limit, {
        rule: 'model.max_connections',
        severity: 'advice',
        shouldBe: '100000',
        why: `In HTTP/1.1 each live answer takes one: the next request after ${limit.number ?? 1024} waits.`,
      }),
    );
}

/** A policy on a route replaces the Gateway's of its kind: without our filter in it, the route goes past the gate. */
function checkOverriding(route: Place, ofKind: Objects['ofKind'], all: readonly Place[], report: Report): void {
  const name = route.get('metadata', 'name').text;
  const targets = (policy: Place): boolean =>
    [...policy.get('spec', 'targetRefs').items(), policy.get('spec', 'targetRef')].some(
      (ref) => ref.get('kind').text === 'HTTPRoute' && ref.get('name').text === name,
    );
  const say = (policy: Place, kind: string): void =>
    report(
      finding(
        policy.get('spec'),
        {
          rule: `route.${kind}_not_enabled`,
          severity: 'opens',
          shouldBe: `the gate’s ${kind} in it too`,
          why: 'A policy on a route replaces the Gateway’s policy of its kind: this route goes past the gate.',
        },
        `a policy on route ${name} without the gate’s ${kind}`,
      ),
    );
  for (const policy of ofKind('SecurityPolicy').filter(targets))
    if (!isOurs(policy.get('spec', 'extAuth', 'grpc'), all) || !policy.get('spec', 'extAuth', 'grpc').exists)
      say(policy, 'ext_authz');
  for (const policy of ofKind('EnvoyExtensionPolicy').filter(targets))
    if (
      !policy
        .get('spec', 'extProc')
        .items()
        .some((entry) => isOurs(entry, all))
    )
      say(policy, 'ext_proc');
}
