/**
 * OpenAI embeddings (`POST /v1/embeddings`), as OpenAI, vLLM, SGLang, llama.cpp and text-embeddings-inference speak it.
 * Source: the OpenAI API reference, "Embeddings". The answer has no words, but its strings are read like any.
 */
import { Check } from './check.ts';
import type { Reading, RequestFacts } from './facts.ts';
import type { Endpoint, Format } from './format.ts';
import { isJsonObject, type JsonValue } from './json.ts';
import { carried, isDone, openaiError, openaiModelList } from './openai-api.ts';
import {
  asMessages,
  namesAt,
  notAnObject,
  refusal,
  refuseUnreadable,
  scalarParameters,
  textOrTexts,
} from './openai-request.ts';
import { refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import { type Treatment, textRules } from './text-rules.ts';
import { type KnownFacts, withTexts } from './with-texts.ts';
import { Words } from './words.ts';

const paths: readonly string[] = ['/v1/embeddings', '/embeddings'];
const endpoint: Endpoint = { operation: 'embeddings' };

const requestText = textRules({
  model: 'structural',
  encoding_format: 'structural',
  dimensions: 'structural',
  input_type: 'structural',
  truncate_prompt_tokens: 'structural',
  add_special_tokens: 'structural',
  normalize: 'structural',
  embed_dtype: 'structural',
  endianness: 'structural',
  priority: 'structural',
  request_id: 'structural',
  cache_salt: 'structural',
  input: 'whole',
  messages: 'whole',
  user: 'whole',
});

const answer: Record<string, Treatment> = {
  id: 'structural',
  object: 'structural',
  created: 'time',
  model: 'structural',
  'data[].object': 'structural',
  'data[].index': 'structural',
  // As the base64 of its bytes, or as numbers; several for one input where each token has its own.
  'data[].embedding': 'binary',
  'data[].embedding.**': 'vector',
  'usage.**': 'counts',
  'usage.prompt_tokens': 'input-tokens',
  'usage.completion_tokens': 'output-tokens',
  'error.**': 'error',
  message: 'whole',
  detail: 'whole',
};

export const openaiEmbeddings: Format = {
  id: 'openai-embeddings',
  endpoint: (method, path) => (method === 'POST' && paths.includes(path) ? endpoint : undefined),
  paths,
  facts: embeddingFacts,
  requestText,
  responseText: textRules(answer),
  eventText: textRules(answer),
  isTerminal: isDone,
  carrier: carried,
  error: openaiError,
  // The gate's list is the same for all of OpenAI's APIs; `openai-chat` has the paths.
  modelListPaths: [],
  modelList: openaiModelList,
};

const bodyNames = namesAt(requestText);
const noParameters = new Set(['model', 'input']);

function* embeddingFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  if (!isJsonObject(body)) return notAnObject(body);
  const check = new Check();
  check.names(body, bodyNames, '');
  refuseOtherModels(check, body);
  refuseUnreadable(check, body);
  // vLLM takes messages in place of the input.
  if (body['messages'] !== undefined && body['messages'] !== null)
    check.complain("Unsupported parameter: 'messages'. Send 'input', a string or an array of strings.");
  const model = check.requiredText(body, 'model');
  check.optionalInteger(body, 'dimensions', 1);
  const inputs = yield* textOrTexts(check, body, 'input');
  const parameters = yield* scalarParameters(check, body, noParameters, []);
  if (check.problem !== undefined) return refusal(check.problem);
  const all = new Words();
  const messages = yield* asMessages(inputs, all);
  const known: KnownFacts = {
    format: 'openai-embeddings',
    operation: 'embeddings',
    model,
    stream: false,
    choices: 1,
    system: '',
    messages,
    tools: [],
    images: 0,
    audio: 0,
    files: 0,
    unread: false,
    maxTokens: undefined,
    parameters,
  };
  return yield* withTexts(known, { words: all, body, rule: requestText, except: 'input', bytes });
}
