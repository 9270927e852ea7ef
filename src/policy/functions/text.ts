import type { Budget } from '../budget.ts';
import { checkLength } from './failure.ts';
import { type FunctionGroup, sources } from './row.ts';
import { searcher } from './search.ts';

/** Format characters, and all else that Unicode says may be left out of what is shown. */
const invisible = /[\p{Cf}\p{Default_Ignorable_Code_Point}]+/gu;
/** Characters that NFKC makes many of (squared words, Arabic ligatures): up to 18 each. */
const expanding = /[\u3200-\u33ff\ufb50-\ufdff]/g;
/** Unicode's Stream-Safe Text Format (UAX #15): sorting long runs of marks takes quadratic time. */
const manyMarks = /\p{M}{30}(?=\p{M})/gu;
const joiner = '\u034f';
const ascii = /^[\0-\x7f]*$/;

/**
 * NFKC, without invisible characters, case folded: texts that read the same compare the same. By Unicode's full case folding
 * `ß` is `ss` and the Kelvin sign `k`; `İ` is `i` with a dot above it, and `ı` stays itself (no Turkish rules).
 */
export function normalize(text: string, budget: Budget): string {
  if (ascii.test(text)) {
    budget.spend(text.length >> 7);
    return text.toLowerCase();
  }
  budget.spend((text.length >> 4) + (text.match(expanding)?.length ?? 0));
  const composed = compose(text.replace(invisible, ''));
  checkLength(composed.length);
  return compose(fold(compose(fold(composed)).replace(invisible, ''))).replace(invisible, '');
}

function compose(text: string): string {
  return text.replace(manyMarks, `$&${joiner}`).normalize('NFKC').replaceAll(joiner, '');
}

/** Through upper case and back folds what lower case alone keeps apart (`ß`, `ſ`, `ς`); `ı` must not become `i` on the way. */
function fold(text: string): string {
  return text
    .split('ı')
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ'))
    .join('ı');
}

/** `*` stands for any characters, `?` for one. Linear in the text, but for segments with `?`, which are paid by their length. */
export function globMatches(pattern: string, text: string, budget: Budget): boolean {
  const segments = pattern.split('*');
  budget.spend(1 + (text.length >> 8) + segments.length);
  const [head = '', ...rest] = segments;
  const tail = rest.pop();
  const start = fits(head, text, 0);
  if (tail === undefined) return start === text.length;
  if (start < 0) return false;
  let from = start;
  for (const segment of rest) {
    from = after(segment, text, from, budget);
    if (from < 0) return false;
  }
  return endsWith(tail, text, from);
}

/** Where a segment ends that begins at an offset, or -1. */
function fits(segment: string, text: string, offset: number): number {
  let at = offset;
  for (const character of segment) {
    if (character === '?') {
      const point = text.codePointAt(at);
      if (point === undefined) return -1;
      at += point > 0xffff ? 2 : 1;
    } else if (text.startsWith(character, at)) at += character.length;
    else return -1;
  }
  return at;
}

/** Where the first occurrence of a segment at or after an offset ends, or -1. */
function after(segment: string, text: string, from: number, budget: Budget): number {
  if (!segment.includes('?')) {
    const at = searcher(segment)(text, from);
    return at < 0 ? -1 : at + segment.length;
  }
  for (let at = from; at <= text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) {
    budget.spend(1 + (segment.length >> 3));
    const end = fits(segment, text, at);
    if (end >= 0) return end;
  }
  return -1;
}

/** Whether the text from an offset on ends with the segment. */
function endsWith(segment: string, text: string, from: number): boolean {
  let at = text.length;
  for (const character of [...segment].reverse()) {
    if (character === '?') at -= isPair(text, at) ? 2 : 1;
    else if (text.endsWith(character, at)) at -= character.length;
    else return false;
    if (at < from) return false;
  }
  return at >= from;
}

function isPair(text: string, end: number): boolean {
  return end >= 2 && (text.codePointAt(end - 2) ?? 0) > 0xffff;
}

export const textFunctions: FunctionGroup = {
  title: 'Text',
  intro: '',
  rows: [
    {
      name: 'glob',
      doc: 'whether the pattern (first) fits all of the text: `*` is any characters (`/` too), `?` is one; there is no escape',
      source: sources.own,
      examples: ['glob("llama-*", "llama-70b")', 'glob("*/v?/*", "api/v1/chat/x")', '!glob("gpt-?", "gpt-10")'],
      overloads: [
        {
          signature: 'glob(string, string): bool',
          make:
            ({ budget }) =>
            (pattern: string, text: string) =>
              globMatches(pattern, text, budget),
        },
      ],
    },
    {
      name: 'normalize',
      doc: 'NFKC, without invisible (format and ignorable) characters, case folded as Unicode says: `ß` is `ss`, the Kelvin sign `k`; `ı` stays `ı`, `İ` is `i` and a dot above. Compare texts of others through it',
      source: sources.own,
      examples: [
        'normalize("Ｉgno\u200bre") == "ignore"',
        'normalize("STRASSE") == normalize("straße")',
        'normalize("\u212a") == "k" && normalize("ΣΑΣ") == normalize("σας")',
      ],
      overloads: [
        {
          signature: 'normalize(string): string',
          make:
            ({ budget }) =>
            (text: string) =>
              normalize(text, budget),
        },
      ],
    },
  ],
};
