/** The connection manager, the order of its filters, and its routes. */
import { checkAuthz, checkProc, PROCESSING_MODE } from './check-filters.ts';
import {
  applyRules,
  finding,
  isEmpty,
  isNotTrue,
  isTrue,
  isUnset,
  type Known,
  type Report,
  type Rule,
  show,
} from './check-finding.ts';
import type { Place } from './check-place.ts';
import { UPSTREAM_HEADER } from './forward.ts';

type Setting = 'normalize_path' | 'merge_slashes' | 'upgrade_configs' | 'stream_idle_timeout';
/** Where a setting is missing: what Envoy, or the control plane that writes the rest of the configuration, makes of it. */
const DEFAULTS: Readonly<Record<Known['platform'], Readonly<Record<Setting, unknown>>>> = {
  envoy: { normalize_path: false, merge_slashes: false, upgrade_configs: undefined, stream_idle_timeout: '300s' },
  istio: { normalize_path: true, merge_slashes: false, upgrade_configs: ['websocket'], stream_idle_timeout: '0s' },
  'envoy-gateway': {
    normalize_path: true,
    merge_slashes: true,
    upgrade_configs: undefined,
    stream_idle_timeout: '300s',
  },
};

const trueOrDefault =
  (name: 'normalize_path' | 'merge_slashes') =>
  (setting: Place, { platform }: Known): boolean =>
    setting.exists ? setting.isTrue : DEFAULTS[platform][name] === true;

const PATHS =
  'The gate and the model may read one path differently, and the rules are about the one that the gate read.';
/** Shortest time that a model may be silent in a stream, or think before it, without losing the answer. */
const SILENCE_S = 600;

const idle = (setting: Place, { platform }: Known): number => {
  if (setting.exists) return setting.seconds ?? 0;
  return DEFAULTS[platform].stream_idle_timeout === '0s' ? 0 : 300;
};

