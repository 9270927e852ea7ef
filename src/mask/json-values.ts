/** What becomes of the places in a JSON text that are no pieces of a text in several strings. */
import { ownText } from '../detect/units.ts';
import { isUnread } from '../exchange/encoded-text.ts';
import type { Work } from '../exchange/pace.ts';
import { isMedia, isStructural } from '../exchange/text-rules.ts';
import { type EncodedParts, maskedDecoded, maskedDecodedPieces, maskedName } from './encoded.ts';
import { settle } from './event.ts';
import type { Findings } from './findings.ts';
import type { Rewritten } from './rewritten.ts';
import { type Candidate, nameBefore } from './text-reader.ts';

/** Structural strings that are remembered, and how long they may be. */
const mostClean = 64;
const longestClean = 64;

export class JsonValues {
  readonly masks: Findings;
  private readonly encoded: EncodedParts | undefined;
  /** Short structural strings in which nothing was found; roles and types are in every message. */
  private readonly clean = new Set<string>();

  constructor(masks: Findings, encoded: EncodedParts | undefined) {
    this.masks = masks;
    this.encoded = encoded;
  }

  readonly name = (name: string): string => maskedName(this.masks, this.encoded, name);

  /** Of a request, of which encoded parts are read, only what is no text; of an answer, all that has the form of media. */
  isLeftAlone({ treatment, text }: Candidate): Work<boolean> {
    return this.encoded === undefined ? isMedia(treatment, text) : isUnread(treatment, text);
  }

  /** Masks a place that is not left alone. */
  *mask(candidate: Candidate, output: Rewritten): Work<void> {
    const { masks, encoded, clean } = this;
    if (candidate.pieces !== undefined) {
      const isJson = candidate.treatment === 'json';
      const pieces = yield* maskedDecodedPieces(masks, encoded, candidate.pieces, isJson, nameBefore(candidate));
      if (pieces !== undefined) yield* output.replaceString(candidate.start, candidate.end, pieces);
    } else if (candidate.kind !== 'name' && !(isShortStructural(candidate) && clean.has(candidate.text))) {
      const isJson = candidate.treatment === 'json';
      settle(candidate, yield* maskedDecoded(masks, encoded, candidate.text, isJson, nameBefore(candidate)));
      if (candidate.becomes === undefined && isShortStructural(candidate) && clean.size < mostClean)
        clean.add(ownText(candidate.text));
    }
  }
}

function isShortStructural({ treatment, text }: Candidate): boolean {
  return isStructural(treatment) && text.length <= longestClean;
}
