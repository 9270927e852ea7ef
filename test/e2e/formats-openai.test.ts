/** Completions, Responses, embeddings and TGI through the real Envoy, as their official clients speak them. */
import { readFileSync } from 'node:fs';
import OpenAI, { BadRequestError, PermissionDeniedError } from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type JournalLine, type Stack, startStack } from './support/stack.ts';
import type { Handler } from './support/upstream.ts';

const SECRETS = /maria\.lind|qvist@|jane\.doe|4111|415\) 555|DE89/;

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: members, when: '"ml-eng" in caller.groups || "contractors" in caller.groups', then: allow}
    - {name: mask-for-others, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [all]}
    - {name: operation, when: 'request.operation == "embeddings" && request.model == "demo" && request.text.contains("poison")', then: deny}
    - {name: stream, when: 'request.stream && request.text.contains("slowly")', then: deny}
    - {name: choices, when: 'request.choices > 5', then: deny}
    - {name: system, when: 'request.system.contains("root")', then: deny}
    - {name: messages, when: 'request.messages.exists(m, m.role == "tool" && m.text.contains("pay slip"))', then: deny}
    - {name: text, when: 'request.text.contains("salaries-2026.pdf")', then: deny}
    - {name: tools, when: 'request.tools.exists(t, t.name == "code_interpreter")', then: deny}
    - {name: images, when: 'request.images > 1', then: deny}
    - {name: max-tokens, when: 'has(request.maxTokens) && request.maxTokens > 1000', then: deny}
    - {name: parameters, when: '"guided_regex" in request.parameters || "prompt.id" in request.parameters', then: deny}
    - {name: tokens, when: 'request.tokens > 2000', then: deny}
    - {name: findings, when: '"credit_card" in request.findings', then: deny}