const CONNECTION: readonly Rule[] = [
  {
    rule: 'http.normalize_path',
    severity: 'opens',
    at: ['normalize_path'],
    holds: trueOrDefault('normalize_path'),
    shouldBe: 'true',
    why: PATHS,
  },
  {
    rule: 'http.merge_slashes',
    severity: 'opens',
    at: ['merge_slashes'],
    holds: trueOrDefault('merge_slashes'),
    shouldBe: 'true',
    why: PATHS,
  },
  {
    rule: 'http.path_with_escaped_slashes_action',
    severity: 'opens',
    at: ['path_with_escaped_slashes_action'],
    holds: (setting) => ['REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT'].includes(setting.text),
    shouldBe: 'REJECT_REQUEST',
    why: PATHS,
  },
  {
    rule: 'http.headers_with_underscores_action',
    severity: 'advice',
    at: ['common_http_protocol_options', 'headers_with_underscores_action'],
    holds: (setting) => ['REJECT_REQUEST', 'DROP_HEADER'].includes(setting.text),
    shouldBe: 'REJECT_REQUEST',
    why: 'Some servers read X_Sallyport_Caller as X-Sallyport-Caller. The gate removes such headers too.',
  },
  {
    rule: 'http.generate_request_id',
    severity: 'breaks',
    at: ['generate_request_id'],
    holds: (setting) => setting.value !== false,
    shouldBe: 'true',
    why: 'The plan is bound to the request’s id; without one the gate refuses (envoy_misconfigured).',
  },
  {
    rule: 'http.preserve_external_request_id',
    severity: 'advice',
    at: ['preserve_external_request_id'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: 'A client could choose the id under which its request is on the record.',
  },
  {
    rule: 'http.stream_idle_timeout',
    severity: 'breaks',
    at: ['stream_idle_timeout'],
    holds: (setting, known) => idle(setting, known) === 0 || idle(setting, known) > known.approvalsWaitS,
    shouldBe: ({ approvalsWaitS }) => `more than ${Math.max(approvalsWaitS, SILENCE_S)}s`,
    why: 'Envoy ends requests that wait for an approval.',
  },
  {
    rule: 'http.stream_idle_timeout_low',
    severity: 'advice',
    at: ['stream_idle_timeout'],
    holds: (setting, known) => {
      const seconds = idle(setting, known);
      return seconds === 0 || seconds >= SILENCE_S || seconds <= known.approvalsWaitS;
    },
    shouldBe: `${SILENCE_S}s or more`,
    why: 'Envoy (after 5 minutes by default) ends the stream of a model that thinks longer before it goes on.',
  },
  {
    rule: 'http.request_timeout',
    severity: 'breaks',
    at: ['request_timeout'],
    holds: (setting, { approvalsWaitS }) => !setting.seconds || setting.seconds > approvalsWaitS,
    shouldBe: 'not set',
    why: 'It runs while a request waits for an approval.',
  },
  {
    rule: 'http.local_reply_config',
    severity: 'advice',
    at: ['local_reply_config'],
    holds: (setting) => setting.exists,
    shouldBe: 'the mappers of `sallyport envoy print`',
    why: 'Envoy’s own refusals (413, 503) reach the caller’s SDK as text that it cannot read.',
  },
];

const REMOTE_ADDRESS: Rule = {
  rule: 'http.use_remote_address',
  severity: 'advice',
  at: ['use_remote_address'],
  holds: isTrue,
  shouldBe: 'true',
  why: 'The address on the record is what the client writes into x-forwarded-for.',
};

export function checkConnection(hcm: Place, known: Known, report: Report): void {
  applyRules(CONNECTION, hcm, known, report);
  if (known.platform === 'envoy') applyRules([REMOTE_ADDRESS], hcm, known, report);
}

/** One HTTP filter of a chain. */
export interface Filter {
  readonly name: string;
  readonly type: string;
  readonly config: Place;
  readonly place: Place;
  readonly disabled: boolean;
}

export function filterOf(place: Place): Filter {
  const config = place.get('typed_config');
  const type = config.type === 'TypedStruct' ? (config.get('type_url').text.split('.').at(-1) ?? '') : config.type;
  return { name: place.get('name').text, type, config, place, disabled: place.get('disabled').isTrue };
}

const clusterCalled = ({ config }: Filter): string =>
  config.get('grpc_service', 'envoy_grpc', 'cluster_name').text ||
  config.get('grpc_service', 'google_grpc', 'target_uri').text;

const isAuthz = ({ type }: Filter): boolean => type === 'ExtAuthz';
const isProc = ({ type }: Filter): boolean => type === 'ExternalProcessor';

export interface Gates {
  readonly authz: readonly Filter[];
  readonly proc: readonly Filter[];
  readonly cluster: string | undefined;
}

/** Which of the filters are ours: those that call a cluster named after us, else the one that both kinds call. */
export function gatesOf(filters: readonly Filter[]): Gates {
  const all = filters.filter((filter) => isAuthz(filter) || isProc(filter));
  const named = all.filter((filter) => /sallyport/i.test(`${clusterCalled(filter)} ${filter.name}`));
  const called = (filter: Filter): string => clusterCalled(filter);
  const shared = all.filter(
    (filter) => isAuthz(filter) && all.some((other) => isProc(other) && called(other) === called(filter)),
  );
  const [sample] = named.length > 0 ? named : shared.length > 0 ? shared : all;
  if (sample === undefined) return { authz: [], proc: [], cluster: undefined };
  const ours = named.length > 0 ? named : all.filter((filter) => called(filter) === called(sample));
  return { authz: ours.filter(isAuthz), proc: ours.filter(isProc), cluster: called(sample) || undefined };
}

const AUTHZ_MISSING = {
  rule: 'filters.ext_authz_missing',
  severity: 'opens',
  shouldBe: 'ext_authz, ext_proc, router',
  why: 'Nobody asks who is calling, and no rule is applied. (The response gate then refuses every answer.)',
} as const;
const PROC_MISSING = {
  rule: 'filters.ext_proc_missing',
  severity: 'opens',
  shouldBe: 'ext_authz, ext_proc, router',
  why: 'Answers pass unmasked and unrecorded.',
} as const;

/** Filters that answer by themselves, or change what has been read, by type. */
const STRANGERS: ReadonlyMap<string, string> = new Map([
  ['Lua', 'lua'],
  ['Wasm', 'wasm'],
  ['DynamicModuleFilter', 'dynamic_modules'],
  ['HeaderMutation', 'header_mutation'],
  ['ProtoMessageExtractionConfig', 'proto_message_extraction'],
  ['GrpcJsonTranscoder', 'grpc_json_transcoder'],
]);

export function checkOrder(filters: readonly Filter[], gates: Gates, chain: Place, report: Report): void {
  const names = filters.map(({ name }) => name).join(', ');
  if (gates.authz.length === 0) report(finding(chain, AUTHZ_MISSING, names || 'no filter'));
  if (gates.proc.length === 0) report(finding(chain, PROC_MISSING, names || 'no filter'));
  // Envoy Gateway makes one filter of each kind for each policy, and enables one of them on a route.
  for (const [kind, [, second]] of [
    ['ext_authz', gates.authz],
    ['ext_proc', gates.proc],
  ] as const)
    if (second !== undefined && !second.disabled)
      report(
        finding(
          second.place,
          {
            rule: `filters.${kind}_twice`,
            severity: 'breaks',
            shouldBe: 'one',
            why: 'A request is decided once, and its plan is good for one stream; the second one refuses.',
          },
          `a second ${kind} of the gate`,
        ),
      );
  checkPositions(filters, gates, report);
}

function checkPositions(filters: readonly Filter[], gates: Gates, report: Report): void {
  const authz = filters.findIndex((filter) => gates.authz.includes(filter));
  const proc = filters.findIndex((filter) => gates.proc.includes(filter));
  const router = filters.findIndex(({ type, name }) => type === 'Router' || name === 'envoy.filters.http.router');
  const first = filters[proc];
  if (authz >= 0 && first !== undefined && proc < authz)
    report(
      finding(
        first.place,
        {
          rule: 'filters.order',
          severity: 'breaks',
          shouldBe: 'after ext_authz',
          why: 'The response gate goes by the plan of the request gate; before it there is none, and everything is refused.',
        },
        'ext_proc before ext_authz',
      ),
    );
  if (router >= 0 && router < Math.max(authz, proc))
    report(
      finding(
        filters[router]!.place,
        {
          rule: 'filters.router',
          severity: 'opens',
          shouldBe: 'last',
          why: 'The router sends the request on; filters behind it see nothing.',
        },
        'before a gate',
      ),
    );
  for (const [index, filter] of filters.entries()) checkNeighbour(filter, index, { authz, proc }, report);
}

function checkNeighbour(
  filter: Filter,
  index: number,
  { authz, proc }: { readonly authz: number; readonly proc: number },
  report: Report,
): void {
  const say = (rule: string, severity: 'opens' | 'breaks' | 'advice', shouldBe: string, why: string): void =>
    report(finding(filter.place, { rule, severity, shouldBe, why }, `${filter.name} (${filter.type})`));
  if (/^(File)?Cache(Config|V2Config)?$/.test(filter.type) || filter.name === 'envoy.filters.http.cache')
    say('filters.cache', 'opens', 'no cache', 'It answers with what was said to somebody else, past the gates.');
  else if (filter.type === 'Compressor' && proc >= 0 && index > proc)
    say(
      'filters.compressor',
      'breaks',
      'before ext_proc in the list',
      'Answers are compressed before the gate reads them, and refused.',
    );
  else if (STRANGERS.has(filter.type) && authz >= 0 && index > authz && !filter.disabled)
    say(
      `filters.${STRANGERS.get(filter.type)}`,
      'advice',
      'before ext_authz, or none',
      'It can change the request after the gate has read it, or the answer before the gate masks it.',
    );
}

export function checkGates(gates: Gates, known: Known, report: Report): void {
  for (const { config } of gates.authz) checkAuthz(config, known, report);
  for (const { config } of gates.proc) checkProc(config, known, report);
}

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

export function upgradesOf(hcm: Place, known: Known): ReadonlySet<string> {
  const written = hcm
    .get('upgrade_configs')
    .items()
    .filter((upgrade) => upgrade.get('enabled').value !== false)
    .map((upgrade) => upgrade.get('upgrade_type').text.toLowerCase());
  return new Set([...written, ...(known.platform === 'istio' ? ['websocket'] : [])]);
}
