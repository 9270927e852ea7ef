/** Streams that a rule stops in the middle, as the official SDKs see them: at a finding, and at a tool call. */
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta, inPieces } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: answers}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask-some, then: mask, detect: [email_address, credit_card]}
    - {name: no-cards, on: response, when: '"credit_card" in response.findings', then: stop, message: It told a card number.}
    - {name: no-dropping, on: response, when: 'toolCall.name == "run_sql" && toolCall.arguments.query.contains("drop")', then: stop, message: No dropping of tables.}
    - {name: no-mail-abroad, on: response, when: 'toolCall.name == "send_mail" && toolCall.arguments.to.endsWith(".zz")', then: stop}
    - {name: trial, mode: dryRun, on: response, when: 'toolCall.name == "send_mail"', then: stop}
`;
const CARD = '4111 1111 1111 1111';

let stack: Stack;
let token: string;
beforeAll(async () => {
  stack = await startStack({
    policies: { 'test.yaml': POLICY },
    model: {
      formats: ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini', 'ollama-chat', 'bedrock-converse'],
    },
  });
  token = await stack.token('sam');
});
afterAll(() => stack.close());

const sse = (...events: readonly object[]): string[] =>
  events.map((event) => {
    const { type } = event as { type?: string };
    return `${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`;
  });

const events = async () => (await stack.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
const lastEnd = async () => {
  const all = await events();
  const { session } = all.findLast(({ type }) => type === 'request')!;
  return eventually(
    async () => (await events()).find((event) => event.type === 'end' && event.session === session),
    'the end of the session',
  );
};
const lastContent = async () => {
  const { session } = await lastEnd();
  return (await stack.journal())
    .flatMap((line) =>
      line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
    )
    .join('');
};

/** What an SDK gives of a stream, and what it throws at its end. */
async function read<T>(stream: Promise<AsyncIterable<T>>): Promise<{ got: T[]; error: unknown }> {
  const got: T[] = [];
  try {
    for await (const event of await stream) got.push(event);
  } catch (error) {
    return { got, error };
  }
  return { got, error: undefined };
}

const openai = () => new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: token, maxRetries: 0 });
const anthropic = () => new Anthropic({ baseURL: stack.url, apiKey: token, maxRetries: 0 });
const gemini = () => new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: stack.url } });
const ollama = () => new Ollama({ host: stack.url, headers: { authorization: `Bearer ${token}` } });

const messages = [{ role: 'user' as const, content: 'hi' }];
const chatStream = () => read(openai().chat.completions.create({ model: 'demo', messages, stream: true }));
const responsesStream = () => read(openai().responses.create({ model: 'demo', input: 'hi', stream: true }));
const messagesStream = () =>
  read(Promise.resolve(anthropic().messages.stream({ model: 'demo', max_tokens: 9, messages })));
const geminiStream = () => read(gemini().models.generateContentStream({ model: 'demo', contents: 'hi' }));
const ollamaStream = () => read(ollama().chat({ model: 'demo', messages, stream: true }));

interface Api {
  readonly name: string;
  readonly type: string;
  readonly stream: () => Promise<{ got: unknown[]; error: unknown }>;
  readonly text: (words: string) => string[];
  /** A call, cut into pieces. */
  readonly call: (name: string, args: object) => string[];
  readonly last: string[];
  readonly error: (error: unknown, message: string) => void;
}

const blockDelta = (index: number, more: object) => ({ type: 'content_block_delta', index, delta: more });
let blocks = 0;

const apis: readonly Api[] = [
  {
    name: 'OpenAI chat',
    type: 'text/event-stream',
    stream: chatStream,
    text: (words) => [delta(words)],
    call: (name, args) => {
      const json = JSON.stringify(args);
      const piece = (text: string, more = {}) => ({
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'demo',
        choices: [
          {
            index: 0,
            delta: {
              tool_calls: [{ index: 0, ...more, function: { ...('id' in more ? { name } : {}), arguments: text } }],
            },
            finish_reason: null,
          },
        ],
      });
      return sse(piece('', { id: 'a', type: 'function' }), piece(json.slice(0, 6)), piece(json.slice(6)));
    },
    last: [delta('', 'tool_calls'), DONE],
    error: (error, message) => {
      expect(error).toBeInstanceOf(OpenAI.APIError);
      expect(error).toMatchObject({
        code: 'response_stopped',
        type: 'permission_error',
        message: expect.stringContaining(message),
      });
    },
  },
  {
    name: 'OpenAI Responses',
    type: 'text/event-stream',
    stream: responsesStream,
    text: (words) =>
      sse({
        type: 'response.output_text.delta',
        output_index: 0,
        content_index: 0,
        item_id: 'm',
        delta: words,
        sequence_number: 1,
      }),
    call: (name, args) => {
      const json = JSON.stringify(args);
      const item = { id: 'i', type: 'function_call', call_id: 'a', name };
      return sse(
        { type: 'response.output_item.added', output_index: 1, item: { ...item, arguments: '' } },
        { type: 'response.function_call_arguments.delta', output_index: 1, item_id: 'i', delta: json.slice(0, 6) },
        { type: 'response.function_call_arguments.delta', output_index: 1, item_id: 'i', delta: json.slice(6) },
        { type: 'response.function_call_arguments.done', output_index: 1, item_id: 'i', arguments: json },
        { type: 'response.output_item.done', output_index: 1, item: { ...item, arguments: json } },
      );
    },
    last: sse({ type: 'response.completed', response: { id: 'r', status: 'completed', output: [] } }),
    error: (error, message) => {
      expect(error).toBeInstanceOf(OpenAI.APIError);
      expect(error).toMatchObject({ code: 'response_stopped', message: expect.stringContaining(message) });
    },
  },
  {
    name: 'Anthropic Messages',
    type: 'text/event-stream',
    stream: messagesStream,
    text: (words) => {
      blocks = 1;
      const message = {
        id: 'm',
        type: 'message',
        role: 'assistant',
        content: [],
        model: 'demo',
        usage: { input_tokens: 1, output_tokens: 1 },
      };
      return [
        sse(
          { type: 'message_start', message },
          { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
          blockDelta(0, { type: 'text_delta', text: words }),
        ).join(''),
      ];
    },
    call: (name, args) => {
      const json = JSON.stringify(args);
      const index = blocks++;
      return sse(
        { type: 'content_block_stop', index: index - 1 },
        { type: 'content_block_start', index, content_block: { type: 'tool_use', id: 't', name, input: {} } },
        blockDelta(index, { type: 'input_json_delta', partial_json: json.slice(0, 6) }),
        blockDelta(index, { type: 'input_json_delta', partial_json: json.slice(6) }),
        { type: 'content_block_stop', index },
      );
    },
    last: sse(
      { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 2 } },
      { type: 'message_stop' },
    ),
    error: (error, message) => {
      expect(error).toBeInstanceOf(Anthropic.APIError);
      expect(error).toMatchObject({
        error: { type: 'error', error: { type: 'permission_error', message: expect.stringContaining(message) } },
      });
    },
  },
  {
    name: 'Gemini',
    type: 'text/event-stream',
    stream: geminiStream,
    text: (words) => sse({ candidates: [{ content: { parts: [{ text: words }], role: 'model' }, index: 0 }] }),
    call: (name, args) =>
      sse({ candidates: [{ content: { parts: [{ functionCall: { name, args } }], role: 'model' }, index: 0 }] }),
    last: sse({ candidates: [{ finishReason: 'STOP', index: 0 }] }),
    error: (error, message) => {
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ status: 403, message: expect.stringContaining(message) });
    },
  },
  {
    name: 'Ollama',
    type: 'application/x-ndjson',
    stream: ollamaStream,
    text: (words) => [
      `${JSON.stringify({ model: 'demo', message: { role: 'assistant', content: words }, done: false })}\n`,
    ],
    call: (name, args) => [
      `${JSON.stringify({ model: 'demo', message: { role: 'assistant', content: '', tool_calls: [{ function: { name, arguments: args } }] }, done: false })}\n`,
    ],
    last: [`${JSON.stringify({ model: 'demo', message: { role: 'assistant', content: '' }, done: true })}\n`],
    error: (error, message) => {
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).toContain(message);
    },
  },
];

describe.each(apis)('a stream of $name', ({ type, stream, text, call, last, error }) => {
  test('that a rule stops at a finding ends with an error of the SDK, after what left before', async () => {
    const told = text(`the card is ${CARD}.`)
      .at(-1)!
      .replace(/event: message_start[\s\S]*?(?=event: content_block_delta)/, '');
    stack.model.answer = inPieces(type, ...text('hello there'), told, ...last);
    const { got, error: thrown } = await stream();
    error(thrown, 'It told a card number.');
    expect(JSON.stringify(got)).toContain('hello');
    expect(JSON.stringify(got)).not.toMatch(/4111|CREDIT_CARD/);
    expect(await lastEnd()).toMatchObject({
      how: 'stopped',
      code: 'response_stopped',
      status: 200,
      detail: 'answers/no-cards',
      withheld: { bytes: expect.any(Number), findings: { credit_card: 1 } },
    });
    expect(await lastContent()).toContain('It told a card number.');
  });

  test('that a rule stops at a tool call: nothing of the call leaves', async () => {
    stack.model.answer = inPieces(
      type,
      ...text('hello there'),
      ...call('run_sql', { query: 'drop table x', for: 'jane.doe@example.com' }),
      ...last,
    );
    const { got, error: thrown } = await stream();
    error(thrown, 'No dropping of tables.');
    expect(JSON.stringify(got)).toContain('hello');
    expect(JSON.stringify(got)).not.toMatch(/run_sql|drop table|jane|EMAIL/);
    const end = await lastEnd();
    expect(end).toMatchObject({
      how: 'stopped',
      detail: 'answers/no-dropping',
      withheld: { bytes: expect.any(Number) },
    });
    expect(await lastContent()).not.toMatch(/run_sql|drop table/);
  });

  test('with tool calls that no rule stops is delivered whole and masked, and trials are on the record', async () => {
    stack.model.answer = inPieces(
      type,
      ...text('hello there'),
      ...call('send_mail', { to: 'jane.doe@example.com' }),
      ...last,
    );
    const { got, error: thrown } = await stream();
    expect(thrown).toBeUndefined();
    const all = JSON.stringify(got);
    expect(all).toContain('send_mail');
    expect(all).not.toContain('jane.doe');
    expect(await lastEnd()).toMatchObject({
      how: 'complete',
      masked: { email_address: expect.any(Number) },
      rules: [{ policy: 'answers', rule: 'trial', mode: 'dryRun' }],
    });
  });

  test('with a call whose arguments rules cannot read is stopped', async () => {
    stack.model.answer = inPieces(
      type,
      ...text('hello there'),
      ...call('send_mail', { subject: 'no address' }),
      ...last,
    );
    error((await stream()).error, 'could not be evaluated');
    expect(await lastEnd()).toMatchObject({ how: 'stopped', detail: 'answers/no-mail-abroad' });
  });
});

describe('a JSON answer with a tool call that a rule stops', () => {
  const call = {
    tool_calls: [{ id: 'a', type: 'function', function: { name: 'run_sql', arguments: '{"query":"drop it"}' } }],
  };
  const body = completion('x').replace(
    '"content":"x"',
    `"content":null,"tool_calls":${JSON.stringify(call.tool_calls)}`,
  );

  test('is refused whole', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    };
    const error = await openai()
      .chat.completions.create({ model: 'demo', messages })
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
    expect(await lastEnd()).toMatchObject({ how: 'stopped', bytes: 0, status: 403, withheld: { bytes: body.length } });
  });

  test('is an error of the API where its headers have gone', async () => {
    stack.model.answer = inPieces('application/json', body.slice(0, 20), body.slice(20));
    const response = await fetch(`${stack.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'demo', messages }),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      error: { code: 'response_stopped', message: expect.stringContaining('No dropping') },
    });
  });

  const query = { query: 'drop it' };
  test.each<[string, string, object, object]>([
    [
      'Anthropic',
      '/v1/messages',
      { model: 'demo', max_tokens: 9, messages },
      { type: 'message', role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'run_sql', input: query }] },
    ],
    [
      'Gemini',
      '/v1beta/models/demo:generateContent',
      { contents: [{ parts: [{ text: 'x' }] }] },
      { candidates: [{ content: { parts: [{ functionCall: { name: 'run_sql', args: query } }] } }] },
    ],
    [
      'Bedrock',
      '/model/demo/converse',
      { messages: [{ role: 'user', content: [{ text: 'x' }] }] },
      { output: { message: { role: 'assistant', content: [{ toolUse: { name: 'run_sql', input: query } }] } } },
    ],
    [
      'Responses',
      '/v1/responses',
      { model: 'demo', input: 'x' },
      { output: [{ type: 'function_call', name: 'run_sql', arguments: JSON.stringify(query) }] },
    ],
    [
      'Ollama',
      '/api/chat',
      { model: 'demo', messages, stream: false },
      { message: { tool_calls: [{ function: { name: 'run_sql', arguments: query } }] }, done: true },
    ],
  ])('in the shape of %s', async (_name, path, request, answer) => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    };
    const response = await fetch(`${stack.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('No dropping of tables');
    expect(await lastEnd()).toMatchObject({ how: 'stopped' });
  });
});

describe('a stream of Gemini that is a JSON array', () => {
  const item = (text: string) =>
    JSON.stringify({ candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0 }] });
  const asked = () =>
    fetch(`${stack.url}/v1beta/models/demo:streamGenerateContent`, {
      method: 'POST',
      headers: { 'x-goog-api-key': token, 'content-type': 'application/json' },
      body: JSON.stringify({ contents: [{ parts: [{ text: 'x' }] }] }),
    });

  test('leaves item by item', async () => {
    let finish = (): void => {};
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`[${item('hello ')}\n`);
      finish = () => response.end(`,\n${item('jane.doe@example.com')}\n]\n`);
    };
    const response = await asked();
    const reader = response.body!.getReader();
    const first = Buffer.from((await reader.read()).value!).toString();
    expect(first).toBe(`[${item('hello ')}`);
    finish();
    let rest = '';
    for (let piece = await reader.read(); !piece.done; piece = await reader.read())
      rest += Buffer.from(piece.value).toString();
    expect(JSON.parse(first + rest)).toHaveLength(3);
    expect(rest).toContain('<EMAIL_ADDRESS>');
  });

  test('that a rule stops is an array with the error as its last item', async () => {
    stack.model.answer = inPieces(
      'application/json',
      `[${item('hello ')}`,
      `,${item(`the card is ${CARD}.`)}`,
      `,${item(' never seen')}]`,
    );
    const got = (await (await asked()).json()) as object[];
    expect(got[0]).toEqual(JSON.parse(item('hello ')));
    expect(got.at(-1)).toEqual({
      error: expect.objectContaining({ code: 403, message: expect.stringContaining('It told a card number.') }),
    });
    expect(JSON.stringify(got)).not.toMatch(/1111|CREDIT_CARD|never/);
    expect(await lastEnd()).toMatchObject({ how: 'stopped', withheld: { findings: { credit_card: 1 } } });
  });
});
