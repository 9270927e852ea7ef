/**
 * Gemini (`POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent`, `:countTokens`). Source: the Gemini API
 * reference. Without `alt=sse` a stream is one JSON array, each item an event.
 */
import type { Endpoint, Format, PathStep } from './format.ts';
import { contentFacts } from './gemini-request.ts';
import { eventText, requestText, responseText } from './gemini-text.ts';
import { modelOfSegment } from './model-path.ts';
import { nested } from './nested.ts';
import { geminiCalls } from './other-calls.ts';
import { vendorType } from './vendor-errors.ts';

const methods: ReadonlyMap<string, Endpoint> = new Map([
  ['generateContent', { operation: 'chat', stream: false }],
  ['streamGenerateContent', { operation: 'chat', stream: true }],
  ['countTokens', { operation: 'count_tokens', stream: false }],
]);
const path = /^\/v1(?:beta)?\/models\/([^/]+):([A-Za-z]+)$/;

export const gemini: Format = {
  id: 'gemini',
  endpoint,
  // Below `/v1beta/models/` or elsewhere (Vertex AI): the method says what it is.
  paths: Array.from(methods.keys(), (method) => `/*:${method}`),
  facts: contentFacts,
  requestText,
  responseText,
  eventText,
  toolCalls: geminiCalls,
  streamsArrays: true,
  // The end of the body is the end.
  isTerminal: () => false,
  carrier,
  error: ({ code, row, message, session }) =>
    JSON.stringify({
      error: {
        code: row.status,
        message,
        status: vendorType('google', code, row),
        details: [
          {
            '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
            reason: code.toUpperCase(),
            domain: 'sallyport',
            metadata: session === '' ? {} : { session },
          },
        ],
      },
    }),
  modelListPaths: ['/v1beta/models', '/v1/models'],
  modelListHeader: 'x-goog-api-key',
  modelList: (names) =>
    JSON.stringify({
      models: names.map((name) => ({
        name: `models/${name}`,
        displayName: name,
        supportedGenerationMethods: [...methods.keys()],
      })),
    }),
};

function endpoint(method: string, asked: string): Endpoint | undefined {
  const match = method === 'POST' ? path.exec(asked) : null;
  const found = match === null ? undefined : methods.get(match[2]!);
  const model = found && modelOfSegment(match![1]!, false);
  return model === undefined ? undefined : { ...found!, model };
}

/** A candidate with one part. The second place of a joined array is that of thoughts. */
function carrier(header: string, path: readonly PathStep[], text: string): string {
  const at = path.indexOf('parts') + 1;
  const item = at > 0 ? path[at] : undefined;
  if (path[0] !== 'candidates' || typeof item !== 'object') return withHeader(header, nested(path, text));
  const part = { ...nested(path.slice(at + 1), text), ...(item.item === 1 ? { thought: true } : {}) };
  const index = typeof path[1] === 'object' ? path[1].item : 0;
  return withHeader(header, { candidates: [{ content: { parts: [part], role: 'model' }, index }] });
}

function withHeader(header: string, event: object): string {
  const body = JSON.stringify(event);
  return header === '' ? body : `{${header},${body.slice(1)}`;
}
