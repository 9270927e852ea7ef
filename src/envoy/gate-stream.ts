/** One ext_proc stream: what is known of it, and the ways in which it ends. The phases (…-phase.ts) work on it. */
import type { Plan, RefuseStage, Watched } from '../checkpoint/stages.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import { streamRefusal } from '../exchange/refusal.ts';
import { TooLongCall } from '../exchange/tool-calls.ts';
import { upgradeOf } from '../exchange/transport.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import { Delivered } from './delivered.ts';
import { encodeResponseBody } from './encode.ts';
import { type GrpcCall, type GrpcMessage, grpcStatus } from './grpc.ts';
import type { PlanRefusal } from './plan.ts';
import type { ProcOptions } from './proc-options.ts';
import type { RequestMasking } from './request-masking.ts';
import type { ResponseHead } from './response.ts';
import type { ResponseRules, Stop } from './response-rules.ts';
import { encodeImmediate } from './services.ts';
import { type Ending, NOTHING_DELIVERED } from './sessions.ts';
import { codeOf, headOf, joined, reasonOf } from './stream-reading.ts';
import type { ProcessingRequest } from './wire.ts';

type Phase =
  | 'start'
  | 'request'
  | 'response'
  | 'local_reply'
  /** The client has got the end of the answer; what the model still says is swallowed. */
  | 'ended'
  | 'over';

/**
 * How long a model may go on after the client has got the end of its answer, milliseconds. SDKs hang up at an error, which
 * ends the model's stream; of a client that does not, the connection is broken off then.
 */
const SWALLOW_MS = 10_000;

const NOTHING = Buffer.alloc(0);

/** Why an answer ends in the middle. */
interface CutOff {
  readonly how: 'stopped' | 'response_refused' | 'gate_failed';
  readonly code: ErrorCode;
  readonly detail: string;
  /** Words for the caller, where the error's own are not enough. */
  readonly message?: string;
  /** Whether what was read well before leaves; what a rule stopped does not. */
  readonly salvage: boolean;
}

/** What is told of a plan that its stream cannot keep. */
const UNKEPT = {
  unwatched: 'Rules watch the response, and the gateway process that has its stream does not know them.',
  unmasked: 'The model answered a request that was to be masked, and was not.',
  other_cluster: 'The request went to another cluster than the one it was let through to.',
};

export class GateStream {
  phase: Phase = 'start';
  plan: Plan | undefined;
  head: ResponseHead | undefined;
  body: ResponseBody | undefined;
  watched: Watched | undefined;
  /** Where rules watch the response. */
  rules: ResponseRules | undefined;
  /** Where the request is masked. */
  masking: RequestMasking | undefined;
  delivered: Delivered | undefined;
  /** The terminal event, or the end of the body, has been handed to the record. */
  terminal = false;
  /** The chunk of the response's body whose answer is due, or was last; not its bytes, which would stay in memory. */
  chunk: { readonly bytes: number; readonly endOfStream: boolean } | undefined;
  /** Envoy has sent the response's headers on: an answer of ours cannot take their place any more. */
  headersGone = false;
  /** What is masked of the chunk in work and has not been released, should the rest of it fail. */
  unsent: Buffer = NOTHING;
  /** What waits for a tool call to be complete. */
  private held: Buffer[] = [];
  heldBytes = 0;
  private swallowing: NodeJS.Timeout | undefined;
  readonly call: GrpcCall;
  readonly options: ProcOptions;

  constructor(call: GrpcCall, options: ProcOptions) {
    this.call = call;
    this.options = options;
  }

  pass(answer: Buffer): undefined {
    this.call.send(answer);
    return undefined;
  }

  write(answer: GrpcMessage): void {
    if (this.phase !== 'over') this.call.send(answer);
  }

  /** The session is complete, and all of it is on the disk, what was done after the yes as well. */
  async afterDurable(answer: GrpcMessage): Promise<void> {
    const pending = this.plan === undefined ? undefined : this.options.pending(this.plan.session);
    if (pending !== undefined) await pending;
    if (!this.terminal && this.phase !== 'over') this.conclude('complete', '');
    await this.options.recorder.durable();
    this.write(answer);
  }

  /** A plan that is good, on a stream that cannot keep it: the session ends here. */
  refuseOpened(why: keyof typeof UNKEPT, plan: Plan): Promise<void> {
    this.options.observe.planRefused(why);
    return this.refuseResponse('plan_invalid', plan, 'gate_failed', `plan ${why}`, UNKEPT[why]);
  }

