/**
 * The ext_proc edge, one ResponseGate a stream, one method a phase:
 * request headers (the plan) → request body, where it is masked → response headers → body chunks, masked, asked the rules
 * about and recorded → the durable end.
 *
 * A live stream is never ended with gRPC OK: Envoy would let the rest through unprocessed. Whatever goes wrong ends it
 * non-OK, or, while the client has seen no header yet, with an immediate response.
 */
import type { Plan, RefuseStage, Watched } from '../checkpoint/stages.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import { upgradeOf } from '../exchange/transport.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import type { Released } from '../mask/contract.ts';
import { Delivered } from './delivered.ts';
import {
  ASK_FOR_REQUEST_BODY,
  CONTINUE_REQUEST_BODY,
  CONTINUE_REQUEST_HEADERS,
  CONTINUE_REQUEST_TRAILERS,
  CONTINUE_RESPONSE_BODY,
  CONTINUE_RESPONSE_HEADERS,
  CONTINUE_RESPONSE_TRAILERS,
  encodeResponseBody,
  encodeResponseHeaders,
  encodeResponseTrailers,
} from './encode.ts';
import { type GrpcCall, type GrpcMessage, type GrpcReceiver, grpcStatus } from './grpc.ts';
import { openPlan, type PlanRefusal } from './plan.ts';
import type { ProcOptions } from './proc-options.ts';
import { RequestMasking } from './request-masking.ts';
import { type ResponseHead, readHead } from './response.ts';
import { ResponseRules, type Stop } from './response-rules.ts';
import { encodeImmediate } from './services.ts';
import { type Ending, NOTHING_DELIVERED } from './sessions.ts';
import {
  codeOf,
  headOf,
  joined,
  localReplyCode,
  NO_REQUEST,
  ownHeaders,
  provesNotSent,
  reasonOf,
} from './stream-reading.ts';
import {
  attributeStrings,
  decodeHeaderMap,
  decodeProcessingRequest,
  metadataStrings,
  type ProcessingRequest,
} from './wire.ts';

/** Namespace of ext_authz's dynamic metadata, whatever name the filter has. */
const METADATA_NAMESPACE = 'envoy.filters.http.ext_authz';

export function createProc(options: ProcOptions): (call: GrpcCall) => GrpcReceiver {
  return (call) => {
    options.observe.streamOpened();
    return new ResponseGate(call, options);
  };
}

const NOTHING = Buffer.alloc(0);

/** What is told of a plan that its stream cannot keep. */
const UNKEPT = {
  unwatched: 'Rules watch the response, and the gateway process that has its stream does not know them.',
  unmasked: 'The model answered a request that was to be masked, and was not.',
  other_cluster: 'The request went to another cluster than the one it was let through to.',
};

type Phase = 'start' | 'request' | 'response' | 'local_reply' | 'over';

class ResponseGate implements GrpcReceiver {
  private phase: Phase = 'start';
  private plan: Plan | undefined;
  private head: ResponseHead | undefined;
  private body: ResponseBody | undefined;
  private watched: Watched | undefined;
  /** Where rules watch the response. */
  private rules: ResponseRules | undefined;
  /** Where the request is masked. */
  private masking: RequestMasking | undefined;
  /** Messages that wait for a masker which had to yield to the event loop. */
  private readonly waiting: ProcessingRequest[] = [];
  private busy = false;
  /** The terminal event, or the end of the body, has been handed to the record. */
  private terminal = false;
  private delivered: Delivered | undefined;
  private readonly call: GrpcCall;
  private readonly options: ProcOptions;

  constructor(call: GrpcCall, options: ProcOptions) {
    this.call = call;
    this.options = options;
  }

  message(bytes: Buffer): void {
    this.receive(decodeProcessingRequest(bytes));
  }

  // Envoy ends and then resets the stream, or resets it alone; each may come first, both are harmless.
  end(): void {
    this.left();
    this.call.finish();
  }

  closed(): void {
    this.left();
    this.options.observe.streamClosed();
  }

