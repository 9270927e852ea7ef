import OpenAI, {
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
} from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDemoModel } from '../../src/commands/demo/model.ts';
import type { DemoServer } from '../../src/commands/demo/provider.ts';
import { type Stack, startStack } from './support/stack.ts';

const CREDENTIAL = 'model-secret';
/** What the demo's script says in clear, and what a masked caller reads. */
const SECRETS: readonly (readonly [string, string])[] = [
  ['maria.lindqvist@example.org', '<EMAIL_ADDRESS>'],
  ['+1 (415) 555-0132', '<PHONE_NUMBER>'],
  ['+49 30 901820', '<PHONE_NUMBER>'],
  ['4111 1111 1111 1111', '<CREDIT_CARD>'],
  ['5500-0000-0000-0004', '<CREDIT_CARD>'],
  ['DE89 3704 0044 0532 0130 00', '<IBAN_CODE>'],
  ['219-09-9999', '<US_SSN>'],
  ['203.0.113.42', '<IP_ADDRESS>'],
  ['2001:db8:85a3::8a2e:370:7334', '<IP_ADDRESS>'],
  ['AKIAIOSFODNN7EXAMPLE', '<AWS_ACCESS_TOKEN>'],
  ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', '<GITHUB_PAT>'],
];

let stack: Stack;
let model: DemoServer;
let direct: OpenAI;
let jane: OpenAI;
let sam: OpenAI;

beforeAll(async () => {
  model = await startDemoModel({ port: 0, credential: CREDENTIAL });
  stack = await startStack({ modelPort: Number(new URL(model.url).port) });
  direct = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: CREDENTIAL, maxRetries: 0 });
  const through = async (who: 'jane' | 'sam') =>
    new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: await stack.token(who), maxRetries: 0 });
  jane = await through('jane');
  sam = await through('sam');
});
afterAll(async () => {
  await stack.close();
  await model.close();
});

const question = { model: 'demo', messages: [{ role: 'user' as const, content: 'Whom do I write to?' }] };
const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'send_mail',
      parameters: { type: 'object', properties: { email: { type: 'string' }, note: { type: 'string' } } },
    },
  },
];
const masked = (text: string): string => SECRETS.reduce((out, [clear, mask]) => out.replaceAll(clear, mask), text);

/** Both sides without the texts: ids, order, roles, usage, finish reasons. */
function skeleton(chunk: OpenAI.ChatCompletionChunk): object {
  return {
    ...chunk,
    choices: chunk.choices.map((choice) => ({
      index: choice.index,
      finish: choice.finish_reason,
      role: choice.delta.role,
      tools: choice.delta.tool_calls?.map(({ index, id, type }) => ({ index, id, type })),
    })),
  };
}

function texts(chunks: readonly OpenAI.ChatCompletionChunk[]): Map<string, string> {
  const out = new Map<string, string>();
  const add = (key: string, text: string | null | undefined) => out.set(key, (out.get(key) ?? '') + (text ?? ''));
  for (const { choices } of chunks)
    for (const { index, delta } of choices) {
      add(`${index}.content`, delta.content);
      for (const call of delta.tool_calls ?? []) add(`${index}.${call.index}.arguments`, call.function?.arguments);
    }
  return out;
}

