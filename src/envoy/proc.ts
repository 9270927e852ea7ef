/**
 * The ext_proc edge, one ResponseGate a stream; each phase has a file (…-phase.ts):
 * request headers (the plan) → request body, where it is masked → response headers → body chunks, masked, asked the rules
 * about and recorded → the durable end.
 *
 * A live stream is never ended with gRPC OK: Envoy would let the rest through unprocessed. Whatever goes wrong ends it
 * non-OK, or, while the client has seen no header yet, with an immediate response.
 */
import { responseBody, responseTrailers, swallow } from './body-phase.ts';
import { CONTINUE_REQUEST_TRAILERS, CONTINUE_RESPONSE_BODY, CONTINUE_RESPONSE_TRAILERS } from './encode.ts';
import { GateStream } from './gate-stream.ts';
import type { GrpcCall, GrpcReceiver } from './grpc.ts';
import type { ProcOptions } from './proc-options.ts';
import { requestBody, requestHeaders } from './request-phase.ts';
import { responseHeaders } from './response-phase.ts';
import { codeOf } from './stream-reading.ts';
import { decodeProcessingRequest, type ProcessingRequest } from './wire.ts';

export function createProc(options: ProcOptions): (call: GrpcCall) => GrpcReceiver {
  return (call) => {
    options.observe.streamOpened();
    return new ResponseGate(call, options);
  };
}

class ResponseGate implements GrpcReceiver {
  /** Messages that wait for a masker which had to yield to the event loop. */
  private readonly waiting: ProcessingRequest[] = [];
  private busy = false;
  private readonly stream: GateStream;

  constructor(call: GrpcCall, options: ProcOptions) {
    this.stream = new GateStream(call, options);
  }

  message(bytes: Buffer): void {
    this.receive(decodeProcessingRequest(bytes));
  }

  // Envoy ends and then resets the stream, or resets it alone; each may come first, both are harmless.
  end(): void {
    this.stream.left();
    this.stream.call.finish();
  }

  closed(): void {
    this.stream.left();
    this.stream.options.observe.streamClosed();
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
      this.failed(error);
    }
  }

  /** A masker yields inside a large body: what arrives meanwhile waits its turn. */
  private suspend(pending: Promise<void>): void {
    this.busy = true;
    pending.then(
      () => this.resume(),
      (error: unknown) => {
        if (!this.failed(error)) this.resume();
      },
    );
  }

  private resume(): void {
    this.busy = false;
    while (!this.busy && this.waiting.length > 0) this.receive(this.waiting.shift()!);
  }

  /** True: the end of the answer is still on its way. */
  private failed(error: unknown): boolean {
    const pending = this.stream.fail(codeOf(error), error);
    if (pending !== undefined) this.suspend(pending);
    return pending !== undefined;
  }

  private handle(message: ProcessingRequest): Promise<void> | undefined {
    const { stream } = this;
    if (stream.phase === 'over') return undefined;
    if (stream.phase === 'ended') return swallow(stream, message);
    switch (message.kind) {
      case 'response_body':
        return stream.phase === 'local_reply' ? stream.pass(CONTINUE_RESPONSE_BODY) : responseBody(stream, message);
      case 'request_headers':
        return requestHeaders(stream, message);
      case 'response_headers':
        return responseHeaders(stream, message);
      case 'response_trailers':
        return stream.phase === 'local_reply'
          ? stream.pass(CONTINUE_RESPONSE_TRAILERS)
          : responseTrailers(stream, message);
      case 'request_body':
        return requestBody(stream, message);
      case 'request_trailers':
        return stream.pass(CONTINUE_REQUEST_TRAILERS);
      case 'none':
        throw new Error('ext_proc sent a message without a phase');
    }
  }
}
