import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { type CheckRequest, decodeCheckRequest, decodeProcessingRequest, type ProcessingRequest } from './wire.ts';

/** Where our subset of the contract lies. */
export const PROTO_DIR: string = fileURLToPath(new URL('../../protos', import.meta.url));

const definitions = protoLoader.loadSync(
  [
    'envoy/service/auth/v3/external_auth.proto',
    'envoy/service/ext_proc/v3/external_processor.proto',
    'grpc/health/v1/health.proto',
  ],
  { includeDirs: [PROTO_DIR], keepCase: true, enums: Number, longs: Number, defaults: false },
);

function service(name: string): ServiceDefinition {
  const definition = definitions[name];
  if (definition === undefined) throw new Error(`protos/ does not define ${name}`);
  return definition as ServiceDefinition;
}

/** Bytes that are already encoded go out as they are; anything else through the full codec. */
function encodedOr(full: (value: object) => Buffer): (value: object) => Buffer {
  return (value) => (Buffer.isBuffer(value) ? value : full(value));
}

function withLeanCodec<Request>(
  method: MethodDefinition<object, object>,
  decode: (message: Buffer) => Request,
): MethodDefinition<Request, object> {
  return {
    ...method,
    requestSerialize: method.requestSerialize as (value: Request) => Buffer,
    requestDeserialize: decode,
    responseSerialize: encodedOr(method.responseSerialize),
  };
}

const authorization = service('envoy.service.auth.v3.Authorization');
const externalProcessor = service('envoy.service.ext_proc.v3.ExternalProcessor');

export const AuthorizationService: { Check: MethodDefinition<CheckRequest, object> } = {
  Check: withLeanCodec(authorization['Check'] as MethodDefinition<object, object>, decodeCheckRequest),
};
export const ExternalProcessorService: { Process: MethodDefinition<ProcessingRequest, object> } = {
  Process: withLeanCodec(externalProcessor['Process'] as MethodDefinition<object, object>, decodeProcessingRequest),
};
/** https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export const HealthService: ServiceDefinition = service('grpc.health.v1.Health');
