import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { deliver, fixture, maskText } from './bodies.ts';

/** The official SDK, talking to a server that answers with this body. */
const client = (body: string, contentType: string) =>
  new OpenAI({
    apiKey: 'none',
    baseURL: 'http://model.test/v1',
    maxRetries: 0,
    fetch: async () => new Response(body, { headers: { 'content-type': contentType } }),
  });

const request = { model: 'm', messages: [{ role: 'user' as const, content: 'hi' }] };

/** What the SDK makes of a stream. Fields that it does not know it overwrites with each piece: they are left out. */
async function final(body: string) {
  const completion = await client(body, 'text/event-stream').chat.completions.stream(request).finalChatCompletion();
  for (const { message } of completion.choices) delete (message as { reasoning_content?: string }).reasoning_content;
  return completion;
}

describe('the OpenAI SDK', () => {
  it.each(['openai-text.sse', 'vllm-reasoning.sse', 'refusal.sse', 'interleaved-choices.sse'])(
    'reads the masked %s as it reads the original, but for the texts',
    async (name) => {
      const before = await final(fixture(name).toString());
      const after = await final((await deliver(fixture(name), 'sse')).text);
      const masked = (completion: typeof before) => ({
        ...completion,
        choices: completion.choices.map(({ message, logprobs: _, ...choice }) => ({
          ...choice,
          message: Object.fromEntries(
            Object.entries(message).map(([field, value]) => [
              field,
              field !== 'role' && typeof value === 'string' ? maskText(value) : value,
            ]),
          ),
        })),
      });
      const plain = (completion: typeof before) => ({
        ...completion,
        choices: completion.choices.map(({ message, logprobs: _, ...choice }) => ({
          ...choice,
          message: { ...message },
        })),
      });
      expect(JSON.stringify(plain(after))).toBe(JSON.stringify(masked(before)));
    },
  );

  it('puts masked tool calls together', async () => {
    const { choices } = await final((await deliver(fixture('tool-calls.sse'), 'sse')).text);
    expect(choices[0]!.finish_reason).toBe('tool_calls');
    const calls = choices[0]!.message.tool_calls!.map(
      (call) => call.type === 'function' && [call.id, call.function.name, JSON.parse(call.function.arguments)],
    );
    expect(calls).toEqual([
      ['call_0', 'send_mail', { to: '<EMAIL_ADDRESS>', card: '<CREDIT_CARD>', note: 'Zürich "x" <CREDIT_CARD>' }],
      ['call_1', 'run_sql', { rows: [{ ip: '<IP_ADDRESS>', '<EMAIL_ADDRESS>': true }, [-1500, null]], q: 'a\nb' }],
    ]);
  });

  it('reads a masked body', async () => {
    const body = (await deliver(fixture('body.json'), 'json')).text;
    const { choices, usage } = await client(body, 'application/json').chat.completions.create(request);
    expect(choices[0]!.message.content).toBe('Mail <EMAIL_ADDRESS>.\nCard: <CREDIT_CARD> – done');
    expect(usage).toEqual({ prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 });
  });
});
