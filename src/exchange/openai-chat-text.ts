/**
 * Which strings of an OpenAI chat request and response are text. Sources: the OpenAI API reference, "Chat" and "Chat
 * streaming"; vLLM's `entrypoints/openai` protocol for what it adds.
 */
import { type Treatment, textRules } from './text-rules.ts';

/** Fields of a request that say how, not what. */
const parameters = [
  'model',
  'stream',
  'stream_options.include_usage',
  'stream_options.continuous_usage_stats',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'logprobs',
  'top_logprobs',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'parallel_tool_calls',
  'reasoning_effort',
  'verbosity',
  'service_tier',
  'store',
  'modalities[]',
  'response_format.type',
  'response_format.json_schema.strict',
  'tool_choice.type',
  'tools[].type',
  'tools[].function.strict',
  'messages[].role',
  'messages[].tool_call_id',
  'messages[].tool_calls[].id',
  'messages[].tool_calls[].type',
  'messages[].content[].type',
  'messages[].content[].image_url.detail',
  'messages[].content[].input_audio.format',
  'messages[].audio.id',
];

/** Fields of a request that say what. Named here, so that the names themselves are not taken for text. */
const words = [
  'user',
  'stop[]',
  'metadata',
  'response_format.json_schema.name',
  'response_format.json_schema.schema',
  'tool_choice.function.name',
  'tools[].function.name',
  'tools[].function.description',
  'tools[].function.parameters',
  'tools[].custom.name',
  'tools[].custom.description',
  'functions[].name',
  'functions[].description',
  'functions[].parameters',
  'messages[].name',
  'messages[].content[].text',
  'messages[].content[].refusal',
  'messages[].refusal',
  'messages[].reasoning_content',
  'messages[].tool_calls[].function.name',
  'messages[].tool_calls[].custom.name',
  'messages[].tool_calls[].custom.input',
  'messages[].function_call.name',
];

const request: Record<string, Treatment> = {
  ...Object.fromEntries(parameters.map((path) => [path, 'structural'] as const)),
  ...Object.fromEntries(words.map((path) => [path, 'whole'] as const)),
  'messages[].tool_calls[].function.arguments': 'json',
  'messages[].function_call.arguments': 'json',
  'messages[].content[].image_url.url': 'binary',
  'messages[].content[].video_url.url': 'binary',
  'messages[].content[].audio_url.url': 'binary',
  'messages[].content[].input_audio.data': 'binary',
  'messages[].content[].file.file_data': 'binary',
};

/** What a response body and the events of a stream have in common. */
const envelope: Record<string, Treatment> = {
  id: 'structural',
  object: 'structural',
  created: 'time',
  model: 'structural',
  system_fingerprint: 'structural',
  service_tier: 'structural',
  provider: 'whole',
  'citations[]': 'whole',
  'x_groq.**': 'whole',
  'prompt_filter_results[].**': 'whole',
  // Random padding of OpenAI's own streams, against guessing by length.
  obfuscation: 'structural',
  'usage.**': 'counts',
  'usage.prompt_tokens': 'input-tokens',
  'usage.completion_tokens': 'output-tokens',
  'error.**': 'error',
  message: 'whole',
  detail: 'whole',
  code: 'whole',
  param: 'whole',
  prompt_logprobs: 'drop',
  prompt_token_ids: 'drop',
  'choices[#].index': 'structural',
  'choices[#].finish_reason': 'end',
  'choices[#].native_finish_reason': 'whole',
  // vLLM: the stop string or token that ended the choice.
  'choices[#].stop_reason': 'whole',
  'choices[#].logprobs': 'drop',
  'choices[#].token_ids': 'drop',
  'choices[#].prompt_token_ids': 'drop',
  'choices[#].prompt_logprobs': 'drop',
  'choices[#].content_filter_results.**': 'whole',
};

/** The fields of a message (whole) and of a delta (in pieces) are the same. */
function message(at: string, toolCalls: string): Record<string, Treatment> {
  return {
    [`${at}.role`]: 'structural',
    [`${at}.content`]: 'channel',
    [`${at}.refusal`]: 'channel',
    [`${at}.reasoning_content`]: 'channel',
    [`${at}.reasoning`]: 'channel',
    [`${at}.content[].type`]: 'whole',
    [`${at}.content[].text`]: 'channel',
    [`${at}.annotations[].**`]: 'whole',
    [`${at}.audio.id`]: 'structural',
    [`${at}.audio.expires_at`]: 'time',
    [`${at}.audio.data`]: 'binary',
    [`${at}.audio.transcript`]: 'channel',
    [`${at}.${toolCalls}.index`]: 'structural',
    [`${at}.${toolCalls}.id`]: 'structural',
    [`${at}.${toolCalls}.type`]: 'structural',
    // SDKs put the last name that they see, not the pieces together: a name is complete in its event.
    [`${at}.${toolCalls}.function.name`]: 'whole',
    [`${at}.${toolCalls}.function.arguments`]: 'json',
    [`${at}.${toolCalls}.custom.name`]: 'whole',
    [`${at}.${toolCalls}.custom.input`]: 'channel',
    [`${at}.function_call.name`]: 'whole',
    [`${at}.function_call.arguments`]: 'json',
  };
}

export const requestText = textRules(request);
/** A response that is one JSON body: each text is complete. */
export const responseText = textRules({ ...envelope, ...message('choices[#].message', 'tool_calls[]') });
/** One event of a streamed response: `index` says which choice and which tool call goes on. */
export const eventText = textRules({ ...envelope, ...message('choices[#].delta', 'tool_calls[#]') });
