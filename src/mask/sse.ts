/** Masks a stream of server-sent events. What comes out is whole events, in their order and their framing. */
import type { Format } from '../exchange/format.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { SseFraming, type SseLine, sseData, sseEventEnd, sseLines, sseText, withSseData } from '../exchange/sse.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { maskedText } from './channel.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { EventMasker, longEvent, type MaskedEvent } from './event.ts';
import type { Findings } from './findings.ts';
import { Shapes } from './shapes.ts';
import { UsageReader } from './usage.ts';

/** Characters read on the short way before the event loop may be due. */
const shortWay = 8 * 1024;
const nothing = Buffer.alloc(0);
const LF = 0x0a;

export class SseMasker implements BodyMasker {
  readonly findings: ReadonlyMap<string, number>;
  private readonly format: Format;
  private readonly masks: Findings | undefined;
  private readonly events: EventMasker;
  private readonly usages = new UsageReader();
  private readonly framing: SseFraming;
  private readonly shapes = new Shapes();
  private begun = false;
  /** The terminal event is out: whatever follows is dropped. */
  private done = false;
  /** The terminal event ended with a CR, so that a LF may belong to it. */
  private openCr = false;
  /** Line end of the stream, as seen last. */
  private eol = '\n';
  // The region in progress: complete events, what is read of them, what is copied, and what became of that.
  private text = '';
  private at = 0;
  private copied = 0;
  private out = '';

  /** `masks` undefined: events are read strictly and passed as they are. */
  constructor(format: Format, masks: Findings | undefined, maxEventBytes: number, calls?: ToolCalls) {
    this.format = format;
    this.masks = masks;
    this.findings = masks?.counts ?? new Map();
    this.events = new EventMasker(format, masks, this.usages, calls);
    this.framing = new SseFraming(maxEventBytes);
  }

  get usage() {
    return this.usages.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    if (this.done) return this.afterTerminal(chunk);
    const region = this.framing.push(chunk);
    if (region.length === 0) return { bytes: nothing, terminal: false };
    this.begin(region);
    this.takeKnownShapes();
    if (this.at === this.text.length) return this.release(region);
    return paced(this.takeAll(region));
  }

  end(): Released | Promise<Released> {
    if (this.done) return { bytes: nothing, terminal: false };
    const region = this.framing.end();
    this.done = true;
    this.begin(region);
    return paced(this.takeLast(region));
  }

  salvage(): Buffer {
    const read = this.out + this.text.slice(this.copied, this.at);
    this.done = true;
    return Buffer.from(read + this.carried(this.events.end(), 'data: '));
  }

  closing({ json }: ClosingError): Buffer {
    const { eol } = this;
    return Buffer.from(`${this.eventLine(json)}data: ${json}${eol}${eol}`);
  }

  private afterTerminal(chunk: Uint8Array): Released {
    const bytes = this.openCr && chunk[0] === LF ? Buffer.from('\n') : nothing;
    if (chunk.length > 0) this.openCr = false;
    return { bytes, terminal: false };
  }

  private begin(region: Buffer): void {
    this.text = sseText(region);
    this.at = 0;
    this.copied = 0;
    this.out = '';
    // A byte order mark at the very beginning is not part of the first line.
    if (!this.begun && this.text.startsWith('\ufeff')) this.at = 1;
    this.begun ||= this.text !== '';
  }

  private release(region: Buffer): Released {
    const { text, at, copied, done } = this;
    const bytes = copied === 0 && at === text.length ? region : Buffer.from(this.out + text.slice(copied, at));
    this.text = '';
    this.out = '';
    return { bytes, terminal: done };
  }

  private takeKnownShapes(): void {
    const { shapes, text } = this;
    const until = Math.min(text.length, this.at + shortWay);
    while (this.at < until && shapes.hit(text, this.at)) {
      this.usages.seeText(shapes.bytes);
      if (shapes.becomes !== undefined) this.replace(shapes.start, shapes.end, shapes.becomes);
      this.at = shapes.next;
    }
  }

  private replace(start: number, end: number, text: string): void {
    this.out += this.text.slice(this.copied, start) + text;
    this.copied = end;
  }

