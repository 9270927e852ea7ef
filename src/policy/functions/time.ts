import { Duration } from '@marcbachmann/cel-js/evaluator';
import { FunctionError, invalid } from './failure.ts';
import { type FunctionGroup, type FunctionRow, native, pure, sources } from './row.ts';

const timestampType = 'google.protobuf.Timestamp';
const durationType = 'google.protobuf.Duration';
const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const minTimestampMs = -62_135_596_800_000;
const maxTimestampMs = 253_402_300_799_999;

/** RFC 3339, strictly: `new Date` would turn 31 February into 2 March, and a rule's deadline with it. */
export function parseTimestamp(text: string): Date {
  const parts = rfc3339.exec(text);
  const date = parts === null ? undefined : new Date(text);
  if (parts === null || date === undefined || Number.isNaN(date.getTime()))
    throw invalid('not an RFC 3339 date and time');
  const daysInMonth = new Date(Date.UTC(Number(parts[1]), Number(parts[2]), 0)).getUTCDate();
  if (Number(parts[3]) > daysInMonth || Number(parts[4]) > 23) throw invalid('no such date');
  return checkTimestamp(date.getTime());
}

/** From the year 1 to 9999, as CEL has it. */
function checkTimestamp(ms: number): Date {
  if (!(ms >= minTimestampMs && ms <= maxTimestampMs)) throw new FunctionError('numeric_overflow', 'no such date');
  return new Date(ms);
}

function timestampOfSeconds(seconds: bigint): Date {
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) throw invalid('no such date');
  return new Date(Number(seconds) * 1000);
}

/** RFC 3339 in UTC, with as many digits of a second as it needs. */
export function formatTimestamp(date: Date): string {
  return date
    .toISOString()
    .replace(/(\.\d*?)0+Z$/, '$1Z')
    .replace('.Z', 'Z');
}

const unitNanos: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const maxDurationLength = 64;
const maxDurationNanos = 315_576_000_000n * 1_000_000_000n;

/** Go's time.ParseDuration. The length is bounded: its numbers are read in a time that grows faster than they do. */
export function parseDuration(text: string): Duration {
  if (text.length > maxDurationLength) throw invalid('not a duration');
  const [, sign, body = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (body === '0') return new Duration(0);
  let nanos = 0n;
  let end = 0;
  for (const part of body.matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|ms|s|m|h)/gy)) {
    const [whole, units = '', fraction = '', unit = ''] = part;
    if (units === '' && fraction === '') throw invalid('not a duration');
    const nanosOf = unitNanos[unit]!;
    nanos += BigInt(units || '0') * nanosOf + (BigInt(fraction || '0') * nanosOf) / 10n ** BigInt(fraction.length);
    end += whole.length;
  }
  if (body === '' || end !== body.length) throw invalid('not a duration');
  return durationOf(sign === '-' ? -nanos : nanos);
}

/** About 10,000 years at most, either way. */
function durationOf(nanos: bigint): Duration {
  if (nanos > maxDurationNanos || nanos < -maxDurationNanos)
    throw new FunctionError('numeric_overflow', 'the duration overflows');
  return new Duration(nanos / 1_000_000_000n, Number(nanos % 1_000_000_000n));
}

function nanosOf({ seconds, nanos }: Duration): bigint {
  return seconds * 1_000_000_000n + BigInt(nanos);
}

export function addDurations(a: Duration, b: Duration, sign: 1n | -1n): Duration {
  return durationOf(nanosOf(a) + sign * nanosOf(b));
}

/** In seconds, as protobuf's JSON has it: `90s`, `-0.5s`. */
export function formatDuration(duration: Duration): string {
  const nanos = nanosOf(duration);
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}

/**
 * `+` and `-` of dates and durations; undefined for anything else. The library's own loses nanoseconds and knows no bounds.
 */
export function timeArithmetic(op: '+' | '-', a: unknown, b: unknown): Date | Duration | undefined {
  const sign = op === '+' ? 1n : -1n;
  if (a instanceof Duration && b instanceof Duration) return addDurations(a, b, sign);
  if (a instanceof Date && b instanceof Duration) return moved(a, b, sign);
  if (a instanceof Duration && b instanceof Date && op === '+') return moved(b, a, sign);
  if (a instanceof Date && b instanceof Date && op === '-')
    return durationOf(BigInt(a.getTime() - b.getTime()) * 1_000_000n);
  return undefined;
}

function moved(date: Date, by: Duration, sign: 1n | -1n): Date {
  return checkTimestamp(date.getTime() + Number((sign * nanosOf(by)) / 1_000_000n));
}

function dayOfYear(d: Date): number {
  return Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000);
}

interface Accessor {
  readonly doc: string;
  readonly read: (local: Date) => number;
  readonly example: string;
  /** Durations have it too. */
  readonly ofDurations?: string;
}

