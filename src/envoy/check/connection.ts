/** Settings of the connection manager. */
import { applyRules, isNotTrue, isTrue, type Known, type Report, type Rule } from './finding.ts';
import type { Place } from './place.ts';

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
export const SILENCE_S = 600;

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

/** Upgrade types that the connection manager lets in, in lower case. */
export function upgradesOf(hcm: Place, known: Known): ReadonlySet<string> {
  const written = hcm
    .get('upgrade_configs')
    .items()
    .filter((upgrade) => upgrade.get('enabled').value !== false)
    .map((upgrade) => upgrade.get('upgrade_type').text.toLowerCase());
  return new Set([...written, ...(known.platform === 'istio' ? ['websocket'] : [])]);
}
