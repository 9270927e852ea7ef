/**
 * Masks a body of plain text. Clients look at the content type less than they should: text that begins like a JSON
 * object must be strict JSON and is masked as such, and text with a line that an event stream could have is refused.
 * Text that begins like an array or a string is kept until its end: strict JSON is masked as such, and anything else
 * (`[error] …`) as text, from which nothing may appear to a client that reads escapes in it.
 */

import type { Usage } from '../exchange/facts.ts';
import { isStrictJson } from '../exchange/json.ts';
import { unescapeLeniently } from '../exchange/json-escapes.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { textLineEnd } from '../exchange/sse.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { Utf8Pieces } from '../exchange/utf8.ts';
import { Channel, maskedText } from './channel.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { maxValues } from './event.ts';
import type { Findings } from './findings.ts';
import type { JsonMasker } from './json.ts';

const hold: Released = { bytes: Buffer.alloc(0), terminal: false };

/** Its escapes are read in one go. */
const longestEscaped = 256 * 1024;

export class PlainMasker implements BodyMasker {
  readonly findings: ReadonlyMap<string, number>;
  private readonly json: JsonMasker;
  private readonly masks: Findings | undefined;
  private readonly channel: Channel | undefined;
  private readonly pieces = new Utf8Pieces();
  /** Undecided as long as there was nothing but white space. */
  private kind: 'undecided' | 'json' | 'json-or-text' | 'text' = 'undecided';
  /** What is not decided: white space at first, or a text that may be JSON. */
  private leading = '';
  private lineStart = '';

  /** `json`: for a text that is JSON. `masks` undefined: the text is passed as it is. */
  constructor(json: JsonMasker, masks: Findings | undefined) {
    this.json = json;
    this.masks = masks;
    this.channel = masks && new Channel([], masks.masker());
    this.findings = masks?.counts ?? new Map();
  }

  get usage(): Usage {
    return this.json.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    if (this.kind !== 'text') this.json.push(chunk);
    if (this.kind === 'json') return hold;
    const piece = this.pieces.push(chunk);
    if (piece === undefined) throw new UnreadableBody('the text is not valid UTF-8');
    this.checkLines(piece);
    if (this.kind === 'json-or-text') {
      this.leading += piece;
      return hold;
    }
    const text = this.leading + piece;
    this.leading = '';
    if (this.kind === 'text') return paced(this.mask(text));
    const first = /\S/.exec(text)?.[0];
    if (first === '{') this.kind = 'json';
    else if (first === undefined || first === '[' || first === '"') {
      if (first !== undefined) this.kind = 'json-or-text';
      this.leading = text;
    } else {
      this.kind = 'text';
      return paced(this.mask(text));
    }
    return hold;
  }

  end(): Released | Promise<Released> {
    if (this.kind === 'json') return this.json.end();
    if (!this.pieces.end()) throw new UnreadableBody('the text ends inside a character');
    if (this.kind === 'json-or-text') return this.endWhole();
    return { bytes: Buffer.from(this.leading + (this.channel?.end() ?? '')), terminal: true };
  }

  salvage(): Buffer {
    return Buffer.from(this.kind === 'text' ? (this.channel?.end() ?? '') : '');
  }

  /** A line of its own. Pages are text too: nothing in it is markup. */
  closing({ json, words }: ClosingError, begun: boolean): Buffer {
    if (this.kind === 'json' || this.kind === 'json-or-text') return Buffer.from(json);
    return Buffer.from(`${begun ? '\n' : ''}${words.replaceAll(/[<>&\r\n]/g, ' ')}\n`);
  }

  private async endWhole(): Promise<Released> {
    const text = this.leading;
    this.leading = '';
    return (await paced(isStrictJson(text, maxValues))) ? this.json.end() : paced(this.maskWhole(text));
  }

  /** Masks a text that is not JSON, although it begins like it. */
  private *maskWhole(text: string): Work<Released> {
    const { masks } = this;
    if (masks === undefined) return { bytes: Buffer.from(text), terminal: true };
    const masked = yield* maskedText(masks, text, false);
    if (masked.includes('\\')) {
      if (masked.length > longestEscaped)
        throw new UnreadableBody(
          `a text that is almost JSON and has escapes is longer than ${longestEscaped} characters`,
        );
      const hidden = masks.uncounted();
      yield* maskedText(hidden, unescapeLeniently(masked), false);
      if (hidden.total > 0) throw new UnreadableBody('a text that is almost JSON hides a match in its escapes');
    }
    return { bytes: Buffer.from(masked), terminal: true };
  }

  private *mask(text: string): Work<Released> {
    const out = this.channel === undefined ? text : yield* this.channel.pushLong(text);
    return { bytes: Buffer.from(out), terminal: false };
  }

  private checkLines(text: string): void {
    for (let at = 0; at < text.length; ) {
      const end = textLineEnd(text, at);
      if (this.lineStart.length < 5)
        this.lineStart = (this.lineStart + text.slice(at, Math.min(end, at + 6))).replace(/^\ufeff/, '').slice(0, 5);
      if (this.lineStart === 'data:') throw new UnreadableBody('a text has lines of an event stream');
      if (end < text.length) this.lineStart = '';
      at = end + 1;
    }
  }
}
