/**
 * OpenAI Responses (`POST /v1/responses`), as OpenAI, vLLM, llama.cpp and Ollama speak it. Source: the OpenAI API
 * reference, "Responses". The gate sees what this request carries: what `previous_response_id`, `conversation`,
 * `prompt.id` or an `item_reference` stands for is not examined; rules see that it is there.
 */
import type { Endpoint, Format } from './format.ts';
import { carried, isDone, openaiError, openaiModelList } from './openai-api.ts';
import { responseCalls } from './openai-responses-calls.ts';
import { responseEvents } from './openai-responses-events.ts';
import { responseFacts } from './openai-responses-request.ts';
import { eventText, requestText, responseText } from './openai-responses-text.ts';

const paths: readonly string[] = ['/v1/responses', '/responses'];
const endpoint: Endpoint = { operation: 'chat' };

export const openaiResponses: Format = {
  id: 'openai-responses',
  endpoint: (method, path) => (method === 'POST' && paths.includes(path) ? endpoint : undefined),
  paths,
  facts: responseFacts,
  requestText,
  responseText,
  eventText,
  toolCalls: responseCalls,
  events: responseEvents,
  namedEvents: true,
  isTerminal: isDone,
  // The header has the type, the item's id and the indexes: what a delta needs.
  carrier: carried,
  error: openaiError,
  // The API reference has the event's fields at its top; OpenAI's servers and SDKs have them in `error`.
  streamError: ({ code, row, message }) =>
    JSON.stringify({
      type: 'error',
      code,
      message,
      param: null,
      error: { type: row.type, code, message, param: null },
    }),
  // The gate's list is the same for all of OpenAI's APIs; `openai-chat` has the paths.
  modelListPaths: [],
  modelList: openaiModelList,
};
