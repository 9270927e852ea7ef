/**
 * The yardstick: the least that an ext_authz + ext_proc pair in grpc-js can be. Same server, same lean wire codec, every
 * answer a constant: it decides nothing, masks nothing, records nothing.
 */

import {
  CONTINUE_REQUEST_HEADERS,
  CONTINUE_RESPONSE_BODY,
  CONTINUE_RESPONSE_HEADERS,
  CONTINUE_RESPONSE_TRAILERS,
} from '../src/envoy/encode.ts';
import { startGrpcServer } from '../src/envoy/server.ts';
import type { ProcessingKind } from '../src/envoy/wire.ts';

const [, , socket, cluster] = process.argv;
if (socket === undefined || cluster === undefined) throw new Error('usage: pair.ts SOCKET CLUSTER');

const ANSWERS: Partial<Record<ProcessingKind, Buffer>> = {
  request_headers: CONTINUE_REQUEST_HEADERS,
  response_headers: CONTINUE_RESPONSE_HEADERS,
  response_body: CONTINUE_RESPONSE_BODY,
  response_trailers: CONTINUE_RESPONSE_TRAILERS,
};
const ALLOW = {
  status: { code: 0 },
  ok_response: { headers: [{ header: { key: 'x-sallyport-upstream', value: cluster }, append_action: 2 }] },
};

await startGrpcServer(
  { listen: `unix:${socket}`, tls: undefined, maxRequestBytes: 4 * 1024 * 1024 },
  {
    check: (_call, reply) => reply(null, ALLOW),
    process: (call) => {
      call.on('data', (message) => call.write(ANSWERS[message.kind as ProcessingKind]!));
      call.on('end', () => call.end());
      call.on('error', () => {});
    },
    serving: () => true,
  },
);
process.send?.({ ready: true });
process.on('disconnect', () => process.exit(0));
