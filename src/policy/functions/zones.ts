import type { Budget } from '../budget.ts';
import { invalid } from './failure.ts';

const maxZonesKept = 1000;
/** 2000-01-01: clocks have been changed at whole minutes of UTC since. */
const wholeMinutesSince = 946_684_800_000;
/** Units for a zone that has to be looked up during an evaluation. */
const lookupUnits = 100;

/** Time zones, each looked up once, a thousand at most. */
export class Zones {
  readonly #formats = new Map<string, Intl.DateTimeFormat>();
  /** Of the minute that was asked about last: rules ask about `now`, and formatting a date takes many microseconds. */
  readonly #offsets = new Map<string, { readonly minute: number; readonly offsetMs: number }>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

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
    const time = date.getTime();
    const known = this.#offsets.get(zone);
    const minute = Math.floor(time / 60_000);
    if (known?.minute === minute) return new Date(time + known.offsetMs);
    const local = localBy(this.#format(zone), date);
    if (time >= wholeMinutesSince) this.#offsets.set(zone, { minute, offsetMs: local.getTime() - time });
    return local;
  }

  #format(zone: string): Intl.DateTimeFormat {
    const known = this.#formats.get(zone);
    if (known !== undefined) return known;
    if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) throw invalid('no such time zone');
    this.#budget.spend(lookupUnits);
    const format = formatOf(zone);
    if (this.#formats.size >= maxZonesKept) {
      this.#formats.clear();
      this.#offsets.clear();
    }
    this.#formats.set(zone, format);
    return format;
  }
}

function localBy(format: Intl.DateTimeFormat, date: Date): Date {
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(date)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  // Date.UTC would read the years 1 to 99 as 1901 to 1999.
  const local = new Date(Date.UTC(2000, 0, 1, hour, minute, second, date.getUTCMilliseconds()));
  local.setUTCFullYear(year, month - 1, day);
  return local;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw invalid('no such time zone');
  }
}
