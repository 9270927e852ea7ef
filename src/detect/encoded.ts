/**
 * What is sensitive inside of encoded parts of a text: base64 (either alphabet, wrapped or not) and escapes (escapes.ts), and
 * those in each other, two deep. Runs of hex digits are not read.
 *
 * Nothing has to be a well-formed encoding as a whole: a byte that is no text, or characters glued before the beginning, must
 * not hide the rest. So base64 is decoded from each of the four places where it may begin, and every stretch of the bytes
 * that is text is scanned; escapes are decoded with what is around them. What is decoded is 12 times the text at
 * most (four beginnings, three quarters each, two deep), kept one run at a time.
 */
import type { Automaton } from './automaton.ts';
import { Base64Runs, SHORTEST_RUN } from './base64.ts';
import { type DecodedRegion, decodeEscapes, escapedRegions, mayHaveEscapes } from './escapes.ts';
import { scanUnits } from './scan.ts';
import { unitsOf } from './units.ts';

/** A part of a text in whose decoded form something was found. UTF-16 offsets, `end` exclusive. */
export interface EncodedRun {
  readonly start: number;
  readonly end: number;
  /** Ids, one a match in the decoded text. */
  readonly detectors: readonly string[];
  /** Ids, each once, also of matches in the clear that reach into this part: what may stand for it. */
  readonly labels: readonly string[];
}

/** Work in slices, as exchange/pace.ts drives it: `'long'` goes before a step that cannot be cut. */
export type Sliced<T> = Generator<'long' | undefined, T, undefined>;

const MAX_DEPTH = 2;
/** `%31.1.1.1`: shorter texts hide nothing. */
const SHORTEST = 9;
/** What beginning a stretch costs, in units read. */
const STRETCH_COST = 128;
/** Matches put in order in one step. */
const MANY = 1024;
/** Units read in one step, with what is decoded of them: some tenths of a millisecond. */
const SLICE_LENGTH = 8192;

/**
 * The encoded parts of a text in which something is found, in order, without overlaps. A text may come in pieces: none of
 * them is put together.
 */
export function* encodedRuns(automaton: Automaton, text: string | readonly string[]): Sliced<readonly EncodedRun[]> {
  if (typeof text === 'string' && text.length < SHORTEST_RUN && !/[%&\\]/.test(text)) return [];
  const units = yield* unitsOf(text);
  const hits = yield* hitsIn(automaton, units, MAX_DEPTH);
  if (hits.length === 0) return [];
  const all = hits.slice();
  for (const { start, end, detector } of yield* scanUnits(automaton, units))
    all.push({ start, end, detectors: [], labels: [detector] });
  return (yield* merged(all)).filter(({ detectors }) => detectors.length > 0);
}

function* hitsIn(automaton: Automaton, units: Uint16Array, depth: number): Sliced<readonly EncodedRun[]> {
  if (depth === 0 || units.length < SHORTEST) return [];
  const isEscaped = mayHaveEscapes(units);
  if (units.length < SHORTEST_RUN && !isEscaped) return [];
  const hits: EncodedRun[] = [];
  const runs = new Base64Runs(units);
  for (let done = 0; runs.next(); ) {
    if (runs.isWhole && runs.mayHaveText()) for (const hit of yield* inBase64(automaton, runs, depth)) hits.push(hit);
    if (runs.at - done < SLICE_LENGTH) continue;
    done = runs.at;
    yield;
  }
  if (!isEscaped) return hits;
  const known = yield* merged(hits.slice());
  for (const [from, to] of yield* escapedRegions(units)) {
    for (const hit of yield* inEscapes(automaton, units, yield* decodeEscapes(units, from, to), depth, known))
      hits.push(hit);
    yield;
  }
  return hits;
}

/** One run: what is found in its stretches of text, as parts of the run. */
function* inBase64(automaton: Automaton, run: Base64Runs, depth: number): Sliced<readonly EncodedRun[]> {
  const hits: EncodedRun[] = [];
  let sinceYield = 0;
  for (const place of [0, 1, 2, 3])
    for (const stretch of yield* run.stretches(place)) {
      if (sinceYield > SLICE_LENGTH) yield;
      sinceYield = (sinceYield > SLICE_LENGTH ? 0 : sinceYield) + stretch.units.length + STRETCH_COST;
      const detectors = (yield* scanUnits(automaton, stretch.units)).map(({ detector }) => detector);
      for (const inner of yield* hitsIn(automaton, stretch.units, depth - 1))
        for (const id of inner.detectors) detectors.push(id);
      if (detectors.length > 0) hits.push({ ...run.partOf(place, stretch), detectors, labels: detectors });
    }
  return hits;
}

/**
 * One region: matches that contain or touch an escape. All others are in the clear, and so are found there; also those that
 * are found in the clear with the escape as it is written.
 */
function* inEscapes(
  automaton: Automaton,
  units: Uint16Array,
  region: DecodedRegion,
  depth: number,
  known: readonly EncodedRun[],
): Sliced<readonly EncodedRun[]> {
  const found: EncodedRun[] = [];
  for (const { detector, start, end } of yield* scanUnits(automaton, region.units))
    if (region.isEscaped(start, end))
      found.push({ ...region.partOf(start, end), detectors: [detector], labels: [detector] });
  const direct = found.length;
  for (const { start, end, detectors } of yield* hitsIn(automaton, region.units, depth - 1))
    if (region.isEscaped(start, end)) found.push({ ...region.partOf(start, end), detectors, labels: detectors });
  if (found.length === 0) return found;
  const clear = direct === 0 ? [] : yield* scanUnits(automaton, units.subarray(region.start, region.end));
  const isKnown = (hit: EncodedRun, index: number): boolean =>
    index < direct
      ? overlapping(known, hit).some((run) => run.start <= hit.start && hit.end <= run.end) ||
        overlapping(clear, hit, region.start).some((match) => match.detector === hit.detectors[0])
      : overlapping(known, hit).some((run) => hit.detectors.every((id) => run.detectors.includes(id)));
  return found.filter((hit, index) => !isKnown(hit, index));
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Of spans in order and apart, counted from `origin`, those that overlap another. */
function overlapping<T extends Span>(sorted: readonly T[], { start, end }: Span, origin = 0): readonly T[] {
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.end + origin <= start) low = middle + 1;
    else high = middle;
  }
  let last = low;
  while (last < sorted.length && sorted[last]!.start + origin < end) last++;
  return sorted.slice(low, last);
}

/** Runs that overlap become one. Sorts what it is given. */
function* merged(runs: EncodedRun[]): Sliced<readonly EncodedRun[]> {
  // What comes in is a few ascending rows: sorting takes a comparison or two a run.
  if (runs.length > MANY) yield 'long';
  runs.sort((a, b) => a.start - b.start);
  const result: { start: number; end: number; detectors: string[]; labels: string[] }[] = [];
  let count = 0;
  for (const { start, end, detectors, labels } of runs) {
    if (++count % MANY === 0) yield;
    const last = result.at(-1);
    if (last === undefined || start >= last.end) {
      result.push({ start, end, detectors: [...detectors], labels: [...new Set(labels)] });
      continue;
    }
    last.end = Math.max(last.end, end);
    for (const id of detectors) last.detectors.push(id);
    for (const id of labels) if (!last.labels.includes(id)) last.labels.push(id);
  }
  return result;
}
