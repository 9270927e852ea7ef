/**
 * OpenAI chat completions (`POST /v1/chat/completions`), as OpenAI, vLLM, SGLang, llama.cpp and Ollama speak it.
 * Source: the OpenAI API reference, "Chat" and "Chat streaming".
 */
import type { Endpoint, Format, PathStep } from './format.ts';
import { chatFacts } from './openai-chat-request.ts';
import { eventText, requestText, responseText } from './openai-chat-text.ts';

const paths: ReadonlySet<string> = new Set(['/v1/chat/completions', '/chat/completions']);
const endpoint: Endpoint = { operation: 'chat' };

export const openaiChat: Format = {
  id: 'openai-chat',
  endpoint: (method, path) => (method === 'POST' && paths.has(path) ? endpoint : undefined),
  facts: chatFacts,
  requestText,
  responseText,
  eventText,
  // SDKs differ: OpenAI's compares the data itself, others trim it or look at its beginning only.
  isTerminal: (data) => data.trim() === '[DONE]',
  carrier,
  // The session goes into the message as well: SDKs show the message first.
  error: ({ code, row, message }) => JSON.stringify({ error: { message, type: row.type, param: null, code } }),
  modelListPaths: ['/v1/models', '/models'],
  modelList: (names) =>
    JSON.stringify({
      object: 'list',
      data: names.map((id) => ({ id, object: 'model', created: 0, owned_by: 'sallyport' })),
    }),
};

/** One choice with the channel's index, a delta with the channel's field only, `finish_reason` null. */
function carrier(header: string, path: readonly PathStep[], text: string): string {
  let value: unknown = text;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const step = path[depth]!;
    if (typeof step === 'string') value = { [step]: value };
    else if (!step.indexed || typeof value !== 'object') value = [...Array(step.item).fill({}), value];
    else
      value = [
        { index: step.item, ...value, ...(depth === 1 && path[0] === 'choices' ? { finish_reason: null } : {}) },
      ];
  }
  const body = JSON.stringify(path[0] === 'choices' ? value : { choices: [], ...(value as object) });
  return header === '' ? body : `{${header},${body.slice(1)}`;
}
