/** Which strings of an Ollama request and response are text. Source: Ollama's `docs/api.md` and `api/types.go`. */
import { type Markers, type Treatment, textRules } from './text-rules.ts';

type Table = Record<string, Treatment | Markers>;

const of = (treatment: Treatment, names: readonly string[]): Table =>
  Object.fromEntries(names.map((name) => [name, treatment] as const));

const optionNames = [
  ...['num_keep', 'seed', 'num_predict', 'top_k', 'top_p', 'min_p', 'typical_p', 'repeat_last_n', 'temperature'],
  ...['repeat_penalty', 'presence_penalty', 'frequency_penalty', 'mirostat', 'mirostat_tau', 'mirostat_eta'],
  ...['penalize_newline', 'numa', 'num_ctx', 'num_batch', 'num_gpu', 'main_gpu', 'use_mmap', 'num_thread', 'tfs_z'],
];

const parameters = of('structural', [
  ...['model', 'stream', 'raw', 'think', 'keep_alive', 'truncate', 'shift', 'logprobs', 'top_logprobs'],
  ...optionNames.map((name) => `options.${name}`),
]);

export const chatRequestText = textRules({
  ...parameters,
  ...of('structural', ['messages[].role', 'messages[].tool_call_id', 'messages[].tool_calls[].id', 'tools[].type']),
  ...of('whole', [
    ...['options.stop[]', 'format', 'messages[].content', 'messages[].thinking', 'messages[].tool_name'],
    ...['messages[].tool_calls[].function.name', 'messages[].tool_calls[].function.arguments'],
    ...['tools[].function.name', 'tools[].function.description', 'tools[].function.parameters'],
  ]),
  'messages[].tool_calls[].type': 'structural',
  'messages[].tool_calls[].function.index': 'structural',
  'messages[].images[]': 'binary',
});

export const generateRequestText = textRules({
  ...parameters,
  ...of('whole', ['options.stop[]', 'format', 'prompt', 'suffix', 'system', 'template', 'context']),
  'images[]': 'binary',
});

/** What every answer has, and every line of a stream. */
const envelope: Table = {
  model: 'structural',
  remote_model: 'structural',
  remote_host: 'whole',
  created_at: 'time',
  done: { true: 'terminal' },
  done_reason: 'structural',
  ...of('counts', ['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration']),
  prompt_eval_count: 'input-tokens',
  eval_count: 'output-tokens',
  // Token ids of prompt and answer.
  context: 'drop',
  logprobs: 'drop',
  error: 'error',
};

/** Each line's tool calls are complete. */
const toolCalls = (at: string): Table => ({
  [`${at}.id`]: 'structural',
  [`${at}.type`]: 'structural',
  [`${at}.function.index`]: 'structural',
  [`${at}.function.name`]: 'whole',
  [`${at}.function.arguments.**`]: 'whole',
});

export const chatText = textRules({
  ...envelope,
  'message.role': 'structural',
  'message.content': 'channel',
  'message.thinking': 'channel',
  'message.images[]': 'binary',
  'message.tool_name': 'whole',
  ...toolCalls('message.tool_calls[]'),
});

export const generateText = textRules({
  ...envelope,
  response: 'channel',
  thinking: 'channel',
  image: 'binary',
  ...toolCalls('tool_calls[]'),
});
