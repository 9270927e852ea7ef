/** Masks a stream of JSON texts, one a line. */
import type { Format } from '../exchange/format.ts';
import { GrowingBuffer } from '../exchange/growing-buffer.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { sseText } from '../exchange/sse.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { EventMasker } from './event.ts';
import type { Findings } from './findings.ts';
import { UsageReader } from './usage.ts';

const nothing = Buffer.alloc(0);
const LF = 0x0a;

export class NdjsonMasker implements BodyMasker {
  readonly findings: ReadonlyMap<string, number>;
  private readonly events: EventMasker;
  private readonly usages = new UsageReader();
  private readonly maxLineBytes: number;
  private readonly pending = new GrowingBuffer();
  /** The terminal line is out: whatever follows is dropped. */
  private done = false;
  /** What became of the lines in work. */
  private out = '';

  /** `masks` undefined: lines are read strictly and passed as they are. */
  constructor(format: Format, masks: Findings | undefined, maxLineBytes: number, calls?: ToolCalls) {
    this.events = new EventMasker(format, masks, this.usages, calls);
    this.findings = masks?.counts ?? new Map();
    this.maxLineBytes = maxLineBytes;
  }

  get usage() {
    return this.usages.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    if (this.done) return { bytes: nothing, terminal: false };
    const complete = chunk.lastIndexOf(LF) + 1;
    const before = this.pending.length;
    this.pending.append(chunk);
    if (this.pending.length - (complete === 0 ? 0 : before + complete) > this.maxLineBytes) this.tooLong();
    return complete === 0
      ? { bytes: nothing, terminal: false }
      : paced(this.take(this.pending.take(before + complete), false));
  }

  end(): Released | Promise<Released> {
    if (this.done) return { bytes: nothing, terminal: false };
    return paced(this.take(this.pending.take(this.pending.length), true));
  }

  salvage(): Buffer {
    this.done = true;
    return Buffer.from(this.out + this.held());
  }

  closing({ json }: ClosingError): Buffer {
    return Buffer.from(`${json}\n`);
  }

  private *take(region: Buffer, final: boolean): Work<Released> {
    const text = sseText(region);
    this.out = '';
    for (let at = 0; at < text.length && !this.done; ) {
      const end = text.indexOf('\n', at) + 1 || text.length;
      const line = text.slice(at, end);
      at = end;
      if (Buffer.byteLength(line) > this.maxLineBytes) this.tooLong();
      if (line.trim() === '') this.out += line;
      else {
        const masked = yield* this.events.mask(line, final && at === text.length);
        this.out += masked.carriers.map((json) => `${json}\n`).join('') + masked.json;
        this.done = masked.terminal;
      }
      yield;
    }
    if (final) this.out += this.held();
    const { out } = this;
    this.out = '';
    return { bytes: out === text ? region : Buffer.from(out), terminal: final || this.done };
  }

  /** What all channels still held, in lines of its own. */
  private held(): string {
    return this.events
      .end()
      .map((json) => `${json}\n`)
      .join('');
  }

  private tooLong(): never {
    throw new UnreadableBody(`a line is longer than ${this.maxLineBytes} bytes`);
  }
}
