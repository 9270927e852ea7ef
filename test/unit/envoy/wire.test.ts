import { join } from 'node:path';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { procFilter } from '../../../src/envoy/bootstrap.ts';
import {
  ASK_FOR_REQUEST_BODY,
  encodeForward,
  encodeRequestBody,
  encodeResponseBody,
  encodeResponseHeaders,
  encodeResponseTrailers,
} from '../../../src/envoy/encode.ts';
import { PROTO_DIR } from '../../../src/envoy/services.ts';
import { decodeStruct } from '../../../src/envoy/struct.ts';
import {
  attributeStrings,
  decodeCheckRequest,
  decodeHeaderMap,
  decodeProcessingRequest,
  metadataStrings,
} from '../../../src/envoy/wire.ts';

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('google/protobuf') ? target : join(PROTO_DIR, target));
root.loadSync(['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'], {
  keepCase: true,
});
const type = (name: string) => root.lookupType(name);
const encode = (name: string, value: object): Buffer =>
  Buffer.from(type(name).encode(type(name).fromObject(value)).finish());
const decode = (name: string, bytes: Buffer) =>
  type(name).toObject(type(name).decode(bytes), { defaults: true, bytes: Buffer });

const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' });
const header = fc.record({ key: word, raw_value: fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b)) });

test('a CheckRequest reads as the full codec reads it', () => {
  const arbitrary = fc.record({
    method: word,
    path: word,
    host: word,
    header_map: fc.record({ headers: fc.array(header, { maxLength: 6 }) }),
    raw_body: fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b)),
    size: fc.integer({ min: -1, max: 1 << 30 }),
  });
  fc.assert(
    fc.property(arbitrary, fc.ipV4(), (http, address) => {
      const message = encode('envoy.service.auth.v3.CheckRequest', {
        attributes: {
          source: {
            address: { socket_address: { address } },
            principal: 'spiffe://a/b',
            certificate: '-----BEGIN%20CERTIFICATE-----%0A',
          },
          request: { http },
          context_extensions: { 'sallyport.model': 'm' },
          metadata_context: {
            filter_metadata: {
              other: { fields: { payload: { stringValue: 'wrong' } } },
              'envoy.filters.http.jwt_authn': { fields: { n: { numberValue: 1.5 } } },
            },
          },
        },
      });
      const read = decodeCheckRequest(message);
      expect(read).toMatchObject({
        method: http.method,
        path: http.path,
        host: http.host,
        sourceAddress: address,
        sourcePrincipal: 'spiffe://a/b',
        sourceCertificate: '-----BEGIN%20CERTIFICATE-----%0A',
        rawHeaders: true,
        bodyAsString: false,
      });
      expect(read.contextExtensions.get('sallyport.model')).toBe('m');
      expect(read.body.equals(http.raw_body)).toBe(true);
      expect(decodeStruct(read.jwtAuthn!)).toEqual({ n: 1.5 });
      expect(read.headers).toEqual(http.header_map.headers.map((h) => [h.key, h.raw_value.toString('latin1')]));
    }),
  );
});

test('fields of Envoy that are not in our subset are passed over, of every wire type', () => {
  const written = protobuf
    .parse(
      `syntax = "proto3";
    message Http { string id = 1; string method = 2; string path = 4; int64 size = 9; fixed64 f = 90; fixed32 g = 91; bytes raw_body = 12; }
    message Time { int64 seconds = 1; int32 nanos = 2; }
    message Request { Time time = 1; Http http = 2; }
    message Peer { string service = 2; map<string, string> labels = 3; }
    message Attributes { Peer source = 1; Peer destination = 2; Request request = 4; bytes tls_session = 12; bytes route_metadata_context = 13; }
    message Check { Attributes attributes = 1; int32 after = 99; }`,
      { keepCase: true },
    )
    .root.lookupType('Check');
  const peer = { service: 'a'.repeat(300), labels: { x: 'y' } };
  const message = written.encode(
    written.fromObject({
      attributes: {
        source: peer,
        destination: peer,
        request: {
          time: { seconds: 1_790_000_000, nanos: -1 },
          http: { id: '1', method: 'POST', path: '/p', size: -1, f: 7, g: 9, raw_body: Buffer.from('body') },
        },
        tls_session: Buffer.alloc(500, 7),
        route_metadata_context: Buffer.alloc(500, 7),
      },
      after: 5,
    }),
  );
  const read = decodeCheckRequest(Buffer.from(message.finish()));
  expect([read.method, read.path, read.body.toString()]).toEqual(['POST', '/p', 'body']);
});