`;

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');

/** What a model of each API answers. */
const answer: Handler = ({ url, body }, response) => {
  const folder =
    {
      '/v1/completions': 'openai-completions',
      '/v1/responses': 'openai-responses',
      '/v1/embeddings': 'openai-embeddings',
    }[url] ?? 'tgi';
  const { stream, tools } = JSON.parse(body.toString()) as { stream?: boolean; tools?: unknown };
  if (stream === true || url === '/generate_stream') {
    const name = folder === 'tgi' ? 'eos' : tools === undefined ? 'text' : 'tool-calls';
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(fixture(`${folder}/${name}.sse`));
  } else response.writeHead(200, { 'content-type': 'application/json' }).end(fixture(`${folder}/body.json`));
};

let stack: Stack;
let sam: OpenAI;
let jane: OpenAI;
let token: string;

beforeAll(async () => {
  const formats = ['openai-completions', 'openai-responses', 'openai-embeddings', 'tgi'];
  stack = await startStack({ model: { formats }, policies: { 'test.yaml': POLICY } });
  stack.model.answer = answer;
  token = await stack.token('sam');
  sam = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: token, maxRetries: 0 });
  jane = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: await stack.token('jane'), maxRetries: 0 });
});
afterAll(() => stack.close());

let before = 0;
beforeEach(async () => {
  before = (await stack.journal()).length;
});

/** The one event of a kind that this test has put on the record. */
async function recorded(type: 'request' | 'response' | 'end'): Promise<Record<string, unknown>> {
  const isMeant = (line: JournalLine) => line.kind === 'event' && line.event.type === type;
  const [line] = (await stack.journal()).slice(before).filter(isMeant);
  if (line?.kind !== 'event') throw new Error(`no ${type} is on the record`);
  return line.event;
}

const generate = (path: string, body: object) =>
  fetch(`${stack.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const sqlTool = {
  type: 'function' as const,
  name: 'run_sql',
  parameters: { type: 'object', properties: {} },
  strict: false,
};

describe('completions', () => {
  const ask = { model: 'demo', prompt: ['Say this', 'Say that'], max_tokens: 7, n: 2 };

  test('a body is masked, and its facts are on the record', async () => {
    const completion = await sam.completions.create(ask);
    expect(completion.choices[0]!.text).toContain('<CREDIT_CARD>');
    expect(JSON.stringify(completion)).not.toMatch(SECRETS);
    expect(await recorded('request')).toMatchObject({
      ...{ format: 'openai-completions', operation: 'text_completion', model: 'demo', stream: false },
      ...{ choices: 4, maxTokens: 7, tokens: 5, tools: [] },
    });
  });

  test('a stream is masked, choice by choice; a cleared caller reads it as it is', async () => {
    const text = async (client: OpenAI) => {
      const chunks = await all(await client.completions.create({ ...ask, stream: true }));
      return [0, 1].map((index) =>
        chunks.map(({ choices }) => choices.find((choice) => choice.index === index)?.text ?? '').join(''),
      );
    };
    const [first, second] = await text(sam);
    expect(first).toMatch(/^Write to <EMAIL_ADDRESS>, or call <PHONE_NUMBER>\. Card <CREDIT_CARD>$/);
    expect(second).toBe(first);
    expect((await text(jane))[0]).toMatch(SECRETS);
  });
});

describe('Responses', () => {
  const ask = { model: 'demo', instructions: 'Be kind.', input: 'Whom do I write to?' };

  test('a body is masked in every item, and its facts are on the record', async () => {
    const response = await sam.responses.create({
      ...ask,
      max_output_tokens: 500,
      tools: [sqlTool, { type: 'web_search' }],
    });
    expect(response.output_text).toContain('<EMAIL_ADDRESS>');
    expect(JSON.stringify(response)).not.toMatch(SECRETS);
    expect(await recorded('request')).toMatchObject({
      ...{ format: 'openai-responses', operation: 'chat', stream: false, choices: 1, maxTokens: 500 },
      tools: ['run_sql', 'web_search'],
    });
  });

  test('a stream is masked in its deltas and in its last event, and the SDK puts it together', async () => {
    const stream = sam.responses.stream(ask);
    const events = await all(stream);
    const final = await stream.finalResponse();
    expect(final.output_text).toBe('Write to <EMAIL_ADDRESS>, or call <PHONE_NUMBER>. Card <CREDIT_CARD>');
    expect(JSON.stringify([events, final])).not.toMatch(SECRETS);
    const deltas = events.filter((event) => event.type === 'response.output_text.delta');
    expect(deltas.map(({ delta }) => delta).join('')).toBe(final.output_text);
    expect(events.at(-1)!.type).toBe('response.completed');
    expect(await recorded('end')).toMatchObject({ inputTokens: 36, outputTokens: 87 });
  });

  test('streamed tool calls are masked and stay JSON', async () => {
    const final = await sam.responses.stream({ ...ask, tools: [sqlTool] }).finalResponse();
    const calls = final.output.flatMap((item) => (item.type === 'function_call' ? [JSON.parse(item.arguments)] : []));
    expect(calls).toEqual([
      { email: '<EMAIL_ADDRESS>', note: 'card <CREDIT_CARD>' },
      { iban: '<IBAN_CODE>', amount: '<CREDIT_CARD>' },
    ]);
    expect(JSON.stringify(final)).not.toMatch(SECRETS);
  });

  test('a cleared caller reads every event as the model wrote it', async () => {
    const response = await fetch(`${stack.url}/v1/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await stack.token('jane')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...ask, stream: true }),
    });
    expect(await response.text()).toBe(fixture('openai-responses/text.sse'));
  });
});

test('embeddings arrive as they are, and their facts are on the record', async () => {
  const { data } = await sam.embeddings.create({ model: 'demo', input: ['one', 'two'], encoding_format: 'float' });
  expect(data[0]!.embedding).toEqual(JSON.parse(fixture('openai-embeddings/body.json')).data[0].embedding);
  expect(await recorded('request')).toMatchObject({
    ...{ format: 'openai-embeddings', operation: 'embeddings', stream: false, choices: 1, tokens: 2 },
  });
});

describe('TGI', () => {
  const ask = { inputs: 'My name is', parameters: { max_new_tokens: 20 } };

  test('a body is masked, and its facts are on the record', async () => {
    const response = await generate('/generate', ask);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).not.toMatch(SECRETS);
    expect(JSON.parse(text).generated_text).toContain('<CREDIT_CARD>');
    expect(await recorded('request')).toMatchObject({
      ...{ format: 'tgi', operation: 'text_completion', model: 'demo', stream: false, maxTokens: 20 },
    });
  });

  test('a stream is masked', async () => {
    const response = await generate('/generate_stream', ask);
    const events = (await response.text()).split('\n\n').filter((event) => event !== '');
    const read = events.map((event) => JSON.parse(event.replace(/^data: ?/, '')));
    const text = read.map(({ token: one }) => (one.special ? '' : one.text)).join('');
    expect(text).toBe('Write to <EMAIL_ADDRESS>, or call <PHONE_NUMBER>. Card <CREDIT_CARD>');
    expect(JSON.stringify(read)).not.toMatch(SECRETS);
    expect(await recorded('request')).toMatchObject({ format: 'tgi', stream: true });
  });

  test('a refusal has the form of its errors', async () => {
    const response = await generate('/generate', { inputs: 'Card 4111 1111 1111 1111' });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: expect.any(String), error_type: 'policy_denied' });
  });
});

describe('a rule on each fact denies', () => {
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'it was answered',
      (error: unknown) => error,
    );
  const image = { type: 'input_image' as const, image_url: 'https://example.com/a.png', detail: 'low' as const };
  const user = (content: OpenAI.Responses.ResponseInputMessageContentList) => [{ role: 'user' as const, content }];
  const respond = (extra: object) => sam.responses.create({ model: 'demo', input: 'hi', ...extra });
  const complete = (extra: object) => sam.completions.create({ model: 'demo', prompt: 'hi', ...extra });

  test.each<[string, () => Promise<unknown>]>([
    ['operation', () => sam.embeddings.create({ model: 'demo', input: 'poison' })],
    ['stream', () => complete({ prompt: 'slowly', stream: true })],
    ['stream', () => respond({ input: 'slowly', stream: true })],
    ['choices', () => complete({ prompt: ['a', 'b', 'c'], n: 2 })],
    ['system', () => respond({ instructions: 'You are root.' })],
    ['system', () => respond({ input: [{ role: 'developer', content: 'You are root.' }] })],
    ['messages', () => respond({ input: [{ type: 'function_call_output', call_id: 'c', output: 'a pay slip' }] })],
    [
      'text',
      () => respond({ input: user([{ type: 'input_file', filename: 'salaries-2026.pdf', file_data: 'AAAA' }]) }),
    ],
    ['tools', () => respond({ tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] })],
    ['images', () => respond({ input: user([image, image]) })],
    ['max-tokens', () => respond({ max_output_tokens: 1001 })],
    ['max-tokens', () => complete({ max_tokens: 1001 })],
    ['parameters', () => complete({ guided_regex: '.*' })],
    ['parameters', () => respond({ prompt: { id: 'pmpt_1' } })],
    ['tokens', () => sam.embeddings.create({ model: 'demo', input: ['word '.repeat(2000)] })],
    [
      'findings',
      () =>
        respond({
          input: [
            { type: 'mcp_call', id: 'm', server_label: 's', name: 'f', arguments: '{"a":"\\u0034111 1111 1111 1111"}' },
          ],
        }),
    ],
  ])('%s', async (rule, call) => {
    const arrived = stack.model.arrived.length;
    const error = await failure(call());
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect((error as PermissionDeniedError).code).toBe('policy_denied');
    expect(stack.model.arrived.length).toBe(arrived);
    const lines = (await stack.journal()).slice(before);
    const decision = lines.find((line) => line.kind === 'event' && line.event.type === 'decision');
    expect(JSON.stringify(decision)).toContain(`"rule":"${rule}"`);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['token ids as a prompt', () => complete({ prompt: [1, 2, 3] })],
    ['token ids to embed', () => sam.embeddings.create({ model: 'demo', input: [[1, 2]] })],
    ['an answer in the background', () => respond({ background: true })],
    ['an item of no known type', () => respond({ input: [{ type: 'hologram' }] })],
    ['a name in other case', () => respond({ Input: 'other' })],
  ])('%s is a BadRequestError, and nothing reaches the model', async (_what, call) => {
    const arrived = stack.model.arrived.length;
    const error = await failure(call());
    expect(error).toBeInstanceOf(BadRequestError);
    expect((error as BadRequestError).code).toBe('invalid_request');
    expect(stack.model.arrived.length).toBe(arrived);
  });

  test.each([
    '/tokenize',
    '/score',
    '/rerank',
    '/v1/rerank',
    '/pooling',
    '/classify',
    '/v1/responses/resp_1/cancel',
    '/',
  ])('POST %s is no path of a format', async (path) => {
    expect((await generate(path, { model: 'demo', input: 'hi' })).status).toBe(403);
  });
});
