/**
 * OpenAI chat completions (`POST /v1/chat/completions`), as OpenAI, vLLM, SGLang, llama.cpp, TGI and Ollama speak it.
 * Source: the OpenAI API reference, "Chat" and "Chat streaming".
 */
import type { Endpoint, Format } from './format.ts';
import { choiceCarrier, isDone, openaiError, openaiModelList } from './openai-api.ts';
import { chatCalls } from './openai-chat-calls.ts';
import { chatFacts } from './openai-chat-request.ts';
import { eventText, requestText, responseText } from './openai-chat-text.ts';

const paths: readonly string[] = ['/v1/chat/completions', '/chat/completions'];
const endpoint: Endpoint = { operation: 'chat' };

export const openaiChat: Format = {
  id: 'openai-chat',
  endpoint: (method, path) => (method === 'POST' && paths.includes(path) ? endpoint : undefined),
  paths,
  facts: chatFacts,
  requestText,
  responseText,
  eventText,
  toolCalls: chatCalls,
  isTerminal: isDone,
  carrier: choiceCarrier,
  error: openaiError,
  modelListPaths: ['/v1/models', '/models'],
  modelList: openaiModelList,
};
