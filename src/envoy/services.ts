import { fileURLToPath } from 'node:url';
import protoLoader, { type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';

/** Where our subset of the contract lies. */
export const PROTO_DIR: string = fileURLToPath(new URL('../../protos', import.meta.url));

const definitions = protoLoader.loadSync(
  ['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'],
  { includeDirs: [PROTO_DIR], keepCase: true, enums: Number, longs: Number, defaults: false },
);

/** The full codec of what a method answers. */
function encoderOf(service: string, method: string): (value: object) => Buffer {
  const definition = (definitions[service] as ServiceDefinition | undefined)?.[method];
  if (definition === undefined) throw new Error(`protos/ does not define ${service}/${method}`);
  return (definition as MethodDefinition<object, object>).responseSerialize;
}

export const encodeCheckResponse: (response: object) => Buffer = encoderOf(
  'envoy.service.auth.v3.Authorization',
  'Check',
);
export const encodeProcessingResponse: (response: object) => Buffer = encoderOf(
  'envoy.service.ext_proc.v3.ExternalProcessor',
  'Process',
);
