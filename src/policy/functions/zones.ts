import { invalid } from './failure.ts';

/** Time zones, each looked up once. */
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
      if (minutes > 18 * 60) throw invalid('no such offset');
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
    if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) throw invalid('no such time zone');
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
