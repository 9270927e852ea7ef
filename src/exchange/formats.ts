import type { Reading, RequestFacts } from './facts.ts';
import type { Format } from './format.ts';
import { readingJson } from './json.ts';
import { checkRequestMedia } from './media.ts';
import { openaiChat } from './openai-chat.ts';
import { type Cancelled, paced, type Work } from './pace.ts';

/** Every model API that the gateway speaks. */
export const formats: readonly Format[] = [openaiChat];

export function formatById(id: string): Format | undefined {
  return formats.find((format) => format.id === id);
}

/** The format that a request's method and path (without its query) mean; undefined: no format admits them. */
export function formatOfRequest(method: string, path: string): Format | undefined {
  return formats.find((format) => format.method === method && format.paths.includes(path));
}

/** Paths of `GET` that ask for the list of models, answered by the gate. */
export const modelListPaths: ReadonlyMap<string, Format> = new Map([
  ['/v1/models', openaiChat],
  ['/models', openaiChat],
]);

export interface RequestMedia {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

/**
 * Reads a request: media type, strict JSON, facts. Synchronous for small bodies, in slices for large ones. Throws, or
 * rejects with, Abandoned once `cancelled` says so.
 */
export function readRequest(
  format: Format,
  media: RequestMedia,
  body: Uint8Array,
  cancelled?: Cancelled,
): Reading<RequestFacts> | Promise<Reading<RequestFacts>> {
  return paced(readingRequest(format, media, body), cancelled);
}

function* readingRequest(format: Format, media: RequestMedia, body: Uint8Array): Work<Reading<RequestFacts>> {
  const refusal = checkRequestMedia(media.contentType, media.contentEncoding);
  if (refusal !== undefined) return refusal;
  const json = yield* readingJson(body);
  if (!json.ok) return json;
  return yield* format.facts(json.value, body.byteLength);
}
