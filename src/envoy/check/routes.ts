/** Routes, and what a route, a virtual host or a route configuration sets for everything in it. */
import { UPSTREAM_HEADER } from '../forward.ts';
import { SILENCE_S } from './connection.ts';
import { applyRules, finding, isEmpty, isUnset, type Known, type Report, type Rule, show } from './finding.ts';
import type { Gates } from './order.ts';
import type { Place } from './place.ts';
import { PROCESSING_MODE } from './proc.ts';

const RETRIES = {
  rule: 'route.retry_policy',
  severity: 'opens',
  shouldBe: 'no retries',
  why: 'The model is called again after one decision, one approval and one record.',
} as const;
const MIRROR = {
  rule: 'route.request_mirror_policies',
  severity: 'opens',
  shouldBe: 'not set',
  why: 'A copy of the request goes to a cluster that no rule was asked about, and its answer to nobody’s record.',
} as const;
const HEDGE = { ...RETRIES, rule: 'route.hedge_policy', shouldBe: 'not set' } as const;

/** Settings that a route, a virtual host and a route configuration share. */
export function checkScope(scope: Place, gates: Gates, known: Known, report: Report): void {
  const retry = scope.get('retry_policy');
  const retries = retry.get('num_retries').number ?? (retry.get('retry_on').exists ? 1 : 0);
  if (retry.exists && retries > 0) report(finding(retry, RETRIES));
  const mirrors = scope.get('request_mirror_policies');
  if (!isEmpty(mirrors)) report(finding(mirrors, MIRROR));
  const hedge = scope.get('hedge_policy');
  if (!isEmpty(hedge)) report(finding(hedge, HEDGE));
  checkOverrides(scope.get('typed_per_filter_config'), gates, known, report);
}

function checkOverrides(overrides: Place, gates: Gates, known: Known, report: Report): void {
  for (const [name, override] of overrides.entries()) {
    const isOurs = [...gates.authz, ...gates.proc].some((filter) => filter.name === name);
    if (isOurs) checkOverride(override, known, report);
  }
}

const OFF = {
  rule: 'route.gate_disabled',
  severity: 'opens',
  shouldBe: 'not set',
  why: 'This route goes past the gate.',
} as const;

function checkOverride(override: Place, known: Known, report: Report): void {
  if (override.get('disabled').isTrue) report(finding(override.get('disabled'), OFF));
  // FilterConfig wraps the filter's own settings for the route.
  const config = override.type === 'FilterConfig' ? override.get('config') : override;
  if (config !== override && config.get('disabled').isTrue) report(finding(config.get('disabled'), OFF));
  const settings = config.get('check_settings');
  if (settings.get('disable_request_body_buffering').isTrue)
    report(
      finding(settings.get('disable_request_body_buffering'), {
        rule: 'route.disable_request_body_buffering',
        severity: 'breaks',
        shouldBe: 'false',
        why: 'Without the body the gate cannot read what is asked; it refuses (envoy_misconfigured).',
      }),
    );
  const body = settings.get('with_request_body');
  if (body.exists && !body.get('pack_as_bytes').isTrue)
    report(
      finding(body, {
        rule: 'route.with_request_body',
        severity: 'breaks',
        shouldBe: 'not set',
        why: 'It replaces the filter’s settings; the gate refuses bodies that are not whole, or not bytes.',
      }),
    );
  for (const service of [settings.get('grpc_service'), settings.get('http_service')])
    if (service.exists)
      report(
        finding(service, {
          rule: 'route.other_service',
          severity: 'opens',
          shouldBe: 'not set',
          why: 'Somebody else than the gate decides about this route.',
        }),
      );
  checkProcOverrides(config.get('overrides'), known, report);
}

function checkProcOverrides(overrides: Place, known: Known, report: Report): void {
  if (overrides.get('processing_mode').exists) applyRules(PROCESSING_MODE, overrides, known, report);
  for (const field of [
    'grpc_service',
    'failure_mode_allow',
    'metadata_options',
    'request_attributes',
    'response_attributes',
  ])
    if (overrides.get(field).exists && overrides.get(field).value !== false)
      report(
        finding(overrides.get(field), {
          rule: `route.ext_proc_${field}`,
          severity: field === 'grpc_service' || field === 'failure_mode_allow' ? 'opens' : 'breaks',
          shouldBe: 'not set',
          why: 'It replaces the filter’s setting on this route.',
        }),
      );
}

export interface RouteContext {
  readonly gates: Gates;
  readonly known: Known;
  /** Upgrade types that the connection manager lets in, in lower case. */
  readonly upgrades: ReadonlySet<string>;
  readonly clearsRouteCache: boolean;
}

