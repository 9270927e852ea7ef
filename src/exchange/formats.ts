import type { Reading, RequestFacts } from './facts.ts';
import type { Endpoint, Format } from './format.ts';
import { readingJson } from './json.ts';
import { checkRequestMedia } from './media.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiCompletions } from './openai-completions.ts';
import { openaiEmbeddings } from './openai-embeddings.ts';
import { openaiResponses } from './openai-responses.ts';
import { type Cancelled, paced, type Work } from './pace.ts';
import { tgi } from './tgi.ts';

/** Every model API that the gateway speaks. */
export const formats: readonly Format[] = [openaiChat, openaiCompletions, openaiResponses, openaiEmbeddings, tgi];

export function formatById(id: string): Format | undefined {
  return formats.find((format) => format.id === id);
}

/** What a request asks of a model API. */
export interface Asked {
  readonly format: Format;
  readonly endpoint: Endpoint;
}

/** What a request's method and path (without its query) ask for; undefined: no format admits them. */
export function formatOfRequest(method: string, path: string): Asked | undefined {
  for (const format of formats) {
    const endpoint = format.endpoint(method, path);
    if (endpoint !== undefined) return { format, endpoint };
  }
  return undefined;
}

/** Paths of `GET` that ask for the list of models, answered by the gate. */
export const modelListPaths: ReadonlyMap<string, Format> = new Map(
  formats.flatMap((format) => format.modelListPaths.map((path) => [path, format] as const)),
);

export interface RequestMedia {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

/**
 * Reads a request: media type, strict JSON, facts. Synchronous for small bodies, in slices for large ones. Throws, or
 * rejects with, Abandoned once `cancelled` says so.
 */
export function readRequest(
  asked: Asked,
  media: RequestMedia,
  body: Uint8Array,
  cancelled?: Cancelled,
): Reading<RequestFacts> | Promise<Reading<RequestFacts>> {
  return paced(readingRequest(asked, media, body), cancelled);
}

function* readingRequest(
  { format, endpoint }: Asked,
  media: RequestMedia,
  body: Uint8Array,
): Work<Reading<RequestFacts>> {
  const refusal = checkRequestMedia(media.contentType, media.contentEncoding);
  if (refusal !== undefined) return refusal;
  const json = yield* readingJson(body);
  if (!json.ok) return json;
  return yield* format.facts(json.value, body.byteLength, endpoint);
}
