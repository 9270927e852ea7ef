/** The lean encoder of the hot answers; wire.ts has the decoder and says why. */
import type { GrpcMessage } from './grpc.ts';
import type { Header } from './wire.ts';

/** A protobuf message being written back to front, so that each length is known when it is due. */
class Writer {
  private buffer = Buffer.allocUnsafe(2048);
  private at = 2048;
  private readonly following: number;

  /** `following`: bytes that the caller sends behind the message, as the end of its last field. */
  constructor(following = 0) {
    this.following = following;
  }

  /** Position before which the next field begins; to be given to `close`. */
  mark(): number {
    return this.buffer.length - this.at + this.following;
  }

  text(field: number, text: string): void {
    const length = Buffer.byteLength(text, 'utf8');
    this.room(length);
    this.at -= length;
    this.buffer.write(text, this.at, 'utf8');
    this.head(field, length);
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.at -= bytes.length;
    this.buffer.set(bytes, this.at);
  }

  /** Makes what was written since `mark` one message field. */
  close(field: number, mark: number): void {
    this.head(field, this.mark() - mark);
  }

  done(): Buffer {
    return this.buffer.subarray(this.at);
  }

  private head(field: number, length: number): void {
    this.room(12);
    this.varint(length);
    this.varint((field << 3) | 2);
  }

  private varint(value: number): void {
    const size = varintLength(value);
    this.at -= size;
    let at = this.at;
    while (value > 127) {
      this.buffer[at++] = (value & 0x7f) | 0x80;
      value = Math.floor(value / 128);
    }
    this.buffer[at] = value;
  }

  private room(more: number): void {
    if (this.at >= more) return;
    const used = this.buffer.length - this.at;
    const larger = Buffer.allocUnsafe(2 * (this.buffer.length + more));
    this.buffer.copy(larger, larger.length - used, this.at);
    this.buffer = larger;
    this.at = larger.length - used;
  }
}

const OVERWRITE_IF_EXISTS_OR_ADD = Buffer.from([0x18, 2]);
const STATUS_OK = Buffer.from([0x0a, 0]);

/** A HeaderValueOption that replaces; `valueField`: 2 `value`, 3 `raw_value`. */
function writeHeader(writer: Writer, field: number, [name, value]: Header, valueField: 2 | 3): void {
  const option = writer.mark();
  writer.raw(OVERWRITE_IF_EXISTS_OR_ADD);
  const header = writer.mark();
  writer.text(valueField, value);
  writer.text(1, name);
  writer.close(1, header);
  writer.close(field, option);
}

export interface ForwardAnswer {
  /** Headers to set on the request, replacing what is there. */
  readonly setHeaders: readonly Header[];
  readonly removeHeaders: readonly string[];
  /** `response_headers_to_add`: replace what the answer has by these names. */
  readonly responseHeaders: readonly Header[];
  /** The sealed plan: key `sallyport` of the filter's metadata namespace. */
  readonly plan: string;
}

/** A CheckResponse that allows. The status is always set: an empty CheckResponse means ALLOW, and must never be ours by accident. */
export function encodeForward(answer: ForwardAnswer): Buffer {
  const writer = new Writer();
  const struct = writer.mark();
  const entry = writer.mark();
  const value = writer.mark();
  writer.text(3, answer.plan);
  writer.close(2, value);
  writer.text(1, 'sallyport');
  writer.close(1, entry);
  writer.close(4, struct);
  const ok = writer.mark();
  for (const header of answer.responseHeaders.toReversed()) writeHeader(writer, 6, header, 2);
  for (const name of answer.removeHeaders.toReversed()) writer.text(5, name);
  for (const header of answer.setHeaders.toReversed()) writeHeader(writer, 2, header, 2);
  writer.close(3, ok);
  writer.raw(STATUS_OK);
  return writer.done();
}