  /** Envoy asks no ext_authz about a request without a route, such as CONNECT: it has no plan either. */
  refusePlan(why: PlanRefusal, message: ProcessingRequest): undefined {
    const { options } = this;
    const request = headOf(message);
    const upgrade = why === 'missing' ? upgradeOf(request) : undefined;
    if (upgrade === undefined) options.observe.planRefused(why);
    const code = upgrade === undefined ? 'plan_invalid' : 'upgrade_refused';
    const session = options.newSession();
    const answer = options.refuse({ code, session });
    options.record({ session, code, status: answer.status, detail: upgrade ?? `plan ${why}`, request });
    this.phase = 'over';
    this.writeImmediate(answer);
    return undefined;
  }

  refuseResponse(
    code: ErrorCode,
    plan: Plan,
    how: Ending['how'] = 'response_refused',
    detail = '',
    message?: string,
  ): Promise<void> {
    const { session, format, rpcId } = plan;
    const answer = this.options.refuse({ code, session, format, rpcId, ...(message === undefined ? {} : { message }) });
    const ending = this.delivered?.ending(how, code, answer.status) ?? NOTHING_DELIVERED;
    this.options.sessions.end(session, this.ending({ ...ending, how, code, detail, status: answer.status }));
    this.phase = 'over';
    return this.options.recorder.durable().then(
      () => this.writeImmediate(answer),
      () => this.writeImmediate(this.options.refuse({ code: 'record_unavailable', session, format, rpcId })),
    );
  }

  /** A rule on the response says that nothing more may leave; `withheld` does not. What was answered before is written first. */
  stop({ by, message }: Stop, plan: Plan, withheld: Buffer = NOTHING): Promise<void> {
    const code = 'response_stopped';
    this.withhold(joined(this.takeHeld(), withheld));
    if (this.headersGone) return this.cutOff({ how: 'stopped', code, detail: by, message, salvage: false });
    this.options.observe.ended('stopped', plan.cluster);
    return this.refuseResponse(code, plan, 'stopped', by, message);
  }

  /** Envoy closed the stream. Before the end, that means that the client or the model has gone. */
  left(): void {
    clearTimeout(this.swallowing);
    if (this.phase === 'over') return;
    const live = this.plan !== undefined && !this.terminal && this.phase !== 'local_reply';
    this.phase = 'over';
    if (!live) return;
    try {
      this.conclude('interrupted', '');
    } catch (error) {
      this.options.observe.failed(this.plan?.session, codeOf(error), error);
    }
  }

  /**
   * Nothing more leaves. While the client has seen no header, an immediate response says why; after that an error in the
   * answer itself does, where it has a place for one and the journal can be written. Else the stream ends non-OK, which
   * resets the client's.
   */
  fail(code: ErrorCode, error: unknown): Promise<void> | undefined {
    if (this.phase === 'over' || this.phase === 'ended') return undefined;
    if (error instanceof TooLongCall && this.plan !== undefined)
      return this.stop({ by: 'tool_calls_too_long', message: error.message }, this.plan, this.takeHeld());
    this.options.observe.failed(this.plan?.session, code, error);
    const how = code === 'response_unreadable' ? 'response_refused' : 'gate_failed';
    const detail = reasonOf(code, error);
    if (this.headersGone && !this.terminal && code !== 'record_unavailable')
      return this.cutOff({ how, code, detail, salvage: error instanceof UnreadableBody });
    try {
      if (!this.terminal) this.conclude(how, code, detail);
    } catch {
      // The journal is what failed: recovery ends this session as `unknown`.
    }
    if (this.headersGone) this.reset(code);
    else {
      this.phase = 'over';
      const session = this.plan?.session ?? this.options.newSession();
      this.writeImmediate(this.options.refuse({ code, session, format: this.plan?.format, rpcId: this.plan?.rpcId }));
    }
    return undefined;
  }

