/**
 * Masks complete texts, encoded parts included: a part in whose decoded form something is found is replaced as a whole by
 * the labels of what was found. For what is recorded of requests; a text that streams would have to be held for this.
 */
import type { Automaton } from '../detect/automaton.ts';
import { type EncodedRun, encodedRuns } from '../detect/encoded.ts';
import type { Work } from '../exchange/pace.ts';
import { maskedPieces, maskedText } from './channel.ts';
import type { TextMaskers } from './contract.ts';
import type { Findings } from './findings.ts';
import { labelOf } from './operators.ts';

/** Finds the encoded parts of a text, which may come in pieces. */
export type EncodedParts = (text: string | readonly string[]) => Work<readonly EncodedRun[]>;

/** Shorter texts have no encoded part in which anything could be found. */
const shortest = 8;

export function createEncodedParts(automaton: Automaton): EncodedParts {
  return (text) => encodedRuns(automaton, text);
}

/** As `maskedText`. */
export function* maskedDecoded(
  findings: Findings,
  parts: EncodedParts | undefined,
  text: string,
  isJson: boolean,
  before = '',
): Work<string> {
  const runs = parts === undefined || text.length < shortest ? [] : yield* parts(text);
  const masked = yield* maskedText(findings, text, isJson, before);
  if (runs.length === 0) return masked;
  count(findings, runs);
  return yield* maskedText(findings.uncounted(), replaced([text], runs).join(''), isJson, before);
}

/** As `maskedPieces`. */
export function* maskedDecodedPieces(
  findings: Findings,
  parts: EncodedParts | undefined,
  text: readonly string[],
  isJson: boolean,
  before = '',
): Work<readonly string[] | undefined> {
  const runs = parts === undefined ? [] : yield* parts(text);
  const masked = yield* maskedPieces(findings, text, isJson, before);
  if (runs.length === 0) return masked;
  count(findings, runs);
  const labelled = replaced(text, runs);
  return (yield* maskedPieces(findings.uncounted(), labelled, isJson, before)) ?? labelled;
}

/** A short text, at once. */
export function maskedShort(makers: TextMaskers, parts: EncodedParts, text: string): string {
  const runs = text.length < shortest ? [] : atOnce(parts(text));
  const masker = makers(() => {});
  return masker.push(replaced([text], runs).join('')) + masker.end();
}

/** The name of a member, which `findings` counts. */
export function maskedName(findings: Findings, parts: EncodedParts | undefined, name: string): string {
  return atOnce(maskedDecoded(findings, parts, name, false));
}

function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** What is in the clear is counted by whoever masks the text as it came: a part may hold both. */
function count(findings: Findings, runs: readonly EncodedRun[]): void {
  for (const { detectors } of runs) for (const id of detectors) findings.add(id);
}

function replaced(text: readonly string[], runs: readonly EncodedRun[]): readonly string[] {
  if (runs.length === 0) return text;
  const result: string[] = [];
  let next = 0;
  /** Offset in the whole text: of the piece, and of what is not replaced yet. */
  let before = 0;
  let clear = 0;
  for (const piece of text) {
    const end = before + piece.length;
    for (; next < runs.length && runs[next]!.start < end; next++) {
      const run = runs[next]!;
      result.push(piece.slice(Math.max(0, clear - before), run.start - before), labelsOf(run));
      clear = run.end;
    }
    if (clear < end) result.push(piece.slice(Math.max(0, clear - before)));
    before = end;
  }
  return result;
}

const labelsOf = ({ labels }: EncodedRun): string => labels.map(labelOf).join('');
