/** What the response's headers say: how its body is read, or why it is refused; and which headers may leave. */
import type { ErrorCode } from '../exchange/errors.ts';
import { type Framing, readResponseMedia } from '../exchange/media.ts';
import { leaves } from './response-headers.ts';
import type { Header } from './wire.ts';

export type { Framing };

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

/** `passesOpaque`: what cannot be masked passes as it is, because nothing is to be masked and the model entry admits it. */
export function readHead(headers: readonly Header[], endOfStream: boolean, passesOpaque = false): ResponseHead {
  let status = 0;
  const contentTypes: string[] = [];
  let encoded = false;
  const remove: string[] = [];
  for (const [name, value] of headers) {
    if (name === ':status') status = Number(value);
    else if (name === 'content-type') contentTypes.push(value);
    else if (name === 'content-encoding') encoded ||= !/^(?:identity)?$/i.test(value.trim());
    if (!leaves(name, value)) remove.push(name);
  }
  const media = readResponseMedia(contentTypes);
  if (media === undefined && contentTypes.length > 0) remove.push('content-type');
  const framing = media === undefined ? withoutType(status, contentTypes) : (media.framing ?? opaqueIf(passesOpaque));
  return {
    status,
    mediaType: media?.essence ?? '',
    reading: readBody(status, framing, encoded, endOfStream),
    remove,
    set: media === undefined || media.canonical === contentTypes[0] ? [] : [['content-type', media.canonical]],
  };
}

/** MCP servers accept a notification with 202 and no body, which HTTP/1.1 may frame as an empty one of chunks. */
function withoutType(status: number, contentTypes: readonly string[]): Framing | undefined {
  return status === 202 && contentTypes.length === 0 ? 'none' : undefined;
}

function opaqueIf(passes: boolean): Framing | undefined {
  return passes ? 'opaque' : undefined;
}

function readBody(
  status: number,
  framing: Framing | undefined,
  encoded: boolean,
  bodiless: boolean,
): ResponseHead['reading'] {
  // 206 is a part of a text, which cannot be masked as a whole.
  if (status === 206) return { ok: false, code: 'response_type_refused' };
  if (encoded) return { ok: false, code: 'response_encoding_refused' };
  if (bodiless) return { ok: true, framing: 'text' };
  return framing === undefined ? { ok: false, code: 'response_type_refused' } : { ok: true, framing };
}
