import { describe, expect, it } from 'vitest';
import { createBodies } from '../../../src/mask/bodies.ts';
import { deliver, eventsOf } from './bodies.ts';

const mail = 'jane.roe@example.com';
const card = '5555 5555 5555 4444';
const digits = 5555555555554444;

const request = (more: object, message: object = {}) =>
  JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x', ...message }], ...more });

describe('structural fields of a request', () => {
  it.each<[string, string]>([
    ['model', JSON.stringify({ model: card, messages: [] })],
    ['reasoning_effort', request({ reasoning_effort: `${mail} ${card}` })],
    ['service_tier', request({ service_tier: '5105 1051 0510 5100' })],
    ['response_format.type', request({ response_format: { type: card } })],
    ['tools[].type', request({ tools: [{ type: card }] })],
    ['role', request({}, { role: mail })],
    ['tool_call_id', request({}, { tool_call_id: mail })],
    ['tool_calls[].id', request({}, { tool_calls: [{ id: card, type: 'function' }] })],
    ['content[].type', request({}, { content: [{ type: mail }] })],
    ['image_url.detail', request({}, { content: [{ type: 'image_url', image_url: { detail: card } }] })],
    ['user', request({ user: card })],
    ['metadata', request({ metadata: { a: card } })],
    ['seed', request({ seed: digits })],
    ['seed with a fraction', request({}).replace('{', `{"seed":${digits}.0,`)],
    ['seed with an exponent', request({}).replace('{', '{"seed":5.555555555554444e+15,')],
    ['seed of 19 digits with an exponent', request({}).replace('{', '{"seed":0.6304000000000000000e19,')],
    ['temperature', request({ temperature: digits })],
    ['max_tokens', request({ max_tokens: -digits })],
  ])('are on the record masked: %s', async (_field, body) => {
    const { masked, findings } = await createBodies(['email_address', 'credit_card']).request(
      'openai-chat',
      Buffer.from(body),
    );
    expect(masked.toString()).not.toMatch(/jane|5555|5105|5\.55|0\.6304/);
    expect([...findings.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  });

  it('stay byte for byte where nothing is found', async () => {
    const body = request(
      { seed: 1234567890123, temperature: 0.7, reasoning_effort: 'high', max_tokens: 1e3 },
      { tool_call_id: 'call_5Fb2Q0', role: 'tool' },
    );
    const { masked, findings } = await createBodies(['credit_card']).request('openai-chat', Buffer.from(body));
    expect(masked.toString()).toBe(body);
    expect(findings.size).toBe(0);
  });

  it('remember a clean value without letting another kind of text pass by it', async () => {
    const hidden = '{"a":"4111\\u00201111\\u00201111\\u00201111"}';
    const body = request({}, { tool_call_id: hidden, tool_calls: [{ function: { arguments: hidden } }] });
    const { masked } = await createBodies(['credit_card']).request('openai-chat', Buffer.from(body));
    const [message] = (JSON.parse(masked.toString()) as { messages: { tool_calls: unknown[] }[] }).messages;
    expect(JSON.stringify(message!.tool_calls)).toContain('<CREDIT_CARD>');
  });
});

const choice = (more: object) => ({ index: 0, ...more });

describe('structural fields of a response', () => {
  it.each<[string, object]>([
    ['id', { id: card }],
    ['object', { object: mail }],
    ['model', { model: mail }],
    ['created', { created: digits }],
    ['system_fingerprint', { system_fingerprint: card }],
    ['service_tier', { service_tier: card }],
    ['obfuscation', { obfuscation: card }],
    ['usage', { usage: { prompt_tokens: digits, completion_tokens: 1 } }],
    ['finish_reason', { choices: [choice({ finish_reason: mail })] }],
    ['role', { choices: [choice({ message: { role: card }, delta: { role: card } })] }],
    ['tool_calls[].id', { choices: [choice({ message: { tool_calls: [{ id: card }] } })] }],
    ['tool_calls[].type', { choices: [choice({ delta: { tool_calls: [{ index: 0, type: mail }] } })] }],
    ['audio.expires_at', { choices: [choice({ delta: { audio: { expires_at: digits } } })] }],
  ])('are masked: %s', async (_field, value) => {
    const json = JSON.stringify(value);
    for (const [body, framing] of [
      [json, 'json'],
      [`${json}\n`, 'ndjson'],
      [`data: ${json}\n\ndata: ${json}\n\ndata: [DONE]\n\n`, 'sse'],
    ] as const) {
      const { text, findings } = await deliver(body, framing);
      expect(text).not.toMatch(/jane|5555/);
      expect(Object.keys(findings)).toHaveLength(1);
    }
  });

  it('stay byte for byte where nothing is found', async () => {
    const json = JSON.stringify({
      id: 'gen-1731000000-AbC',
      object: 'chat.completion.chunk',
      created: 173100000000,
      model: 'gpt-4o-2024-08-06',
      choices: [
        choice({ delta: { role: 'assistant', tool_calls: [{ index: 0, id: 'call_5Fb2Q0', type: 'function' }] } }),
      ],
      usage: { prompt_tokens: 123456789, completion_tokens: 12 },
    });
    const body = `data: ${json}\n\ndata: ${json}\n\ndata: [DONE]\n\n`;
    expect((await deliver(body, 'sse')).text).toBe(body);
  });

  it.each(['1.0', '1e0', '-0', '5555555555554444'])('are refused where a place among texts is %s', async (index) => {
    const json = '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"1"}}]}}]}';
    const choice = json.replace('"index":0', `"index":${index}`);
    const call = json.replace('"index":1', `"index":${index}`);
    for (const [text, framing] of [
      [choice, 'json'],
      [`${choice}\n`, 'ndjson'],
      [`${call}\n`, 'ndjson'],
      [`data: ${json}\n\ndata: ${choice}\n\n`, 'sse'],
      [`data: ${json}\n\ndata: ${call}\n\n`, 'sse'],
    ] as const)
      await expect(deliver(text, framing)).rejects.toThrow('an index that is no plain number');
  });

  it('are masked when they change in the middle of a stream, and in the carriers', async () => {
    const event = (id: string, content: string) =>
      `data: ${JSON.stringify({ id, choices: [choice({ delta: { content } })] })}\n\n`;
    const { text } = await deliver(
      `${event('a', 'mail ')}${event('a', 'x')}${event(mail, 'jane.r')}data: [DONE]\n\n`,
      'sse',
    );
    expect(text).not.toContain(mail);
    expect(eventsOf(text).map(({ id }) => id)).toEqual(['a', 'a', '<EMAIL_ADDRESS>', '<EMAIL_ADDRESS>']);
  });

  it('do not complete a match for a client that puts ids together', async () => {
    const event = (id: string) =>
      `data: ${JSON.stringify({ choices: [choice({ delta: { tool_calls: [{ index: 0, id }] } })] })}\n\n`;
    const { text } = await deliver(`${event('jane.roe@exam')}${event('ple.com')}data: [DONE]\n\n`, 'sse');
    expect(text).not.toContain('ple.com');
  });

  it('are not too many in an answer of 128 choices with tool calls', async () => {
    const events = Array.from({ length: 128 }, (_, index) => {
      const tools = [0, 1, 2].map((n) => ({
        index: n,
        id: `c${n}`,
        type: 'function',
        function: { name: 'f', arguments: '{}' },
      }));
      const delta = { role: 'assistant', content: 'x', tool_calls: tools };
      return `data: ${JSON.stringify({ choices: [{ index, delta, finish_reason: 'stop' }] })}\n\n`;
    });
    const body = `${events.join('')}data: [DONE]\n\n`;
    expect((await deliver(body, 'sse')).text).toBe(body);
  });
});

describe('an empty finish_reason', () => {
  it('does not end a choice', async () => {
    const event = (content: string, finish_reason: string | null) =>
      `data: ${JSON.stringify({ choices: [choice({ delta: { content }, finish_reason })] })}\n\n`;
    const { text } = await deliver(
      `${event('mail jane.r', '')}${event('oe@exam', '')}${event('ple.com', '')}${event('', 'stop')}data: [DONE]\n\n`,
      'sse',
    );
    const contents = eventsOf(text).map(
      ({ choices }) => (choices as { delta: { content: string } }[])[0]!.delta.content,
    );
    expect(contents.join('')).toBe('mail <EMAIL_ADDRESS>');
  });
});

describe('a long name of a member', () => {
  it('is masked up to 1,024 characters and refused beyond, as where requests are read', async () => {
    const name = (length: number) => `${mail} `.padEnd(length, 'x');
    const masked = (length: number) => deliver(JSON.stringify({ [name(length)]: 1 }), 'json');
    expect((await masked(1024)).text).toContain('<EMAIL_ADDRESS>');
    await expect(masked(1025)).rejects.toThrow("a member's name is longer than 1024 characters");
  });
});