test('a headers map without raw headers is told apart', () => {
  const read = decodeCheckRequest(
    encode('envoy.service.auth.v3.CheckRequest', {
      attributes: { request: { http: { method: 'GET', headers: { a: '1', b: '2' }, body: 'text' } } },
    }),
  );
  expect(read.rawHeaders).toBe(false);
  expect(read.bodyAsString).toBe(true);
  expect(new Map(read.headers)).toEqual(
    new Map([
      ['a', '1'],
      ['b', '2'],
    ]),
  );
});

describe('dynamic metadata', () => {
  const check = (filter_metadata: object | undefined) =>
    encode('envoy.service.auth.v3.CheckRequest', {
      attributes: { metadata_context: filter_metadata === undefined ? undefined : { filter_metadata } },
    });

  test.each([
    ['no metadata', undefined],
    ['metadata of nobody', {}],
    ['metadata of other filters', { 'envoy.filters.http.ext_authz': { fields: { payload: { stringValue: 'x' } } } }],
    ['a namespace that only begins alike', { 'envoy.filters.http.jwt_authn.other': { fields: {} } }],
  ])('%s is none of jwt_authn', (_name, metadata) => {
    expect(decodeCheckRequest(check(metadata)).jwtAuthn).toBeUndefined();
  });

  test('a namespace of jwt_authn without fields is there, and empty', () => {
    const { jwtAuthn } = decodeCheckRequest(check({ 'envoy.filters.http.jwt_authn': {} }));
    expect(decodeStruct(jwtAuthn!)).toEqual({});
  });

  test('the namespace twice is an error: two readers would see two identities', () => {
    const entry = Buffer.concat([
      Buffer.from([0x0a, 28]),
      Buffer.from('envoy.filters.http.jwt_authn'),
      Buffer.from([0x12, 0]),
    ]);
    const metadata = Buffer.concat([Buffer.from([0x0a, entry.length]), entry]);
    const message = (times: number) => {
      const body = Buffer.concat(Array.from({ length: times }, () => metadata));
      const attributes = Buffer.concat([Buffer.from([0x5a, body.length]), body]);
      return Buffer.concat([Buffer.from([0x0a, attributes.length]), attributes]);
    };
    expect(decodeCheckRequest(message(1)).jwtAuthn).toEqual(Buffer.alloc(0));
    expect(() => decodeCheckRequest(message(2))).toThrow(RangeError);
  });
});

test('a CheckRequest that is cut short is an error, never half a request', () => {
  const message = encode('envoy.service.auth.v3.CheckRequest', {
    attributes: { request: { http: { method: 'POST', path: '/x', raw_body: Buffer.from('hello world') } } },
  });
  for (let cut = 1; cut < message.length; cut++)
    expect(() => decodeCheckRequest(message.subarray(0, cut)), `cut at ${cut}`).toThrow(RangeError);
});

