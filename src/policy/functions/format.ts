import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { Budget } from '../budget.ts';
import { checkLength, invalid } from './failure.ts';
import { formatDuration, formatTimestamp } from './time.ts';

const directive = /%(?:\.(\d{1,3}))?([a-zA-Z%])/g;
const maxPrecision = 100;
const maxNesting = 20;

/** cel-go's `string.format`. Throws when a directive, its value or the number of values does not fit. */
export function format(template: string, values: readonly unknown[], budget: Budget): string {
  let out = '';
  let used = 0;
  let end = 0;
  for (const match of template.matchAll(directive)) {
    const [whole, precision, verb = ''] = match;
    literal(template.slice(end, match.index));
    end = match.index + whole.length;
    if (verb === '%') {
      append('%');
      continue;
    }
    if (used >= values.length) throw invalid('format has more directives than values');
    append(fill(verb, values[used], precision === undefined ? 6 : Number(precision), budget));
    used += 1;
  }
  literal(template.slice(end));
  if (used < values.length) throw invalid('format has more values than directives');
  return out;

  function literal(piece: string): void {
    if (piece.includes('%')) throw invalid('format has a % that begins no directive');
    append(piece);
  }

  function append(piece: string): void {
    checkLength(out.length + piece.length);
    budget.spend(1 + (piece.length >> 9));
    out += piece;
  }
}

function fill(verb: string, value: unknown, precision: number, budget: Budget): string {
  if (precision > maxPrecision) throw invalid('format has at most 100 digits');
  const number = value instanceof UnsignedInt ? value.valueOf() : value;
  switch (verb) {
    case 's':
      return show(value, budget, 0);
    case 'd':
      if (typeof number === 'bigint') return number.toString();
      break;
    case 'f':
      if (typeof number === 'number' || typeof number === 'bigint') return fixed(Number(number), precision);
      break;
    case 'e':
      if (typeof number === 'number' || typeof number === 'bigint') return exponential(Number(number), precision);
      break;
    case 'b':
      if (typeof number === 'bigint') return number.toString(2);
      if (typeof number === 'boolean') return number ? '1' : '0';
      break;
    case 'o':
      if (typeof number === 'bigint') return number.toString(8);
      break;
    case 'x':
    case 'X': {
      const digits = hexadecimal(number, budget);
      if (digits !== undefined) return verb === 'x' ? digits : digits.toUpperCase();
    }
  }
  throw invalid(`format has no %${verb} for such a value`);
}

function hexadecimal(value: unknown, budget: Budget): string | undefined {
  if (typeof value === 'bigint') return value.toString(16);
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return undefined;
  checkLength(value.length * 2);
  budget.spend(value.length >> 6);
  return Buffer.from(value as string).toString('hex');
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? undefined : value > 0 ? 'Infinity' : '-Infinity';
}

function fixed(value: number, precision: number): string {
  const word = special(value);
  if (word !== undefined) return word;
  if (Math.abs(value) < 1e21) return value.toFixed(precision);
  return BigInt(value).toString() + (precision > 0 ? `.${'0'.repeat(precision)}` : '');
}

/** At least two digits of exponent, as Go writes it. */
function exponential(value: number, precision: number): string {
  return special(value) ?? value.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** How a value reads in a message. */
export function show(value: unknown, budget: Budget, depth: number): string {
  if (depth > maxNesting) throw invalid('nested too deep to be shown');
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return showDouble(value);
  if (typeof value === 'bigint' || typeof value === 'boolean' || value === null) return String(value);
  if (value instanceof UnsignedInt) return value.toString();
  if (value instanceof Date) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value) || value instanceof Set)
    return showAll([...value], budget, (item) => show(item, budget, depth + 1), '[', ']');
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => [show(key, budget, depth + 1), item] as const);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return showAll(entries, budget, ([key, item]) => `${key}: ${show(item, budget, depth + 1)}`, '{', '}');
  }
  if (typeof value === 'object' && 'toText' in value && typeof value.toText === 'function')
    return String(value.toText());
  throw invalid('such a value cannot be shown');
}

function showAll<T>(
  items: readonly T[],
  budget: Budget,
  one: (item: T) => string,
  open: string,
  close: string,
): string {
  let out = open;
  for (const [i, item] of items.entries()) {
    const piece = (i === 0 ? '' : ', ') + one(item);
    checkLength(out.length + piece.length);
    budget.spend(1 + (piece.length >> 9));
    out += piece;
  }
  return out + close;
}

/** As `string(double)`. */
export function showDouble(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