async function collect(client: OpenAI, extra: object = {}): Promise<OpenAI.ChatCompletionChunk[]> {
  const stream = await client.chat.completions.create({ ...question, ...extra, stream: true });
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Carrier events bring held text at a channel's end; all other events are the model's own, in order. */
function withoutCarriers(through: readonly OpenAI.ChatCompletionChunk[], length: number): OpenAI.ChatCompletionChunk[] {
  expect(through.length).toBeGreaterThanOrEqual(length);
  const kept = [...through];
  for (let i = kept.length - 1; i >= 0 && kept.length > length; i--) {
    const next = kept[i + 1]?.choices[0];
    const own = kept[i]?.choices[0];
    if (own !== undefined && next?.finish_reason && next.index === own.index && !own.finish_reason) kept.splice(i, 1);
  }
  return kept;
}

describe('the same call, directly and through the gateway', () => {
  test('a JSON answer differs in the masked text alone', async () => {
    const plain = await direct.chat.completions.create(question);
    const through = await sam.chat.completions.create(question);
    const text = (answer: OpenAI.ChatCompletion) => answer.choices[0]!.message.content!;
    expect(text(through)).toBe(masked(text(plain)));
    expect(text(through)).not.toBe(text(plain));
    const bare = (answer: OpenAI.ChatCompletion) => JSON.stringify(answer).replace(JSON.stringify(text(answer)), '');
    expect(bare(through)).toBe(bare(plain));
  });

  test.each([
    ['one choice', {}],
    ['three choices with usage', { n: 3, stream_options: { include_usage: true } }],
    ['tool calls', { tools, n: 2 }],
  ])('a stream with %s differs in the masked text alone', async (_name, extra) => {
    const plain = await collect(direct, extra);
    const through = await collect(sam, extra);
    expect(withoutCarriers(through, plain.length).map(skeleton)).toEqual(plain.map(skeleton));
    const [before, after] = [texts(plain), texts(through)];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [channel, text] of before) expect(after.get(channel), channel).toBe(masked(text));
    expect([...after.values()].join('')).not.toBe([...before.values()].join(''));
    for (const [channel, text] of after)
      if (channel.endsWith('arguments')) expect(() => JSON.parse(text)).not.toThrow();
  });

  test('a cleared caller reads every byte as the model wrote it', async () => {
    expect(await collect(jane)).toEqual(await collect(direct));
    expect(await jane.chat.completions.create(question)).toEqual(await direct.chat.completions.create(question));
  });

  test("the SDK's streaming helper puts the masked answer together", async () => {
    const runner = sam.chat.completions.stream({ ...question });
    const plain = await direct.chat.completions.create(question);
    expect(await runner.finalContent()).toBe(masked(plain.choices[0]!.message.content!));
  });
});

describe('refusals arrive as the classes of the SDK', () => {
  const client = (apiKey: string, baseURL = `${stack.url}/v1`) => new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => {
        throw new Error('it was answered');
      },
      (error: unknown) => error as InstanceType<typeof OpenAI.APIError>,
    );

  test('no valid token: AuthenticationError', async () => {
    const error = await failure(client('nonsense').chat.completions.create(question));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.code).toBe('token_malformed');
    expect(error.headers?.get('www-authenticate')).toMatch(/^Bearer realm="sallyport", error="invalid_token"/);
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(error.headers?.get('x-sallyport-session')).toMatch(/^[0-9a-f-]{36}$/);
  });
  test('a rule denies: PermissionDeniedError with the message of the rule', async () => {
    const messages = [{ role: 'user' as const, content: 'Charge 4111 1111 1111 1111 please' }];
    const error = await failure(sam.chat.completions.create({ model: 'demo', messages }));
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect(error.code).toBe('policy_denied');
    expect(error.message).toContain('Remove the card number.');
  });
  test('a model that does not exist: the answer does not tell whether it is hidden', async () => {
    const error = await failure(sam.chat.completions.create({ ...question, model: 'gpt-9' }));
    expect(error.status).toBeGreaterThanOrEqual(403);
    expect(error.status).toBeLessThanOrEqual(404);
    expect(error.code).toBe('unknown_model');
  });
  test('a body that two parsers could read differently: BadRequestError', async () => {
    const response = await fetch(`${stack.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await stack.token('sam')}`, 'content-type': 'application/json' },
      body: '{"model":"demo","model":"other","messages":[]}',
    });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: { code: string } }).error.code).toBe('invalid_json');
    const error = await failure(sam.chat.completions.create({ model: 'demo', messages: 'none' as never }));
    expect(error).toBeInstanceOf(BadRequestError);
  });
  test('a model that is down: InternalServerError, to be tried again', async () => {
    const error = await failure(
      sam.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: '/status 503' }] }),
    );
    expect(error).toBeInstanceOf(InternalServerError);
  });
});

test('the list of models is answered by the gate', async () => {
  const list = await sam.models.list();
  expect(list.data.map(({ id }) => id)).toEqual(['demo']);
});

test('a model is described by the gate, and one that is not there is NotFoundError', async () => {
  expect(await sam.models.retrieve('demo')).toEqual({ id: 'demo', object: 'model', created: 0, owned_by: 'sallyport' });
  const error = await sam.models.retrieve('gpt-9').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error).toMatchObject({ status: 404, code: 'model_not_found' });
});

test("the model gets its own credential and the caller's name, never the caller's token", async () => {
  // The demo model refuses any credential but its own: an answer proves that it got it.
  const answer = await sam.chat.completions.create(question);
  expect(answer.choices[0]!.message.content).toContain('script');
});
