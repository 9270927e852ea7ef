/** What the ext_proc edge makes of messages, of Envoy's own replies, and of errors. */
import type { Header, Plan, RequestHead } from '../checkpoint/stages.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import { requestIdHeaders } from '../exchange/refusal.ts';
import type { Operators } from '../mask/operators.ts';
import { decodeHeaderMap, type ProcessingRequest } from './wire.ts';

/** One of them is mostly empty, and the other may be megabytes. */
export function joined(first: Buffer, rest: Buffer): Buffer {
  if (first.length === 0) return rest;
  return rest.length === 0 ? first : Buffer.concat([first, rest]);
}

/** A plan whose answer is masked as the rules on it say, too. */
export function withMasking(plan: Plan, mask: readonly string[], response: Operators): Plan {
  return { ...plan, mask, operators: { request: plan.operators?.request ?? {}, response } };
}

/** Both ids by which a caller's complaint is found on the record; SDKs show the second one. */
export function ownHeaders(plan: Plan): Header[] {
  return [
    ['x-sallyport-session', plan.session],
    ['x-request-id', plan.requestId],
    ...requestIdHeaders(plan.format, plan.requestId),
  ];
}

/** What ext_proc is shown of a request: not where it came from; nothing at all when it begins with the response. */
export function headOf(message: ProcessingRequest): RequestHead {
  if (message.kind !== 'request_headers') return NO_REQUEST;
  const headers = decodeHeaderMap(message.headerMap);
  const named = (name: string): string => headers.find(([key]) => key === name)?.[1] ?? '';
  return { method: named(':method'), path: named(':path'), host: named(':authority'), headers, clientAddress: '' };
}
export const NO_REQUEST: RequestHead = { method: '', path: '', host: '', headers: [], clientAddress: '' };

/** The row of the error table that Envoy's own reply is: by its response code details, as in `local_reply_config` (bootstrap.ts). */
export function localReplyCode(details: string): ErrorCode | '' {
  if (details === 'request_payload_too_large') return 'request_too_large';
  if (details === 'upgrade_failed') return 'upgrade_refused';
  if (details === 'ext_authz_error' || details.startsWith('ext_proc_error')) return 'gate_failed';
  return /^(upstream_|no_healthy_upstream|cluster_not_found)/.test(details) ? 'model_unavailable' : '';
}

/**
 * Whether Envoy's response code details prove that nothing of the request went to a model: there was no endpoint, no room for
 * another request, or no connection (the reset reasons of a connection pool that failed; Envoy up to 1.29 has
 * `connection_failure` for two of them). Anything else may have been sent: a connection that broke, a time-out, a reset.
 */
export function provesNotSent(details: string): boolean {
  return /^(?:(?:no_healthy_upstream|cluster_not_found|route_not_found|maintenance_mode)(?![a-z_])|upstream_reset_before_response_started\{(?:(?:local_|remote_)?connection_failure|connection_timeout|overflow)[}|,])/.test(
    details,
  );
}

/** Why an answer could not be read, in words of ours: other errors may quote what they choked on. */
export function reasonOf(code: ErrorCode, error: unknown): string {
  return code === 'response_unreadable' && error instanceof Error ? error.message.slice(0, 200) : '';
}

export function codeOf(error: unknown): ErrorCode {
  const name = error instanceof Error ? error.name : '';
  if (name === 'JournalUnavailable') return 'record_unavailable';
  return name === 'UnreadableBody' ? 'response_unreadable' : 'gate_failed';
}
