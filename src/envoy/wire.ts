/**
 * The lean codec of the hot messages. Reads only the fields in protos/, skips the rest, copies no body. Everything else
 * goes through @grpc/proto-loader (see services.ts); test/unit/envoy/wire.test.ts holds both codecs against each other.
 */

/** Header name (lower case, as Envoy sends it) and value, bytes as latin1. */
export type Header = readonly [name: string, value: string];

export interface CheckRequest {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  readonly protocol: string;
  /** In order, duplicates kept, when `rawHeaders`; otherwise one entry a name, duplicates joined by a comma. */
  readonly headers: readonly Header[];
  /** `encode_raw_headers` was on: duplicates arrive apart. */
  readonly rawHeaders: boolean;
  readonly body: Buffer;
  /** `pack_as_bytes` was off: the body came as a string, so it may not be what the client sent. */
  readonly bodyAsString: boolean;
  /** Address of the peer as Envoy sees it (`use_remote_address` applied), without port. */
  readonly sourceAddress: string;
  /** The peer's principal (SPIFFE id) where Envoy did the mTLS. */
  readonly sourcePrincipal: string;
  /** The route's `context_extensions`. */
  readonly contextExtensions: ReadonlyMap<string, string>;
}

export type ProcessingKind =
  | 'request_headers'
  | 'response_headers'
  | 'request_body'
  | 'response_body'
  | 'request_trailers'
  | 'response_trailers'
  | 'none';

export interface ProcessingRequest {
  readonly kind: ProcessingKind;
  /** Undecoded HeaderMap; `decodeHeaderMap` reads it. Empty for bodies. */
  readonly headerMap: Buffer;
  readonly body: Buffer;
  readonly endOfStream: boolean;
  /** Undecoded Metadata: Envoy repeats it on every message, we read it once. */
  readonly metadata: Buffer | undefined;
  /** Undecoded map entries of `attributes`. */
  readonly attributes: readonly Buffer[];
}

const EMPTY: Buffer = Buffer.alloc(0);
const KINDS: readonly ProcessingKind[] = [
  'none',
  'none',
  'request_headers',
  'response_headers',
  'request_body',
  'response_body',
  'request_trailers',
  'response_trailers',
];

/** A protobuf message being read: https://protobuf.dev/programming-guides/encoding/. Throws RangeError on truncation. */
class Reader {
  private at = 0;
  private readonly buffer: Buffer;
  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }
  get done(): boolean {
    return this.at >= this.buffer.length;
  }
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new RangeError('truncated varint');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new RangeError('varint too long');
  }
  bytes(): Buffer {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.buffer.length) throw new RangeError('truncated field');
    const slice = this.buffer.subarray(this.at, end);
    this.at = end;
    return slice;
  }
  text(): string {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.buffer.length) throw new RangeError('truncated field');
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }
  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) {
      const length = this.varint();
      this.at += length;
    } else if (wireType === 5) this.at += 4;
    else throw new RangeError(`unsupported wire type ${wireType}`);
    if (this.at > this.buffer.length) throw new RangeError('truncated field');
  }
}

/** Visits the fields of a message; `visit` returns false for a field it does not read. */
function fields(buffer: Buffer, visit: (field: number, reader: Reader, wireType: number) => boolean): void {
  const reader = new Reader(buffer);
  while (!reader.done) {
    const tag = reader.varint();
    const wireType = tag & 7;
    if (!visit(tag >>> 3, reader, wireType)) reader.skip(wireType);
  }
}

function decodeHeaderValue(buffer: Buffer): Header {
  let name = '';
  let value = '';
  fields(buffer, (field, reader) => {
    if (field === 1) name = reader.text();
    else if (field === 2) value = reader.text();
    else if (field === 3) value = reader.bytes().toString('latin1');
    else return false;
    return true;
  });
  return [name, value];
}

/** `envoy.config.core.v3.HeaderMap` → headers in order. */
export function decodeHeaderMap(buffer: Buffer): Header[] {
  const headers: Header[] = [];
  fields(buffer, (field, reader) => {
    if (field !== 1) return false;
    headers.push(decodeHeaderValue(reader.bytes()));
    return true;
  });
  return headers;
}

function decodeStringEntry(buffer: Buffer): Header {
  let key = '';
  let value = '';
  fields(buffer, (field, reader) => {
    if (field === 1) key = reader.text();
    else if (field === 2) value = reader.text();
    else return false;
    return true;
  });
  return [key, value];
}

/** A `map<string, Message>` entry: its key and the undecoded value. */
function decodeMessageEntry(buffer: Buffer): [string, Buffer] {
  let key = '';
  let value: Buffer = EMPTY;
  fields(buffer, (field, reader) => {
    if (field === 1) key = reader.text();
    else if (field === 2) value = reader.bytes();
    else return false;
    return true;
  });
  return [key, value];
}

/** `google.protobuf.Struct` → its string-valued fields. */
function decodeStringFields(struct: Buffer): Map<string, string> {
  const out = new Map<string, string>();
  fields(struct, (field, reader) => {
    if (field !== 1) return false;
    const [key, value] = decodeMessageEntry(reader.bytes());
    fields(value, (kind, inner) => {
      if (kind !== 3) return false;
      out.set(key, inner.text());
      return true;
    });
    return true;
  });
  return out;
}

/** The string fields of one namespace of `filter_metadata`; undefined when the namespace is absent. */
export function metadataStrings(metadata: Buffer, namespace: string): ReadonlyMap<string, string> | undefined {
  let found: ReadonlyMap<string, string> | undefined;
  fields(metadata, (field, reader) => {
    if (field !== 1) return false;
    const [key, value] = decodeMessageEntry(reader.bytes());
    if (key === namespace) found = decodeStringFields(value);
    return true;
  });
  return found;
}

