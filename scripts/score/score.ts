import { compileAutomaton } from '../../src/detect/automaton.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { scan } from '../../src/detect/scan.ts';
import type { LabelledText, Span } from './corpus.ts';

export interface Failure {
  readonly id: string;
  readonly what: 'missed' | 'wrong';
  readonly type: string;
  readonly part: string;
  readonly text: string;
  /** As `type: part`. */
  readonly expected: readonly string[];
  readonly found: readonly string[];
}

export interface Score {
  readonly id: string;
  /** Parts of texts that have to be found. */
  readonly positives: number;
  /** Those found with the right type, at least half of both together in common. */
  found: number;
  /** Those found exactly. */
  exact: number;
  /** Found parts that are none of these, in texts of which that is known. */
  wrong: number;
  /** Texts that have nothing of this detector, and those of them in which it found something. */
  readonly negatives: number;
  touched: number;
}

export interface Result {
  readonly scores: ReadonlyMap<string, Score>;
  readonly failures: readonly Failure[];
  /** Types of the corpus that no detector has → parts of texts. */
  readonly unknown: ReadonlyMap<string, number>;
  /** Texts with nothing in them, or nothing of one detector, and those in which that was found. */
  readonly negatives: number;
  readonly touched: number;
}

/**
 * Runs all detectors together over all texts. What is found counts for its detector: right where the text has that there
 * and of that type, wrong elsewhere. Only in the negatives of one detector, nothing is known of what others find.
 */
export function score(detectors: readonly Detector[], texts: readonly LabelledText[]): Result {
  const automaton = compileAutomaton(detectors);
  const scores = new Map(detectors.map(({ id }) => [id, emptyScore(id, texts)]));
  const failures: Failure[] = [];
  const unknown = new Map<string, number>();
  let negatives = 0;
  let touched = 0;
  for (const text of texts) {
    for (const { type } of text.spans) if (!scores.has(type)) unknown.set(type, (unknown.get(type) ?? 0) + 1);
    const found = scan(automaton, text.text).map(({ detector, ...span }) => ({ type: detector, ...span }));
    const { missed, wrong, right } = compared(text.spans, found);
    const counted = wrong.filter(({ type }) => text.without === undefined || text.without === type);
    for (const { expected, found } of right) {
      const its = scores.get(expected.type)!;
      its.found++;
      if (expected.start === found.start && expected.end === found.end) its.exact++;
    }
    for (const { type } of counted) scores.get(type)!.wrong++;
    for (const type of new Set(counted.map(({ type }) => type))) {
      // A text has something of a detector, or it is a negative of it.
      if (!text.spans.some((span) => span.type === type)) scores.get(type)!.touched++;
    }
    if (text.spans.length === 0) {
      negatives++;
      if (counted.length > 0) touched++;
    }
    const partOf = ({ start, end }: Span) => text.text.slice(start, end);
    const failure = (what: Failure['what']) => (span: Span) =>
      failures.push({
        id: text.id,
        what,
        type: span.type,
        part: partOf(span),
        text: text.text,
        expected: text.spans.map((each) => `${each.type}: ${partOf(each)}`),
        found: found.map((each) => `${each.type}: ${partOf(each)}`),
      });
    missed.filter(({ type }) => scores.has(type)).forEach(failure('missed'));
    counted.forEach(failure('wrong'));
  }
  return { scores, failures, unknown, negatives, touched };
}

function emptyScore(id: string, texts: readonly LabelledText[]): Score {
  let positives = 0;
  let negatives = 0;
  for (const { spans, without } of texts) {
    const its = spans.filter(({ type }) => type === id).length;
    positives += its;
    if (its === 0 && (without === undefined || without === id)) negatives++;
  }
  return { id, positives, found: 0, exact: 0, wrong: 0, negatives, touched: 0 };
}

/** Each part that is expected goes with at most one that was found, the one that has most in common with it. */
function compared(expected: readonly Span[], found: readonly Span[]) {
  const left = new Set(found);
  const missed: Span[] = [];
  const right: { readonly expected: Span; readonly found: Span }[] = [];
  for (const each of expected) {
    const best = [...left]
      .filter((span) => span.type === each.type && common(each, span) >= 0.5)
      .sort((a, b) => common(each, b) - common(each, a))[0];
    if (best === undefined) missed.push(each);
    else {
      left.delete(best);
      right.push({ expected: each, found: best });
    }
  }
  return { missed, wrong: [...left], right };
}

/** What two parts have in common, of what they are together: 0 to 1. */
function common(a: Span, b: Span): number {
  const shared = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  return shared <= 0 ? 0 : shared / (Math.max(a.end, b.end) - Math.min(a.start, b.start));
}

export const recallOf = ({ positives, found }: Score): number => (positives === 0 ? 1 : found / positives);
export const exactOf = ({ positives, exact }: Score): number => (positives === 0 ? 1 : exact / positives);
export const precisionOf = ({ found, wrong }: Score): number => (found + wrong === 0 ? 1 : found / (found + wrong));

/** Two rates, or three, that a detector must not fall below, or above. */
export interface Aim {
  readonly recall: number;
  readonly precision: number;
}

/** What there is to check, or an opening that is written nowhere else, makes the higher aim. */
export function aimOf({ pattern, also = [], validate }: Detector): Aim {
  const hasPrefix = [pattern, ...also.map((each) => each.pattern)].every((each) => prefix.test(each));
  const isChecked = validate !== undefined && also.every((each) => each.validate !== undefined);
  return isChecked || hasPrefix ? { recall: 0.98, precision: 0.97 } : { recall: 0.95, precision: 0.93 };
}

/** Three characters as they stand at the beginning of a pattern. */
const prefix = /^(?:\\b|\\B)?(?:\(\?:)?[\w/-]{3,}/;

/** Texts with nothing in them in which something may be found. */
export const maxTouched = 0.01;

/** What falls short, one line each. */
export function shortOf(detectors: readonly Detector[], { scores, negatives, touched }: Result): readonly string[] {
  const short: string[] = [];
  for (const detector of detectors) {
    const its = scores.get(detector.id)!;
    const { recall, precision } = aimOf(detector);
    if (its.positives === 0) continue;
    if (recallOf(its) < recall)
      short.push(`${its.id}: recall ${percent(recallOf(its))}, the aim is ${percent(recall)}`);
    if (precisionOf(its) < precision)
      short.push(`${its.id}: precision ${percent(precisionOf(its))}, the aim is ${percent(precision)}`);
    if (its.touched > its.negatives * maxTouched)
      short.push(`${its.id}: touches ${its.touched} of ${its.negatives} texts that have nothing of it`);
  }
  if (touched > negatives * maxTouched) short.push(`all: ${touched} of ${negatives} negatives touched`);
  return short;
}

/** With one digit behind the point, rounded down: 100 % means all. */
export const percent = (rate: number): string => `${Math.floor(rate * 1000) / 10} %`;
