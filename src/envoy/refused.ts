/** Refusals that the checkpoint does not see: an Envoy that is not configured for it, a bad plan, Envoy's own replies. */
import { type GateRequest, httpFacts } from '../checkpoint.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import type { HttpFacts, Recorder } from '../record/events.ts';
import type { Header } from './wire.ts';

export interface Refused {
  readonly session: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Row of the error table; empty for a reply of Envoy's that is none of ours. */
  readonly code: ErrorCode | '';
  readonly status: number;
  readonly detail: string;
  readonly http: HttpFacts;
}

/** Puts a refusal on the record, without waiting for it. A full journal still counts it; one that has failed takes nothing. */
export function recordRefused(recorder: Recorder, refused: Refused): void {
  if (recorder.state !== 'open' && recorder.state !== 'full') return;
  recorder.event({ type: 'refused', ...refused, caller: undefined, count: 1 });
}

const pseudo = (headers: readonly Header[], name: string): string => headers.find(([key]) => key === name)?.[1] ?? '';

/** A request as ext_proc sees it; ext_proc does not say where it came from. */
export function seenRequest(headers: readonly Header[]): Pick<GateRequest, 'method' | 'headers'> & { http: HttpFacts } {
  const method = pseudo(headers, ':method');
  const host = pseudo(headers, ':authority');
  const path = pseudo(headers, ':path');
  return { method, headers, http: httpFacts({ method, host, path, headers, clientAddress: '' }) };
}

/** Nothing is known of the request behind a reply of Envoy's own. */
export const NO_HTTP: HttpFacts = {
  method: '',
  host: '',
  path: '',
  clientAddress: '',
  userAgent: '',
  requestId: '',
  traceId: '',
};

/** The row of the error table that Envoy's own reply is: by its response code details, as in `local_reply_config` (bootstrap.ts). */
export function localReplyCode(details: string): ErrorCode | '' {
  if (details === 'request_payload_too_large') return 'request_too_large';
  if (details === 'upgrade_failed') return 'upgrade_refused';
  if (details === 'ext_authz_error' || details.startsWith('ext_proc_error')) return 'gate_failed';
  return /^(upstream_|no_healthy_upstream|cluster_not_found)/.test(details) ? 'model_unavailable' : '';
}