const ROUTE_RULES: readonly Rule[] = [
  {
    rule: 'route.timeout',
    severity: 'breaks',
    at: ['timeout'],
    holds: (setting, { platform }) => {
      const seconds = setting.seconds ?? (platform === 'istio' ? 0 : 15);
      return seconds === 0 || seconds >= SILENCE_S;
    },
    shouldBe: '0s, with max_stream_duration',
    why: 'Envoy (after 15 s by default) ends the answer.',
  },
  {
    rule: 'route.max_stream_duration',
    severity: 'advice',
    at: ['max_stream_duration', 'max_stream_duration'],
    holds: (setting) => setting.exists,
    shouldBe: '3600s',
    why: 'A model that never ends holds its stream for ever.',
  },
  {
    rule: 'route.idle_timeout',
    severity: 'breaks',
    at: ['idle_timeout'],
    holds: (setting, { approvalsWaitS }) =>
      !setting.seconds || setting.seconds > Math.max(approvalsWaitS, SILENCE_S - 1),
    shouldBe: 'not set',
    why: 'It ends requests that wait for an approval, and models that are silent for longer.',
  },
  {
    rule: 'route.weighted_clusters',
    severity: 'breaks',
    at: ['weighted_clusters'],
    holds: isUnset,
    shouldBe: 'one cluster (the gate shares out versions of a model itself)',
    why: 'The cluster is drawn by Envoy, not by the gate: what differs from the plan is refused.',
  },
  {
    rule: 'route.cluster_header',
    severity: 'opens',
    at: ['cluster_header'],
    holds: (setting) => !setting.exists || setting.text.toLowerCase() === UPSTREAM_HEADER,
    shouldBe: UPSTREAM_HEADER,
    why: 'Only this header is the gate’s; any other is the client’s choice of cluster.',
  },
];

/** One route with a `route` action. Redirects and direct responses call no model. */
export function checkRoute(route: Place, context: RouteContext, report: Report): void {
  const action = route.get('route');
  checkScope(route, context.gates, context.known, report);
  if (!action.exists) return;
  applyRules(ROUTE_RULES, action, context.known, report);
  checkScope(action, context.gates, context.known, report);
  checkUpgrades(action, context, report);
  const header = action.get('cluster_header');
  if (header.exists && !context.clearsRouteCache)
    for (const { config } of context.gates.authz)
      report(
        finding(config.get('clear_route_cache'), {
          rule: 'ext_authz.clear_route_cache',
          severity: 'opens',
          shouldBe: 'true',
          why: 'A route by cluster_header is picked before the gate sets the header: a copy that the client sends wins.',
        }),
      );
  checkNamed(route, action, context, report);
  const weighted = action.get('weighted_clusters', 'clusters').items();
  for (const cluster of weighted)
    checkOverrides(cluster.get('typed_per_filter_config'), context.gates, context.known, report);
}

/** Where Envoy picks the model by itself, the route says which one it is. */
function checkNamed(route: Place, action: Place, { gates, known }: RouteContext, report: Report): void {
  // In the fragments of Istio and Envoy Gateway the name may come from another object.
  if (!action.get('cluster').exists || known.platform !== 'envoy' || gates.authz.length === 0) return;
  const settings = route.get('typed_per_filter_config');
  const isNamed = gates.authz.some(
    ({ name }) => settings.get(name, 'check_settings', 'context_extensions', 'sallyport.model').exists,
  );
  if (!isNamed)
    report(
      finding(settings, {
        rule: 'route.model_not_named',
        severity: 'advice',
        shouldBe: 'check_settings: {context_extensions: {sallyport.model: <name>}}',
        why: 'The gate then goes by the model that the request names; one that another route serves is refused.',
      }),
    );
}

export function checkUpgrades(action: Place, { upgrades }: RouteContext, report: Report): void {
  const here = new Map(
    action
      .get('upgrade_configs')
      .items()
      .map(
        (upgrade) => [upgrade.get('upgrade_type').text.toLowerCase(), upgrade.get('enabled').value !== false] as const,
      ),
  );
  const open = [
    ...[...here].flatMap(([type, enabled]) => (enabled ? [type] : [])),
    ...[...upgrades].filter((type) => !here.has(type)),
  ];
  if (open.length === 0) return;
  const place = action.get('upgrade_configs');
  report(
    finding(
      place,
      {
        rule: 'route.upgrade_configs',
        severity: 'opens',
        shouldBe: `not set${upgrades.size > 0 ? `, or enabled: false for ${[...upgrades].join(', ')}` : ''}`,
        why: 'An upgraded connection skips the body filters: nothing is read or masked. (The gate refuses upgrades that it sees.)',
      },
      open.length > 0 && here.size === 0 ? `${open.join(', ')} (of the connection manager)` : show(place),
    ),
  );
}
