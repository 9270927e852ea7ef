import fc from 'fast-check';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { decodeStruct } from '../../../src/envoy/struct.ts';

const { root } = protobuf.parse(
  `syntax = "proto3"; package google.protobuf;
   message Struct { map<string, Value> fields = 1; }
   message Value { oneof kind { int32 null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }
   message ListValue { repeated Value values = 1; }`,
  { keepCase: true },
);
const Struct = root.lookupType('google.protobuf.Struct');

type Json = null | number | string | boolean | Json[] | { [name: string]: Json };

function value(json: Json): object {
  if (json === null) return { null_value: 0 };
  if (typeof json === 'number') return { number_value: json };
  if (typeof json === 'string') return { string_value: json };
  if (typeof json === 'boolean') return { bool_value: json };
  if (Array.isArray(json)) return { list_value: { values: json.map(value) } };
  return { struct_value: struct(json) };
}
const struct = (json: { [name: string]: Json }): object => ({
  fields: Object.fromEntries(Object.entries(json).map(([name, one]) => [name, value(one)])),
});
const encode = (json: { [name: string]: Json }): Buffer => Buffer.from(Struct.encode(struct(json)).finish());

/** Field by field, for what the codec would not write. */
const bytes = (field: number, content: Buffer | string): Buffer => {
  const body = Buffer.from(content);
  const size = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
  return Buffer.concat([Buffer.from([field * 8 + 2, ...size]), body]);
};
const TRUE = Buffer.from([4 * 8, 1]);
const named = (name: Buffer | string, ...parts: readonly Buffer[]): Buffer =>
  bytes(1, Buffer.concat([bytes(1, name), ...parts]));
const double = (number: number): Buffer => {
  const body = Buffer.alloc(9, 2 * 8 + 1);
  body.writeDoubleLE(number, 1);
  return body;
};

const CLAIMS = {
  payload: {
    iss: 'https://issuer.example.com',
    sub: 'jane',
    aud: ['sallyport', 'other'],
    exp: 1_790_000_000,
    iat: 1_789_996_400.5,
    email_verified: true,
    nothing: null,
    '': 'a name may be empty',
    realm_access: { roles: ['a', 'ü'], deep: [[{}], []] },
  },
};

test('claims come out as they are in the token', () => {
  expect(decodeStruct(encode(CLAIMS))).toEqual(CLAIMS);
});

test('whatever JSON goes in comes out', () => {
  const json = fc.dictionary(
    fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__'),
    fc.jsonValue({ maxDepth: 4 }).filter((one) => !JSON.stringify(one).includes('__proto__')),
    { maxKeys: 6, noNullPrototype: true },
  );
  fc.assert(
    fc.property(json, (one) => {
      const clean = JSON.parse(JSON.stringify(one)) as { [name: string]: Json };
      expect(decodeStruct(encode(clean))).toEqual(clean);
    }),
  );
});

test('names of Object.prototype are names like any other', () => {
  const json = { constructor: 'a', toString: 'b', hasOwnProperty: { valueOf: 1 } };
  expect(decodeStruct(encode(json as unknown as { [name: string]: Json }))).toEqual(json);
});

test('what is cut short is an error, never half of the claims', () => {
  const message = encode(CLAIMS);
  for (let cut = 1; cut < message.length; cut++)
    expect(() => decodeStruct(message.subarray(0, cut)), `cut at ${cut}`).toThrow(RangeError);
});

const nested = (depth: number): { [name: string]: Json } => {
  let json: Json = 'bottom';
  for (let at = 1; at < depth; at++) json = at % 2 === 0 ? [json] : { a: json };
  return { a: json };
};

test('nesting is read to a depth of 32 and refused beyond it, before the stack ends', () => {
  expect(decodeStruct(encode(nested(32)))).toEqual(nested(32));
  expect(() => decodeStruct(encode(nested(33)))).toThrow('deeper than 32');
  let lists = bytes(3, 'bottom');
  for (let depth = 0; depth < 1_500; depth++) lists = bytes(6, bytes(1, lists));
  expect(() => decodeStruct(named('a', bytes(2, lists)))).toThrow('deeper than 32');
});

test('64 KiB are read, and not a byte more', () => {
  const overhead = encode({ a: 'x'.repeat(60_000) }).length - 60_000;
  expect(decodeStruct(encode({ a: 'x'.repeat(65_536 - overhead) }))).toHaveProperty('a');
  expect(() => decodeStruct(encode({ a: 'x'.repeat(65_537 - overhead) }))).toThrow('longer than 65536 bytes');
});

test.each<[string, Buffer, string]>([
  ['a name twice', Buffer.concat([named('sub', bytes(2, TRUE)), named('sub', bytes(2, TRUE))]), 'a name twice'],
  ['__proto__ as a name', named('__proto__', bytes(2, bytes(5, named('sub', bytes(2, TRUE))))), 'not allowed'],
  [
    '__proto__ as a name further down',
    named('payload', bytes(2, bytes(5, named('__proto__', bytes(2, TRUE))))),
    'not allowed',
  ],
  ['a name without a value', named('sub'), 'without a value'],
  ['a value of no kind', named('sub', bytes(2, '')), 'of no kind'],
  ['a value of two kinds', named('sub', bytes(2, Buffer.concat([bytes(3, 'jane'), TRUE]))), 'of two kinds'],
  [
    'a value of one kind twice',
    named('sub', bytes(2, Buffer.concat([bytes(3, 'jane'), bytes(3, 'sam')]))),
    'two kinds',
  ],
  ['an entry with two values', named('sub', bytes(2, TRUE), bytes(2, TRUE)), 'two names or values'],
  ['an entry with two names', bytes(1, Buffer.concat([bytes(1, 'a'), bytes(1, 'b'), bytes(2, TRUE)])), 'two names'],
  ['NaN', named('exp', bytes(2, double(Number.NaN))), 'a number that JSON has not'],
  ['infinity', named('exp', bytes(2, double(Number.POSITIVE_INFINITY))), 'a number that JSON has not'],
  ['a string that is not UTF-8', named('sub', bytes(2, bytes(3, Buffer.from([0xff])))), 'not UTF-8'],
  ['a name that is not UTF-8', named(Buffer.from([0xc0, 0x80]), bytes(2, TRUE)), 'not UTF-8'],
  ['a string where a number should be', named('exp', bytes(2, bytes(2, 'x'))), 'another wire type'],
  ['a number where a struct should be', named('a', bytes(2, Buffer.from([5 * 8, 1]))), 'another wire type'],
])('%s is refused', (_name, message, why) => {
  expect(() => decodeStruct(message)).toThrow(RangeError);
  expect(() => decodeStruct(message)).toThrow(why);
});
