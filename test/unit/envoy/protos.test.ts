import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { PROTO_DIR } from '../../../src/envoy/services.ts';

const DEPS = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const OFFICIAL = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(DEPS, name));

function load(files: readonly string[], dirs: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    for (const dir of dirs) if (exists(dir, target)) return join(dir, target);
    return target;
  };
  return root.loadSync([...files], { keepCase: true });
}

function exists(dir: string, file: string): boolean {
  try {
    return readdirSync(dirname(join(dir, file))).includes(file.slice(file.lastIndexOf('/') + 1));
  } catch {
    return false;
  }
}

function types(root: protobuf.ReflectionObject, out: protobuf.Type[] = []): protobuf.Type[] {
  if (root instanceof protobuf.Type) out.push(root);
  if (root instanceof protobuf.Namespace) for (const nested of root.nestedArray) types(nested, out);
  return out;
}

const ours = load(
  ['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'],
  [PROTO_DIR],
);
const official = load(
  ['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'],
  OFFICIAL,
);
const cases = types(ours)
  .filter((type) => !type.fullName.startsWith('.google.protobuf'))
  .flatMap((type) =>
    type.fieldsArray.map((field) => [`${type.fullName.slice(1)}.${field.name}`, type, field] as const),
  );

test('our subset has the messages of both services', () => {
  expect(cases.length).toBeGreaterThan(60);
});

test.each(cases)('%s is as in the official contract', (_name, type, field) => {
  const theirs = official.lookupType(type.fullName).fields[field.name];
  expect(theirs).toBeDefined();
  expect({ id: theirs!.id, repeated: theirs!.repeated, map: theirs!.map }).toEqual({
    id: field.id,
    repeated: field.repeated,
    map: field.map,
  });
  // HttpStatus.code is an enum there; an open enum and int32 are the same on the wire.
  const ourType = field.resolve().resolvedType?.fullName ?? field.type;
  const theirType = theirs!.resolve().resolvedType?.fullName ?? theirs!.type;
  expect(ourType).toBe(type.name === 'HttpStatus' ? 'int32' : theirType);
  expect(field.partOf?.name).toBe(theirs!.partOf?.name);
});

test.each([
  ['envoy.service.auth.v3.Authorization', 'Check'],
  ['envoy.service.ext_proc.v3.ExternalProcessor', 'Process'],
])('%s.%s streams as in the official contract', (service, method) => {
  const mine = ours.lookupService(service).methods[method]!;
  const theirs = official.lookupService(service).methods[method]!;
  expect([mine.requestStream, mine.responseStream].map(Boolean)).toEqual(
    [theirs.requestStream, theirs.responseStream].map(Boolean),
  );
  mine.resolve();
  theirs.resolve();
  expect(mine.resolvedRequestType?.fullName).toBe(theirs.resolvedRequestType?.fullName);
});
