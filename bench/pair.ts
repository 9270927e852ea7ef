/**
 * The yardstick: the least that an ext_authz + ext_proc pair in grpc-js can be. Our lean wire codec, every answer a
 * constant: it decides nothing, masks nothing, records nothing.
 */
import { rmSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import {
  CONTINUE_REQUEST_HEADERS,
  CONTINUE_RESPONSE_BODY,
  CONTINUE_RESPONSE_HEADERS,
  CONTINUE_RESPONSE_TRAILERS,
} from '../src/envoy/encode.ts';
import { encodeCheckResponse } from '../src/envoy/services.ts';
import { decodeCheckRequest, decodeProcessingRequest, type ProcessingKind } from '../src/envoy/wire.ts';

const [, , socket, cluster] = process.argv;
if (socket === undefined || cluster === undefined) throw new Error('usage: pair.ts SOCKET CLUSTER');

const ANSWERS: Partial<Record<ProcessingKind, Buffer>> = {
  request_headers: CONTINUE_REQUEST_HEADERS,
  response_headers: CONTINUE_RESPONSE_HEADERS,
  response_body: CONTINUE_RESPONSE_BODY,
  response_trailers: CONTINUE_RESPONSE_TRAILERS,
};
const ALLOW = encodeCheckResponse({
  status: { code: 0 },
  ok_response: { headers: [{ header: { key: 'x-sallyport-upstream', value: cluster }, append_action: 2 }] },
});

const asIs = (bytes: Buffer): Buffer => bytes;
const check = {
  path: '/envoy.service.auth.v3.Authorization/Check',
  requestStream: false,
  responseStream: false,
  requestSerialize: asIs,
  requestDeserialize: decodeCheckRequest,
  responseSerialize: asIs,
  responseDeserialize: asIs,
} as unknown as grpc.MethodDefinition<unknown, Buffer>;
const processMethod = {
  ...check,
  path: '/envoy.service.ext_proc.v3.ExternalProcessor/Process',
  requestStream: true,
  responseStream: true,
  requestDeserialize: decodeProcessingRequest,
} as unknown as grpc.MethodDefinition<unknown, Buffer>;

const server = new grpc.Server({
  'grpc.max_receive_message_length': 20 * 1024 * 1024,
  'grpc.max_concurrent_streams': 100_000,
});
// Envoy resets almost every stream; Node would end the connection for it.
Object.assign((server as unknown as { commonServerOptions: object }).commonServerOptions, {
  streamResetBurst: 1e9,
  streamResetRate: 1e9,
});
server.addService(
  { check, process: processMethod },
  {
    check: (_call: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, ALLOW),
    process: (call: grpc.ServerDuplexStream<{ kind: ProcessingKind }, Buffer>) => {
      call.on('data', (message: { kind: ProcessingKind }) => call.write(ANSWERS[message.kind]!));
      call.on('end', () => call.end());
      call.on('error', () => {});
    },
  },
);
rmSync(socket, { force: true });
await new Promise<void>((resolve, reject) =>
  server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) =>
    error ? reject(error) : resolve(),
  ),
);
process.send?.({ ready: true });
process.on('disconnect', () => process.exit(0));