  private receive(message: ProcessingRequest): void {
    if (this.busy) {
      this.waiting.push(message);
      return;
    }
    try {
      const pending = this.handle(message);
      if (pending !== undefined) this.suspend(pending);
    } catch (error) {
      this.fail(codeOf(error), error);
    }
  }

  /** A masker yields inside a large body: what arrives meanwhile waits its turn. */
  private suspend(pending: Promise<void>): void {
    this.busy = true;
    pending.then(
      () => {
        this.busy = false;
        while (!this.busy && this.waiting.length > 0) this.receive(this.waiting.shift()!);
      },
      (error: unknown) => this.fail(codeOf(error), error),
    );
  }

  private handle(message: ProcessingRequest): Promise<void> | undefined {
    if (this.phase === 'over') return undefined;
    switch (message.kind) {
      case 'response_body':
        return this.phase === 'local_reply' ? this.pass(CONTINUE_RESPONSE_BODY) : this.responseBody(message);
      case 'request_headers':
        return this.requestHeaders(message);
      case 'response_headers':
        return this.responseHeaders(message);
      case 'response_trailers':
        return this.phase === 'local_reply' ? this.pass(CONTINUE_RESPONSE_TRAILERS) : this.responseTrailers(message);
      case 'request_body':
        return this.requestBody(message);
      case 'request_trailers':
        return this.pass(CONTINUE_REQUEST_TRAILERS);
      case 'none':
        throw new Error('ext_proc sent a message without a phase');
    }
  }

  private pass(answer: Buffer): undefined {
    this.call.send(answer);
    return undefined;
  }

  private requestHeaders(message: ProcessingRequest): Promise<void> | undefined {
    const { options } = this;
    const attributes = attributeStrings(message.attributes);
    const sealed =
      message.metadata === undefined
        ? undefined
        : metadataStrings(message.metadata, METADATA_NAMESPACE)?.get('sallyport');
    const nowMs = options.nowMs();
    const opened = openPlan(sealed, options.planKeys, {
      nowMs,
      requestId: attributes.get('request.id'),
      cluster: attributes.get('xds.cluster_name'),
    });
    if (!opened.ok) return this.refusePlan(opened.why, message);
    if (!options.usedPlans.use(opened.plan.session, nowMs)) return this.refusePlan('replayed', message);
    const { plan } = opened;
    this.watched = options.sessions.take(plan);
    this.plan = plan;
    if (plan.watched && this.watched === undefined) return this.refuseOpened('unwatched', plan);
    this.phase = 'request';
    if (plan.maskRequest.length === 0) return this.pass(CONTINUE_REQUEST_HEADERS);
    this.masking = new RequestMasking(plan, options.maskRequest);
    return this.pass(ASK_FOR_REQUEST_BODY);
  }

  private requestBody(message: ProcessingRequest): Promise<void> | undefined {
    const { masking, plan } = this;
    if (masking === undefined || plan === undefined) return this.pass(CONTINUE_REQUEST_BODY);
    return masking.answer(message.body).then(
      (answer) => this.write(answer),
      (error: unknown) => {
        if (!(error instanceof UnreadableBody)) throw error;
        return this.refuseResponse('request_not_maskable', plan, 'denied', error.message.slice(0, 200));
      },
    );
  }

  /** A plan that is good, on a stream that cannot keep it: the session ends here. */
  private refuseOpened(why: 'unwatched' | 'unmasked' | 'other_cluster', plan: Plan): Promise<void> {
    this.options.observe.planRefused(why);
    return this.refuseResponse('plan_invalid', plan, 'gate_failed', `plan ${why}`, UNKEPT[why]);
  }

