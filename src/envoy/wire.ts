/**
 * The lean codec of the hot messages. Reads only the fields in protos/, skips the rest, copies no body. Everything else
 * goes through @grpc/proto-loader (see services.ts); test/unit/envoy/wire.test.ts holds both codecs against each other.
 */
import { EMPTY, fields, messageEntry, Reader } from './protobuf.ts';

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
  /**
   * What names the mTLS peer in its certificate: the first URI among its subject alternative names, else the first DNS name,
   * else the subject (Envoy's CheckRequestUtils::setAttrContextPeer): by itself it does not say which. Empty without mTLS.
   */
  readonly sourcePrincipal: string;
  /** The peer's certificate as URL-encoded PEM (`include_peer_certificate`), empty without. */
  readonly sourceCertificate: string;
  /** Undecoded Struct: dynamic metadata of Envoy's jwt_authn filter (`metadata_context_namespaces`); undefined without. */
  readonly jwtAuthn: Buffer | undefined;
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

/** `google.protobuf.Struct` → its string-valued fields. */
function decodeStringFields(struct: Buffer): Map<string, string> {
  const out = new Map<string, string>();
  fields(struct, (field, reader) => {
    if (field !== 1) return false;
    const [key, value] = messageEntry(reader.bytes());
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
    const [key, value] = messageEntry(reader.bytes());
    if (key === namespace) found = decodeStringFields(value);
    return true;
  });
  return found;
}

/** The string-valued attributes of a ProcessingRequest, whatever filter name they came under. */
export function attributeStrings(attributes: readonly Buffer[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const entry of attributes) for (const [k, v] of decodeStringFields(messageEntry(entry)[1])) out.set(k, v);
  return out;
}

/** Namespace that Envoy's filter writes verified payloads to, whatever the filter is called in the chain. */
export const JWT_AUTHN = 'envoy.filters.http.jwt_authn';

/** The undecoded Struct of one namespace of `filter_metadata`. Throws RangeError when it is there twice. */
function namespaceOf(metadata: Buffer, namespace: string): Buffer | undefined {
  let found: Buffer | undefined;
  fields(metadata, (field, reader) => {
    if (field !== 1) return false;
    const [key, value] = messageEntry(reader.bytes());
    if (key !== namespace) return true;
    if (found !== undefined) throw new RangeError('a metadata namespace is there twice');
    found = value;
    return true;
  });
  return found;
}

interface Peer {
  readonly address: string;
  readonly principal: string;
  readonly certificate: string;
}

function decodePeer(buffer: Buffer): Peer {
  let address = '';
  let principal = '';
  let certificate = '';
  fields(buffer, (field, reader) => {
    if (field === 4) principal = reader.text();
    else if (field === 5) certificate = reader.text();
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
  return { address, principal, certificate };
}

/** `envoy.service.auth.v3.CheckRequest`. Throws RangeError when truncated. */
export function decodeCheckRequest(message: Buffer): CheckRequest {
  const text = { method: '', path: '', host: '', scheme: '', protocol: '' };
  const headers: Header[] = [];
  const contextExtensions = new Map<string, string>();
  let peer: Peer = { address: '', principal: '', certificate: '' };
  let jwtAuthn: Buffer | undefined;
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
    } else if (field === 11) jwtAuthn = namespaceOf(reader.bytes(), JWT_AUTHN);
    else if (field === 4)
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
    sourceCertificate: peer.certificate,
    jwtAuthn,
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
