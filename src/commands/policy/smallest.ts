/** The smallest request of each model API: what a case asks that says no more. */
import type { FormatId } from '../../exchange/facts.ts';
import type { Model } from '../../models/model.ts';

interface Smallest {
  readonly path: (model: Model) => string;
  /** Undefined: none. */
  readonly body: unknown;
  /** Whether the body says which model is meant, in `model`. */
  readonly named: boolean;
}

const messages = [{ role: 'user', content: 'Hello' }];
const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }];
const at = (path: string) => () => path;

export const smallest: Readonly<Record<FormatId, Smallest>> = {
  'openai-chat': { path: at('/v1/chat/completions'), body: { messages }, named: true },
  'openai-completions': { path: at('/v1/completions'), body: { prompt: 'Hello' }, named: true },
  'openai-responses': { path: at('/v1/responses'), body: { input: 'Hello' }, named: true },
  'openai-embeddings': { path: at('/v1/embeddings'), body: { input: 'Hello' }, named: true },
  'anthropic-messages': { path: at('/v1/messages'), body: { max_tokens: 16, messages }, named: true },
  gemini: {
    path: ({ name }) => `/v1beta/models/${encodeURIComponent(name)}:generateContent`,
    body: { contents },
    named: false,
  },
  'ollama-chat': { path: at('/api/chat'), body: { messages }, named: true },
  'ollama-generate': { path: at('/api/generate'), body: { prompt: 'Hello' }, named: true },
  tgi: { path: at('/generate'), body: { inputs: 'Hello' }, named: false },
  'bedrock-converse': {
    path: ({ name }) => `/model/${encodeURIComponent(name)}/converse`,
    body: { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] },
    named: false,
  },
  mcp: {
    path: ({ match }) => match.paths[0] ?? '/mcp',
    body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
    named: false,
  },
  opaque: { path: ({ match }) => match.paths[0] ?? '/', body: undefined, named: false },
};
