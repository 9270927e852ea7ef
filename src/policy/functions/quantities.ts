import type { Comparable } from './equality.ts';
import { checkInt, FunctionError, invalid } from './failure.ts';
import { type FunctionGroup, type Overload, pure, sources } from './row.ts';

/** Suffix → power of ten, or of two. */
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binaryExponents: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const shape =
  /^([-+]?)(\d{1,32}(?:\.\d{0,32})?|\.\d{1,32})(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([-+]?\d{1,2}))?$/;
const maxDigits = 200;

/** A Kubernetes quantity, exactly: `units / 10 ** scale`. */
export class Quantity implements Comparable {
  readonly units: bigint;
  readonly scale: number;

  constructor(units: bigint, scale: number) {
    this.units = units;
    this.scale = scale;
  }

  static parse(text: string): Quantity | undefined {
    const match = shape.exec(text);
    if (match === null) return undefined;
    const [, sign, digits = '', suffix = '', exponent] = match;
    const [whole = '', fraction = ''] = digits.split('.');
    const size = BigInt(whole + fraction) * 2n ** BigInt(binaryExponents[suffix] ?? 0);
    const ten = Number(exponent ?? decimalExponents[suffix] ?? 0) - fraction.length;
    const units = sign === '-' ? -size : size;
    return ten >= 0 ? new Quantity(units * 10n ** BigInt(ten), 0) : new Quantity(units, -ten);
  }

  static read(text: string): Quantity {
    const quantity = Quantity.parse(text);
    if (quantity === undefined) throw invalid('not a quantity');
    return quantity;
  }

  #at(scale: number): bigint {
    return this.units * 10n ** BigInt(scale - this.scale);
  }

  plus(other: Quantity, sign: 1n | -1n): Quantity {
    const scale = Math.max(this.scale, other.scale);
    const units = this.#at(scale) + sign * other.#at(scale);
    if (units.toString().length > maxDigits) throw new FunctionError('numeric_overflow', 'the quantity overflows');
    return new Quantity(units, scale);
  }

  compareTo(other: Quantity): -1 | 0 | 1 {
    const { units } = this.plus(other, -1n);
    return units === 0n ? 0 : units < 0n ? -1 : 1;
  }

  equals(other: unknown): boolean {
    return other instanceof Quantity && this.compareTo(other) === 0;
  }

  /** The int that it is, or undefined. */
  asInteger(): bigint | undefined {
    const one = 10n ** BigInt(this.scale);
    const whole = this.units / one;
    return whole * one === this.units && BigInt.asIntN(64, whole) === whole ? whole : undefined;
  }

  asDouble(): number {
    return Number(`${this.units}e-${this.scale}`);
  }
}

function integerOf(quantity: Quantity): bigint {
  const value = quantity.asInteger();
  if (value === undefined) throw invalid('the quantity is no int');
  return checkInt(value);
}

const ofInt = (value: bigint) => new Quantity(value, 0);

const row = (name: string, doc: string, examples: readonly string[], overloads: readonly Overload[]) => ({
  name,
  doc,
  source: sources.kubernetes,
  examples,
  overloads,
});

export const quantityFunctions: FunctionGroup = {
  title: 'Quantities',
  intro:
    'Numbers with the suffixes of Kubernetes: `n` `u` `m` `k` `M` `G` `T` `P` `E`, `Ki` `Mi` `Gi` `Ti` `Pi` `Ei`, or an exponent (`1e3`). They are exact, however large or small.',
  types: { Quantity: { ctor: Quantity, fields: {} } },
  operators: { 'Quantity == Quantity': (a: Quantity, b: Quantity) => a.equals(b) },
  rows: [
    row(
      'quantity',
      'a quantity; other text is an error',
      ['quantity("1.5Gi") == quantity("1536Mi")', 'quantity("100m").add(quantity("0.9")) == quantity("1")'],
      [pure('quantity(string): Quantity', (text: string) => Quantity.read(text))],
    ),
    row(
      'isQuantity',
      'whether the text is a quantity',
      ['isQuantity("1.3Gi") && !isQuantity("1,3G") && !isQuantity("200K")'],
      [pure('isQuantity(string): bool', (text: string) => Quantity.parse(text) !== undefined)],
    ),
    row(
      'isLessThan',
      'whether it is the lesser',
      ['quantity("999M").isLessThan(quantity("1G"))'],
      [pure('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => a.compareTo(b) < 0)],
    ),
    row(
      'isGreaterThan',
      'whether it is the greater',
      ['quantity("1Ki").isGreaterThan(quantity("1k"))'],
      [pure('Quantity.isGreaterThan(Quantity): bool', (a: Quantity, b: Quantity) => a.compareTo(b) > 0)],
    ),
    row(
      'compareTo',
      '-1, 0 or 1',
      ['quantity("1k").compareTo(quantity("1000")) == 0'],
      [pure('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) => BigInt(a.compareTo(b)))],
    ),
    row(
      'add',
      'the sum',
      ['quantity("1k").add(quantity("500")) == quantity("1500")', 'quantity("1k").add(5) == quantity("1005")'],
      [
        pure('Quantity.add(Quantity): Quantity', (a: Quantity, b: Quantity) => a.plus(b, 1n)),
        pure('Quantity.add(int): Quantity', (a: Quantity, b: bigint) => a.plus(ofInt(b), 1n)),
      ],
    ),
    row(
      'sub',
      'the difference',
      ['quantity("1k").sub(quantity("1")) == quantity("999")'],
      [
        pure('Quantity.sub(Quantity): Quantity', (a: Quantity, b: Quantity) => a.plus(b, -1n)),
        pure('Quantity.sub(int): Quantity', (a: Quantity, b: bigint) => a.plus(ofInt(b), -1n)),
      ],
    ),
    row(
      'isInteger',
      'whether it is an int (64 bits)',
      ['quantity("5000m").isInteger() && !quantity("1.5").isInteger()'],
      [pure('Quantity.isInteger(): bool', (quantity: Quantity) => quantity.asInteger() !== undefined)],
    ),
    row(
      'asInteger',
      'as an int; an error if it is none',
      ['quantity("50k").asInteger() == 50000'],
      [pure('Quantity.asInteger(): int', integerOf)],
    ),
    row(
      'asApproximateFloat',
      'as the nearest double',
      ['quantity("1500m").asApproximateFloat() == 1.5'],
      [pure('Quantity.asApproximateFloat(): double', (quantity: Quantity) => quantity.asDouble())],
    ),
    row(
      'sign',
      '1, 0 or -1',
      ['quantity("-5").sign() == -1'],
      [pure('Quantity.sign(): int', (quantity: Quantity) => BigInt(quantity.compareTo(ofInt(0n))))],
    ),
  ],
};
