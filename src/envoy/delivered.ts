/** What of one response has been released to Envoy: into the journal before it goes, and summed up for the session's end. */
import { recordText } from '../checkpoint/content.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import type { Released } from '../mask/contract.ts';
import type { Recorder } from '../record/events.ts';
import type { Ending } from './sessions.ts';

const NO_FINDINGS: ReadonlyMap<string, number> = new Map();

export class Delivered {
  /** Bytes released so far. */
  bytes = 0;
  private chunks = 0;
  private seq = 0;
  private firstByteAtMs: number | undefined;
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

  /** Appends a piece to the journal, masked with the record's own detectors where the delivery was not. */
  add(delivered: Buffer, last: boolean): Promise<void> | undefined {
    const second = this.body?.record;
    if (delivered.length > 0) this.firstByteAtMs ??= this.nowMs();
    this.bytes += delivered.length;
    if (second === undefined) return this.chunk(delivered);
    const masked = second.push(delivered);
    if (masked instanceof Promise || last) return this.addSlowly(masked, last);
    return this.chunk(masked.bytes);
  }

  /** The end of a body that ended without a last chunk (trailers). */
  async finish(): Promise<void> {
    const second = this.body?.record;
    if (second !== undefined) await this.chunk((await second.end()).bytes);
  }

  ending(how: Ending['how'], code: Ending['code'], status: number): Omit<Ending, 'detail'> {
    const { masked } = this;
    const record = this.body?.record;
    const usage = this.body?.delivery.usage;
    return {
      how,
      code,
      status,
      rules: [],
      found: Object.fromEntries(record === undefined ? masked : addCounts(masked, record.findings)),
      masked: Object.fromEntries(masked),
      inputTokens: usage?.inputTokens,
      outputTokens: usage?.outputTokens,
      characters: usage?.characters ?? 0,
      bytes: this.bytes,
      chunks: this.chunks,
      firstByteMs: this.firstByteAtMs === undefined ? undefined : this.firstByteAtMs - this.startedAtMs,
    };
  }

  private async addSlowly(masked: Released | Promise<Released>, last: boolean): Promise<void> {
    await this.chunk((await masked).bytes);
    if (last) await this.finish();
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

/** Delivery and record look at the same text, one after the other: what the record finds is what delivery left. */
function addCounts(delivered: ReadonlyMap<string, number>, recorded: ReadonlyMap<string, number>): Map<string, number> {
  const out = new Map(delivered);
  for (const [detector, count] of recorded) out.set(detector, (out.get(detector) ?? 0) + count);
  return out;
}
