import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoModel } from '../../../src/commands/demo/model.ts';
import type { DemoServer } from '../../../src/commands/demo/provider.ts';

let model: DemoServer;
let client: OpenAI;
beforeAll(async () => {
  model = await startDemoModel({ port: 0, credential: 'models-own' });
  client = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: 'models-own', maxRetries: 0 });
});
afterAll(() => model.close());

const ask = (content: string) => ({ model: 'demo', messages: [{ role: 'user' as const, content }] });
const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${model.url}/v1/chat/completions`, {
    method: 'POST',
    body,
    headers: { authorization: 'Bearer models-own', 'content-type': 'application/json', ...headers },
  });

describe('the demo model', () => {
  it('says that it is a script, repeats the question, and recites what should be masked', async () => {
    const answer = await client.chat.completions.create(ask('Wer ist die Kundin? 🙂'));
    const text = answer.choices[0]?.message.content ?? '';
    expect(text).toContain('I am a script, not a model');
    expect(text).toContain('You asked: "Wer ist die Kundin? 🙂"');
    for (const secret of [
      '@example.org',
      '4111 1111 1111 1111',
      '+1 (415) 555-0132',
      'DE89 3704',
      '219-09-9999',
      '203.0.113.42',
      'AKIA',
      'ghp_',
    ])
      expect(text).toContain(secret);
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.usage?.total_tokens).toBe(
      (answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0),
    );
  });

  it('streams the same answer as it gives in one piece, every choice of it', async () => {
    const request = { ...ask('hello'), n: 3 };
    const whole = await client.chat.completions.create(request);
    const stream = client.chat.completions.stream(request);
    const streamed = await stream.finalChatCompletion();
    expect(streamed.choices.map(({ message }) => message.content)).toEqual(
      whole.choices.map(({ message }) => message.content),
    );
    expect(streamed.choices.map(({ finish_reason }) => finish_reason)).toEqual(['stop', 'stop', 'stop']);
  });

  it('cuts what should be masked across events', async () => {
    const pieces: string[] = [];
    for await (const event of await client.chat.completions.create({ ...ask('x'), stream: true }))
      pieces.push(event.choices[0]?.delta.content ?? '');
    expect(pieces.join('')).toContain('maria.lindqvist@example.org');
    expect(pieces.every((piece) => piece.length <= 4)).toBe(true);
  });

  it('reports usage in a stream only when it is asked to, in an event of its own before the end', async () => {
    const events = async (options: object) => {
      const text = await (await post(JSON.stringify({ ...ask('x'), stream: true, ...options }))).text();
      return text
        .trim()
        .split('\n\n')
        .map((event) => event.replace(/^data: /, ''));
    };
    const without = await events({});
    expect(without.at(-1)).toBe('[DONE]');
    expect(without.join('')).not.toContain('usage');
    const withUsage = await events({ stream_options: { include_usage: true } });
    expect(JSON.parse(withUsage.at(-2) ?? '')).toMatchObject({
      choices: [],
      usage: { total_tokens: expect.any(Number) },
    });
    expect(JSON.parse(withUsage[0] ?? '')).toMatchObject({ usage: null });
  });

  it('calls the first tool with scripted arguments, and answers in words once it has the result', async () => {
    const parameters = { type: 'object', properties: { to: { type: 'string' }, count: { type: 'integer' } } };
    const tools = [{ type: 'function' as const, function: { name: 'send_mail', parameters } }];
    const stream = client.chat.completions.stream({ ...ask('write to her'), tools });
    const [choice] = (await stream.finalChatCompletion()).choices;
    const [call] = choice?.message.tool_calls ?? [];
    expect(choice?.finish_reason).toBe('tool_calls');
    expect(JSON.parse(call?.type === 'function' ? call.function.arguments : '')).toEqual({
      to: 'maria.lindqvist@example.org',
      count: 42,
    });

    const result = { role: 'tool' as const, tool_call_id: call?.id ?? '', content: 'sent' };
    const after = await client.chat.completions.create({
      model: 'demo',
      tools,
      messages: [{ role: 'user', content: 'x' }, result],
    });
    expect(after.choices[0]?.finish_reason).toBe('stop');
    const none = await client.chat.completions.create({ ...ask('x'), tools, tool_choice: 'none' });
    expect(none.choices[0]?.message.tool_calls).toBeUndefined();
  });

  it('gives the same request the same answer, id and time included, and another one another id', async () => {
    const [one, same, other] = await Promise.all(
      ['a', 'a', 'b'].map((text) => client.chat.completions.create(ask(text))),
    );
    expect(one).toEqual(same);
    expect(one?.id).not.toBe(other?.id);
  });

  it('stops at max_tokens', async () => {
    const [choice] = (await client.chat.completions.create({ ...ask('x'), max_completion_tokens: 5 })).choices;
    expect(choice).toMatchObject({ finish_reason: 'length', message: { content: 'I am a script, not a' } });
  });

  it.each([undefined, 'Bearer callers-token', 'Bearer models-own-not', 'models-own', 'Basic models-own'])(
    'refuses a credential of %s, whatever is asked',
    async (authorization) => {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const responses = await Promise.all([
        fetch(`${model.url}/v1/models`, { headers }),
        fetch(`${model.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(ask('x')), headers }),
        fetch(`${model.url}/none`, { headers }),
      ]);
      expect(responses.map(({ status }) => status)).toEqual([401, 401, 401]);
      expect(await responses[0].json()).toMatchObject({ error: { code: 'invalid_api_key' } });
    },
  );

  it.each([
    ['no JSON', '{"model":'],
    ['no messages', '{"model":"demo","messages":[]}'],
    ['no model', '{"messages":[{"role":"user","content":"x"}]}'],
    ['too many choices', JSON.stringify({ ...ask('x'), n: 1_000_000 })],
  ])('answers 400 to %s', async (_, body) => {
    const response = await post(body);
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: expect.objectContaining({ type: 'invalid_request_error' }) },
    ]);
  });

  it('fails when the question orders it to', async () => {
    await expect(client.chat.completions.create(ask('/status 503'))).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    await expect(client.chat.completions.create(ask('/status 429 please'))).rejects.toBeInstanceOf(
      OpenAI.RateLimitError,
    );
    await expect(client.chat.completions.create(ask('/drop'))).rejects.toThrow();
    const stream = client.chat.completions.stream({ ...ask('/drop') });
    await expect(stream.finalChatCompletion()).rejects.toThrow();
  });

  it('takes its time when the question orders it to', async () => {
    const response = await post(JSON.stringify({ ...ask('/slow 60000'), stream: true }));
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('"role":"assistant"');
    await reader?.cancel();
  });
});
