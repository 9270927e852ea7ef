import type { Work } from '../exchange/pace.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { Channel } from './channel.ts';
import { settleLong } from './event.ts';
import type { Findings } from './findings.ts';
import { type Candidate, keyOf, pathOf } from './text-reader.ts';

/** Most texts in one body. */
export const maxTexts = 1024;

/**
 * Strings of a JSON body that clients put together (the parts of an answer, the events of a stream that is an array): each
 * text is masked as one. What a string still holds goes into the next one of its text.
 */
export class JoinedTexts {
  private readonly findings: Findings;
  private readonly texts = new Map<string, { readonly channel: Channel; last: Candidate; text: string }>();

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** In the order of the body. */
  *add(candidate: Candidate): Work<void> {
    const path = pathOf(candidate.frame, candidate.step);
    const key = keyOf(path);
    let joined = this.texts.get(key);
    if (joined === undefined) {
      if (this.texts.size === maxTexts) throw new UnreadableBody(`more than ${maxTexts} texts in one body`);
      joined = { channel: new Channel(path, this.findings.masker()), last: candidate, text: '' };
      this.texts.set(key, joined);
    } else yield* settleLong(joined.last, joined.text);
    joined.last = candidate;
    joined.text = yield* joined.channel.pushLong(candidate.text);
  }

  *end(): Work<void> {
    for (const { channel, last, text } of this.texts.values()) yield* settleLong(last, text + channel.end());
  }
}

/** Whether the string is one of several that make up a text. */
export function isJoined({ kind, treatment, frame }: Candidate): boolean {
  const isString = kind === 'string' || kind === 'piece' || kind === 'last-piece';
  return isString && treatment === 'channel' && frame?.joined === true;
}
