/** The settings of ext_proc: each row is one, with what happens otherwise. */
import { isDeepStrictEqual } from 'node:util';
import { procFilter } from '../bootstrap.ts';
import {
  applyRules,
  FAIL_OPEN,
  isEmpty,
  isNotTrue,
  isTrue,
  isUnavailable,
  isUnset,
  type Known,
  type Report,
  type Rule,
  STATUS,
} from './finding.ts';
import type { Place } from './place.ts';

const HEADER_MODES = ['DEFAULT', 'SEND', 'SKIP'];
const BODY_MODES = ['NONE', 'STREAMED', 'BUFFERED', 'BUFFERED_PARTIAL', 'FULL_DUPLEX_STREAMED', 'GRPC'];
/** Where ext_authz puts its dynamic metadata, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.http.ext_authz';

const header = (expected: string) => (setting: Place) => {
  const mode = setting.oneOf(HEADER_MODES) ?? 'DEFAULT';
  return mode === expected;
};
const sent = (setting: Place): boolean => (setting.oneOf(HEADER_MODES) ?? 'DEFAULT') !== 'SKIP';
const bodyIn =
  (...modes: readonly string[]) =>
  (setting: Place): boolean =>
    modes.includes(setting.oneOf(BODY_MODES) ?? 'NONE');
const lists =
  (...names: readonly string[]) =>
  (setting: Place): boolean =>
    names.every((name) => setting.items().some(({ value }) => value === name));

/** Also for `overrides` of a route. */
export const PROCESSING_MODE: readonly Rule[] = [
  {
    rule: 'ext_proc.response_body_mode',
    severity: 'opens',
    at: ['processing_mode', 'response_body_mode'],
    holds: bodyIn('STREAMED', 'BUFFERED', 'FULL_DUPLEX_STREAMED'),
    shouldBe: 'STREAMED',
    why: 'The model’s answer, or the part of it beyond a buffer, passes unmasked and unrecorded.',
  },
  {
    rule: 'ext_proc.response_body_mode_held',
    severity: 'breaks',
    at: ['processing_mode', 'response_body_mode'],
    holds: (setting) => !bodyIn('BUFFERED', 'FULL_DUPLEX_STREAMED')(setting),
    shouldBe: 'STREAMED',
    why: 'Streams are held until they end (BUFFERED), or answered by a protocol that the gate does not speak (FULL_DUPLEX_STREAMED).',
  },
  {
    rule: 'ext_proc.response_trailer_mode',
    severity: 'opens',
    at: ['processing_mode', 'response_trailer_mode'],
    holds: header('SEND'),
    shouldBe: 'SEND',
    why: 'A model’s trailers pass unseen, and text that the gate still holds is lost.',
  },
  {
    rule: 'ext_proc.response_header_mode',
    severity: 'opens',
    at: ['processing_mode', 'response_header_mode'],
    holds: sent,
    shouldBe: 'SEND',
    why: 'Response headers pass unfiltered, and the gate cannot tell how the body must be read.',
  },
  {
    rule: 'ext_proc.request_header_mode',
    severity: 'breaks',
    at: ['processing_mode', 'request_header_mode'],
    holds: sent,
    shouldBe: 'SEND',
    why: 'The plan arrives with the request’s headers; without it every answer is refused.',
  },
  {
    rule: 'ext_proc.request_body_mode',
    severity: 'breaks',
    at: ['processing_mode', 'request_body_mode'],
    holds: bodyIn('NONE'),
    shouldBe: 'NONE',
    why: 'The request gate has read the body; the response gate asks for it where a plan masks it.',
  },
];

