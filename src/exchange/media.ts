import type { Reading } from './facts.ts';

/** How a body is framed, as far as masking is concerned. HTML is text: proxies answer errors with it. */
export type Framing =
  | 'sse'
  | 'json'
  | 'ndjson'
  | 'text'
  /** Whatever it is: passed as it comes, and only where nothing is masked. */
  | 'opaque'
  /** None at all: one byte of it is too much. */
  | 'none';

export interface MediaType {
  /** In lower case. */
  readonly essence: string;
  /** Lower case, without quotes; undefined when not named. */
  readonly charset: string | undefined;
  /** As it was written, without quotes; undefined when not named. */
  readonly boundary: string | undefined;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const mediaType = new RegExp(`^\\s*(${token}/${token})\\s*((?:;\\s*(?:${token}=(?:${token}|"[^"\\\\]*")\\s*)?)*)$`);
const parameter = new RegExp(`(${token})=(${token}|"[^"\\\\]*")`, 'g');

/** Parses a Content-Type (RFC 9110, section 8.3). A list, a bad parameter, or two charsets or boundaries: undefined. */
export function parseMediaType(value: string): MediaType | undefined {
  if (value.length > 256) return undefined;
  const match = mediaType.exec(value);
  if (match === null) return undefined;
  let charset: string | undefined;
  let boundary: string | undefined;
  for (const [, name, raw] of match[2]!.matchAll(parameter)) {
    const lower = name!.toLowerCase();
    // `charset*=…` (RFC 2231): some readers take it for the charset, most do not.
    if (lower.startsWith('charset*') || lower.startsWith('boundary*')) return undefined;
    const value = raw!.replaceAll('"', '');
    if (lower === 'charset') {
      if (charset !== undefined) return undefined;
      charset = value.toLowerCase();
    } else if (lower === 'boundary') {
      if (boundary !== undefined) return undefined;
      boundary = value;
    }
  }
  return { essence: match[1]!.toLowerCase(), charset, boundary };
}

/** What the headers of a request say of its body. */
export interface RequestMedia {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Of the URL, without its `?`: read where the request is opaque. */
  readonly query?: string;
}

/** A request's body must be JSON in UTF-8, as it is: anything else is refused with 415. */
export function checkRequestMedia(
  contentType: string | undefined,
  contentEncoding: string | undefined,
): (Reading<never> & { ok: false }) | undefined {
  const encoded = checkEncoding(contentEncoding);
  if (encoded !== undefined) return encoded;
  const type = contentType === undefined ? undefined : parseMediaType(contentType);
  if (type?.essence !== 'application/json')
    return refused(
      'unsupported_media_type',
      "Unsupported content type. This API method only accepts 'application/json' requests.",
    );
  if (type.charset !== undefined && type.charset !== 'utf-8')
    return refused(
      'unsupported_media_type',
      "Unsupported charset. This API method only accepts UTF-8 ('charset=utf-8').",
    );
  return undefined;
}

/** An encoded body is read by nobody here: it is refused with 415. */
export function checkEncoding(contentEncoding: string | undefined): (Reading<never> & { ok: false }) | undefined {
  if (contentEncoding === undefined || contentEncoding.trim().toLowerCase() === 'identity') return undefined;
  return refused(
    'unsupported_encoding',
    'Encoded request bodies are not supported: send the body without Content-Encoding.',
  );
}

function refused(code: 'unsupported_encoding' | 'unsupported_media_type', message: string) {
  return { ok: false, code, message } as const;
}

export interface ResponseMedia {
  /** Media type in lower case, without its parameters. */
  readonly essence: string;
  /** The media type with its charset and no other parameter, as it may be sent on. */
  readonly canonical: string;
  /** Undefined: a type or a charset that we cannot mask (502 `response_type_refused`). */
  readonly framing: Framing | undefined;
}

/** What a response's Content-Type headers say. None, several, or one that is malformed: undefined. */
export function readResponseMedia(contentTypes: readonly string[]): ResponseMedia | undefined {
  const type = contentTypes.length === 1 ? parseMediaType(contentTypes[0]!) : undefined;
  if (type === undefined) return undefined;
  const { essence, charset } = type;
  if (charset === undefined) return { essence, canonical: essence, framing: framingOf(essence) };
  const known = charset === 'utf-8' || charset === 'us-ascii';
  return { essence, canonical: `${essence}; charset=${charset}`, framing: known ? framingOf(essence) : undefined };
}

function framingOf(essence: string): Framing | undefined {
  switch (essence) {
    case 'text/event-stream':
      return 'sse';
    case 'application/json':
    case 'application/problem+json':
      return 'json';
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return 'ndjson';
    case 'text/plain':
    case 'text/html':
      return 'text';
    default:
      return undefined;
  }
}