  private *takeAll(region: Buffer): Work<Released> {
    while (this.at < this.text.length && !this.done) {
      const { at } = this;
      const end = sseEventEnd(this.text, at);
      if (end - at > longEvent) yield 'long';
      yield* this.takeEvent(this.text.slice(at, end), false);
      this.at = end;
      if (!this.done) this.takeKnownShapes();
      if (this.at < this.text.length) yield;
    }
    this.openCr = this.done && this.at === this.text.length && this.text.endsWith('\r');
    if (this.text.length > longEvent) yield 'long';
    return this.release(region);
  }

  /** The end of the body: an event without its blank line, if there is one, and all that is still held. */
  private *takeLast(region: Buffer): Work<Released> {
    if (this.at < this.text.length) {
      yield* this.takeEvent(this.text.slice(this.at), true);
      this.at = this.text.length;
    }
    this.out += this.text.slice(this.copied) + this.carried(this.events.end(), 'data: ');
    this.copied = this.text.length;
    return this.out === '' ? { bytes: region, terminal: true } : { bytes: Buffer.from(this.out), terminal: true };
  }

  /** Masks the event at `at`. `final`: nothing comes after it. */
  private *takeEvent(event: string, final: boolean): Work<void> {
    if (event.length > longEvent) yield 'long';
    const lines = yield* this.maskLines(sseLines(event));
    if (event.length > longEvent) yield 'long';
    // A blank line by itself may be the LF of a CRLF that the transport cut.
    if (lines[0] !== undefined && lines[0].field !== 'blank') this.eol = lines[0].eol || this.eol;
    const data = sseData(lines);
    const masked = yield* this.takeData(data ?? '', final);
    if (event.length > longEvent) yield 'long';
    const lineTexts = lines.map(bytesOf).join('');
    const became = masked.json === (data ?? '') ? lineTexts : withSseData(lines, masked.json);
    const place = lines.findIndex((line) => line.field === 'data');
    const before = this.carried(masked.carriers, lines[place]?.prefix ?? 'data: ');
    if (event.length > longEvent) yield 'long';
    if (before !== '' || became !== event) this.replace(this.at, this.at + event.length, before + became);
    if (masked.only === undefined || lineTexts !== event || lines[place]!.text !== data) return;
    const from = lines.slice(0, place).map(bytesOf).join('').length + lines[place]!.prefix.length;
    this.shapes.learn(event, from + masked.only.start, from + masked.only.end, masked.only.channel);
  }

  private *takeData(data: string, final: boolean): Work<MaskedEvent> {
    if (this.format.isTerminal(data)) {
      this.done = true;
      return { json: data, carriers: this.events.end(), terminal: true, only: undefined };
    }
    if (looksLikeJson.test(data)) {
      const masked = yield* this.events.mask(data, final);
      this.done ||= masked.terminal;
      return masked;
    }
    // Not JSON: a text of its own.
    const text = data === '' ? data : inAsManyLines(data, yield* this.events.maskOutside('data', data));
    return { json: text, carriers: final ? this.events.end() : [], terminal: false, only: undefined };
  }

  /** Comments, event names and ids are texts too. A line that is none of them could be anything: it is refused. */
  private *maskLines(lines: SseLine[]): Work<SseLine[]> {
    for (const [i, line] of lines.entries()) {
      if (line.field === 'unknown') throw new UnreadableBody('a line that is no field of an event stream');
      if (line.field === 'data' || line.text === '' || this.masks === undefined) continue;
      lines[i] = { ...line, text: inAsManyLines(line.text, yield* maskedText(this.masks, line.text, false)) };
    }
    return lines;
  }

  private carried(carriers: readonly string[], prefix: string): string {
    const { eol } = this;
    return carriers.map((json) => this.eventLine(json) + prefix + json + eol + eol).join('');
  }

  /** Some SDKs read the event's name, and not the data's type; they are the same. */
  private eventLine(json: string): string {
    if (this.format.namedEvents !== true) return '';
    const { type } = JSON.parse(json) as { type?: unknown };
    return typeof type === 'string' && eventName.test(type) ? `event: ${type}${this.eol}` : '';
  }
}

/** A value that is put back outside of JSON must not end the line that it is in: there its token stays. */
function inAsManyLines(text: string, became: string): string {
  return countLines(became) > countLines(text) ? text : became;
}
const countLines = (text: string): number => text.split(/[\r\n]/).length;

/** Whoever parses JSON leniently would skip such white space, so what follows must be strict JSON. */
const looksLikeJson = /^\s*["[{]/;

const eventName = /^[\w.-]{1,128}$/;

function bytesOf(line: SseLine): string {
  return line.prefix + line.text + line.eol;
}
