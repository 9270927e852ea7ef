/**
 * Anthropic Messages (`POST /v1/messages`) and its token count, as Anthropic, vLLM, Ollama and LiteLLM speak it. Source:
 * the Anthropic API reference, "Messages", "Streaming messages" and "Errors".
 */
import { messagesCalls } from './anthropic-calls.ts';
import { messagesFacts } from './anthropic-request.ts';
import { eventText, requestText, responseText } from './anthropic-text.ts';
import type { Endpoint, Format, PathStep } from './format.ts';
import { nested } from './nested.ts';
import { vendorType } from './vendor-errors.ts';

const endpoints: ReadonlyMap<string, Endpoint> = new Map([
  ['/v1/messages', { operation: 'chat' }],
  ['/v1/messages/count_tokens', { operation: 'count_tokens' }],
]);

/** Type of a delta by the field that it carries. */
const deltaTypes: Readonly<Record<string, string>> = {
  text: 'text_delta',
  thinking: 'thinking_delta',
  partial_json: 'input_json_delta',
  content: 'compaction_delta',
};

export const anthropicMessages: Format = {
  id: 'anthropic-messages',
  endpoint: (method, path) => (method === 'POST' ? endpoints.get(path) : undefined),
  paths: [...endpoints.keys()],
  facts: messagesFacts,
  requestText,
  responseText,
  eventText,
  toolCalls: messagesCalls,
  // `message_stop` is a marker of the table.
  isTerminal: () => false,
  namedEvents: true,
  carrier,
  error: ({ code, row, message, session }) =>
    JSON.stringify({
      type: 'error',
      error: { type: vendorType('anthropic', code, row), message, code },
      ...(session === '' ? {} : { request_id: session }),
    }),
  modelListPaths: ['/v1/models'],
  modelListHeader: 'anthropic-version',
  modelList: (names) =>
    JSON.stringify({
      data: names.map((id) => ({ type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' })),
      has_more: false,
      first_id: names[0] ?? null,
      last_id: names.at(-1) ?? null,
    }),
};

/** A delta of the block that the channel is in. What is in no block comes in an event of a type that clients pass over. */
function carrier(_header: string, path: readonly PathStep[], text: string): string {
  const [first, ...rest] = path;
  if (typeof first !== 'object') return JSON.stringify({ type: 'held_text', ...nested(path, text) });
  const field = rest[0] === 'delta' && typeof rest[1] === 'string' ? rest[1] : undefined;
  const { delta, ...more } = nested(rest, text);
  return JSON.stringify({
    type: 'content_block_delta',
    index: first.item,
    delta: { type: field === undefined ? 'held_text' : (deltaTypes[field] ?? `${field}_delta`), ...(delta as object) },
    ...more,
  });
}
