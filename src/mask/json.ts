/**
 * Masks a body that is one JSON text: kept until its end, then rewritten token by token; the rest stays byte for byte. Where
 * it may flow, what is too long to be kept is masked as it comes (json-flow.ts).
 */

import { GrowingBuffer } from '../exchange/growing-buffer.ts';
import { lexSlice } from '../exchange/json.ts';
import { JsonLexer } from '../exchange/json-lexer.ts';
import { type Cancelled, paced, type Work } from '../exchange/pace.ts';
import type { RuleNode } from '../exchange/text-rules.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { decodeUtf8 } from '../exchange/utf8.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import type { EncodedParts } from './encoded.ts';
import { maxValues } from './event.ts';
import type { Findings } from './findings.ts';
import { isJoined, JoinedTexts } from './joined-texts.ts';
import { FlowingJson } from './json-flow.ts';
import { JsonValues } from './json-values.ts';
import { Rewritten } from './rewritten.ts';
import { type Candidate, TextReader } from './text-reader.ts';
import { UsageReader } from './usage.ts';

const nothing = Buffer.alloc(0);
/** Strings and numbers kept until the end of a body whose strings make up texts together: some 100 bytes each. */
const maxWaiting = 500_000;

/**
 * Whether the JSON bodies of one answer leave as they come: begun by the first masker to which one is too long, and then
 * true for those behind it (the record), which must not keep what has left already.
 */
export interface Flow {
  begun: boolean;
  /** Longest string that is kept whole, characters; 32 Ki by default. */
  readonly maxString?: number;
}

interface JsonMaskerOptions {
  readonly cancelled?: Cancelled;
  readonly encoded?: EncodedParts | undefined;
  readonly calls?: ToolCalls | undefined;
  /** What is longer than `maxBytes` is masked as it comes; undefined: it is refused. */
  readonly flow?: Flow | undefined;
}

export class JsonMasker implements BodyMasker {
  readonly findings: ReadonlyMap<string, number>;
  private readonly rules: RuleNode;
  private readonly masks: Findings | undefined;
  private readonly maxBytes: number;
  private readonly cancelled: Cancelled | undefined;
  private readonly encoded: EncodedParts | undefined;
  private readonly calls: ToolCalls | undefined;
  private readonly flow: Flow | undefined;
  private flowing: FlowingJson | undefined;
  private readonly usages = new UsageReader();
  /** The first chunk; the body, where it comes in one. */
  private first: Buffer = nothing;
  private body = new GrowingBuffer();

  /** `masks` undefined: the body is read strictly and passed as it is. */
  constructor(rules: RuleNode, masks: Findings | undefined, maxBytes: number, options: JsonMaskerOptions = {}) {
    this.rules = rules;
    this.masks = masks;
    this.findings = masks?.counts ?? new Map();
    this.maxBytes = maxBytes;
    this.cancelled = options.cancelled;
    this.encoded = options.encoded;
    this.calls = options.calls;
    this.flow = options.flow;
  }

  get usage() {
    return this.usages.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    if (this.flowing !== undefined) return this.flowing.push(chunk);
    const isLong = this.first.length + this.body.length + chunk.length > this.maxBytes;
    if (this.flow !== undefined && (isLong || (this.flow.begun && chunk.length > 0)))
      return this.begin(this.flow, chunk);
    if (isLong) throw new UnreadableBody(`a JSON body is longer than ${this.maxBytes} bytes`);
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
    if (this.flowing !== undefined) return this.flowing.end();
    return paced(this.rewrite(), this.cancelled);
  }

  salvage(): Buffer {
    return this.flowing?.salvage() ?? nothing;
  }

  closing(error: ClosingError, begun: boolean): Buffer | undefined {
    if (!begun) return Buffer.from(error.json);
    return this.flowing?.closing(error);
  }

  /** From here on the body flows, beginning with what was kept of it. */
  private begin(flow: Flow, chunk: Uint8Array): Released | Promise<Released> {
    // A call is asked about before a byte of it leaves, and where calls are is known at the end of the body alone.
    if (this.calls?.enforced)
      throw new UnreadableBody(`rules ask about the tool calls of a JSON body longer than ${this.maxBytes} bytes`);
    flow.begun = true;
    this.flowing = new FlowingJson(this.rules, this.masks, this.usages, flow.maxString);
    const kept = [this.first, this.body.view(), chunk];
    this.first = nothing;
    this.body = new GrowingBuffer();
    return this.flowing.push(...kept);
  }

  private *rewrite(): Work<Released> {
    const body = this.first.length > 0 ? this.first : this.body.view();
    if (body.length === 0) return { bytes: nothing, terminal: true };
    const text = yield* decodeUtf8(body);
    if (text === undefined) throw new UnreadableBody('the body is not valid UTF-8');
    const { masks } = this;
    const values = masks && new JsonValues(masks, this.encoded);
    const reader = new TextReader(this.rules, values?.name);
    const lexer = new JsonLexer(text, reader, { maxValues });
    reader.lexer = lexer;
    const output = new Rewritten(text);
    const texts = masks && new JoinedTexts(masks);
    for (;;) {
      const state = lexer.run(lexSlice);
      if (state === 'failed') throw new UnreadableBody(`the body is not strict JSON: ${lexer.problem!.reason}`);
      // What a string becomes may depend on all that follow: then the texts wait for the end of the body.
      if (!reader.joins || values === undefined || state === 'done') {
        const candidates = reader.candidates;
        reader.candidates = [];
        if (values !== undefined) yield* applyMasks(values, candidates, texts!, output);
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

function* applyMasks(
  values: JsonValues,
  candidates: readonly Candidate[],
  texts: JoinedTexts,
  output: Rewritten,
): Work<void> {
  let count = 0;
  for (const candidate of candidates) {
    if (isJoined(candidate)) yield* texts.add(candidate);
    if (++count % 1024 === 0) yield;
  }
  yield* texts.end();
  for (const candidate of candidates) {
    if (candidate.kind === 'drop') candidate.becomes = 'null';
    else if (yield* values.isLeftAlone(candidate)) continue;
    else if (!isJoined(candidate)) yield* values.mask(candidate, output);
    if (candidate.becomes !== undefined) yield* output.replace(candidate.start, candidate.end, candidate.becomes);
    if (++count % 32 === 0) yield;
  }
}