const d = 'timestamp("2026-01-15T23:30:05Z")';

/** CEL's accessors (cel-spec, langdef "Timestamps"). */
const accessors: Readonly<Record<string, Accessor>> = {
  getFullYear: { doc: 'the year', read: (t) => t.getUTCFullYear(), example: `${d}.getFullYear() == 2026` },
  getMonth: { doc: 'the month; January is 0', read: (t) => t.getUTCMonth(), example: `${d}.getMonth() == 0` },
  getDate: {
    doc: 'the day of the month, from 1',
    read: (t) => t.getUTCDate(),
    example: `${d}.getDate("+02:00") == 16`,
  },
  getDayOfMonth: {
    doc: 'the day of the month, from 0',
    read: (t) => t.getUTCDate() - 1,
    example: `${d}.getDayOfMonth() == 14`,
  },
  getDayOfWeek: {
    doc: 'the day of the week; Sunday is 0',
    read: (t) => t.getUTCDay(),
    example: `${d}.getDayOfWeek() == 4`,
  },
  getDayOfYear: { doc: 'the day of the year, from 0', read: dayOfYear, example: `${d}.getDayOfYear() == 14` },
  getHours: {
    doc: 'the hour; of a duration: all of it in hours',
    read: (t) => t.getUTCHours(),
    example: `${d}.getHours("Europe/Berlin") == 0 && duration("90m").getHours() == 1`,
    ofDurations: 'getHours',
  },
  getMinutes: {
    doc: 'the minute; of a duration: all of it in minutes',
    read: (t) => t.getUTCMinutes(),
    example: `${d}.getMinutes() == 30 && duration("90m").getMinutes() == 90`,
    ofDurations: 'getMinutes',
  },
  getSeconds: {
    doc: 'the second; of a duration: all of it in seconds',
    read: (t) => t.getUTCSeconds(),
    example: `${d}.getSeconds() == 5 && duration("90m").getSeconds() == 5400`,
    ofDurations: 'getSeconds',
  },
  getMilliseconds: {
    doc: 'milliseconds of the second; of a duration: all of it in milliseconds',
    read: (t) => t.getUTCMilliseconds(),
    example: `${d}.getMilliseconds() == 0 && duration("1.5s").getMilliseconds() == 1500`,
    ofDurations: 'getMilliseconds',
  },
};

export const zonedAccessors: ReadonlySet<string> = new Set(Object.keys(accessors));

function accessorRow(name: string, { doc, read, example, ofDurations }: Accessor): FunctionRow {
  return {
    name,
    doc,
    source: sources.spec,
    examples: [example],
    overloads: [
      // The library's getDayOfYear reads this machine's time zone.
      ...(name === 'getDayOfYear'
        ? [pure(`${timestampType}.getDayOfYear(): int`, (date: Date) => BigInt(dayOfYear(date)))]
        : native(`${timestampType}.${name}(): int`)),
      {
        signature: `${timestampType}.${name}(string): int`,
        make:
          ({ zones }) =>
          (date: Date, zone: string) =>
            BigInt(read(zones.local(date, zone))),
      },
      ...(ofDurations === undefined ? [] : native(`${durationType}.${ofDurations}(): int`)),
    ],
  };
}

export const timeFunctions: FunctionGroup = {
  title: 'Time',
  intro:
    'Without a zone, the parts of a date are those in UTC. A zone is an IANA name (`"Europe/Berlin"`), `"UTC"`, or an offset (`"+02:00"`).',
  rows: [
    {
      name: 'timestamp',
      doc: 'a date and time, of RFC 3339 text (a day that does not exist is an error) or of seconds since 1970',
      source: sources.spec,
      examples: [
        'timestamp("2024-02-29T10:00:00+02:00") == timestamp("2024-02-29T08:00:00Z")',
        'timestamp(0) == timestamp("1970-01-01T00:00:00Z")',
      ],
      overloads: [
        pure(`timestamp(string): ${timestampType}`, parseTimestamp),
        pure(`timestamp(int): ${timestampType}`, timestampOfSeconds),
        pure(`timestamp(${timestampType}): ${timestampType}`, (date: Date) => date),
      ],
    },
    {
      name: 'duration',
      doc: 'a length of time: `"90s"`, `"1h30m"`, `"-1.5h"`; units are `h`, `m`, `s`, `ms`, `us`, `ns`',
      source: sources.spec,
      examples: ['duration("1h30m") == duration("90m")', 'now - duration("1h") < now'],
      overloads: [
        pure(`duration(string): ${durationType}`, parseDuration),
        pure(`duration(${durationType}): ${durationType}`, (duration: Duration) => duration),
      ],
    },
    ...Object.entries(accessors).map(([name, accessor]) => accessorRow(name, accessor)),
  ],
};