describe('ProcessingRequest', () => {
  const name = 'envoy.service.ext_proc.v3.ProcessingRequest';
  test.each(['request_headers', 'response_headers'] as const)('reads %s with metadata and attributes', (kind) => {
    const read = decodeProcessingRequest(
      encode(name, {
        [kind]: { headers: { headers: [{ key: ':status', raw_value: Buffer.from('200') }] }, end_of_stream: true },
        metadata_context: {
          filter_metadata: {
            other: { fields: { sallyport: { stringValue: 'wrong' } } },
            'envoy.filters.http.ext_authz': { fields: { n: { numberValue: 1 }, sallyport: { stringValue: 'plan' } } },
          },
        },
        attributes: { 'envoy.filters.http.ext_proc': { fields: { 'request.id': { stringValue: 'r1' } } } },
      }),
    );
    expect(read.kind).toBe(kind);
    expect(read.endOfStream).toBe(true);
    expect(decodeHeaderMap(read.headerMap)).toEqual([[':status', '200']]);
    expect(metadataStrings(read.metadata!, 'envoy.filters.http.ext_authz')?.get('sallyport')).toBe('plan');
    expect(metadataStrings(read.metadata!, 'nothing')).toBeUndefined();
    expect(attributeStrings(read.attributes).get('request.id')).toBe('r1');
  });
  test.each(['request_body', 'response_body'] as const)('reads %s of any size', (kind) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), fc.boolean(), (bytes, end) => {
        const body = Buffer.from(bytes);
        const read = decodeProcessingRequest(encode(name, { [kind]: { body, end_of_stream: end } }));
        expect([read.kind, read.endOfStream]).toEqual([kind, end]);
        expect(read.body.equals(body)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
  test('reads trailers', () => {
    const read = decodeProcessingRequest(
      encode(name, { response_trailers: { trailers: { headers: [{ key: 'x', raw_value: Buffer.from('y') }] } } }),
    );
    expect(read.kind).toBe('response_trailers');
    expect(decodeHeaderMap(read.headerMap)).toEqual([['x', 'y']]);
  });
});

describe('what we encode reads back', () => {
  test('a forward answer', () => {
    const plan = 'p'.repeat(40_000);
    const bytes = encodeForward({
      setHeaders: [
        ['a', '1'],
        ['b', 'é'],
      ],
      removeHeaders: ['authorization'],
      responseHeaders: [['ratelimit', '"a";r=1']],
      plan,
    });
    expect(decode('envoy.service.auth.v3.CheckResponse', bytes)).toMatchObject({
      status: { code: 0 },
      ok_response: {
        headers: [
          { header: { key: 'a', value: '1' }, append_action: 2 },
          { header: { key: 'b', value: 'é' }, append_action: 2 },
        ],
        headers_to_remove: ['authorization'],
      },
      dynamic_metadata: { fields: { sallyport: { stringValue: plan } } },
    });
    // A status that is absent would mean ALLOW by accident on any other answer; here it is set and empty on purpose.
    expect(bytes.subarray(0, 2)).toEqual(Buffer.from([0x0a, 0]));
  });
  test.each([0, 1, 100, 127, 128, 16_383, 16_384, 2_100_000])('a response body of %i bytes', (size) => {
    const body = Buffer.alloc(size, 'x');
    const encoded = encodeResponseBody(body);
    const whole = Buffer.isBuffer(encoded) ? encoded : Buffer.concat(encoded);
    const read = decode('envoy.service.ext_proc.v3.ProcessingResponse', whole);
    const mutation = read['response_body'].response.body_mutation;
    if (size === 0) expect(mutation.clear_body).toBe(true);
    else expect(mutation.body.equals(body)).toBe(true);
  });
  test('response headers and trailers', () => {
    const read = decode(
      'envoy.service.ext_proc.v3.ProcessingResponse',
      encodeResponseHeaders([['x-sallyport-session', 's']], ['set-cookie', 'x-secret']),
    );
    expect(read['response_headers'].response.header_mutation).toMatchObject({
      set_headers: [{ header: { key: 'x-sallyport-session', raw_value: Buffer.from('s') }, append_action: 2 }],
      remove_headers: ['set-cookie', 'x-secret'],
    });
    const trailers = decode('envoy.service.ext_proc.v3.ProcessingResponse', encodeResponseTrailers(['grpc-status']));
    expect(trailers['response_trailers'].header_mutation.remove_headers).toEqual(['grpc-status']);
  });
});

test('the order for a request body is the one that Envoy is told to allow, field for field', () => {
  const { allowed_override_modes: allowed } = (
    procFilter() as unknown as { typed_config: { allowed_override_modes: object[] } }
  ).typed_config;
  const answer = type('envoy.service.ext_proc.v3.ProcessingResponse');
  const read = answer.toObject(answer.decode(ASK_FOR_REQUEST_BODY), { enums: String });
  expect(read).toEqual({ request_headers: { response: {} }, mode_override: allowed[0] });
  expect(allowed).toHaveLength(1);
});

test.each([0, 1, 127, 128, 20_000, 3_000_000])(
  'a masked request body of %i bytes is sent from where it is',
  (length) => {
    const body = Buffer.alloc(length, 'x');
    const [head, rest] = encodeRequestBody(
      [
        ['content-length', String(length)],
        ['x-sallyport-upstream', 'model_demo_1'],
      ],
      body,
    ) as readonly [Buffer, Buffer];
    expect(rest).toBe(body);
    const header = (key: string, value: string) => ({
      header: { key, raw_value: Buffer.from(value) },
      append_action: 2,
    });
    const answer = type('envoy.service.ext_proc.v3.ProcessingResponse');
    expect(answer.toObject(answer.decode(Buffer.concat([head, rest])), { bytes: Buffer })).toEqual({
      request_body: {
        response: {
          header_mutation: {
            set_headers: [header('content-length', String(length)), header('x-sallyport-upstream', 'model_demo_1')],
          },
          body_mutation: { body },
          clear_route_cache: true,
        },
      },
    });
  },
);
