/** The settings of ext_authz: each row is one, with what happens otherwise. */
import { JWT_AUTHN } from '../wire.ts';
import {
  applyRules,
  FAIL_OPEN,
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

const AUTHZ: readonly Rule[] = [
  {
    rule: 'ext_authz.failure_mode_allow',
    severity: 'opens',
    at: ['failure_mode_allow'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: FAIL_OPEN,
  },
  {
    rule: 'ext_authz.filter_enabled',
    severity: 'opens',
    at: ['filter_enabled'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A share of the requests, or a runtime key, skips the request gate.',
  },
  {
    rule: 'ext_authz.filter_enabled_metadata',
    severity: 'opens',
    at: ['filter_enabled_metadata'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'Requests without this metadata skip the request gate.',
  },
  {
    rule: 'ext_authz.decoder_header_mutation_rules',
    severity: 'opens',
    at: ['decoder_header_mutation_rules'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'It can keep the gate from removing the caller’s credential and identity headers, or from setting its own.',
  },
  {
    rule: 'ext_authz.grpc_service',
    severity: 'breaks',
    at: ['grpc_service'],
    holds: (setting) => setting.exists,
    shouldBe: 'the gate’s cluster (envoy_grpc)',
    why: 'The gate speaks gRPC only.',
  },
  {
    rule: 'ext_authz.timeout',
    severity: 'breaks',
    at: ['grpc_service'],
    holds: (setting, { approvalsWaitS }) => !setting.exists || (setting.get('timeout').seconds ?? 0.2) > approvalsWaitS,
    shouldBe: ({ approvalsWaitS }) => `timeout: more than ${approvalsWaitS}s (approvals.wait)`,
    why: 'Envoy gives up (after 200 ms by default) while the gate still decides or waits for an approval.',
  },
  {
    rule: 'ext_authz.retry_policy',
    severity: 'breaks',
    at: ['grpc_service', 'retry_policy'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A Check that is asked twice is decided, limited and recorded twice.',
  },
  {
    rule: 'ext_authz.with_request_body',
    severity: 'breaks',
    at: ['with_request_body'],
    holds: (setting) => setting.exists,
    shouldBe: 'max_request_bytes, allow_partial_message: false, pack_as_bytes: true',
    why: 'Without the body the gate cannot read what is asked; it refuses (envoy_misconfigured).',
  },
  {
    rule: 'ext_authz.max_request_bytes',
    severity: 'breaks',
    at: ['with_request_body', 'max_request_bytes'],
    holds: (setting, { maxRequestBytes }) => setting.number === undefined || setting.number <= maxRequestBytes,
    shouldBe: ({ maxRequestBytes }) => `${maxRequestBytes} (the gateway’s maxRequestBytes)`,
    why: 'A body over the gateway’s limit fails as 503 instead of 413.',
  },
  {
    rule: 'ext_authz.max_request_bytes_low',
    severity: 'advice',
    at: ['with_request_body', 'max_request_bytes'],
    holds: (setting, { maxRequestBytes }) => setting.number === undefined || setting.number >= maxRequestBytes,
    shouldBe: ({ maxRequestBytes }) => `${maxRequestBytes} (the gateway’s maxRequestBytes)`,
    why: 'Bodies that the gateway would take get 413 from Envoy.',
  },
  {
    rule: 'ext_authz.allow_partial_message',
    severity: 'breaks',
    at: ['with_request_body', 'allow_partial_message'],
    holds: isNotTrue,
    shouldBe: 'false',
    why: 'What the gate does not see the model would get; the gate refuses such bodies (envoy_misconfigured).',
  },
  {
    rule: 'ext_authz.encode_raw_headers',
    severity: 'advice',
    at: ['encode_raw_headers'],
    holds: isTrue,
    shouldBe: 'true',
    why: 'Otherwise repeated headers arrive joined by commas, and a credential with a comma is 401.',
  },
  {
    rule: 'ext_authz.validate_mutations',
    severity: 'advice',
    at: ['validate_mutations'],
    holds: isTrue,
    shouldBe: 'true',
    why: 'Envoy then refuses a header that is not one, instead of sending it to the model.',
  },
  {
    rule: 'ext_authz.status_on_error',
    severity: 'advice',
    at: ['status_on_error'],
    holds: isUnavailable,
    shouldBe: '{code: ServiceUnavailable}',
    why: STATUS,
  },
  {
    rule: 'ext_authz.allowed_headers',
    severity: 'opens',
    at: ['allowed_headers'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A header that the gate does not see it cannot remove: it passes to the model.',
  },
  {
    rule: 'ext_authz.disallowed_headers',
    severity: 'opens',
    at: ['disallowed_headers'],
    holds: isUnset,
    shouldBe: 'not set',
    why: 'A header that the gate does not see passes to the model.',
  },
  {
    rule: 'ext_authz.enable_dynamic_metadata_ingestion',
    severity: 'breaks',
    at: ['enable_dynamic_metadata_ingestion'],
    holds: (setting) => setting.value !== false,
    shouldBe: 'true',
    why: 'The plan for the response gate travels there; without it every answer is refused.',
  },
];

/** Only where the gateway takes identities from Envoy. */
const IDENTITIES: readonly Rule[] = [
  {
    rule: 'ext_authz.metadata_context_namespaces',
    severity: 'breaks',
    at: ['metadata_context_namespaces'],
    holds: (setting, { verifiedByEnvoy }) =>
      !verifiedByEnvoy.jwtAuthn || setting.items().some(({ text }) => text === JWT_AUTHN),
    shouldBe: `[${JWT_AUTHN}]`,
    why: 'identity.jwtAuthn is on, and the gate gets nothing of what jwt_authn has verified: such callers are refused (401).',
  },
  {
    rule: 'ext_authz.include_peer_certificate',
    severity: 'breaks',
    at: ['include_peer_certificate'],
    holds: (setting, { verifiedByEnvoy }) => !verifiedByEnvoy.peers || setting.isTrue,
    shouldBe: 'true',
    why: 'identity.peers.allow names peers, and without the certificate the gate cannot tell a SPIFFE id from a DNS name: they are refused (401).',
  },
];

const PACK_AS_BYTES: Rule = {
  rule: 'ext_authz.pack_as_bytes',
  severity: 'breaks',
  at: ['with_request_body', 'pack_as_bytes'],
  holds: isTrue,
  shouldBe: 'true',
  why: 'As text Envoy changes what is not UTF-8; the gate refuses it (envoy_misconfigured).',
};

export function checkAuthz(config: Place, known: Known, report: Report): void {
  applyRules([...AUTHZ, ...IDENTITIES], config, known, report);
  if (config.get('with_request_body').exists) applyRules([PACK_AS_BYTES], config, known, report);
}
