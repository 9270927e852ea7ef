/**
 * Masks a JSON body that may be a stream: an array whose items are what events are else (Gemini without `alt=sse`). Each item
 * leaves when it is complete; a body that is no array is masked whole. Commas leave with the item behind them, so that the
 * array can be closed after any item.
 */
import type { Format } from '../exchange/format.ts';
import { GrowingBuffer } from '../exchange/growing-buffer.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { sseText } from '../exchange/sse.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { EventMasker } from './event.ts';
import type { Findings } from './findings.ts';
import type { JsonMasker } from './json.ts';
import { UsageReader } from './usage.ts';

/** Most characters between two items. */
const maxSpace = 64 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
/** `{` and `[`, `}` and `]`. */
const isOpening = (byte: number): boolean => byte === 0x7b || byte === OPEN;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === CLOSE;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

type State =
  /** Nothing but white space so far. */
  | 'undecided'
  | 'whole'
  /** Before the first item, which may not be there; between items; before an item that has to come. */
  | 'first'
  | 'between'
  | 'next'
  | 'item'
  | 'after';

export class JsonArrayMasker implements BodyMasker {
  private readonly json: JsonMasker;
  private readonly masks: Findings | undefined;
  private readonly events: EventMasker;
  private readonly usages = new UsageReader();
  private readonly maxItemBytes: number;
  private state: State = 'undecided';
  /** White space, brackets and commas that leave with the next item. */
  private before = '';
  /** The item in progress, how deep it is open, and whether in a string, behind a backslash. */
  private readonly item = new GrowingBuffer();
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** What became of the items of the chunk in work. */
  private out = '';

  /** `json`: for a body that is no array; of the same findings. */
  constructor(
    format: Format,
    masks: Findings | undefined,
    json: JsonMasker,
    { maxItemBytes, calls }: { readonly maxItemBytes: number; readonly calls?: ToolCalls | undefined },
  ) {
    this.json = json;
    this.masks = masks;
    this.events = new EventMasker(format, masks, this.usages, calls);
    this.maxItemBytes = maxItemBytes;
  }

  get findings(): ReadonlyMap<string, number> {
    return this.masks?.counts ?? this.json.findings;
  }

  get usage() {
    return this.state === 'whole' ? this.json.usage : this.usages.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    if (this.state === 'undecided') return this.decide(chunk);
    return this.state === 'whole' ? this.json.push(chunk) : paced(this.take(chunk));
  }

  end(): Released | Promise<Released> {
    if (this.state === 'whole' || this.state === 'undecided') return this.json.end();
    if (this.state !== 'after')
      throw new UnreadableBody('the body is not strict JSON: the text ends before the value does');
    return { bytes: Buffer.from(this.before), terminal: true };
  }

  salvage(): Buffer | Promise<Buffer> {
    if (this.state === 'whole' || this.state === 'undecided') return this.json.salvage();
    return Buffer.from(this.out + this.held());
  }

  closing(error: ClosingError, begun: boolean): Buffer | undefined {
    if (this.state === 'whole' || this.state === 'undecided') return this.json.closing(error, begun);
    return Buffer.from(begun ? `,\n${error.json}]` : `[${error.json}]`);
  }

  /** Until something but white space has come, both maskers are as they were. */
  private decide(chunk: Uint8Array): Released | Promise<Released> {
    const first = chunk.findIndex((byte) => !isSpace(byte));
    if (chunk[first] !== OPEN) {
      if (first >= 0) this.state = 'whole';
      this.before += Buffer.from(chunk).toString('latin1');
      return this.json.push(chunk);
    }
    this.state = 'first';
    this.before += Buffer.from(chunk.subarray(0, first + 1)).toString('latin1');
    return paced(this.take(chunk.subarray(first + 1)));
  }

  private *take(chunk: Uint8Array): Work<Released> {
    this.out = '';
    for (let at = 0; at < chunk.length; ) {
      if (this.state !== 'item' && this.outside(chunk[at]!)) at++;
      else at = yield* this.inItem(chunk, at);
    }
    const { out } = this;
    this.out = '';
    return { bytes: Buffer.from(out), terminal: false };
  }

  /** Takes a byte outside of items. False: an item begins with it. */
  private outside(byte: number): boolean {
    const { state } = this;
    if (byte === COMMA && state === 'between') this.state = 'next';
    else if (byte === CLOSE && (state === 'first' || state === 'between')) {
      this.out += this.held();
      this.state = 'after';
    } else if (!isSpace(byte)) {
      if (state !== 'first' && state !== 'next')
        throw new UnreadableBody('the body is not strict JSON: something stands between the items of an array');
      this.state = 'item';
      return false;
    }
    this.before += String.fromCharCode(byte);
    if (this.before.length > maxSpace) throw new UnreadableBody('too much white space between the items of an array');
    return true;
  }

  /** Reads on in an item; where the byte behind is. */
  private *inItem(chunk: Uint8Array, from: number): Work<number> {
    const end = this.itemEnd(chunk, from);
    this.item.append(chunk.subarray(from, end));
    if (this.item.length > this.maxItemBytes)
      throw new UnreadableBody(`an item of an array is longer than ${this.maxItemBytes} bytes`);
    if (this.state === 'item') return end;
    const masked = yield* this.events.mask(sseText(this.item.take(this.item.length)));
    const carriers = masked.carriers.map((json) => `${json},\n`).join('');
    this.out += this.before + carriers + masked.json;
    this.before = '';
    return end;
  }

  private itemEnd(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.escaped) this.escaped = false;
      else if (this.inString) {
        if (byte === BACKSLASH) this.escaped = true;
        else if (byte === QUOTE) this.inString = false;
      } else if (byte === QUOTE) this.inString = true;
      else if (isOpening(byte)) this.depth++;
      else if (isClosing(byte) && --this.depth === 0) {
        this.state = 'between';
        return at + 1;
      } else if (this.depth === 0) throw new UnreadableBody('an item of an array is no object');
    }
    return chunk.length;
  }

  /** What all texts still held, as items behind the last one. */
  private held(): string {
    return this.events
      .end()
      .map((json) => `,\n${json}`)
      .join('');
  }
}
