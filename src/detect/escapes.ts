/**
 * Characters that are written as escapes: percent-encoded (RFC 3986 section 2.1), as character references of HTML, or with a
 * backslash, as in JSON and source code (`\u0034`, `\x34`). All are read in one go: a value may be written in several.
 */
import { hexValue } from './units.ts';

/** What is decoded around an escape, in characters on each side: what most matches need as context. */
const REACH = 256;
/** Units looked at in one step: some tenth of a millisecond. */
const SLICE_LENGTH = 16_384;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const REPLACEMENT = 0xfffd;

/** Whether there may be an escape in a text. */
export const mayHaveEscapes = (units: Uint16Array): boolean =>
  units.includes(PERCENT) || units.includes(AMPERSAND) || units.includes(BACKSLASH);

/** The parts of a text that have escapes in them, with what is around those: `4111 1111 1111 %31111` is read as one text. */
export function* escapedRegions(units: Uint16Array): Generator<undefined, [from: number, to: number][], undefined> {
  const regions: [number, number][] = [];
  let done = 0;
  for (let at = 0; at < units.length; at++) {
    const unit = units[at]!;
    if ((unit === PERCENT || unit === AMPERSAND || unit === BACKSLASH) && isEscape(units, at)) {
      const last = regions.at(-1);
      const to = Math.min(units.length, at + 3 + REACH);
      if (last !== undefined && at - REACH <= last[1]) last[1] = to;
      else regions.push([Math.max(0, at - REACH), to]);
    }
    if (at - done < SLICE_LENGTH) continue;
    done = at;
    yield;
  }
  return regions;
}

const isEscape = (units: Uint16Array, at: number): boolean => escapeAt(units, at) !== undefined;

/** A part of a text, decoded; and where each decoded unit comes from. */
export class DecodedRegion {
  /** In the text. */
  readonly start: number;
  readonly end: number;
  readonly units: Uint16Array;
  /** Per unit, and behind the last: offset in the text. */
  readonly #sources: Uint32Array;
  /** Per unit: 1 where it is written as an escape. */
  readonly #escaped: Uint8Array;

  constructor(start: number, end: number, units: Uint16Array, sources: Uint32Array, escaped: Uint8Array) {
    this.start = start;
    this.end = end;
    this.units = units;
    this.#sources = sources;
    this.#escaped = escaped;
  }

  /** Whether there is an escape between two offsets of `units`, or right beside them. */
  isEscaped(from: number, to: number): boolean {
    const at = this.#escaped.indexOf(1, Math.max(0, from - 1));
    return at >= 0 && at <= to;
  }