/** ProcessingResponses without a mutation. */
export const CONTINUE_REQUEST_HEADERS: Buffer = Buffer.from([0x0a, 2, 0x0a, 0]);
export const CONTINUE_RESPONSE_HEADERS: Buffer = Buffer.from([0x12, 2, 0x0a, 0]);
export const CONTINUE_REQUEST_BODY: Buffer = Buffer.from([0x1a, 2, 0x0a, 0]);
export const CONTINUE_RESPONSE_BODY: Buffer = Buffer.from([0x22, 2, 0x0a, 0]);
export const CONTINUE_REQUEST_TRAILERS: Buffer = Buffer.from([0x2a, 0]);
export const CONTINUE_RESPONSE_TRAILERS: Buffer = Buffer.from([0x32, 0]);
/** `body_mutation: {clear_body: true}`: this chunk is held (STREAMED mode lets the bytes follow with a later one). */
export const HOLD_RESPONSE_BODY: Buffer = Buffer.from([0x22, 6, 0x0a, 4, 0x1a, 2, 0x10, 1]);

/** `response_headers: {response: {header_mutation}}`. */
export function encodeResponseHeaders(set: readonly Header[], remove: readonly string[]): Buffer {
  const writer = new Writer();
  for (const name of remove.toReversed()) writer.text(2, name);
  for (const header of set.toReversed()) writeHeader(writer, 1, header, 3);
  for (const field of [2, 1, 2]) writer.close(field, 0);
  return writer.done();
}

/**
 * `request_headers: {}` with the mode override that bootstrap.ts allows: Envoy ignores one that differs in any field. Fields of
 * ProcessingMode in the order of their numbers: headers SEND, SEND, bodies BUFFERED, STREAMED, trailers SKIP, SEND.
 */
export const ASK_FOR_REQUEST_BODY: Buffer = Buffer.from([
  ...CONTINUE_REQUEST_HEADERS,
  ...[0x4a, 12, 0x08, 1, 0x10, 1, 0x18, 2, 0x20, 1, 0x28, 2, 0x30, 1],
]);

/** `request_body: {response: {clear_route_cache, header_mutation: {set_headers}, body_mutation: {body}}}`; the body is not copied. */
export function encodeRequestBody(set: readonly Header[], body: Buffer): GrpcMessage {
  const writer = new Writer(body.length);
  writer.close(1, 0);
  writer.close(3, 0);
  const headers = writer.mark();
  for (const header of set.toReversed()) writeHeader(writer, 1, header, 3);
  writer.close(2, headers);
  writer.raw(CLEAR_ROUTE_CACHE);
  for (const field of [1, 3]) writer.close(field, 0);
  return [writer.done(), body];
}
const CLEAR_ROUTE_CACHE = Buffer.from([0x28, 1]);

/** `response_trailers: {header_mutation: {remove_headers}}`. */
export function encodeResponseTrailers(remove: readonly string[]): Buffer {
  const writer = new Writer();
  for (const name of remove.toReversed()) writer.text(2, name);
  for (const field of [1, 6]) writer.close(field, 0);
  return writer.done();
}

/** Bodies from this length on are sent from where they are. */
const LONG_BODY_BYTES = 64 * 1024;

/** `response_body: {response: {body_mutation: {body}}}`. One allocation, one copy; a long body is not copied. */
export function encodeResponseBody(body: Buffer): GrpcMessage {
  if (body.length === 0) return HOLD_RESPONSE_BODY;
  const n = body.length;
  const l1 = 1 + varintLength(n) + n;
  const l2 = 1 + varintLength(l1) + l1;
  const l3 = 1 + varintLength(l2) + l2;
  const isLong = n >= LONG_BODY_BYTES;
  const out = Buffer.allocUnsafe(1 + varintLength(l3) + l3 - (isLong ? n : 0));
  let at = 0;
  const put = (tag: number, length: number): void => {
    out[at++] = tag;
    while (length > 127) {
      out[at++] = (length & 0x7f) | 0x80;
      length = Math.floor(length / 128);
    }
    out[at++] = length;
  };
  put(0x22, l3);
  put(0x0a, l2);
  put(0x1a, l1);
  put(0x0a, n);
  if (isLong) return [out, body];
  body.copy(out, at);
  return out;
}

function varintLength(value: number): number {
  let length = 1;
  while (value > 127) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}
