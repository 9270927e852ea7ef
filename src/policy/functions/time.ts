import type { Environment } from '@marcbachmann/cel-js';

const sync = { async: false };
const timestampType = 'google.protobuf.Timestamp';
const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** RFC 3339, strictly: `new Date` would turn 31 February into 2 March, and a rule's deadline with it. */
export function parseTimestamp(text: string): Date {
  const parts = rfc3339.exec(text);
  const date = parts === null ? undefined : new Date(text);
  if (parts === null || date === undefined || Number.isNaN(date.getTime()))
    throw new RangeError('not an RFC 3339 date and time');
  const daysInMonth = new Date(Date.UTC(Number(parts[1]), Number(parts[2]), 0)).getUTCDate();
  if (Number(parts[3]) > daysInMonth || Number(parts[4]) > 23) throw new RangeError('no such date');
  return date;
}

export class Zones {
  readonly #formats = new Map<string, Intl.DateTimeFormat>();

  /**
   * The date whose UTC parts are the local parts of `date` in a zone: an IANA name, `UTC`, or an offset such as `+02:00`.
   * Throws for anything else.
   */
  local(date: Date, zone: string): Date {
    const offset = /^([+-]?)(\d{2}):([0-5]\d)$/.exec(zone);
    if (offset !== null) {
      const minutes = Number(offset[2]) * 60 + Number(offset[3]);
      if (minutes > 18 * 60) throw new RangeError('no such offset');
      return new Date(date.getTime() + (offset[1] === '-' ? -minutes : minutes) * 60_000);
    }
    const parts: Record<string, number> = {};
    for (const { type, value } of this.#format(zone).formatToParts(date)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return new Date(Date.UTC(year, month - 1, day, hour, minute, second, date.getUTCMilliseconds()));
  }

  #format(zone: string): Intl.DateTimeFormat {
    const known = this.#formats.get(zone);
    if (known !== undefined) return known;
    if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) throw new RangeError('no such time zone');
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    // Intl refuses what is no zone, so there are a few hundred at most.
    this.#formats.set(zone, format);
    return format;
  }
}

function dayOfYear(d: Date): number {
  return Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000);
}

/** CEL's accessors (cel-spec, langdef "Timestamps"): months, days of month, week and year count from 0, getDate from 1. */
const accessors: Record<string, (local: Date) => number> = {
  getFullYear: (d) => d.getUTCFullYear(),
  getMonth: (d) => d.getUTCMonth(),
  getDate: (d) => d.getUTCDate(),
  getDayOfMonth: (d) => d.getUTCDate() - 1,
  getDayOfWeek: (d) => d.getUTCDay(),
  getDayOfYear: dayOfYear,
  getHours: (d) => d.getUTCHours(),
  getMinutes: (d) => d.getUTCMinutes(),
  getSeconds: (d) => d.getUTCSeconds(),
  getMilliseconds: (d) => d.getUTCMilliseconds(),
};

export const zonedAccessors: ReadonlySet<string> = new Set(Object.keys(accessors));

export function registerTime(env: Environment, zones: Zones): void {
  env.registerFunction(`_timestamp(string): ${timestampType}`, parseTimestamp, sync);
  env.registerFunction(
    `_timestamp(int): ${timestampType}`,
    (seconds: bigint) => {
      if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) throw new RangeError('no such date');
      return new Date(Number(seconds) * 1000);
    },
    sync,
  );
  env.registerFunction(`${timestampType}._getDayOfYear(): int`, (d: Date) => BigInt(dayOfYear(d)), sync);
  for (const [name, read] of Object.entries(accessors)) {
    const zoned = (d: Date, zone: string) => BigInt(read(zones.local(d, zone)));
    env.registerFunction(`${timestampType}._${name}(string): int`, zoned, sync);
  }
}
