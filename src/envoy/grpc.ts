/**
 * gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), as much of it as Envoy needs of us:
 * messages in and out, half close, statuses, cancellation. No compression (we offer none, so that none may be used), no
 * metadata, no deadlines (Envoy resets the stream at its own). Half of what a general server costs a call.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

/** https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
export const grpcStatus = {
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
} as const;

export interface GrpcFailure {
  readonly code: (typeof grpcStatus)[keyof typeof grpcStatus];
  /** For the peer's log; ASCII. */
  readonly details: string;
}

/** A message, or a long one in two parts, so that it need not be copied together. */
export type GrpcMessage = Buffer | readonly [head: Buffer, body: Buffer];

/** One call, as whoever handles it answers it. After `finish` or `fail`, or once the peer has gone, nothing is sent. */
export interface GrpcCall {
  /** The peer has reset the stream, or its connection is gone. */
  readonly gone: boolean;
  send(message: GrpcMessage): void;
  /** The last message, and status OK. */
  answer(message: Buffer): void;
  /** Status OK. */
  finish(): void;
  fail(failure: GrpcFailure): void;
}

/** What comes in on a call. What it throws ends the call as `internal`. */
export interface GrpcReceiver {
  /** One message; the memory is the transport's: copy what outlives the call. */
  message(bytes: Buffer): void;
  /** The peer sends no more. */
  end(): void;
  /** The call is over, however it went. Once. */
  closed(): void;
}

export type GrpcMethod = (call: GrpcCall) => GrpcReceiver;

const CONTENT_TYPE = 'application/grpc';
/** One byte that says whether the message is compressed, four of its length. */
const PREFIX_BYTES = 5;
/** What a message that comes in pieces begins with: twice what Envoy mostly sends at once. */
const FIRST_PIECE_BYTES = 32 * 1024;

/** Serves one stream of a connection. `maxMessageBytes`: a longer message ends the call as `resourceExhausted`. */
export function serveGrpc(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, GrpcMethod>,
  maxMessageBytes: number,
): void {
  stream.on('error', () => {});
  if (headers['content-type']?.startsWith(CONTENT_TYPE) !== true) {
    stream.respond({ ':status': 415 }, { endStream: true });
    return;
  }
  const call = new Call(stream);
  const method = methods.get(String(headers[':path']));
  if (method === undefined) {
    call.fail({ code: grpcStatus.unimplemented, details: 'there is no such method' });
    return;
  }
  const guarded = <T>(step: () => T): T | undefined => {
    try {
      return step();
    } catch {
      call.fail({ code: grpcStatus.internal, details: 'the call could not be handled' });
      return undefined;
    }
  };
  const receiver = guarded(() => method(call));
  if (receiver === undefined) return;
  const messages = new Messages(maxMessageBytes, (message) => receiver.message(message));
  stream.on('data', (chunk: Buffer) => {
    const failure = guarded(() => (call.over ? undefined : messages.push(chunk)));
    if (failure !== undefined) call.fail(failure);
    // A peer that asks and does not read the answers is not read either.
    if (stream.writableNeedDrain) {
      stream.pause();
      stream.once('drain', () => stream.resume());
    }
  });
  stream.on('end', () => guarded(() => receiver.end()));
  stream.on('close', () => guarded(() => receiver.closed()));
}

const RESPONSE_HEADERS = [':status', '200', 'content-type', CONTENT_TYPE];
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
const STATUS_OK = { 'grpc-status': '0' };

class Call implements GrpcCall {
  /** Ended by us. */
  over = false;
  private trailers: Record<string, string> = STATUS_OK;
  private readonly stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.stream = stream;
  }

  get gone(): boolean {
    return this.stream.aborted || this.stream.destroyed;
  }

  send(message: GrpcMessage): void {
    if (!this.begin()) return;
    if (Buffer.isBuffer(message)) this.stream.write(framed(message, 0));
    else {
      const [head, body] = message;
      this.stream.cork();
      this.stream.write(framed(head, body.length));
      this.stream.write(body);
      this.stream.uncork();
    }
  }

  answer(message: Buffer): void {
    if (!this.begin()) return;
    this.over = true;
    this.stream.end(framed(message, 0));
  }

  finish(): void {
    if (!this.begin()) return;
    this.over = true;
    this.stream.end();
  }

  fail({ code, details }: GrpcFailure): void {
    if (this.over || this.gone) return;
    this.over = true;
    const trailers = { 'grpc-status': String(code), 'grpc-message': details };
    if (this.stream.headersSent) {
      this.trailers = trailers;
      this.stream.end();
    } else this.stream.respond({ ':status': 200, 'content-type': CONTENT_TYPE, ...trailers }, { endStream: true });
  }

  /** False: nothing can be sent any more. */
  private begin(): boolean {
    const { stream } = this;
    if (this.over || this.gone) return false;
    if (!stream.headersSent) {
      stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
      stream.once('wantTrailers', () => stream.sendTrailers(this.trailers));
    }
    return true;
  }
}

/** `more`: bytes of the message that follow by themselves. */
function framed(message: Buffer, more: number): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length + more, 1);
  message.copy(frame, PREFIX_BYTES);
  return frame;
}

/** Cuts what arrives into messages. One that came in one piece is not copied. */
class Messages {
  private readonly maxBytes: number;
  private readonly onMessage: (message: Buffer) => void;
  /** The beginning of a prefix. */
  private prefix: Buffer | undefined;
  /** A message that is not whole yet, how long it will be, and how much of it there is. */
  private partial: Buffer | undefined;
  private length = 0;
  private filled = 0;

  constructor(maxBytes: number, onMessage: (message: Buffer) => void) {
    this.maxBytes = maxBytes;
    this.onMessage = onMessage;
  }

  push(chunk: Buffer): GrpcFailure | undefined {
    let at = this.partial === undefined ? 0 : this.fill(this.partial, chunk);
    const bytes = this.prefix === undefined ? chunk : Buffer.concat([this.prefix, chunk]);
    this.prefix = undefined;
    while (at < bytes.length) {
      if (bytes.length - at < PREFIX_BYTES) {
        this.prefix = Buffer.from(bytes.subarray(at));
        return undefined;
      }
      if (bytes[at] !== 0) return { code: grpcStatus.unimplemented, details: 'compressed messages are not read' };
      const length = bytes.readUInt32BE(at + 1);
      if (length > this.maxBytes)
        return { code: grpcStatus.resourceExhausted, details: `a message is longer than ${this.maxBytes} bytes` };
      at += PREFIX_BYTES;
      if (bytes.length - at >= length) {
        this.onMessage(bytes.subarray(at, at + length));
        at += length;
      } else {
        // Grows with what comes: an announced length alone takes no memory.
        this.partial = Buffer.allocUnsafeSlow(Math.min(length, FIRST_PIECE_BYTES));
        this.length = length;
        this.filled = 0;
        at += this.fill(this.partial, bytes.subarray(at));
      }
    }
    return undefined;
  }

  /** Takes what belongs to the message in progress; tells how much that was. */
  private fill(partial: Buffer, chunk: Buffer): number {
    const taken = Math.min(chunk.length, this.length - this.filled);
    let message = partial;
    if (this.filled + taken > message.length) {
      message = Buffer.allocUnsafeSlow(Math.min(this.length, 2 * (this.filled + taken)));
      partial.copy(message, 0, 0, this.filled);
      this.partial = message;
    }
    chunk.copy(message, this.filled, 0, taken);
    this.filled += taken;
    if (this.filled === this.length) {
      this.partial = undefined;
      this.onMessage(message.subarray(0, this.length));
    }
    return taken;
  }
}
