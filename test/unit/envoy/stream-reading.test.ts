import { expect, test } from 'vitest';
import { provesNotSent } from '../../../src/envoy/stream-reading.ts';

const reset = (reason: string) => `upstream_reset_before_response_started{${reason}}`;

test.each([
  ['no_healthy_upstream', true],
  ['no_healthy_upstream{something_more}', true],
  ['cluster_not_found', true],
  ['route_not_found', true],
  ['maintenance_mode', true],
  [reset('remote_connection_failure|delayed_connect_error:_Connection_refused'), true],
  [reset('local_connection_failure'), true],
  [reset('connection_failure,delayed_connect_error:_111'), true],
  [reset('connection_timeout'), true],
  [reset('overflow'), true],
  // The model may have all of it.
  [reset('connection_termination'), false],
  [reset('connection_termination|remote_connection_failure'), false],
  [reset('remote_reset'), false],
  [reset('local_reset'), false],
  [reset('remote_refused_stream_reset'), false],
  [reset('protocol_error'), false],
  [reset('overflowing'), false],
  ['upstream_reset_after_response_started{remote_connection_failure}', false],
  ['upstream_response_timeout', false],
  ['upstream_per_try_timeout', false],
  ['upstream_max_stream_duration_reached', false],
  ['response_timeout', false],
  ['stream_idle_timeout', false],
  ['request_overall_timeout', false],
  ['ext_proc_error_gRPC_error_14', false],
  ['no_healthy_upstream_any_more', false],
  ['via_upstream', false],
  ['', false],
])('details of a reply of Envoy that prove that nothing was sent: %s', (details, proof) => {
  expect(provesNotSent(details)).toBe(proof);
});