  /** Ends the answer where it is, on the record and then for the client. */
  private async cutOff(why: CutOff): Promise<void> {
    let { code } = why;
    try {
      const ends = await this.closing(why);
      code = ends.why.code;
      const pending = this.plan === undefined ? undefined : this.options.pending(this.plan.session);
      if (pending !== undefined) await pending;
      // The client may have gone meanwhile, and the session with it.
      if (this.isOver()) return;
      this.conclude(ends.why.how, code, ends.why.detail);
      await this.options.recorder.durable();
      if (ends.bytes === undefined) return this.reset(code);
      this.write(encodeResponseBody(ends.bytes));
      if (!this.isOver()) this.swallow();
    } catch {
      // The journal: what is not on the record does not leave.
      this.reset(code);
    }
  }

  /** The last bytes of an answer that is cut off, recorded; undefined: there is no place for them. */
  private async closing(asked: CutOff): Promise<{ readonly why: CutOff; readonly bytes: Buffer | undefined }> {
    const { plan, body, delivered, chunk } = this;
    if (plan === undefined || body === undefined || delivered === undefined || chunk === undefined)
      return { why: asked, bytes: undefined };
    // What has a piece of a tool call that no rule was asked about does not leave.
    const saves = asked.salvage && body.calls?.holds !== true;
    if (!saves) this.withhold(this.takeHeld());
    const saved = saves ? joined(this.unsent, await body.delivery.salvage()) : NOTHING;
    const kept = asked.salvage ? await delivered.lookAtLast(saved) : NOTHING;
    const stop = saved.length === 0 ? undefined : this.rules?.atPiece(delivered, { bytes: saved, terminal: false });
    if (stop !== undefined) this.withhold(saved);
    const why: CutOff =
      stop === undefined
        ? asked
        : { how: 'stopped', code: 'response_stopped', detail: stop.by, message: stop.message, salvage: false };
    const masked = stop === undefined ? saved : NOTHING;
    const rest = body.restoring === undefined ? masked : await body.restoring.cutOff(masked);
    const { code, message } = why;
    const error = streamRefusal({
      code,
      session: plan.session,
      format: plan.format,
      rpcId: plan.rpcId,
      ...(message === undefined ? {} : { message }),
    });
    const closing = body.delivery.closing(error, delivered.bytes + rest.length > 0);
    if (closing === undefined) return { why, bytes: undefined };
    const bytes = joined(rest, closing);
    const recorded = Buffer.from(this.options.maskText(closing.toString()));
    this.options.observe.chunk(chunk.bytes, bytes.length);
    await delivered.add(bytes, stop === undefined ? joined(kept, recorded) : recorded);
    return { why, bytes };
  }

  /** What waits for a tool call, and waits no more. */
  takeHeld(): Buffer {
    const { held } = this;
    if (held.length === 0) return NOTHING;
    this.held = [];
    this.heldBytes = 0;
    return Buffer.concat(held);
  }

  hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.heldBytes += bytes.length;
    this.held.push(bytes);
  }

  private isOver(): boolean {
    return this.phase === 'over';
  }

  private withhold(bytes: Buffer): void {
    const { reading } = this.head ?? {};
    this.delivered?.withhold(bytes, reading?.ok ? reading.framing : 'none');
  }

  /** Each chunk that comes now is answered with nothing, so that the client sees the answer end in order. */
  private swallow(): void {
    this.phase = 'ended';
    if (this.chunk?.endOfStream) return;
    this.swallowing = setTimeout(() => this.reset('response_stopped'), SWALLOW_MS);
    this.swallowing.unref();
  }

  private reset(details: string): void {
    if (this.phase === 'over') return;
    this.phase = 'over';
    this.call.fail({ code: grpcStatus.aborted, details });
  }

  /** With what is known here alone: what was masked in the request, and what the rules on the response said. */
  ending(ending: Ending): Ending {
    const maskedRequest = Object.fromEntries(this.masking?.masked ?? []);
    return { ...ending, maskedRequest, rules: this.rules?.outcomes ?? [] };
  }

  private conclude(how: Ending['how'], code: ErrorCode | '', detail = ''): void {
    this.terminal = true;
    const { plan, options } = this;
    if (plan === undefined) return;
    const delivered = this.delivered ?? new Delivered(plan, undefined, options.recorder, options.nowMs);
    const ending = delivered.ending(how, code, this.head?.status ?? 0);
    if (!options.sessions.end(plan.session, this.ending({ ...ending, detail }))) return;
    options.observe.ended(how, plan.cluster);
    for (const [detector, count] of delivered.masked) options.observe.masked(detector, count);
  }

  private writeImmediate(answer: ReturnType<RefuseStage>): void {
    this.call.send(encodeImmediate(answer));
  }
}
