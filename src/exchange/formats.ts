import { anthropicMessages } from './anthropic-messages.ts';
import { bedrockConverse } from './bedrock-converse.ts';
import type { Reading, RequestFacts } from './facts.ts';
import type { Endpoint, Format } from './format.ts';
import { gemini } from './gemini.ts';
import { readingJson } from './json.ts';
import { mcp } from './mcp.ts';
import { checkRequestMedia, type RequestMedia } from './media.ts';
import { ollamaChat, ollamaGenerate } from './ollama.ts';
import { opaque } from './opaque.ts';
import { opaqueFacts } from './opaque-request.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiCompletions } from './openai-completions.ts';
import { openaiEmbeddings } from './openai-embeddings.ts';
import { openaiResponses } from './openai-responses.ts';
import { type Cancelled, paced, type Work } from './pace.ts';
import { tgi } from './tgi.ts';

/**
 * Every model API that the gateway speaks. `mcp` and `opaque` have no paths of their own: gateway/route.ts says when they
 * are meant.
 */
export const formats: readonly Format[] = [
  openaiChat,
  openaiCompletions,
  openaiResponses,
  openaiEmbeddings,
  anthropicMessages,
  gemini,
  ollamaChat,
  ollamaGenerate,
  bedrockConverse,
  tgi,
  mcp,
  opaque,
];

export function formatById(id: string): Format | undefined {
  return formats.find((format) => format.id === id);
}

/** What a request asks of a model API. */
export interface Asked {
  readonly format: Format;
  readonly endpoint: Endpoint;
}

/** What a request's method and path (without its query) ask for, in every format that has the path; which one is meant, the models say. */
export function formatsOfRequest(method: string, path: string): Asked[] {
  return formats.flatMap((format) => {
    const endpoint = format.endpoint(method, path);
    return endpoint === undefined ? [] : [{ format, endpoint }];
  });
}

/** The same, of the first format that has the path. */
export function formatOfRequest(method: string, path: string): Asked | undefined {
  return formatsOfRequest(method, path)[0];
}

/** What a request asks of a format that is known to be meant; undefined: it has no such path, or there is no such format. */
export function askedOf(id: string, method: string, path: string): Asked | undefined {
  const format = formatById(id);
  if (format === undefined) return undefined;
  const endpoint = ANYWHERE.get(id) ?? format.endpoint(method, path);
  return endpoint === undefined ? undefined : { format, endpoint };
}

/** Formats whose paths are those that a model entry names. */
const ANYWHERE: ReadonlyMap<string, Endpoint> = new Map([
  ['mcp', { operation: 'mcp' }],
  ['opaque', { operation: 'opaque' }],
]);

/** A question about the models that there are, answered by the gate. */
export interface ModelsAsked {
  readonly format: Format;
  /** The one that is asked about; undefined: the list. */
  readonly one: string | undefined;
}

/** What a `GET` of this path asks about models; undefined: nothing. Several APIs have one path: a header of the SDK says which is meant. */
export function modelsAsked(path: string, hasHeader: (name: string) => boolean): ModelsAsked | undefined {
  const format = (list: string): Format | undefined => {
    const having = formats.filter(({ modelListPaths }) => modelListPaths.includes(list));
    const marked = ({ modelListHeader }: Format) => modelListHeader !== undefined && hasHeader(modelListHeader);
    return having.find(marked) ?? having[0];
  };
  const listing = format(path);
  if (listing !== undefined) return { format: listing, one: undefined };
  const [, list = '', id = ''] = /^(.*?\/models)\/(.+)$/.exec(path) ?? [];
  const describing = format(list);
  return describing === undefined ? undefined : { format: describing, one: decoded(id) };
}

/** The answer to what was asked about models, as JSON text; undefined: the one that was asked about is not among `names`. */
export function modelsAnswer({ format, one }: ModelsAsked, names: readonly string[]): string | undefined {
  if (one === undefined) return format.modelList(names);
  if (!names.includes(one)) return undefined;
  // In every API that has such a path, one model is described as it is in the list.
  const list = Object.values(JSON.parse(format.modelList([one])) as Record<string, unknown>).find(Array.isArray);
  return JSON.stringify(list?.[0]);
}

/** Empty, which no model is called, where it is not percent-encoded text. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
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
  return paced(asked.format === opaque ? opaqueFacts(media, body) : readingRequest(asked, media, body), cancelled);
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