const PROC: readonly Rule[] = [
  {
    rule: 'ext_proc.failure_mode_allow',
    severity: 'opens',
    at: ['failure_mode_allow'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: FAIL_OPEN,
  },
  {
    rule: 'ext_proc.observability_mode',
    severity: 'opens',
    at: ['observability_mode'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: 'Envoy does not wait for the gate: nothing is masked or stopped.',
  },
  ...PROCESSING_MODE,
  {
    rule: 'ext_proc.mutation_rules',
    severity: 'opens',
    at: ['mutation_rules'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'It can keep the gate from removing a model’s response headers.',
  },
  {
    rule: 'ext_proc.forward_rules',
    severity: 'opens',
    at: ['forward_rules'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A response header that the gate does not see it cannot remove.',
  },
  {
    rule: 'ext_proc.disable_immediate_response',
    severity: 'breaks',
    at: ['disable_immediate_response'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: 'The gate’s refusals then end the stream without a reason that the caller can read.',
  },
  {
    rule: 'ext_proc.message_timeout',
    severity: 'breaks',
    at: ['message_timeout'],
    holds: (setting) => (setting.seconds ?? 0.2) >= 5,
    shouldBe: '5s or more',
    why: 'Answers are cut when the record needs longer than this (200 ms by default) to become durable.',
  },
  {
    rule: 'ext_proc.retry_policy',
    severity: 'breaks',
    at: ['grpc_service', 'retry_policy'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A plan is good for one stream; a second one is refused as a replay.',
  },
  {
    rule: 'ext_proc.allow_mode_override',
    severity: 'breaks',
    at: ['allow_mode_override'],
    holds: isTrue,
    shouldBe: 'true',
    why: 'Requests whose plan masks the request itself end as 503.',
  },
  {
    rule: 'ext_proc.route_cache_action',
    severity: 'breaks',
    at: ['route_cache_action'],
    holds: (setting) => (setting.oneOf(['DEFAULT', 'CLEAR', 'RETAIN']) ?? 'DEFAULT') === 'DEFAULT',
    shouldBe: 'DEFAULT',
    why: 'The gate itself says when the route must be picked again.',
  },
  {
    rule: 'ext_proc.disable_clear_route_cache',
    severity: 'breaks',
    at: ['disable_clear_route_cache'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: 'The gate itself says when the route must be picked again.',
  },
  {
    rule: 'ext_proc.request_attributes',
    severity: 'breaks',
    at: ['request_attributes'],
    holds: lists('xds.cluster_name', 'request.id'),
    shouldBe: '[xds.cluster_name, request.id]',
    why: 'A plan is for one request to one cluster; without them every answer is refused.',
  },
  {
    rule: 'ext_proc.response_attributes',
    severity: 'breaks',
    at: ['response_attributes'],
    holds: lists('response.code_details', 'xds.cluster_name'),
    shouldBe: '[response.code_details, xds.cluster_name]',
    why: 'The one tells Envoy’s own replies (413, 503) from a model’s, the other where a masked request went; without them these are refused.',
  },
  {
    rule: 'ext_proc.forwarding_namespaces',
    severity: 'breaks',
    at: ['metadata_options', 'forwarding_namespaces', 'untyped'],
    holds: lists(NAMESPACE),
    shouldBe: `[${NAMESPACE}]`,
    why: 'The plan travels there; without it every answer is refused.',
  },
  {
    rule: 'ext_proc.forwarding_namespaces_more',
    severity: 'advice',
    at: ['metadata_options', 'forwarding_namespaces'],
    holds: (setting) =>
      isEmpty(setting.get('typed')) &&
      setting
        .get('untyped')
        .items()
        .every(({ value }) => value === NAMESPACE),
    shouldBe: `{untyped: [${NAMESPACE}]}`,
    why: 'Envoy sends the metadata again with every chunk; only the plan is needed.',
  },
  {
    rule: 'ext_proc.receiving_namespaces',
    severity: 'advice',
    at: ['metadata_options', 'receiving_namespaces'],
    holds: isEmpty,
    shouldBe: 'not set',
    why: 'The gate sends no metadata back.',
  },
  {
    rule: 'ext_proc.status_on_error',
    severity: 'advice',
    at: ['status_on_error'],
    holds: isUnavailable,
    shouldBe: '{code: ServiceUnavailable}',
    why: STATUS,
  },
];

const MODE_FIELDS = {
  request_header_mode: HEADER_MODES,
  request_body_mode: BODY_MODES,
  response_header_mode: HEADER_MODES,
  response_body_mode: BODY_MODES,
  request_trailer_mode: HEADER_MODES,
  response_trailer_mode: HEADER_MODES,
} as const;

function ourMode(): object {
  const { typed_config } = procFilter() as { typed_config: { allowed_override_modes: readonly [object] } };
  return typed_config.allowed_override_modes[0];
}

/** Envoy compares the whole message, and silently ignores an override that equals none of the entries. */
const OVERRIDE_MODES: Rule = {
  rule: 'ext_proc.allowed_override_modes',
  severity: 'breaks',
  at: ['allowed_override_modes'],
  holds: (setting) => setting.items().length === 0 || setting.items().some(isOurMode),
  shouldBe: JSON.stringify([ourMode()]),
  why: 'Envoy silently ignores an override that does not equal an entry in every field; such requests end as 503.',
};

function isOurMode(entry: Place): boolean {
  const full = Object.fromEntries(
    Object.entries(MODE_FIELDS).map(([field, names]) => [field, entry.get(field).oneOf(names) ?? names[0]]),
  );
  return isDeepStrictEqual(full, { ...ourMode() });
}

const OVERRIDE_MODES_ONLY: Rule = {
  rule: 'ext_proc.allowed_override_modes_only',
  severity: 'advice',
  at: ['allowed_override_modes'],
  holds: (setting) => {
    const entries = setting.items();
    return entries.length === 1 || (entries.length > 1 && !entries.some(isOurMode));
  },
  shouldBe: JSON.stringify([ourMode()]),
  why: 'One entry is all that the gate asks for; others, or none (which allows any), serve nobody.',
};

export function checkProc(config: Place, known: Known, report: Report): void {
  applyRules(PROC, config, known, report);
  if (config.get('allow_mode_override').isTrue)
    applyRules([OVERRIDE_MODES, OVERRIDE_MODES_ONLY], config, known, report);
}
