import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { checkInt, invalid } from './failure.ts';
import { extreme } from './lists.ts';
import { type FunctionGroup, type Overload, pure, sources } from './row.ts';

const numbers = ['int', 'uint', 'double'];
const maxArguments = 4;

/** `math.greatest` and `math.least`: of a list, or of up to four numbers of one type. */
function extremes(name: string, wanted: -1 | 1): Overload[] {
  return numbers.flatMap((type) => [
    pure(`math.${name}(list<${type}>): ${type}`, (_: unknown, list: readonly unknown[]) => extreme(list, wanted)),
    ...Array.from({ length: maxArguments }, (_, i) =>
      pure(
        `math.${name}(${Array(i + 1)
          .fill(type)
          .join(', ')}): ${type}`,
        (_: unknown, ...values: unknown[]) => extreme(values, wanted),
      ),
    ),
  ]);
}

const doubles = (name: string, run: (value: number) => number): Overload[] => [
  pure(`math.${name}(double): double`, (_: unknown, value: number) => run(value)),
];

/** Half away from zero, as Go's math.Round. */
function round(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}

function signOf(value: bigint | number): bigint | number {
  if (typeof value === 'number') return Math.sign(value);
  return value === 0n ? 0n : value < 0n ? -1n : 1n;
}

const uint = (value: bigint): UnsignedInt => new UnsignedInt(BigInt.asUintN(64, value));

/** A bitwise function over two ints, and over two uints. */
const bits = (name: string, run: (a: bigint, b: bigint) => bigint): Overload[] => [
  pure(`math.${name}(int, int): int`, (_: unknown, a: bigint, b: bigint) => BigInt.asIntN(64, run(a, b))),
  pure(`math.${name}(uint, uint): uint`, (_: unknown, a: UnsignedInt, b: UnsignedInt) =>
    uint(run(a.valueOf(), b.valueOf())),
  ),
];

const shift = (name: string, run: (bits: bigint, by: bigint) => bigint): Overload[] => {
  const shifted = (value: bigint, by: bigint) => {
    if (by < 0n) throw invalid('a shift by less than 0');
    return by >= 64n ? 0n : run(BigInt.asUintN(64, value), by);
  };
  return [
    pure(`math.${name}(int, int): int`, (_: unknown, a: bigint, by: bigint) => BigInt.asIntN(64, shifted(a, by))),
    pure(`math.${name}(uint, int): uint`, (_: unknown, a: UnsignedInt, by: bigint) => uint(shifted(a.valueOf(), by))),
  ];
};

const row = (name: string, doc: string, examples: readonly string[], overloads: readonly Overload[]) => ({
  name: `math.${name}`,
  doc,
  source: sources.math,
  examples,
  overloads,
});

export const mathFunctions: FunctionGroup = {
  title: 'Maths',
  intro: 'Ints and uints have 64 bits; what does not fit is an error.',
  rows: [
    row(
      'greatest',
      'of a list, or of up to four numbers of one type',
      ['math.greatest(1, 3, 2) == 3', 'math.greatest([0.5, 2.0]) == 2.0'],
      extremes('greatest', 1),
    ),
    row(
      'least',
      'of a list, or of up to four numbers of one type',
      ['math.least(3, 1) == 1', 'math.least([3, 1, 2]) == 1'],
      extremes('least', -1),
    ),
    row(
      'abs',
      'without the sign',
      ['math.abs(-2) == 2', 'math.abs(-0.5) == 0.5'],
      [
        pure('math.abs(int): int', (_: unknown, value: bigint) => checkInt(value < 0n ? -value : value)),
        pure('math.abs(uint): uint', (_: unknown, value: UnsignedInt) => value),
        ...doubles('abs', Math.abs),
      ],
    ),
    row('ceil', 'the next whole number up', ['math.ceil(1.2) == 2.0'], doubles('ceil', Math.ceil)),
    row('floor', 'the next whole number down', ['math.floor(-1.2) == -2.0'], doubles('floor', Math.floor)),
    row(
      'round',
      'the nearest whole number, halves away from 0',
      ['math.round(1.5) == 2.0 && math.round(-1.5) == -2.0'],
      doubles('round', round),
    ),
    row('trunc', 'without the fraction', ['math.trunc(-1.7) == -1.0'], doubles('trunc', Math.trunc)),
    row(
      'sign',
      '-1, 0 or 1',
      ['math.sign(-3) == -1', 'math.sign(0.0) == 0.0'],
      [
        pure('math.sign(int): int', (_: unknown, value: bigint) => signOf(value)),
        pure('math.sign(uint): uint', (_: unknown, value: UnsignedInt) => uint(signOf(value.valueOf()) as bigint)),
        pure('math.sign(double): double', (_: unknown, value: number) => signOf(value)),
      ],
    ),
    row(
      'isNaN',
      'whether it is not a number',
      ['math.isNaN(0.0 / 0.0)', '!math.isNaN(1.0)'],
      [pure('math.isNaN(double): bool', (_: unknown, value: number) => Number.isNaN(value))],
    ),
    row(
      'isInf',
      'whether it is infinite',
      ['math.isInf(1.0 / 0.0)'],
      [pure('math.isInf(double): bool', (_: unknown, value: number) => Math.abs(value) === Number.POSITIVE_INFINITY)],
    ),
    row(
      'isFinite',
      'neither infinite nor NaN',
      ['math.isFinite(1.5)', '!math.isFinite(-1.0 / 0.0)'],
      [pure('math.isFinite(double): bool', (_: unknown, value: number) => Number.isFinite(value))],
    ),
    row(
      'bitAnd',
      'bits that are in both',
      ['math.bitAnd(6, 3) == 2'],
      bits('bitAnd', (a, b) => a & b),
    ),
    row(
      'bitOr',
      'bits that are in either',
      ['math.bitOr(6, 3) == 7'],
      bits('bitOr', (a, b) => a | b),
    ),
    row(
      'bitXor',
      'bits that are in one of them',
      ['math.bitXor(6, 3) == 5'],
      bits('bitXor', (a, b) => a ^ b),
    ),
    row(
      'bitNot',
      'every bit turned',
      ['math.bitNot(0) == -1'],
      [
        pure('math.bitNot(int): int', (_: unknown, value: bigint) => ~value),
        pure('math.bitNot(uint): uint', (_: unknown, value: UnsignedInt) => uint(~value.valueOf())),
      ],
    ),
    row(
      'bitShiftLeft',
      'moved up; bits beyond the 64th are lost',
      ['math.bitShiftLeft(1, 4) == 16'],
      shift('bitShiftLeft', (a, by) => a << by),
    ),
    row(
      'bitShiftRight',
      'moved down, zeros moved in',
      ['math.bitShiftRight(16, 4) == 1'],
      shift('bitShiftRight', (a, by) => a >> by),
    ),
  ],
};
