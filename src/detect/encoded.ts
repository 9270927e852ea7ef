/**
 * What is sensitive inside of encoded parts of a text: base64 (either alphabet, wrapped or not) and percent-encoding, and
 * those in each other, two deep. HTML entities and hex are not read.
 *
 * Nothing has to be a well-formed encoding as a whole: a byte that is no text, or characters glued before the beginning, must
 * not hide the rest. So base64 is decoded from each of the four places where it may begin, and every stretch of the bytes
 * that is text is scanned; percent-encoded text is decoded with what is around it. What is decoded is 12 times the text at
 * most (four beginnings, three quarters each, two deep), kept one run at a time.
 */
import type { Automaton } from './automaton.ts';
import { Base64Runs } from './base64.ts';
import type { Finding } from './detector.ts';
import { type DecodedRegion, decodePercent, percentRegions } from './percent.ts';
import { scanUnits } from './scan.ts';
import { unitsOf } from './units.ts';

/** A part of a text in whose decoded form something was found. UTF-16 offsets, `end` exclusive. */
export interface EncodedRun {
  readonly start: number;
  readonly end: number;
  /** Ids, one a match. */
  readonly detectors: readonly string[];
}

/** Work in slices, as exchange/pace.ts drives it: `'long'` goes before a step that cannot be cut. */
export type Sliced<T> = Generator<'long' | undefined, T, undefined>;

const MAX_DEPTH = 2;
/** Units read in one step, with what is decoded of them: some tenths of a millisecond. */
const SLICE_LENGTH = 8192;

/**
 * The encoded parts of a text in which something is found, in order, without overlaps. A text may come in pieces: none of
 * them is put together.
 */
export function* encodedRuns(automaton: Automaton, text: string | readonly string[]): Sliced<readonly EncodedRun[]> {
  return yield* runsIn(automaton, yield* unitsOf(text), MAX_DEPTH);
}

function* runsIn(automaton: Automaton, units: Uint16Array, depth: number): Sliced<readonly EncodedRun[]> {
  if (depth === 0) return [];
  const hits: EncodedRun[] = [];
  const runs = new Base64Runs(units);
  for (let done = 0; runs.next(); ) {
    if (runs.isWhole && runs.mayHaveText()) hits.push(...(yield* inBase64(automaton, runs, depth)));
    if (runs.at - done < SLICE_LENGTH) continue;
    done = runs.at;
    yield;
  }
  if (runs.hasPercent)
    for (const [from, to] of yield* percentRegions(units))
      hits.push(...(yield* inPercent(automaton, units, yield* decodePercent(units, from, to), depth, hits)));
  return merged(hits);
}

/** One run: what is found in its stretches of text, as parts of the run. */
function* inBase64(automaton: Automaton, run: Base64Runs, depth: number): Sliced<readonly EncodedRun[]> {
  const hits: EncodedRun[] = [];
  for (const place of [0, 1, 2, 3])
    for (const stretch of yield* run.stretches(place)) {
      const detectors = (yield* scanUnits(automaton, stretch.units)).map(({ detector }) => detector);
      for (const inner of yield* runsIn(automaton, stretch.units, depth - 1)) detectors.push(...inner.detectors);
      if (detectors.length > 0) hits.push({ ...run.partOf(place, stretch), detectors });
    }
  return hits;
}

/**
 * One region: matches that contain or touch an escape. All others are in the clear, and so are found there; also those that
 * are found in the clear with the escape as it is written.
 */
function* inPercent(
  automaton: Automaton,
  units: Uint16Array,
  region: DecodedRegion,
  depth: number,
  known: readonly EncodedRun[],
): Sliced<readonly EncodedRun[]> {
  const found: EncodedRun[] = [];
  for (const { detector, start, end } of yield* scanUnits(automaton, region.units))
    if (region.isEscaped(start, end)) found.push({ ...region.partOf(start, end), detectors: [detector] });
  const direct = found.length;
  for (const { start, end, detectors } of yield* runsIn(automaton, region.units, depth - 1))
    if (region.isEscaped(start, end)) found.push({ ...region.partOf(start, end), detectors });
  if (found.length === 0) return found;
  const clear = direct === 0 ? [] : yield* scanUnits(automaton, units.subarray(region.start, region.end));
  const isKnown = (hit: EncodedRun, index: number): boolean =>
    index < direct
      ? known.some((run) => run.start <= hit.start && hit.end <= run.end) ||
        clear.some((match) => match.detector === hit.detectors[0] && overlaps(moved(match, region.start), hit))
      : known.some((run) => overlaps(run, hit) && hit.detectors.every((id) => run.detectors.includes(id)));
  return found.filter((hit, index) => !isKnown(hit, index));
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const overlaps = (a: Span, b: Span): boolean => a.start < b.end && b.start < a.end;

const moved = ({ start, end }: Finding, by: number): Span => ({ start: start + by, end: end + by });

/** Runs that overlap become one. */
function merged(hits: readonly EncodedRun[]): readonly EncodedRun[] {
  if (hits.length < 2) return hits;
  const result: EncodedRun[] = [];
  for (const hit of hits.toSorted((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last === undefined || hit.start >= last.end) result.push(hit);
    else
      result[result.length - 1] = {
        start: last.start,
        end: Math.max(last.end, hit.end),
        detectors: [...last.detectors, ...hit.detectors],
      };
  }
  return result;
}
