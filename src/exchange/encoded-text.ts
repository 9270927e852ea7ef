/** Files in base64 that are text: a model reads their words, so the gate does. */
import type { FactsDraft } from './facts-draft.ts';
import type { Work } from './pace.ts';
import { isMedia } from './text-rules.ts';

/** Characters decoded in one step. */
const sliceLength = 64 * 1024;
const textType =
  /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|javascript|x-javascript|typescript|sql|rtf|x-sh|x-python|toml|csv)\b)/i;

/** Whether files of this media type are words, not encoded media. */
export function isTextType(mediaType: string): boolean {
  return textType.test(mediaType.trim());
}

/** Adds the words of a text file in base64 to the message in progress. What is not UTF-8 is refused: nobody knows what a model reads in it. */
export function* addEncodedText(draft: FactsDraft, data: string, at: string): Work<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let rest = '';
  try {
    for (let from = 0; from < data.length; from += sliceLength) {
      const quads = rest + data.slice(from, from + sliceLength).replace(/\s/g, '');
      const whole = quads.length - (quads.length % 4);
      rest = quads.slice(whole);
      text += decoder.decode(Buffer.from(quads.slice(0, whole), 'base64'), { stream: true });
      yield;
    }
    text += decoder.decode(Buffer.from(rest, 'base64'));
  } catch {
    draft.check.complain(`Invalid '${at}': a text file must be UTF-8 in base64.`);
    return;
  }
  draft.addText(text);
}

/** A field that is media or text by another field: as text it must not look like media, or its words would be passed over. */
export function* refuseDisguised(draft: FactsDraft, text: string, at: string): Work<void> {
  if (yield* isMedia('binary', text)) draft.check.complain(`Invalid '${at}': expected words, but got base64 data.`);
}
