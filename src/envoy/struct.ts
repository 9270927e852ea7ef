/** `google.protobuf.Struct`, strictly: what comes out is JSON that has one meaning, or nothing comes out. */
import { isUtf8 } from 'node:buffer';
import { fields, type Reader } from './protobuf.ts';

/** Longest Struct that is read, bytes. A JWT comes in a header, and Envoy takes 60 KiB of headers by default. */
const MAX_BYTES = 64 * 1024;
/** Deepest nesting of structs and lists, as of tokens that the gate reads itself. */
const MAX_DEPTH = 32;

/** A JSON value. Numbers are doubles: Struct has no others. */
type Value = null | number | string | boolean | readonly Value[] | { readonly [name: string]: Value };
type Fields = Readonly<Record<string, Value>>;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/**
 * A Struct as a JSON object. Throws RangeError when it is cut short, longer than 64 KiB or nested deeper than 32, when a
 * name is there twice, is `__proto__` or is not UTF-8, when a value is of no kind or of two, and for NaN and infinities.
 */
export function decodeStruct(message: Buffer): Fields {
  if (message.length > MAX_BYTES) throw new RangeError(`the struct is longer than ${MAX_BYTES} bytes`);
  return struct(message, 1);
}

function struct(message: Buffer, depth: number): Fields {
  if (depth > MAX_DEPTH) throw new RangeError(`the struct is nested deeper than ${MAX_DEPTH}`);
  const out: Record<string, Value> = {};
  fields(message, (field, reader, wireType) => {
    if (field !== 1) return false;
    const [name, value] = entry(bytes(reader, wireType), depth);
    if (name === '__proto__') throw new RangeError('the struct has a name that is not allowed');
    if (Object.hasOwn(out, name)) throw new RangeError('the struct has a name twice');
    out[name] = value;
    return true;
  });
  return out;
}

function entry(message: Buffer, depth: number): readonly [name: string, value: Value] {
  let name: string | undefined;
  let value: Value | undefined;
  fields(message, (field, reader, wireType) => {
    if (field === 1 && name === undefined) name = text(bytes(reader, wireType));
    else if (field === 2 && value === undefined) value = readValue(bytes(reader, wireType), depth);
    else if (field === 1 || field === 2) throw new RangeError('the struct has an entry with two names or values');
    else return false;
    return true;
  });
  // proto3 leaves an empty name out (https://protobuf.dev/programming-guides/proto3/#default).
  if (value === undefined) throw new RangeError('the struct has a name without a value');
  return [name ?? '', value];
}

function readValue(message: Buffer, depth: number): Value {
  let value: Value | undefined;
  fields(message, (field, reader, wireType) => {
    if (field < 1 || field > 6) return false;
    if (value !== undefined) throw new RangeError('the struct has a value of two kinds');
    value = kind(field, reader, wireType, depth);
    return true;
  });
  if (value === undefined) throw new RangeError('the struct has a value of no kind');
  return value;
}

/** The `oneof kind` of google.protobuf.Value, by field number. */
function kind(field: number, reader: Reader, wireType: number, depth: number): Value {
  switch (field) {
    case 1:
      expectType(wireType, VARINT);
      reader.varint();
      return null;
    case 2: {
      expectType(wireType, FIXED64);
      const number = reader.double();
      if (!Number.isFinite(number)) throw new RangeError('the struct has a number that JSON has not');
      return number;
    }
    case 3:
      return text(bytes(reader, wireType));
    case 4:
      expectType(wireType, VARINT);
      return reader.varint() !== 0;
    case 5:
      return struct(bytes(reader, wireType), depth + 1);
    default:
      return list(bytes(reader, wireType), depth + 1);
  }
}

function list(message: Buffer, depth: number): readonly Value[] {
  if (depth > MAX_DEPTH) throw new RangeError(`the struct is nested deeper than ${MAX_DEPTH}`);
  const out: Value[] = [];
  fields(message, (field, reader, wireType) => {
    if (field !== 1) return false;
    out.push(readValue(bytes(reader, wireType), depth));
    return true;
  });
  return out;
}

function bytes(reader: Reader, wireType: number): Buffer {
  expectType(wireType, BYTES);
  return reader.bytes();
}

function text(value: Buffer): string {
  if (!isUtf8(value)) throw new RangeError('the struct has a string that is not UTF-8');
  return value.toString('utf8');
}

function expectType(wireType: number, expected: number): void {
  if (wireType !== expected) throw new RangeError('the struct has a field of another wire type');
}
