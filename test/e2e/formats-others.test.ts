/** The official SDKs of Anthropic, Google, Ollama and Amazon through the gateway. */
import { readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';
import {
  AccessDeniedException,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  ValidationException,
} from '@aws-sdk/client-bedrock-runtime';
import { ApiError, GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from './support/stack.ts';
import type { Handler } from './support/upstream.ts';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: members-may-chat, when: 'true', then: allow}
    - {name: no-sql, when: 'request.text.contains("DROP TABLE")', then: deny, message: Ask a human to drop it.}
    - {name: mask-for-others, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [all]}
`;
const BEDROCK_MODEL = 'anthropic.demo-v1:0';

let stack: Stack;
let token: string;

beforeAll(async () => {
  stack = await startStack({
    policies: { 'test.yaml': POLICY },
    model: {
      formats: ['anthropic-messages', 'gemini', 'ollama-chat', 'ollama-generate', 'bedrock-converse'],
      match: { names: [BEDROCK_MODEL] },
    },
  });
  token = await stack.token('sam');
});
afterAll(() => stack.close());

/** The model answers with a fixture, in pieces that have nothing to do with its events. */
const answer =
  (contentType: string, body: string): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': contentType });
    for (let at = 0; at < body.length; at += 700) response.write(body.slice(at, at + 700));
    response.end();
  };

/** The event of the last request on the record. */
async function recorded(): Promise<Record<string, unknown>> {
  const events = (await stack.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
  return events.findLast(({ type }) => type === 'request')!;
}

/** What is on the record of the last request and its answer. */
async function contents(): Promise<string> {
  const { session } = await recorded();
  const found = (await stack.journal()).filter((line) => line.kind === 'content');
  return found
    .filter((line) => line.session === session)
    .map((line) => line.text)
    .join('');
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  const got = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(got instanceof Error)) throw new Error('it was answered');
  return got;
}

const MASKED = 'Write to <EMAIL_ADDRESS> or call <PHONE_NUMBER>; the host is <IP_ADDRESS>';
const MASKED_THOUGHT = 'The card is <CREDIT_CARD>, I should not say so.';
const MASKED_CALL = { to: '<EMAIL_ADDRESS>', card: '<CREDIT_CARD>' };
const SECRET = /jane\.doe|4111|555-0132|10\.0\.0\.17/;
const QUESTION = 'I am jane.doe@example.com. Whom do I write to?';
const picture = 'iVBORw0KGgoAAAANSUhEUgAA'.repeat(20);

describe('the SDK of Anthropic', () => {
  let client: Anthropic;
  beforeAll(() => {
    client = new Anthropic({ baseURL: stack.url, apiKey: token, maxRetries: 0 });
  });
  const question = {
    model: 'demo',
    max_tokens: 100,
    system: 'Be kind.',
    messages: [{ role: 'user' as const, content: QUESTION }],
    tools: [{ name: 'send_mail', input_schema: { type: 'object' as const } }],
  };

  test('puts a masked stream of thoughts, text and tool calls together', async () => {
    stack.model.answer = answer('text/event-stream', fixture('anthropic-messages/thinking-text-tools.sse'));
    const message = await client.messages.stream(question).finalMessage();
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: MASKED_THOUGHT },
      { type: 'text', text: MASKED },
      { type: 'tool_use', id: 'toolu_01T1x1fJ34qAmk2tNTrN7Up6', name: 'send_mail', input: { ...MASKED_CALL, n: 2 } },
    ]);
    expect(message).toMatchObject({ stop_reason: 'tool_use', usage: { input_tokens: 25, output_tokens: 89 } });
    expect(stack.model.arrived.at(-1)!.headers['x-api-key']).toBeUndefined();
    expect(await recorded()).toMatchObject({
      format: 'anthropic-messages',
      operation: 'chat',
      model: 'demo',
      stream: true,
      tools: ['send_mail'],
      maxTokens: 100,
    });
    expect(await contents()).not.toMatch(SECRET);
    expect(await contents()).toContain('I am <EMAIL_ADDRESS>');
  });

  test('reads a masked JSON answer, and counts tokens', async () => {
    stack.model.answer = answer('application/json', fixture('anthropic-messages/body.json'));
    const message = await client.messages.create(question);
    expect(JSON.stringify(message)).not.toMatch(SECRET);
    expect(message.content.map((block) => ('text' in block ? block.text : '')).join('')).toBe(
      'Write to <EMAIL_ADDRESS> about <IP_ADDRESS>',
    );
    stack.model.answer = answer('application/json', '{"input_tokens": 12}');
    expect(await client.messages.countTokens({ model: 'demo', messages: question.messages })).toEqual({
      input_tokens: 12,
    });
    expect(await recorded()).toMatchObject({ operation: 'count_tokens', stream: false });
  });

  test('raises its own exceptions', async () => {
    const messages = [{ role: 'user' as const, content: 'DROP TABLE customers' }];
    const denied = await failure(client.messages.create({ ...question, messages }));
    expect(denied).toBeInstanceOf(Anthropic.PermissionDeniedError);
    expect(denied.message).toContain('Ask a human to drop it.');
    expect(denied).toMatchObject({
      error: { type: 'error', error: { type: 'permission_error', code: 'policy_denied' } },
    });
    expect((denied as InstanceType<typeof Anthropic.APIError>).requestID).toMatch(/^[0-9a-f-]{36}$/);
    const bad = await failure(client.messages.create({ ...question, messages: 'x' as never }));
    expect(bad).toBeInstanceOf(Anthropic.BadRequestError);
    const anonymous = new Anthropic({ baseURL: stack.url, apiKey: 'nonsense', maxRetries: 0 });
    expect(await failure(anonymous.messages.create(question))).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(await failure(client.messages.batches.list() as unknown as Promise<unknown>)).toBeInstanceOf(
      Anthropic.PermissionDeniedError,
    );
  });

  test('hears of an error in the middle of a stream, with nothing in clear', async () => {
    const stream = fixture('anthropic-messages/thinking-text-tools.sse');
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'ask jane.doe@example.com' } };
    const until = stream.indexOf('event: message_delta');
    stack.model.answer = answer(
      'text/event-stream',
      `${stream.slice(0, until)}event: error\ndata: ${JSON.stringify(error)}\n\n`,
    );
    const failed = await failure(client.messages.stream(question).finalMessage());
    expect(failed.message).toContain('<EMAIL_ADDRESS>');
    expect(failed.message).not.toMatch(SECRET);
  });

  test('lists the models as Anthropic does', async () => {
    const { data } = await client.models.list();
    expect(data).toMatchObject([{ type: 'model', id: 'demo' }]);
  });
});

describe('the SDK of Google', () => {
  let client: GoogleGenAI;
  beforeAll(() => {
    client = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: stack.url } });
  });
  const question = {
    model: 'demo',
    contents: [{ role: 'user', parts: [{ text: QUESTION }, { inlineData: { mimeType: 'image/png', data: picture } }] }],
    config: {
      systemInstruction: 'Be kind.',
      maxOutputTokens: 50,
      tools: [{ functionDeclarations: [{ name: 'send_mail' }] }],
    },
  };

  test('puts a masked stream together', async () => {
    stack.model.answer = answer('text/event-stream', fixture('gemini/parts.sse'));
    let text = '';
    let thought = '';
    const calls: unknown[] = [];
    for await (const chunk of await client.models.generateContentStream(question)) {
      for (const part of chunk.candidates?.[0]?.content?.parts ?? []) {
        if (part.thought === true) thought += part.text ?? '';
        else text += part.text ?? '';
      }
      calls.push(...(chunk.functionCalls ?? []));
    }
    expect({ text, thought, calls }).toEqual({
      text: MASKED,
      thought: MASKED_THOUGHT,
      calls: [{ name: 'send_mail', args: MASKED_CALL }],
    });
    expect(await recorded()).toMatchObject({
      format: 'gemini',
      operation: 'chat',
      model: 'demo',
      stream: true,
      tools: ['send_mail'],
      images: 1,
      maxTokens: 50,
    });
    expect(await contents()).not.toMatch(SECRET);
    expect(await contents()).toContain('I am <EMAIL_ADDRESS>');
  });

  test('reads a masked JSON answer, and counts tokens', async () => {
    stack.model.answer = answer('application/json; charset=UTF-8', fixture('gemini/body.json'));
    const { text } = await client.models.generateContent(question);
    expect(text).toBe('Write to <EMAIL_ADDRESS>, host <IP_ADDRESS>');
    expect(await recorded()).toMatchObject({ stream: false });
    stack.model.answer = answer('application/json', '{"totalTokens": 12}');
    expect(await client.models.countTokens({ model: 'demo', contents: 'hi' })).toMatchObject({ totalTokens: 12 });
    expect(await recorded()).toMatchObject({ operation: 'count_tokens' });
  });

  test('a stream without alt=sse is an array, and masked item by item', async () => {
    stack.model.answer = answer('application/json', fixture('gemini/array.json'));
    const response = await fetch(`${stack.url}/v1beta/models/demo:streamGenerateContent`, {
      method: 'POST',
      headers: { 'x-goog-api-key': token, 'content-type': 'application/json' },
      body: JSON.stringify({ contents: question.contents }),
    });
    const events = (await response.json()) as {
      candidates: { content: { parts: { text?: string; thought?: true }[] } }[];
    }[];
    const parts = events.flatMap(({ candidates }) => candidates[0]!.content.parts);
    expect(parts.map(({ text, thought }) => (thought ? '' : (text ?? ''))).join('')).toBe(MASKED);
    expect(parts.map(({ text, thought }) => (thought ? text : '')).join('')).toBe(MASKED_THOUGHT);
  });

  test('raises its own exception', async () => {
    const denied = await failure(client.models.generateContent({ model: 'demo', contents: 'DROP TABLE customers' }));
    expect(denied).toBeInstanceOf(ApiError);
    expect(denied).toMatchObject({ status: 403 });
    expect(JSON.parse(denied.message).error).toMatchObject({ code: 403, status: 'PERMISSION_DENIED' });
    expect(denied.message).toContain('Ask a human to drop it.');
    const unknown = await failure(client.models.generateContent({ model: 'other', contents: 'x' }));
    expect(unknown).toMatchObject({ status: 403 });
  });

  test('lists the models as Google does', async () => {
    const names: unknown[] = [];
    for await (const model of await client.models.list()) names.push(model.name);
    expect(names).toEqual(['models/demo']);
  });
});

describe('the SDK of Ollama', () => {
  let client: Ollama;
  beforeAll(() => {
    client = new Ollama({ host: stack.url, headers: { authorization: `Bearer ${token}` } });
  });
  const messages = [{ role: 'user', content: QUESTION, images: [picture] }];

  test('puts a masked chat together', async () => {
    stack.model.answer = answer('application/x-ndjson', fixture('ollama-chat/stream.ndjson'));
    let text = '';
    let thought = '';
    const calls: unknown[] = [];
    let last: unknown;
    for await (const chunk of await client.chat({
      model: 'demo',
      messages,
      stream: true,
      options: { num_predict: 50 },
    })) {
      text += chunk.message.content;
      thought += chunk.message.thinking ?? '';
      calls.push(...(chunk.message.tool_calls ?? []));
      last = chunk;
    }
    expect({ text, thought, calls }).toEqual({
      text: MASKED,
      thought: MASKED_THOUGHT,
      calls: [{ function: { name: 'send_mail', arguments: MASKED_CALL } }],
    });
    expect(last).toMatchObject({ done: true, eval_count: 282, done_reason: 'stop' });
    expect(await recorded()).toMatchObject({ format: 'ollama-chat', stream: true, images: 1, maxTokens: 50 });
    expect(await contents()).not.toMatch(SECRET);
    expect(await contents()).toContain('I am <EMAIL_ADDRESS>');
  });

  test('puts a masked completion together, streamed by default', async () => {
    stack.model.answer = answer('application/x-ndjson', fixture('ollama-generate/stream.ndjson'));
    let text = '';
    for await (const chunk of await client.generate({ model: 'demo', prompt: 'Whom?', stream: true }))
      text += chunk.response;
    expect(text).toBe(MASKED);
    expect(await recorded()).toMatchObject({ format: 'ollama-generate', operation: 'text_completion', stream: true });
  });

  test('raises its own exception', async () => {
    const denied = await failure(client.generate({ model: 'demo', prompt: 'DROP TABLE customers' }));
    expect(denied).toMatchObject({ name: 'ResponseError', status_code: 403 });
    expect(denied.message).toContain('Ask a human to drop it.');
    const context = await failure(client.generate({ model: 'demo', prompt: 'x', context: [1, 2] }));
    expect(context).toMatchObject({ status_code: 400 });
  });

  test('lists the models as Ollama does', async () => {
    expect((await client.list()).models.map(({ name }) => name)).toEqual(['demo']);
  });
});

describe('the SDK of Amazon Bedrock', () => {
  let client: BedrockRuntimeClient;
  beforeAll(() => {
    client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: stack.url,
      token: { token },
      authSchemePreference: ['httpBearerAuth'],
      maxAttempts: 1,
    });
  });
  afterAll(() => client.destroy());
  const input = (text: string) => ({
    modelId: BEDROCK_MODEL,
    messages: [{ role: 'user' as const, content: [{ text }] }],
    inferenceConfig: { maxTokens: 50 },
  });

  test('reads a masked answer', async () => {
    stack.model.answer = answer('application/json', fixture('bedrock-converse/body.json'));
    const { output, stopReason, usage } = await client.send(new ConverseCommand(input(QUESTION)));
    const content = output?.message?.content ?? [];
    expect(content.map(({ text }) => text ?? '').join('')).toBe('Write to <EMAIL_ADDRESS> about <IP_ADDRESS>');
    expect(JSON.stringify(content)).not.toMatch(SECRET);
    expect({ stopReason, usage }).toMatchObject({ stopReason: 'tool_use', usage: { outputTokens: 628 } });
    expect(await contents()).toContain('I am <EMAIL_ADDRESS>');
    expect(await contents()).not.toMatch(SECRET);
    expect(stack.model.arrived.at(-1)!.body.toString()).toContain(QUESTION);
    expect(await recorded()).toMatchObject({ format: 'bedrock-converse', model: 'demo', stream: false, maxTokens: 50 });
  });

  test('raises its own exceptions', async () => {
    const denied = await failure(client.send(new ConverseCommand(input('DROP TABLE customers'))));
    expect(denied).toBeInstanceOf(AccessDeniedException);
    expect(denied.message).toContain('Ask a human to drop it.');
    const streamed = await failure(client.send(new ConverseStreamCommand(input('hi'))));
    expect(streamed).toBeInstanceOf(ValidationException);
    expect(streamed.message).toContain('call Converse instead');
  });
});