/** The string-valued attributes of a ProcessingRequest, whatever filter name they came under. */
export function attributeStrings(attributes: readonly Buffer[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const entry of attributes) for (const [k, v] of decodeStringFields(decodeMessageEntry(entry)[1])) out.set(k, v);
  return out;
}

function decodePeer(buffer: Buffer): { address: string; principal: string } {
  let address = '';
  let principal = '';
  fields(buffer, (field, reader) => {
    if (field === 4) principal = reader.text();
    else if (field === 1)
      fields(reader.bytes(), (kind, inner) => {
        if (kind !== 1) return false;
        fields(inner.bytes(), (f, socket) => {
          if (f !== 2) return false;
          address = socket.text();
          return true;
        });
        return true;
      });
    else return false;
    return true;
  });
  return { address, principal };
}

/** `envoy.service.auth.v3.CheckRequest`. Throws RangeError when truncated. */
export function decodeCheckRequest(message: Buffer): CheckRequest {
  const text = { method: '', path: '', host: '', scheme: '', protocol: '' };
  const headers: Header[] = [];
  const contextExtensions = new Map<string, string>();
  let peer = { address: '', principal: '' };
  let rawHeaders = false;
  let body: Buffer = EMPTY;
  let bodyAsString = false;
  const http = (field: number, reader: Reader): boolean => {
    if (field === 2) text.method = reader.text();
    else if (field === 3) headers.push(decodeStringEntry(reader.bytes()));
    else if (field === 4) text.path = reader.text();
    else if (field === 5) text.host = reader.text();
    else if (field === 6) text.scheme = reader.text();
    else if (field === 10) text.protocol = reader.text();
    else if (field === 11) bodyAsString = reader.bytes().length > 0;
    else if (field === 12) body = reader.bytes();
    else if (field === 13) {
      rawHeaders = true;
      headers.push(...decodeHeaderMap(reader.bytes()));
    } else return false;
    return true;
  };
  const attributes = (field: number, reader: Reader): boolean => {
    if (field === 1) peer = decodePeer(reader.bytes());
    else if (field === 10) {
      const [key, value] = decodeStringEntry(reader.bytes());
      contextExtensions.set(key, value);
    } else if (field === 4)
      fields(reader.bytes(), (kind, inner) => {
        if (kind !== 2) return false;
        fields(inner.bytes(), http);
        return true;
      });
    else return false;
    return true;
  };
  fields(message, (field, reader) => {
    if (field !== 1) return false;
    fields(reader.bytes(), attributes);
    return true;
  });
  return {
    ...text,
    headers,
    rawHeaders,
    body,
    bodyAsString,
    sourceAddress: peer.address,
    sourcePrincipal: peer.principal,
    contextExtensions,
  };
}

/** `envoy.service.ext_proc.v3.ProcessingRequest`. Throws RangeError when truncated. */
export function decodeProcessingRequest(message: Buffer): ProcessingRequest {
  let kind: ProcessingKind = 'none';
  let headerMap: Buffer = EMPTY;
  let body: Buffer = EMPTY;
  let endOfStream = false;
  let metadata: Buffer | undefined;
  let attributes: Buffer[] | undefined;
  const top = new Reader(message);
  while (!top.done) {
    const tag = top.varint();
    const field = tag >>> 3;
    if (field >= 2 && field <= 7 && (tag & 7) === 2) {
      kind = KINDS[field]!;
      const inner = new Reader(top.bytes());
      while (!inner.done) {
        const innerTag = inner.varint();
        if (innerTag === 10) {
          if (field === 4 || field === 5) body = inner.bytes();
          else headerMap = inner.bytes();
        } else if (innerTag === 24 && field <= 3) endOfStream = inner.varint() !== 0;
        else if (innerTag === 16 && (field === 4 || field === 5)) endOfStream = inner.varint() !== 0;
        else inner.skip(innerTag & 7);
      }
    } else if (tag === 66) metadata = top.bytes();
    else if (tag === 74) {
      attributes ??= [];
      attributes.push(top.bytes());
    } else top.skip(tag & 7);
  }
  return { kind, headerMap, body, endOfStream, metadata, attributes: attributes ?? NO_ATTRIBUTES };
}
const NO_ATTRIBUTES: readonly Buffer[] = [];

/** A protobuf message being written back to front, so that each length is known when it is due. */
class Writer {
  private buffer = Buffer.allocUnsafe(2048);
  private at = 2048;

  /** Position before which the next field begins; to be given to `close`. */
  mark(): number {
    return this.buffer.length - this.at;
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
    this.head(field, this.buffer.length - this.at - mark);
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

/** `response_trailers: {header_mutation: {remove_headers}}`. */
export function encodeResponseTrailers(remove: readonly string[]): Buffer {
  const writer = new Writer();
  for (const name of remove.toReversed()) writer.text(2, name);
  for (const field of [1, 6]) writer.close(field, 0);
  return writer.done();
}

/** `response_body: {response: {body_mutation: {body}}}`. One allocation, one copy. */
export function encodeResponseBody(body: Buffer): Buffer {
  if (body.length === 0) return HOLD_RESPONSE_BODY;
  const n = body.length;
  const l1 = 1 + varintLength(n) + n;
  const l2 = 1 + varintLength(l1) + l1;
  const l3 = 1 + varintLength(l2) + l2;
  const out = Buffer.allocUnsafe(1 + varintLength(l3) + l3);
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