  /** Envoy asks no ext_authz about a request without a route, such as CONNECT: it has no plan either. */
  private refusePlan(why: PlanRefusal, message: ProcessingRequest): undefined {
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

  private responseHeaders(message: ProcessingRequest): Promise<void> | undefined {
    const attributes = attributeStrings(message.attributes);
    const details = attributes.get('response.code_details');
    const local = details !== undefined && details !== '' && details !== 'via_upstream';
    const { plan } = this;
    if (local) return this.localReply(details, message, plan);
    if (plan === undefined) return this.refusePlan('missing', message);
    const unkept = this.masking?.refusal(attributes.get('xds.cluster_name'));
    if (unkept !== undefined) return this.refuseOpened(unkept, plan);
    this.phase = 'response';
    const passesOpaque = plan.opaque && plan.mask.length === 0;
    const head = readHead(decodeHeaderMap(message.headerMap), message.endOfStream, passesOpaque);
    this.head = head;
    const { recorder, nowMs } = this.options;
    recorder.event({
      at: nowMs(),
      cluster: plan.cluster,
      contentType: head.reading.ok ? head.mediaType : 'other',
      request: plan.request,
      session: plan.session,
      status: head.status,
      type: 'response',
    });
    if (!head.reading.ok) return this.refuseResponse(head.reading.code, plan);
    const ruled = this.watched && new ResponseRules(this.watched, head, plan.mask);
    this.rules = ruled;
    const stop = ruled?.atHeaders() ?? (message.endOfStream ? ruled?.atEnd(undefined, 0) : undefined);
    if (stop !== undefined) return this.stop(stop, plan);
    const ruling = ruled === undefined ? plan : { ...plan, mask: ruled.mask };
    if (head.reading.framing === 'opaque' && ruling.mask.length > 0)
      return this.refuseResponse('response_type_refused', plan);
    const answer = encodeResponseHeaders([...head.set, ...ownHeaders(plan)], head.remove);
    if (message.endOfStream) return this.afterDurable(answer);
    this.body = this.options.openBody(ruling, head.reading.framing);
    this.delivered = new Delivered(plan, this.body, recorder, nowMs);
    return this.pass(answer);
  }

  /** Envoy's own reply: there is no model text in it. A session that was let through ends here; others begin and end. */
  private localReply(details: string, message: ProcessingRequest, plan: Plan | undefined): undefined {
    const { options } = this;
    this.phase = 'local_reply';
    options.observe.localReply(details);
    // The request gate's own answer.
    if (plan === undefined && details === 'ext_authz_denied') return this.pass(CONTINUE_RESPONSE_HEADERS);
    const { status } = readHead(decodeHeaderMap(message.headerMap), message.endOfStream);
    const code = localReplyCode(details);
    const session = plan?.session ?? options.newSession();
    if (plan !== undefined)
      options.sessions.end(
        session,
        this.ending({ ...NOTHING_DELIVERED, how: 'local_reply', code, status, notSent: provesNotSent(details) }),
      );
    else options.record({ session, code, status, detail: details.slice(0, 200), request: NO_REQUEST });
    return this.pass(encodeResponseHeaders([['x-sallyport-session', session]], []));
  }

  /** A rule on the response says that nothing more may leave. What was answered before is written first. */
  private async stop({ by, message }: Stop, plan: Plan): Promise<void> {
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

  private refuseResponse(
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
      () =>
        this.writeImmediate(
          this.options.refuse({ code: 'record_unavailable', session: plan.session, format: plan.format }),
        ),
    );
  }

  private responseBody(message: ProcessingRequest): Promise<void> | undefined {
    const { body } = this;
    if (body === undefined) throw new Error('a response body before its headers');
    if (message.endOfStream) return this.lastChunk(message, body);
    const released = body.delivery.push(message.body);
    if (released instanceof Promise) return released.then((later) => this.release(message, later));
    return this.release(message, released);
  }

  private async lastChunk(message: ProcessingRequest, body: ResponseBody): Promise<void> {
    const first = await body.delivery.push(message.body);
    const rest = await body.delivery.end();
    const bytes = joined(first.bytes, rest.bytes);
    await this.release(message, { bytes, terminal: true }, true);
  }

  /** Ask the rules, record, then let go: written before every chunk, durable before the terminal one. */
  private release(message: ProcessingRequest, released: Released, last = false): Promise<void> | undefined {
    const { delivered } = this;
    if (this.phase === 'over' || delivered === undefined) return undefined;
    const kept = delivered.look(released.bytes, last);
    return kept instanceof Promise
      ? kept.then((later) => this.recorded(message, released, delivered, later))
      : this.recorded(message, released, delivered, kept);
  }

  private recorded(
    message: ProcessingRequest,
    released: Released,
    delivered: Delivered,
    kept: Buffer,
  ): Promise<void> | undefined {
    if (this.phase === 'over') return undefined;
    const stop = this.rules?.atPiece(delivered, released);
    if (stop !== undefined && this.plan !== undefined) return this.stop(stop, this.plan);
    this.options.observe.chunk(message.body.length, released.bytes.length);
    const answer = released.bytes.equals(message.body) ? CONTINUE_RESPONSE_BODY : encodeResponseBody(released.bytes);
    const added = delivered.add(released.bytes, kept);
    if (added !== undefined) return added.then(() => this.letGo(answer, released.terminal));
    return this.letGo(answer, released.terminal);
  }

  private letGo(answer: GrpcMessage, terminal: boolean): Promise<void> | undefined {
    if (terminal || this.terminal) return this.afterDurable(answer);
    this.options.recorder.written().then(
      () => this.write(answer),
      (error: unknown) => this.fail('record_unavailable', error),
    );
    return undefined;
  }

  /** HTTP/2 trailers: none pass, and nothing can be added any more, so text that is still held ends the stream. */
  private async responseTrailers(message: ProcessingRequest): Promise<void> {
    const { body } = this;
    const rest = body === undefined || this.terminal ? undefined : await body.delivery.end();
    if (rest !== undefined && rest.bytes.length > 0) {
      this.fail('response_unreadable', new UnreadableBody('the model ended with trailers while text was held back'));
      return;
    }
    if (!this.terminal && this.delivered !== undefined) {
      const released = { bytes: NOTHING, terminal: true };
      const kept = await this.delivered.look(NOTHING, true);
      const stop = this.rules?.atPiece(this.delivered, released);
      if (stop !== undefined && this.plan !== undefined) return this.stop(stop, this.plan);
      await this.delivered.add(NOTHING, kept);
    }
    const names = decodeHeaderMap(message.headerMap).map(([name]) => name);
    await this.afterDurable(encodeResponseTrailers(names));
  }

  /** The session is complete, and all of it is on the disk, what was done after the yes as well. */
  private async afterDurable(answer: GrpcMessage): Promise<void> {
    const pending = this.plan === undefined ? undefined : this.options.pending(this.plan.session);
    if (pending !== undefined) await pending;
    if (!this.terminal && this.phase !== 'over') this.conclude('complete', '');
    await this.options.recorder.durable();
    this.write(answer);
  }

  private write(answer: GrpcMessage): void {
    if (this.phase !== 'over') this.call.send(answer);
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

  /** With what is known here alone: what was masked in the request, and what the rules on the response said. */
  private ending(ending: Ending): Ending {
    const maskedRequest = Object.fromEntries(this.masking?.masked ?? []);
    return { ...ending, maskedRequest, rules: this.rules?.outcomes ?? [] };
  }

  /** Envoy closed the stream. Before the end, that means that the client or the model has gone. */
  private left(): void {
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
  private fail(code: ErrorCode, error: unknown): void {
    if (this.phase === 'over') return;
    this.options.observe.failed(this.plan?.session, code, error);
    const bodyGone = (this.delivered?.bytes ?? 0) > 0;
    try {
      if (!this.terminal)
        this.conclude(code === 'response_unreadable' ? 'response_refused' : 'gate_failed', code, reasonOf(code, error));
    } catch {
      // The journal is what failed: recovery ends this session as `unknown`.
    }
    if (!bodyGone) {
      this.immediate(code, this.plan?.session ?? this.options.newSession());
      return;
    }
    this.phase = 'over';
    this.call.fail({ code: grpcStatus.aborted, details: code });
  }

  private immediate(code: ErrorCode, session: string): undefined {
    this.phase = 'over';
    this.writeImmediate(this.options.refuse({ code, session, format: this.plan?.format }));
    return undefined;
  }

  private writeImmediate(answer: ReturnType<RefuseStage>): void {
    this.call.send(encodeImmediate(answer));
  }
}
