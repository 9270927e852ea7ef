/** One ext_proc stream: what is known of it, and the ways in which it ends. The phases (…-phase.ts) work on it. */
import type { Plan, RefuseStage, Watched } from '../checkpoint/stages.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import { upgradeOf } from '../exchange/transport.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import { Delivered } from './delivered.ts';
import { type GrpcCall, type GrpcMessage, grpcStatus } from './grpc.ts';
import type { PlanRefusal } from './plan.ts';
import type { ProcOptions } from './proc-options.ts';
import type { RequestMasking } from './request-masking.ts';
import type { ResponseHead } from './response.ts';
import type { ResponseRules, Stop } from './response-rules.ts';
import { encodeImmediate } from './services.ts';
import { type Ending, NOTHING_DELIVERED } from './sessions.ts';
import { codeOf, headOf, reasonOf } from './stream-reading.ts';
import type { ProcessingRequest } from './wire.ts';

type Phase = 'start' | 'request' | 'response' | 'local_reply' | 'over';

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
    const { session, format } = plan;
    const answer = this.options.refuse({ code, session, format, ...(message === undefined ? {} : { message }) });
    const ending = this.delivered?.ending(how, code, answer.status) ?? NOTHING_DELIVERED;
    this.options.sessions.end(session, this.ending({ ...ending, how, code, detail, status: answer.status }));
    this.phase = 'over';
    return this.options.recorder.durable().then(
      () => this.writeImmediate(answer),
      () => this.writeImmediate(this.options.refuse({ code: 'record_unavailable', session, format })),
    );
  }

  /** A rule on the response says that nothing more may leave. What was answered before is written first. */
  async stop({ by, message }: Stop, plan: Plan): Promise<void> {
    const code = 'response_stopped';
    const bodyGone = (this.delivered?.bytes ?? 0) > 0;
    if (!bodyGone) {
      this.options.observe.ended('stopped', plan.cluster);
      return this.refuseResponse(code, plan, 'stopped', by, message);
    }
    this.conclude('stopped', code, by);
    await this.options.recorder.durable();
    if (this.phase === 'over') return;
    this.phase = 'over';
    this.call.fail({ code: grpcStatus.aborted, details: code });
  }

  /** Envoy closed the stream. Before the end, that means that the client or the model has gone. */
  left(): void {
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
   * Nothing more leaves. While nothing of the body has left, an immediate response says why (Envoy resets the client's
   * stream instead where the headers have gone already); after that the stream ends non-OK, which resets it.
   */
  fail(code: ErrorCode, error: unknown): void {
    if (this.phase === 'over') return;
    this.options.observe.failed(this.plan?.session, code, error);
    const bodyGone = (this.delivered?.bytes ?? 0) > 0;
    try {
      if (!this.terminal)
        this.conclude(code === 'response_unreadable' ? 'response_refused' : 'gate_failed', code, reasonOf(code, error));
    } catch {
      // The journal is what failed: recovery ends this session as `unknown`.
    }
    this.phase = 'over';
    if (bodyGone) this.call.fail({ code: grpcStatus.aborted, details: code });
    else {
      const session = this.plan?.session ?? this.options.newSession();
      this.writeImmediate(this.options.refuse({ code, session, format: this.plan?.format }));
    }
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
