import type { Context } from '../../src/detect/detector.ts';

/** The folded text with the offset of each of its characters in the original. */
export interface Folded {
  readonly original: string;
  readonly folded: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

interface Part {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Longest word, with what is between its parts (detector.ts). */
const maxWord = 48;

// Where a part ends inside of a run of letters and digits: `4a`, `taxId`, `IDNumber`, but not in `SSNs`.
const seam = /(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s(?![A-Za-z]))[a-z])/u;

/** The parts of a text, first to last, worked out forwards and for the whole text. */
function partsOf({ folded, starts, ends }: Folded): readonly Part[] {
  return [...folded.matchAll(/[A-Za-z0-9]+/gu)].flatMap((run) => {
    let at = run.index;
    return run[0].split(seam).map((text) => {
      const part = { text: text.toLowerCase(), start: starts[at]!, end: ends[at + text.length - 1]! };
      at += text.length;
      return part;
    });
  });
}

export interface NearestWord {
  /** From its end to the match. */
  readonly distance: number;
  readonly start: number;
}

/** How far before `from` (an offset in the original) the nearest word ends; `farthest`: the widest context in force. */
export function nearestWord(
  text: Folded,
  from: number,
  context: Context | undefined,
  farthest: number,
): NearestWord | undefined {
  if (context === undefined) return undefined;
  const first = Math.max(0, from - farthest - maxWord);
  const until = text.starts.findIndex((start) => start >= from);
  const length = until < 0 ? text.starts.length : until;
  const parts = partsOf({ ...text, folded: text.folded.slice(0, length) }).filter(
    ({ start }) => start > first || first === 0,
  );
  const found = context.words.flatMap((word) => wordsAt(word, parts, from));
  const [nearest] = found.toSorted((a, b) => a.distance - b.distance || a.start - b.start);
  return nearest !== undefined && nearest.distance <= (context.within ?? 64) ? nearest : undefined;
}

function wordsAt(word: string, parts: readonly Part[], from: number): NearestWord[] {
  // Words in other letters are in none of the texts that are made up here (context.test.ts has them).
  const spelled = (word.match(/[A-Za-z]+|\d+/gu) ?? []).map((part) => part.toLowerCase());
  if (spelled.length === 0) return [];
  const begins = word.endsWith('*');
  const spellings = spelled.length > 1 && !begins && !/\d/.test(word) ? [spelled, [spelled.join('')]] : [spelled];
  return parts.flatMap((last, index) =>
    spellings
      .filter((spelling) => isSpelledAt(spelling, begins, parts, index))
      .map((spelling) => ({ distance: from - last.end, start: parts[index - spelling.length + 1]!.start })),
  );
}

function isSpelledAt(spelling: readonly string[], begins: boolean, parts: readonly Part[], index: number): boolean {
  const first = index - spelling.length + 1;
  if (first < 0) return false;
  return spelling.every((expected, i) => {
    const { text, start } = parts[first + i]!;
    if (i > 0 && start - parts[first + i - 1]!.end > 3) return false;
    if (i < spelling.length - 1) return text === expected;
    return begins ? text.startsWith(expected) : text === expected || (text.length > 2 && text === `${expected}s`);
  });
}
