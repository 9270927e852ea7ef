/** What of one response has been released to Envoy: into the journal before it goes, and summed up for the session's end. */
import { recordText } from '../checkpoint/content.ts';
import type { Framing } from '../exchange/media.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import type { BodyMasker, Released } from '../mask/contract.ts';
import type { Recorder } from '../record/events.ts';
import type { Ending } from './sessions.ts';

const NO_FINDINGS: ReadonlyMap<string, number> = new Map();

export class Delivered {
  /** Bytes released so far. */
  bytes = 0;
  private chunks = 0;
  private seq = 0;
  private firstByteAtMs: number | undefined;
  /** Of what was found and masked: as it was when the last piece left. */
  private foundWithIt: ReadonlyMap<string, number> = NO_FINDINGS;
  private maskedWithIt: ReadonlyMap<string, number> = NO_FINDINGS;
  private countWithIt = 0;
  private withheldBytes = 0;
  private withheldEvents = 0;
  private readonly session: string;
  private readonly startedAtMs: number;
  private readonly body: ResponseBody | undefined;
  private readonly recorder: Recorder;
  private readonly nowMs: () => number;

  constructor(
    session: { readonly session: string; readonly issuedAtMs: number },
    body: ResponseBody | undefined,
    recorder: Recorder,
    nowMs: () => number,
  ) {
    this.session = session.session;
    this.startedAtMs = session.issuedAtMs;
    this.body = body;
    this.recorder = recorder;
    this.nowMs = nowMs;
  }

  /** Detector id → count masked in what was delivered. */
  get masked(): ReadonlyMap<string, number> {
    return this.body?.delivery.findings ?? NO_FINDINGS;
  }

  /** Detector id → count found so far, masked or not. */
  get found(): ReadonlyMap<string, number> {
    const record = this.body?.record;
    return record === undefined ? this.masked : addCounts(this.masked, record.findings);
  }

  /** All of them. */
  get foundCount(): number {
    let count = 0;
    for (const one of this.masked.values()) count += one;
    if (this.body?.record !== undefined) for (const one of this.body.record.findings.values()) count += one;
    return count;
  }

  get outputTokens(): number | undefined {
    return this.body?.delivery.usage.outputTokens;
  }

  /** What the record keeps of a piece that is about to leave: masked with the record's own detectors where that was not. */
  look(delivered: Buffer, last: boolean): Buffer | Promise<Buffer> {
    const second = this.body?.record;
    if (second === undefined) return delivered;
    const masked = second.push(delivered);
    return masked instanceof Promise || last ? lookSlowly(second, masked, last) : masked.bytes;
  }

  /** Appends a piece that leaves to the journal, as it was looked at. */
  add(delivered: Buffer, kept: Buffer): Promise<void> | undefined {
    if (delivered.length > 0) this.firstByteAtMs ??= this.nowMs();
    this.bytes += delivered.length;
    const count = this.foundCount;
    // Our own last words, after what was withheld, are no part of the answer.
    if (count !== this.countWithIt && this.withheldBytes === 0) {
      this.countWithIt = count;
      this.foundWithIt = new Map(this.found);
      this.maskedWithIt = new Map(this.masked);
    }
    return this.chunk(kept);
  }

  /** As `look`, for the last that leaves of an answer that is cut off: as much of it as can be read. */
  async lookAtLast(delivered: Buffer): Promise<Buffer> {
    const second = this.body?.record;
    if (second === undefined) return delivered;
    const looked: Buffer[] = [];
    try {
      looked.push((await second.push(delivered)).bytes);
      looked.push((await second.end()).bytes);
    } catch (error) {
      // A JSON body that left as it came is no JSON text now.
      if (error instanceof UnreadableBody) looked.push(await second.salvage());
    }
    return Buffer.concat(looked);
  }

  /** A piece that was read, and does not leave. */
  withhold(bytes: Buffer, framing: Framing): void {
    this.withheldBytes += bytes.length;
    this.withheldEvents += eventsIn(bytes, framing);
  }

  ending(how: Ending['how'], code: Ending['code'], status: number): Omit<Ending, 'detail'> {
    const { masked, found } = this;
    const usage = this.body?.delivery.usage;
    const restored = this.body?.restoring?.counts;
    const isWithheld = this.withheldBytes > 0;
    return {
      how,
      code,
      status,
      rules: [],
      found: Object.fromEntries(found),
      masked: Object.fromEntries(isWithheld ? this.maskedWithIt : masked),
      maskedRequest: {},
      ...(restored !== undefined && restored.size > 0 && { restored: Object.fromEntries(restored) }),
      inputTokens: usage?.inputTokens,
      outputTokens: usage?.outputTokens,
      textBytes: usage?.textBytes ?? 0,
      notSent: false,
      bytes: this.bytes,
      chunks: this.chunks,
      firstByteMs: this.firstByteAtMs === undefined ? undefined : this.firstByteAtMs - this.startedAtMs,
      withheld: isWithheld
        ? {
            bytes: this.withheldBytes,
            events: this.withheldEvents,
            findings: Object.fromEntries(without(found, this.foundWithIt)),
          }
        : undefined,
    };
  }

  private chunk(bytes: Buffer): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    const { session, recorder, seq } = this;
    this.chunks++;
    const next = recordText(recorder, { session, direction: 'response', seq, at: this.nowMs(), bytes });
    if (next instanceof Promise) return next.then((later) => this.recorded(later));
    this.recorded(next);
    return undefined;
  }

  private recorded(next: number): void {
    this.seq = next;
  }
}

/** Events or lines in a piece; 0 where the framing has none. */
function eventsIn(bytes: Buffer, framing: Framing): number {
  if (framing === 'sse') return bytes.toString('latin1').match(/(?:\r\n|\r|\n)(?:\r\n|\r|\n)/g)?.length ?? 0;
  return framing === 'ndjson' ? (bytes.toString('latin1').match(/\n/g)?.length ?? 0) : 0;
}

function without(all: ReadonlyMap<string, number>, some: ReadonlyMap<string, number>): Map<string, number> {
  const rest = new Map<string, number>();
  for (const [detector, count] of all) {
    const more = count - (some.get(detector) ?? 0);
    if (more > 0) rest.set(detector, more);
  }
  return rest;
}

async function lookSlowly(second: BodyMasker, masked: Released | Promise<Released>, last: boolean): Promise<Buffer> {
  const { bytes } = await masked;
  if (!last) return bytes;
  const rest = (await second.end()).bytes;
  if (bytes.length === 0) return rest;
  return rest.length === 0 ? bytes : Buffer.concat([bytes, rest]);
}

/** Delivery and record look at the same text, one after the other: what the record finds is what delivery left. */
function addCounts(delivered: ReadonlyMap<string, number>, recorded: ReadonlyMap<string, number>): Map<string, number> {
  const out = new Map(delivered);
  for (const [detector, count] of recorded) out.set(detector, (out.get(detector) ?? 0) + count);
  return out;
}
