/**
 * Ollama's own API (`POST /api/chat`, `POST /api/generate`). Streams are lines of JSON, the last one with `"done": true`.
 * Source: Ollama's `docs/api.md`.
 */
import type { Endpoint, Format, PathStep } from './format.ts';
import { nested } from './nested.ts';
import { chatFacts, generateFacts } from './ollama-request.ts';
import { chatRequestText, chatText, generateRequestText, generateText } from './ollama-text.ts';
import { ollamaCalls } from './other-calls.ts';

/** What the two have in common. */
const shared = {
  toolCalls: ollamaCalls,
  // `done` is a marker of the table.
  isTerminal: () => false,
  carrier,
  error: ({ message }: { readonly message: string }) => JSON.stringify({ error: message }),
  modelList: (names: readonly string[]) =>
    JSON.stringify({
      models: names.map((name) => ({
        name,
        model: name,
        modified_at: '1970-01-01T00:00:00Z',
        size: 0,
        digest: '',
        details: { parent_model: '', format: '', family: '', families: [], parameter_size: '', quantization_level: '' },
      })),
    }),
} as const;

export const ollamaChat: Format = {
  ...shared,
  id: 'ollama-chat',
  ...at('/api/chat', { operation: 'chat' }),
  facts: chatFacts,
  requestText: chatRequestText,
  responseText: chatText,
  eventText: chatText,
  modelListPaths: ['/api/tags'],
};

export const ollamaGenerate: Format = {
  ...shared,
  id: 'ollama-generate',
  ...at('/api/generate', { operation: 'text_completion' }),
  facts: generateFacts,
  requestText: generateRequestText,
  responseText: generateText,
  eventText: generateText,
  modelListPaths: [],
};

function at(path: string, endpoint: Endpoint): Pick<Format, 'endpoint' | 'paths'> {
  return {
    endpoint: (method, asked) => (method === 'POST' && asked === path ? endpoint : undefined),
    paths: [path],
  };
}

/** A line with the channel's field only; `done` false. */
function carrier(header: string, path: readonly PathStep[], text: string): string {
  const line = nested(path, text);
  const { message } = line;
  const body = JSON.stringify({
    ...line,
    ...(typeof message === 'object' ? { message: { role: 'assistant', content: '', ...message } } : {}),
    ...(path[0] === 'thinking' ? { response: '' } : {}),
    done: false,
  });
  return header === '' ? body : `{${header},${body.slice(1)}`;
}
