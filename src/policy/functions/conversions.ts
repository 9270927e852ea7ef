import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { checkInt, invalid } from './failure.ts';
import { showDouble } from './format.ts';
import type { Cidr, Ip } from './network.ts';
import { type FunctionGroup, native, type Overload, pure, sources } from './row.ts';
import { codePoints } from './strings.ts';
import { formatDuration, formatTimestamp } from './time.ts';
import type { Version } from './versions.ts';

const wholeNumber = /^[-+]?\d{1,20}$/;
const decimal = /^[-+]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][-+]?\d{1,5})?$/;
const special: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
};

function whole(text: string): bigint {
  if (!wholeNumber.test(text)) throw invalid('not a whole number');
  return BigInt(text.startsWith('+') ? text.slice(1) : text);
}

function truncated(value: number): bigint {
  if (!Number.isFinite(value)) throw invalid('not a finite number');
  return BigInt(Math.trunc(value));
}

function doubleOf(text: string): number {
  if (decimal.test(text)) return Number(text);
  const [, sign, word = ''] = /^([-+]?)([a-zA-Z]{3,8})$/.exec(text) ?? [];
  const value = special[word.toLowerCase()];
  if (value === undefined) throw invalid('not a number');
  return sign === '-' ? -value : value;
}

/** Throws for bytes that are not UTF-8, as CEL says. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('the bytes are not UTF-8');
  }
}

const asText: Overload[] = [
  pure('string(string): string', (value: string) => value),
  pure('string(bool): string', (value: boolean) => String(value)),
  pure('string(int): string', (value: bigint) => value.toString()),
  pure('string(uint): string', (value: UnsignedInt) => value.toString()),
  pure('string(double): string', showDouble),
  pure('string(bytes): string', textOf),
  pure('string(google.protobuf.Timestamp): string', formatTimestamp),
  pure('string(google.protobuf.Duration): string', formatDuration),
  pure('string(IP): string', (value: Ip) => value.toText()),
  pure('string(CIDR): string', (value: Cidr) => value.toText()),
  pure('string(Semver): string', (value: Version) => value.toText()),
];

type List = readonly unknown[] | ReadonlySet<unknown>;

const sizes: Overload[] = Object.entries({
  string: codePoints,
  bytes: (value: Uint8Array) => BigInt(value.length),
  list: (value: List) => BigInt('length' in value ? value.length : value.size),
  map: (value: object) => BigInt(value instanceof Map ? value.size : Object.keys(value).length),
}).flatMap(([type, size]) => [pure(`size(${type}): int`, size), pure(`${type}.size(): int`, size)]);

const { spec, library } = sources;

export const conversionFunctions: FunctionGroup = {
  title: 'Types and conversions',
  intro: '',
  rows: [
    {
      name: 'bool',
      doc: 'of `"true"`, `"t"`, `"1"`, `"false"`, `"f"`, `"0"` (also `TRUE`, `True`, …); any other text is an error',
      source: spec,
      examples: ['bool("true") && !bool("0")'],
      overloads: native('bool(bool): bool', 'bool(string): bool'),
    },
    {
      name: 'int',
      doc: 'a whole number of 64 bits; of a double: without the fraction, of a timestamp: seconds since 1970',
      source: spec,
      examples: ['int("-42") == -42', 'int(2.9) == 2', 'int(timestamp("1970-01-01T00:01:00Z")) == 60'],
      overloads: [
        pure('int(int): int', (value: bigint) => value),
        pure('int(uint): int', (value: UnsignedInt) => checkInt(value.valueOf())),
        pure('int(double): int', (value: number) => checkInt(truncated(value))),
        pure('int(string): int', (value: string) => checkInt(whole(value))),
        pure('int(google.protobuf.Timestamp): int', (value: Date) => BigInt(Math.floor(value.getTime() / 1000))),
      ],
    },
    {
      name: 'uint',
      doc: 'a whole number of 64 bits that is not negative',
      source: spec,
      examples: ['uint(7) == 7u', 'uint("7") == 7u'],
      overloads: [
        pure('uint(uint): uint', (value: UnsignedInt) => value),
        pure('uint(int): uint', (value: bigint) => new UnsignedInt(value)),
        pure('uint(double): uint', (value: number) => new UnsignedInt(truncated(value))),
        pure('uint(string): uint', (value: string) => new UnsignedInt(whole(value))),
      ],
    },
    {
      name: 'double',
      doc: 'a number with a fraction',
      source: spec,
      examples: ['double("1.5e1") == 15.0', 'double(2) == 2.0'],
      overloads: [
        pure('double(double): double', (value: number) => value),
        pure('double(int): double', (value: bigint) => Number(value)),
        pure('double(uint): double', (value: UnsignedInt) => Number(value.valueOf())),
        pure('double(string): double', doubleOf),
      ],
    },
    {
      name: 'string',
      doc: 'as text; of bytes: read as UTF-8, an error if they are not',
      source: spec,
      examples: [
        'string(3) + " of " + string(1.5) == "3 of 1.5"',
        'string(b"abc") == "abc"',
        'string(duration("90m")) == "5400s"',
      ],
      overloads: asText,
    },
    {
      name: 'bytes',
      doc: 'the UTF-8 bytes of a text',
      source: spec,
      examples: ['bytes("ä") == b"\\xc3\\xa4"'],
      overloads: native('bytes(string): bytes', 'bytes(bytes): bytes'),
    },
    {
      name: 'hex',
      doc: 'bytes as hexadecimal text',
      source: library,
      examples: ['bytes("az").hex() == "617a"'],
      overloads: native('bytes.hex(): string'),
    },
    {
      name: 'base64',
      doc: 'bytes as base64 text (RFC 4648)',
      source: library,
      examples: ['bytes("az").base64() == "YXo="'],
      overloads: native('bytes.base64(): string'),
    },
    {
      name: 'at',
      doc: 'the byte at an index',
      source: library,
      examples: ['b"az".at(1) == 122'],
      overloads: native('bytes.at(int): int'),
    },
    {
      name: 'dyn',
      doc: 'the same value, its type looked at only when the rule runs',
      source: spec,
      examples: ['dyn(1) == 1', 'size([dyn(1), dyn("a")]) == 2'],
      overloads: native('dyn(dyn): dyn'),
    },
    {
      name: 'type',
      doc: 'the type of a value, to compare with `int`, `string`, `list`, …',
      source: spec,
      examples: ['type(1) == int && type("a") == string', 'type(now) == google.protobuf.Timestamp'],
      overloads: native(
        ...['string', 'bool', 'int', 'uint', 'double', 'map', 'list', 'bytes', 'null', 'type'].map(
          (type) => `type(${type}): type`,
        ),
      ),
    },
    {
      name: 'size',
      doc: 'characters of a text, bytes, elements of a list, keys of a map',
      source: spec,
      examples: ['size("a\u{1f600}") == 2 && b"abc".size() == 3', '[1, 2].size() == 2 && size({"a": 1}) == 1'],
      overloads: sizes,
    },
  ],
};
