/** Masks a body that is one JSON text: kept until its end, then rewritten token by token; the rest stays byte for byte. */

import { isUnread } from '../exchange/encoded-text.ts';
import { GrowingBuffer } from '../exchange/growing-buffer.ts';
import { lexSlice } from '../exchange/json.ts';
import { JsonLexer } from '../exchange/json-lexer.ts';
import { type Cancelled, paced, type Work } from '../exchange/pace.ts';
import { isMedia, isStructural, type RuleNode } from '../exchange/text-rules.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { decodeUtf8 } from '../exchange/utf8.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { type EncodedParts, maskedDecoded, maskedDecodedPieces, maskedName } from './encoded.ts';
import { jsonInside, wholeEnd } from './escaped-string.ts';
import { maxValues, settle } from './event.ts';
import type { Findings } from './findings.ts';
import { joined } from './joined.ts';
import { isJoined, JoinedTexts } from './joined-texts.ts';
import { type Candidate, nameBefore, TextReader } from './text-reader.ts';
import { UsageReader } from './usage.ts';

const nothing = Buffer.alloc(0);
/** Characters of output that are encoded together. */
const encodeSlice = 256 * 1024;
/** Pieces of a long string that are rewritten together. */
const piecesTogether = 64;
/** Strings and numbers kept until the end of a body whose strings make up texts together: some 100 bytes each. */
const maxWaiting = 500_000;
/** Structural strings that are remembered, and how long they may be. */
const mostClean = 64;
const longestClean = 64;

interface JsonMaskerOptions {
  readonly cancelled?: Cancelled;
  readonly encoded?: EncodedParts | undefined;
  readonly calls?: ToolCalls | undefined;
}

export class JsonMasker implements BodyMasker {
  readonly findings: ReadonlyMap<string, number>;
  private readonly rules: RuleNode;
  private readonly masks: Findings | undefined;
  private readonly maxBytes: number;
  private readonly cancelled: Cancelled | undefined;
  private readonly encoded: EncodedParts | undefined;
  private readonly calls: ToolCalls | undefined;
  private readonly usages = new UsageReader();
  /** The first chunk; the body, where it comes in one. */
  private first: Buffer = nothing;
  private readonly body = new GrowingBuffer();

  /** `masks` undefined: the body is read strictly and passed as it is. */
  constructor(rules: RuleNode, masks: Findings | undefined, maxBytes: number, options: JsonMaskerOptions = {}) {
    this.rules = rules;
    this.masks = masks;
    this.findings = masks?.counts ?? new Map();
    this.maxBytes = maxBytes;
    this.cancelled = options.cancelled;
    this.encoded = options.encoded;
    this.calls = options.calls;
  }

  get usage() {
    return this.usages.usage;
  }

  push(chunk: Uint8Array): Released {
    if (this.first.length + this.body.length + chunk.length > this.maxBytes)
      throw new UnreadableBody(`a JSON body is longer than ${this.maxBytes} bytes`);
    if (this.first.length + this.body.length === 0)
      this.first = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    else {
      this.body.append(this.first);
      this.first = nothing;
      this.body.append(chunk);
    }
    return { bytes: nothing, terminal: false };
  }

  end(): Released | Promise<Released> {
    return paced(this.rewrite(), this.cancelled);
  }

  salvage(): Buffer {
    return nothing;
  }

  closing({ json }: ClosingError, begun: boolean): Buffer | undefined {
    return begun ? undefined : Buffer.from(json);
  }

  private *rewrite(): Work<Released> {
    const body = this.first.length > 0 ? this.first : this.body.view();
    if (body.length === 0) return { bytes: nothing, terminal: true };
    const text = yield* decodeUtf8(body);
    if (text === undefined) throw new UnreadableBody('the body is not valid UTF-8');
    const { masks } = this;
    const reader = new TextReader(this.rules, masks && ((name) => maskedName(masks, this.encoded, name)));
    const lexer = new JsonLexer(text, reader, { maxValues });
    reader.lexer = lexer;
    const output = new Output(text);
    const clean = new Set<string>();
    const texts = masks && new JoinedTexts(masks);
    for (;;) {
      const state = lexer.run(lexSlice);
      if (state === 'failed') throw new UnreadableBody(`the body is not strict JSON: ${lexer.problem!.reason}`);
      // What a string becomes may depend on all that follow: then the texts wait for the end of the body.
      if (!reader.joins || masks === undefined || state === 'done') {
        const candidates = reader.candidates;
        reader.candidates = [];
        if (masks !== undefined) yield* applyMasks(masks, this.encoded, candidates, clean, texts!, output);
      } else if (reader.candidates.length > maxWaiting)
        throw new UnreadableBody(`more than ${maxWaiting} strings and numbers beside texts in several strings`);
      if (state === 'done') break;
      yield;
    }
    yield* this.usages.see(reader);
    if (this.calls !== undefined) yield* this.calls.body(text);
    return { bytes: output.changed ? yield* output.finish() : body, terminal: true };
  }
}