  /** The part of the text that is decoded between two offsets of `units`. */
  partOf(from: number, to: number): { readonly start: number; readonly end: number } {
    return { start: this.#sources[from]!, end: this.#sources[to]! };
  }
}

/** Decodes escapes; bytes that are no UTF-8 become U+FFFD. Everything else stays as it is. */
export function* decodeEscapes(
  units: Uint16Array,
  from: number,
  to: number,
): Generator<'long' | undefined, DecodedRegion, undefined> {
  if (to - from > 4 * SLICE_LENGTH) yield 'long';
  const decoded = new Uint16Array(to - from);
  const sources = new Uint32Array(to - from + 1);
  const escaped = new Uint8Array(to - from);
  let length = 0;
  const put = (unit: number, source: number, isEscaped: 0 | 1): void => {
    decoded[length] = unit;
    sources[length] = source;
    escaped[length++] = isEscaped;
  };
  let done = from;
  for (let at = from; at < to; ) {
    if (at - done >= SLICE_LENGTH) {
      done = at;
      yield;
    }
    const written = escapeAt(units, at);
    if (written === undefined) {
      put(units[at]!, at++, 0);
      continue;
    }
    const { point, width } = written;
    if (point > 0xffff) put(0xd800 + ((point - 0x10000) >> 10), at, 1);
    put(point > 0xffff ? 0xdc00 + (point & 0x3ff) : point, at, 1);
    at += width;
  }
  // An escape may reach over the end.
  const end = Math.max(to, length === 0 ? to : Math.min(units.length, endOf(units, sources[length - 1]!, to)));
  sources[length] = end;
  return new DecodedRegion(from, end, decoded.subarray(0, length), sources, escaped.subarray(0, length));
}

const endOf = (units: Uint16Array, source: number, to: number): number => {
  const written = escapeAt(units, source);
  return written === undefined ? to : source + written.width;
};

/** A code point, or half of a pair, and how many units it is written in. */
interface Escape {
  readonly point: number;
  readonly width: number;
}

/** The escape that begins at an offset. */
function escapeAt(units: Uint16Array, at: number): Escape | undefined {
  switch (units[at]) {
    case PERCENT:
      return byteAt(units, at) < 0 ? undefined : percentAt(units, at);
    case AMPERSAND:
      return units[at + 1] === 0x23 ? numberedAt(units, at) : namedAt(units, at);
    case BACKSLASH:
      return backslashAt(units, at);
    default:
      return undefined;
  }
}

/** Most digits of a reference, with zeros before them. */
const MOST_DIGITS = 10;

/** `&#52;`, `&#x34;`: HTML, section 13.2.5.80. As browsers do, also without the semicolon. */
function numberedAt(units: Uint16Array, at: number): Escape | undefined {
  const isHex = (units[at + 2]! | 0x20) === 0x78;
  const first = at + (isHex ? 3 : 2);
  const base = isHex ? 16 : 10;
  let point = 0;
  let end = first;
  for (; end - first < MOST_DIGITS; end++) {
    const value = hexValue(units[end]);
    if (value < 0 || value >= base) break;
    point = Math.min(0x110000, point * base + value);
  }
  if (end === first) return undefined;
  const width = end - at + (units[end] === SEMICOLON ? 1 : 0);
  return { point: point === 0 || point > 0x10ffff ? REPLACEMENT : point, width };
}

/** References by name of what stands in values that are looked for (HTML, section 13.5); letters need none. */
const names: Readonly<Record<string, string>> = {
  ...{ commat: '@', period: '.', hyphen: '-', dash: '-', lowbar: '_', UnderBar: '_', plus: '+', colon: ':', sol: '/' },
  ...{
    amp: '&',
    num: '#',
    equals: '=',
    nbsp: ' ',
    Tab: ' ',
    NewLine: ' ',
    lpar: '(',
    rpar: ')',
    percnt: '%',
    comma: ',',
  },
};
const longestName = 8;

function namedAt(units: Uint16Array, at: number): Escape | undefined {
  let name = '';
  for (let end = at + 1; end <= at + 1 + longestName; end++) {
    const unit = units[end];
    if (unit === SEMICOLON) {
      const character = Object.hasOwn(names, name) ? names[name] : undefined;
      return character === undefined ? undefined : { point: character.charCodeAt(0), width: end + 1 - at };
    }
    if (unit === undefined || (unit | 0x20) < 0x61 || (unit | 0x20) > 0x7a) return undefined;
    name += String.fromCharCode(unit);
  }
  return undefined;
}

/** `\x34` and `\u0034`. */
function backslashAt(units: Uint16Array, at: number): Escape | undefined {
  const digits = units[at + 1] === 0x78 ? 2 : units[at + 1] === 0x75 ? 4 : 0;
  if (digits === 0) return undefined;
  let point = 0;
  for (let i = 0; i < digits; i++) {
    const value = hexValue(units[at + 2 + i]);
    if (value < 0) return undefined;
    point = (point << 4) | value;
  }
  return { point, width: 2 + digits };
}

/** The code point that an escape begins, and how many units it is written in. */
function percentAt(units: Uint16Array, at: number): Escape {
  const lead = byteAt(units, at);
  if (lead < 0x80) return { point: lead, width: 3 };
  const more = lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
  if (more === 0 || lead >= 0xf5) return { point: REPLACEMENT, width: 3 };
  let point = lead & (0x3f >> more);
  for (let i = 1; i <= more; i++) {
    const next = byteAt(units, at + 3 * i);
    if ((next & 0xc0) !== 0x80) return { point: REPLACEMENT, width: 3 };
    point = (point << 6) | (next & 0x3f);
  }
  return point > 0x10ffff ? { point: REPLACEMENT, width: 3 } : { point, width: 3 * (more + 1) };
}

/** The byte that a percent-encoding stands for; −1 where there is none (which is no continuation byte either). */
function byteAt(units: Uint16Array, at: number): number {
  if (units[at] !== PERCENT) return -1;
  const high = hexValue(units[at + 1]);
  const low = hexValue(units[at + 2]);
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}
