/** What the response's headers say: how its body is read, or why it is refused; and which headers may leave. */
import type { ErrorCode } from '../exchange/errors.ts';
import { leaves } from './response-headers.ts';
import type { Header } from './wire.ts';

export type Framing = 'sse' | 'json' | 'ndjson' | 'text';

export interface ResponseHead {
  readonly status: number;
  /** Media type in lower case, without its parameters. */
  readonly mediaType: string;
  readonly reading: { readonly ok: true; readonly framing: Framing } | { readonly ok: false; readonly code: ErrorCode };
  /** Names of headers that do not leave. */
  readonly remove: readonly string[];
  /** Headers to set: the content type, when it had parameters that we do not pass on. */
  readonly set: readonly Header[];
}

const FRAMINGS: ReadonlyMap<string, Framing> = new Map([
  ['text/event-stream', 'sse'],
  ['application/json', 'json'],
  ['application/problem+json', 'json'],
  ['application/x-ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['text/plain', 'text'],
  ['text/html', 'text'],
]);

export function readHead(headers: readonly Header[], endOfStream: boolean): ResponseHead {
  let status = 0;
  let contentType = '';
  let encoding = '';
  const remove: string[] = [];
  for (const [name, value] of headers) {
    if (name === ':status') status = Number(value);
    else if (name === 'content-type') contentType = value;
    else if (name === 'content-encoding') encoding = value.trim().toLowerCase();
    if (!leaves(name, value)) remove.push(name);
  }
  const { mediaType, charset, plain } = readContentType(contentType);
  return {
    status,
    mediaType,
    reading: readBody(status, mediaType, charset, encoding, endOfStream),
    remove,
    set: plain ? [] : [['content-type', charset === undefined ? mediaType : `${mediaType}; charset=${charset}`]],
  };
}

function readContentType(value: string): { mediaType: string; charset: string | undefined; plain: boolean } {
  const [type = '', ...parameters] = value.toLowerCase().split(';');
  const named = parameters.map((parameter) => parameter.trim()).filter((parameter) => parameter !== '');
  const charset = named
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '');
  return { mediaType: type.trim(), charset, plain: named.length === (charset === undefined ? 0 : 1) };
}

function readBody(
  status: number,
  mediaType: string,
  charset: string | undefined,
  encoding: string,
  bodiless: boolean,
): ResponseHead['reading'] {
  // 206 is a part of a text, which cannot be masked as a whole.
  if (status === 206) return { ok: false, code: 'response_type_refused' };
  if (encoding !== '' && encoding !== 'identity') return { ok: false, code: 'response_encoding_refused' };
  if (bodiless) return { ok: true, framing: 'text' };
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'us-ascii')
    return { ok: false, code: 'response_type_refused' };
  const framing = FRAMINGS.get(mediaType);
  return framing === undefined ? { ok: false, code: 'response_type_refused' } : { ok: true, framing };
}
