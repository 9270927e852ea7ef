/**
 * How text is compared with words that people wrote down: NFKC, without invisible characters, without case. `Ｂｏｍｂ`, `b\u200bomb`
 * and `BOMB` are all `bomb`; `straße` is `strasse`. Not for detectors: they fold code point by code point (fold.ts).
 */

/** Zero width, direction marks, soft hyphens, tags, controls: nobody sees them. White space stays. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]|(?![\t-\r\x85])\p{Cc}/gu;
// Anything else takes the long way.
const plain = /^[\t-\r -~]*$/;

/** Characters of one step: some tenth of a millisecond, half a millisecond of the worst. */
const SLICE_LENGTH = 4096;
/** A step ends where two pieces can be normalized apart; where there is no such place for so long, it ends anyhow. */
const LONGEST_SLICE = 65_536;
/** What may combine with the character before it: marks, Hangul vowels and finals, and what NFKC makes those of. */
const joins =
  /^[\p{M}\u0e33\u0eb3\u1160-\u11ff\u3130-\u318f\ud7b0-\ud7ff\uff9e-\uffdf\udc00-\udfff\u{16d67}\u{16d68}]/u;

/**
 * NFKC, invisible characters removed, case folded (Unicode's full folding by way of lower, upper and lower case, so that `ß`
 * is `ss` and a final sigma a sigma; `ı` is `i`, too). Of what is normal already, nothing changes. For texts of some kilobytes;
 * longer ones: `normalizedSlices`.
 */
export function normalize(text: string): string {
  if (plain.test(text)) return text.toLowerCase();
  const visible = text.replace(invisible, '').normalize('NFKC');
  return visible.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
}

/** `normalize` of a text of any length, in pieces that are its result one behind the other. Each is half a millisecond of work. */
export function* normalizedSlices(text: string): Generator<string, undefined, undefined> {
  for (let from = 0; from < text.length; ) {
    const end = sliceEnd(text, from);
    yield normalize(text.slice(from, end));
    from = end;
  }
  return undefined;
}

function sliceEnd(text: string, from: number): number {
  const last = Math.min(text.length, from + LONGEST_SLICE);
  for (let at = from + SLICE_LENGTH; at < last; at++) if (isApart(text, at)) return at;
  return last;
}

/** Whether what is normalized before an offset does not depend on what comes from there on. */
function isApart(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  if (unit < 0x300) return true;
  return !joins.test(String.fromCodePoint(text.codePointAt(at)!));
}
