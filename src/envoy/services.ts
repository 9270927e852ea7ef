import { fileURLToPath } from 'node:url';
import protoLoader, { type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import type { Header } from './wire.ts';

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
const encodeProcessingResponse: (response: object) => Buffer = encoderOf(
  'envoy.service.ext_proc.v3.ExternalProcessor',
  'Process',
);

/** `immediate_response`: an answer of the gate's own in place of the model's. */
export function encodeImmediate(answer: {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string;
}): Buffer {
  const headers = answer.headers.map(([key, value]) => ({
    header: { key, raw_value: Buffer.from(value, 'latin1') },
    append_action: 2,
  }));
  const immediate = {
    status: { code: answer.status },
    headers: { set_headers: headers },
    body: Buffer.from(answer.body, 'utf8'),
    details: `sallyport_${answer.status}`,
  };
  return encodeProcessingResponse({ immediate_response: immediate });
}
