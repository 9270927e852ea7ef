import { describe, expect, it } from 'vitest';
import { formatOfRequest } from '../../../src/exchange/formats.ts';
import { ollamaChat, ollamaGenerate } from '../../../src/exchange/ollama.ts';
import { denied, factsOf, fixture, refusalOf } from './requests.ts';

const chat = '/api/chat';
const generate = '/api/generate';
const ask = (more: object) => ({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...more });

describe('facts about an Ollama request', () => {
  it('reads a chat', async () => {
    const facts = await factsOf(chat, fixture('ollama-chat/request.json'));
    expect(facts).toMatchObject({
      format: 'ollama-chat',
      operation: 'chat',
      model: 'llama3.2',
      stream: true,
      choices: 1,
      system: 'Be kind.',
      tools: [{ name: 'get_weather' }],
      images: 1,
      maxTokens: 100,
    });
    expect(Object.fromEntries(facts.parameters)).toEqual({
      ...{ think: true, keep_alive: '5m', num_predict: 100, temperature: 0.5 },
    });
    expect(facts.messages).toEqual([
      { role: 'system', text: 'Be kind.' },
      { role: 'user', text: 'What is in this?' },
      { role: 'assistant', text: 'hmm\nget_weather\ncity\nParis' },
      { role: 'tool', text: 'get_weather\n15 degrees' },
    ]);
    expect(facts.text).toContain('\nWeather of a city\n');
    expect(facts.text).toContain('\nEND\n');
  });

  it('reads a completion', async () => {
    const facts = await factsOf(generate, fixture('ollama-generate/request.json'));
    expect(facts).toMatchObject({
      format: 'ollama-generate',
      operation: 'text_completion',
      model: 'codellama',
      stream: false,
      system: 'Be kind.',
      messages: [{ role: 'user', text: 'def add(' }],
      text: 'def add(\nreturn sum\nBe kind.\n{{ .Prompt }}',
      images: 1,
      maxTokens: undefined,
    });
  });

  it('takes a request without prompt or messages for what it is: the model is loaded', async () => {
    expect(await factsOf(chat, { model: 'm' })).toMatchObject({ messages: [], text: '' });
    expect(await factsOf(generate, { model: 'm', context: [] })).toMatchObject({ text: '', stream: true });
  });

  it.each([
    [chat, [], "Invalid type for 'the body'"],
    [chat, { messages: [] }, "Missing required parameter: 'model'."],
    [chat, ask({ messages: {} }), "Invalid type for 'messages'"],
    [chat, ask({ messages: [{ content: 'x' }] }), "Missing required parameter: 'messages[0].role'."],
    [chat, ask({ messages: [{ role: 'USER', content: 'x' }] }), "Invalid value for 'messages[0].role'"],
    [chat, ask({ messages: [{ role: 'user', content: ['x'] }] }), "Invalid type for 'messages[0].content'"],
    [chat, ask({ messages: [{ role: 'user', CONTENT: 'x' }] }), "supplied in 'messages[0]'"],
    [chat, ask({ messages: [{ role: 'user', images: [7] }] }), "Invalid type for 'messages[0].images[0]'"],
    [chat, ask({ messages: [{ role: 'user', images: 'x' }] }), "Invalid type for 'messages[0].images'"],
    [
      chat,
      ask({ messages: [{ role: 'a', tool_calls: [{ function: {} }] }] }),
      "'messages[0].tool_calls[0].function.name'",
    ],
    [chat, ask({ stream: 'no' }), "Invalid type for 'stream'"],
    [chat, ask({ Stream: false }), 'Unrecognized request argument supplied'],
    [chat, ask({ meſsages: [] }), 'Unrecognized request argument supplied'],
    [chat, ask({ options: [] }), "Invalid type for 'options'"],
    [chat, ask({ options: { Num_Predict: 1 } }), "supplied in 'options'"],
    [chat, ask({ options: { num_predict: 1.5 } }), "Invalid type for 'num_predict': expected an integer"],
    [chat, ask({ tools: [{ type: 'function', function: { Name: 'x' } }] }), "supplied in 'tools[0].function'"],
    [chat, ask({ tools: [{}] }), "Missing required parameter: 'tools[0].type'."],
    [generate, { model: 'm', prompt: ['x'] }, "Invalid type for 'prompt'"],
    [generate, { model: 'm', prompt: 'x', Prompt: 'y' }, 'Unrecognized request argument supplied'],
    [generate, { model: 'm', system: {} }, "Invalid type for 'system'"],
    [generate, { model: 'm', context: [1, 2] }, "Invalid 'context': token ids cannot be examined."],
    [generate, { model: 'm', context: 'x' }, "Invalid 'context': token ids cannot be examined."],
    [generate, { model: 'm', images: {} }, "Invalid type for 'images'"],
  ])('refuses at %s %j', async (path, body, because) => {
    const message = await refusalOf(path, body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });

  it('is meant by POST to its paths only', () => {
    expect(formatOfRequest('POST', chat)?.format).toBe(ollamaChat);
    expect(formatOfRequest('POST', generate)?.format).toBe(ollamaGenerate);
    for (const [method, path] of [
      ['GET', chat],
      ['POST', '/api/chat/'],
      ['POST', '/api/pull'],
      ['POST', '/api/create'],
      ['DELETE', '/api/delete'],
      ['POST', '/api/blobs/sha256:x'],
    ] as const)
      expect(formatOfRequest(method, path)).toBeUndefined();
  });
});

it('words errors and lists models as Ollama does', () => {
  expect(JSON.parse(ollamaChat.error(denied))).toEqual({ error: denied.message });
  expect(ollamaChat.modelListPaths).toEqual(['/api/tags']);
  expect(JSON.parse(ollamaChat.modelList(['a'])).models[0]).toMatchObject({ name: 'a', model: 'a' });
});
