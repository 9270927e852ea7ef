/**
 * OpenAI completions (`POST /v1/completions`), as OpenAI, vLLM, SGLang and llama.cpp speak it. Sources: the OpenAI API
 * reference, "Completions"; vLLM's `entrypoints/openai` protocol for what it adds.
 */
import { Check } from './check.ts';
import type { Reading, RequestFacts } from './facts.ts';
import type { Endpoint, Format } from './format.ts';
import { isJsonObject, type JsonValue } from './json.ts';
import { choiceCarrier, isDone, openaiError, openaiModelList } from './openai-api.ts';
import { constraints, envelope, sampling } from './openai-chat-text.ts';
import {
  asMessages,
  mostTokens,
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

const paths: readonly string[] = ['/v1/completions', '/completions'];
const endpoint: Endpoint = { operation: 'text_completion' };

const parameters = [
  'model',
  'stream',
  'stream_options.include_usage',
  'stream_options.continuous_usage_stats',
  'n',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'logprobs',
  'echo',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'logit_bias',
  'response_format.type',
  'return_token_ids',
  ...sampling,
];
const words = ['prompt', 'suffix', 'user', 'stop[]', 'metadata', 'bad_words[]', ...constraints];

const requestText = textRules({
  ...Object.fromEntries(parameters.map((path) => [path, 'structural'] as const)),
  ...Object.fromEntries(words.map((path) => [path, 'whole'] as const)),
});

/** A body and an event have the same fields. `echo` puts the prompt into the text as well. */
const answer: Record<string, Treatment> = { ...envelope, 'choices[#].text': 'channel' };

export const openaiCompletions: Format = {
  id: 'openai-completions',
  endpoint: (method, path) => (method === 'POST' && paths.includes(path) ? endpoint : undefined),
  paths,
  facts: completionFacts,
  requestText,
  responseText: textRules(answer),
  eventText: textRules(answer),
  isTerminal: isDone,
  carrier: choiceCarrier,
  error: openaiError,
  // The gate's list is the same for all of OpenAI's APIs; `openai-chat` has the paths.
  modelListPaths: [],
  modelList: openaiModelList,
};

const bodyNames = namesAt(requestText);
const noParameters = new Set(['model', 'stream', 'prompt', 'suffix']);
const parameterObjects = ['stream_options', 'response_format', 'structured_outputs', 'metadata', 'vllm_xargs'];
const mostChoices = 128;

function* completionFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  if (!isJsonObject(body)) return notAnObject(body);
  const check = new Check();
  check.names(body, bodyNames, '');
  refuseOtherModels(check, body);
  refuseUnreadable(check, body);
  const model = check.requiredText(body, 'model');
  const stream = check.optionalBoolean(body, 'stream') ?? false;
  const choices = check.optionalInteger(body, 'n', 1, mostChoices) ?? 1;
  const maxTokens = mostTokens(check, body, 'max_tokens');
  check.optionalInteger(body, 'best_of', 0, mostChoices);
  check.optionalText(body, 'suffix');
  const prompts = yield* textOrTexts(check, body, 'prompt');
  const parameters = yield* scalarParameters(check, body, noParameters, parameterObjects);
  if (check.problem !== undefined) return refusal(check.problem);
  const all = new Words();
  const messages = yield* asMessages(prompts, all);
  const known: KnownFacts = {
    format: 'openai-completions',
    operation: 'text_completion',
    model,
    stream,
    // Each prompt gets its own choices.
    choices: choices * prompts.length,
    system: '',
    messages,
    tools: [],
    images: 0,
    audio: 0,
    files: 0,
    unread: false,
    maxTokens,
    parameters,
  };
  return yield* withTexts(known, { words: all, body, rule: requestText, except: 'prompt', bytes });
}
