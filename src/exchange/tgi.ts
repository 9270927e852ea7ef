/**
 * Text Generation Inference of Hugging Face (`POST /generate`, `/generate_stream`). Source: TGI's OpenAPI document,
 * `GenerateRequest`, `GenerateResponse` and `StreamResponse`. It names no model. Its `/` answers in another shape, and its
 * `/v1/chat/completions` is `openai-chat`.
 */
import { Check } from './check.ts';
import type { ParameterValue, Reading, RequestFacts } from './facts.ts';
import type { Endpoint, EventKinds, Format, PathStep } from './format.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { carried, openaiModelList, withHeader } from './openai-api.ts';
import { addScalars, namesAt, notAnObject, refusal, sliceItems } from './openai-request.ts';
import { refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import { type Treatment, textRules } from './text-rules.ts';
import { type KnownFacts, withTexts } from './with-texts.ts';
import { Words } from './words.ts';

const endpoints: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>([
  ['/generate', { operation: 'text_completion', stream: false }],
  ['/generate_stream', { operation: 'text_completion', stream: true }],
]);

const generation = [
  'adapter_id',
  'best_of',
  'decoder_input_details',
  'details',
  'do_sample',
  'frequency_penalty',
  'max_new_tokens',
  'repetition_penalty',
  'return_full_text',
  'seed',
  'temperature',
  'top_k',
  'top_n_tokens',
  'top_p',
  'truncate',
  'typical_p',
  'watermark',
];

const requestText = textRules({
  ...Object.fromEntries(generation.map((name) => [`parameters.${name}`, 'structural'] as const)),
  'parameters.grammar.type': 'structural',
  'parameters.grammar.value': 'whole',
  'parameters.stop[]': 'whole',
  inputs: 'whole',
  stream: 'structural',
  add_special_tokens: 'structural',
});

/** What the server counted and chose; its tokens are the text again, cut. */
const details: Record<string, Treatment> = {
  'details.finish_reason': 'structural',
  'details.generated_tokens': 'output-tokens',
  'details.input_length': 'input-tokens',
  'details.seed': 'structural',
  'details.prefill': 'drop',
  'details.tokens': 'drop',
  'details.top_tokens': 'drop',
  'details.best_of_sequences[].generated_text': 'whole',
  'details.best_of_sequences[].finish_reason': 'structural',
  'details.best_of_sequences[].generated_tokens': 'structural',
  'details.best_of_sequences[].seed': 'structural',
  'details.best_of_sequences[].prefill': 'drop',
  'details.best_of_sequences[].tokens': 'drop',
  'details.best_of_sequences[].top_tokens': 'drop',
  error: 'error',
  error_type: 'structural',
};

/** A special token (`</s>`) is no part of the text: most clients leave it out. */
const events: EventKinds = {
  members: new Set(['token.special', 'generated_text']),
  kind: (said) => ({
    scope: said.get('token.special') === 'true' ? 'special' : '',
    texts: 'pieces',
    ends: undefined,
    terminal: said.has('generated_text'),
  }),
};

export const tgi: Format = {
  id: 'tgi',
  endpoint: (method, path) => (method === 'POST' ? endpoints.get(path) : undefined),
  paths: [...endpoints.keys()],
  facts: generateFacts,
  requestText,
  responseText: textRules({ ...details, generated_text: 'whole' }),
  eventText: textRules({
    ...details,
    index: 'structural',
    'token.id': 'drop',
    'token.text': 'channel',
    'token.logprob': 'drop',
    'token.special': 'structural',
    top_tokens: 'drop',
    generated_text: 'whole',
  }),
  events,
  // The event with the whole text is the last one.
  isTerminal: () => false,
  carrier,
  error: ({ code, message }) => JSON.stringify({ error: message, error_type: code }),
  modelListPaths: [],
  modelList: openaiModelList,
};

/** A token with the text that was held, and nothing else of one. */
function carrier(header: string, path: readonly PathStep[], text: string): string {
  return path[0] === 'token'
    ? withHeader(header, {
        token: { id: null, text, logprob: null, special: false },
        generated_text: null,
        details: null,
      })
    : carried(header, path, text);
}

const bodyNames = namesAt(requestText);
const parameterNames = namesAt(requestText, 'parameters');
const none: ReadonlySet<string> = new Set();
const noParameters = new Set(['inputs', 'stream']);
const noObject: JsonObject = {};

function* generateFacts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>> {
  if (!isJsonObject(body)) return notAnObject(body);
  const check = new Check();
  check.names(body, bodyNames, '');
  refuseOtherModels(check, body);
  const inputs = check.requiredText(body, 'inputs');
  check.optionalBoolean(body, 'stream');
  const said = body['parameters'];
  const options = said === undefined || said === null ? noObject : check.object(said, 'parameters');
  check.names(options, parameterNames, 'parameters');
  const maxTokens = check.optionalInteger(options, 'max_new_tokens', 0);
  check.optionalArray(options, 'stop', 'parameters');
  const parameters = new Map<string, ParameterValue>();
  // Of two with one name the server reads the one in `parameters`.
  yield* addScalars(check, body, '', parameters, noParameters);
  yield* addScalars(check, options, '', parameters, none);
  if (check.problem !== undefined) return refusal(check.problem);
  const images = yield* imagesIn(inputs);
  const all = new Words();
  all.add(inputs);
  const known: KnownFacts = {
    format: 'tgi',
    operation: 'text_completion',
    model: '',
    stream: endpoint.stream === true,
    choices: 1,
    system: '',
    messages: [{ role: 'user', text: inputs }],
    tools: [],
    images,
    audio: 0,
    files: 0,
    unread: images > 0,
    maxTokens,
    parameters,
  };
  return yield* withTexts(known, { words: all, body, rule: requestText, except: 'inputs', bytes });
}

/** Models that see take their images in the text, as Markdown has them: `![](address)`. */
function* imagesIn(text: string): Work<number> {
  let count = 0;
  let looked = 0;
  for (let at = text.indexOf('!['); at >= 0; ) {
    if (++looked % sliceItems === 0) yield;
    const label = text.indexOf(']', at + 2);
    if (label < 0) break;
    let end = label;
    if (text[label + 1] === '(') {
      end = text.indexOf(')', label + 2);
      if (end < 0) break;
      count++;
    }
    at = text.indexOf('![', end + 1);
  }
  return count;
}
