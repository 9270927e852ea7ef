import { hexValue } from './units.ts';

/** What is decoded around an escape, in characters on each side: what most matches need as context. */
const REACH = 256;
/** Units looked at in one step: some tenth of a millisecond. */
const SLICE_LENGTH = 16_384;
const PERCENT = 0x25;
const REPLACEMENT = 0xfffd;

/**
 * The parts of a text that have percent-encoded characters (RFC 3986 section 2.1) in them, with what is around those: `4111
 * 1111 1111 %31111` is read as one text.
 */
export function* percentRegions(units: Uint16Array): Generator<undefined, [from: number, to: number][], undefined> {
  const regions: [number, number][] = [];
  let done = 0;
  for (let at = units.indexOf(PERCENT); at >= 0; at = units.indexOf(PERCENT, at + 1)) {
    if (isEscape(units, at)) {
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

const isEscape = (units: Uint16Array, at: number): boolean =>
  units[at] === PERCENT && hexValue(units[at + 1]) >= 0 && hexValue(units[at + 2]) >= 0;

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

/** Decodes escapes as UTF-8; bytes that are none become U+FFFD. Everything else stays as it is. */
export function* decodePercent(
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
    if (units[at] !== PERCENT || !isEscape(units, at)) {
      put(units[at]!, at++, 0);
      continue;
    }
    const { point, width } = escapedPoint(units, at);
    if (point > 0xffff) put(0xd800 + ((point - 0x10000) >> 10), at, 1);
    put(point > 0xffff ? 0xdc00 + (point & 0x3ff) : point, at, 1);
    at += width;
  }
  // An escape may reach over the end.
  const end = Math.max(to, length === 0 ? to : Math.min(units.length, endOf(units, sources[length - 1]!, to)));
  sources[length] = end;
  return new DecodedRegion(from, end, decoded.subarray(0, length), sources, escaped.subarray(0, length));
}

const endOf = (units: Uint16Array, source: number, to: number): number =>
  isEscape(units, source) ? source + escapedPoint(units, source).width : to;

/** The code point that an escape begins, and how many units it is written in. */
function escapedPoint(units: Uint16Array, at: number): { readonly point: number; readonly width: number } {
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

/** The byte that an escape stands for; −1 where there is none (which is no continuation byte either). */
function byteAt(units: Uint16Array, at: number): number {
  return isEscape(units, at) ? (hexValue(units[at + 1]) << 4) | hexValue(units[at + 2]) : -1;
}
