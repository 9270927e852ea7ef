import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';

/** A value of ours that knows when another is the same. */
export interface Comparable {
  equals(other: unknown): boolean;
}

/** CEL's `==` over any two values: numbers by value whatever their type, lists in order, maps by key. Never throws. */
export function celEquals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const [x, y] = [plain(a), plain(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: an int and a double are equal when their values are
  if (isNumber(x) && isNumber(y)) return x == y;
  if (typeof x !== 'object' || typeof y !== 'object' || x === null || y === null) return x === y;
  if (isList(x) && isList(y)) {
    const [left, right] = [[...x], [...y]];
    return left.length === right.length && left.every((item, i) => celEquals(item, right[i]));
  }
  if (x instanceof Map && y instanceof Map)
    return x.size === y.size && [...x].every(([key, value]) => y.has(key) && celEquals(value, y.get(key)));
  if (x instanceof Uint8Array && y instanceof Uint8Array) return Buffer.compare(x, y) === 0;
  if (x instanceof Duration && y instanceof Duration) return x.seconds === y.seconds && x.nanos === y.nanos;
  if (x instanceof Date && y instanceof Date) return x.getTime() === y.getTime();
  return 'equals' in x && typeof x.equals === 'function' && (x as Comparable).equals(y);
}

function plain(value: unknown): unknown {
  return value instanceof UnsignedInt ? value.valueOf() : value;
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function isList(value: object): value is readonly unknown[] | ReadonlySet<unknown> {
  return Array.isArray(value) || value instanceof Set;
}

/** -1, 0 or 1 for two values of one ordered type; undefined where they have no order. */
export function celCompare(a: unknown, b: unknown): -1 | 0 | 1 | undefined {
  const [x, y] = [plain(a), plain(b)];
  if (x instanceof Duration && y instanceof Duration)
    return sign(x.seconds === y.seconds ? x.nanos - y.nanos : x.seconds < y.seconds ? -1 : 1);
  if (x instanceof Date && y instanceof Date) return sign(x.getTime() - y.getTime());
  const ordered =
    (isNumber(x) && isNumber(y)) ||
    (typeof x === 'string' && typeof y === 'string') ||
    (typeof x === 'boolean' && typeof y === 'boolean');
  if (!ordered || Number.isNaN(x) || Number.isNaN(y)) return undefined;
  if (x < y) return -1;
  return x > y ? 1 : 0;
}

function sign(value: number): -1 | 0 | 1 {
  if (value < 0) return -1;
  return value > 0 ? 1 : 0;
}