/** `clean`: short structural strings in which nothing was found; roles and types are in every message. */
function* applyMasks(
  masks: Findings,
  encoded: EncodedParts | undefined,
  candidates: readonly Candidate[],
  clean: Set<string>,
  texts: JoinedTexts,
  output: Output,
): Work<void> {
  let count = 0;
  for (const candidate of candidates) {
    if (isJoined(candidate)) yield* texts.add(candidate);
    if (++count % 1024 === 0) yield;
  }
  yield* texts.end();
  for (const candidate of candidates) {
    if (candidate.kind === 'drop') candidate.becomes = 'null';
    else if (yield* isLeftAlone(candidate, encoded)) continue;
    else if (isJoined(candidate)) {
      // Settled already.
    } else if (candidate.pieces !== undefined) {
      const isJson = candidate.treatment === 'json';
      const before = nameBefore(candidate);
      const pieces = yield* maskedDecodedPieces(masks, encoded, candidate.pieces, isJson, before);
      if (pieces !== undefined) yield* output.replaceString(candidate.start, candidate.end, pieces);
    } else if (candidate.kind !== 'name' && !(isShortStructural(candidate) && clean.has(candidate.text))) {
      const isJson = candidate.treatment === 'json';
      settle(candidate, yield* maskedDecoded(masks, encoded, candidate.text, isJson, nameBefore(candidate)));
      if (candidate.becomes === undefined && isShortStructural(candidate) && clean.size < mostClean)
        clean.add(candidate.text);
    }
    if (candidate.becomes !== undefined) yield* output.replace(candidate.start, candidate.end, candidate.becomes);
    if (++count % 32 === 0) yield;
  }
}

/** Of a request, of which encoded parts are read, only what is no text; of an answer, all that has the form of media. */
function isLeftAlone({ treatment, text }: Candidate, encoded: EncodedParts | undefined): Work<boolean> {
  return encoded === undefined ? isMedia(treatment, text) : isUnread(treatment, text);
}

function isShortStructural({ treatment, text }: Candidate): boolean {
  return isStructural(treatment) && text.length <= longestClean;
}

/** The rewritten text, encoded as it grows. */
class Output {
  private readonly text: string;
  private readonly parts: Buffer[] = [];
  private out = '';
  private copied = 0;

  constructor(text: string) {
    this.text = text;
  }

  get changed(): boolean {
    return this.copied > 0;
  }

  *replace(start: number, end: number, becomes: string): Work<void> {
    yield* this.copy(start);
    this.out += becomes;
    this.copied = end;
  }

  /** A string, whose new text comes in pieces. */
  *replaceString(start: number, end: number, pieces: readonly string[]): Work<void> {
    yield* this.copy(start);
    this.out += '"';
    for (let at = 0; at < pieces.length; at += piecesTogether) {
      this.out += jsonInside(pieces.slice(at, at + piecesTogether).join(''));
      if (this.out.length >= encodeSlice) this.encode();
      yield;
    }
    this.out += '"';
    this.copied = end;
  }

  *finish(): Work<Buffer> {
    yield* this.copy(this.text.length);
    this.encode();
    return yield* joined(this.parts);
  }

  private *copy(to: number): Work<void> {
    for (let from = this.copied; from < to; ) {
      const next = Math.min(to, wholeEnd(this.text, from + encodeSlice));
      this.out += this.text.slice(from, next);
      from = next;
      if (this.out.length < encodeSlice) continue;
      this.encode();
      yield;
    }
  }

  private encode(): void {
    this.parts.push(Buffer.from(this.out));
    this.out = '';
  }
}
