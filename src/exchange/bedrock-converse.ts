/**
 * Amazon Bedrock Converse (`POST /model/{modelId}/converse`): its JSON side. Streams of Bedrock are binary
 * (application/vnd.amazon.eventstream), and bodies of `invoke` are those of each model: both are refused. Source: the Amazon
 * Bedrock API reference.
 */
import { converseFacts } from './bedrock-request.ts';
import { requestText, responseText } from './bedrock-text.ts';
import type { Endpoint, Format } from './format.ts';
import { modelOfSegment } from './model-path.ts';
import { nested } from './nested.ts';
import { bedrockCalls } from './other-calls.ts';
import { vendorType } from './vendor-errors.ts';

const path = /^\/model\/([^/]+)\/([a-z-]+)$/;
const stream =
  'Streams of Bedrock (application/vnd.amazon.eventstream) cannot be examined: call Converse instead, without streaming.';
const invoke = 'The body of InvokeModel is one of each model and cannot be examined: call Converse instead.';

const operations: ReadonlyMap<string, Endpoint> = new Map([
  ['converse', { operation: 'chat', stream: false }],
  ['converse-stream', { operation: 'chat', stream: true, unreadable: stream }],
  ['invoke', { operation: 'chat', stream: false, unreadable: invoke }],
  ['invoke-with-response-stream', { operation: 'chat', stream: true, unreadable: invoke }],
]);

export const bedrockConverse: Format = {
  id: 'bedrock-converse',
  endpoint,
  paths: Array.from(operations.keys(), (operation) => `/model/*/${operation}`),
  facts: converseFacts,
  requestText,
  responseText,
  eventText: responseText,
  toolCalls: bedrockCalls,
  isTerminal: () => false,
  carrier: (header, at, text) => {
    const body = JSON.stringify(nested(at, text));
    return header === '' ? body : `{${header},${body.slice(1)}`;
  },
  // SDKs take the exception from the header x-amzn-errortype, else from `__type`.
  error: ({ code, row, message }) => JSON.stringify({ __type: vendorType('bedrock', code, row), message }),
  modelListPaths: ['/foundation-models'],
  modelList: (names) =>
    JSON.stringify({ modelSummaries: names.map((modelId) => ({ modelId, modelName: modelId, modelArn: modelId })) }),
};

function endpoint(method: string, asked: string): Endpoint | undefined {
  const match = method === 'POST' ? path.exec(asked) : null;
  const found = match === null ? undefined : operations.get(match[2]!);
  const model = found && modelOfSegment(match![1]!, true);
  return model === undefined ? undefined : { ...found!, model };
}
