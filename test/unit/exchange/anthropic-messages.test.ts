import { describe, expect, it } from 'vitest';
import { anthropicMessages } from '../../../src/exchange/anthropic-messages.ts';
import { errorRow } from '../../../src/exchange/errors.ts';
import { formatOfRequest } from '../../../src/exchange/formats.ts';
import { denied, factsOf, fixture, refusalOf } from './requests.ts';

const path = '/v1/messages';
const hello = [{ role: 'user', content: 'hello' }];
const ask = (more: object) => ({ model: 'm', max_tokens: 9, messages: hello, ...more });
const blocks = (...content: unknown[]) => ask({ messages: [{ role: 'user', content }] });

describe('facts about an Anthropic request', () => {
  it('reads a request with every kind of block', async () => {
    const facts = await factsOf(path, fixture('anthropic-messages/request.json'));
    expect(facts).toMatchObject({
      format: 'anthropic-messages',
      operation: 'chat',
      model: 'claude-sonnet-4-5',
      stream: true,
      choices: 1,
      system: 'Be kind.',
      tools: [{ name: 'get_weather' }, { name: 'web_search_20250305' }, { name: 'example-mcp' }],
      images: 3,
      audio: 0,
      files: 3,
      maxTokens: 1024,
      parameters: new Map<string, unknown>([
        ['temperature', 0.5],
        ['thinking.type', 'enabled'],
        ['thinking.budget_tokens', 2000],
      ]),
    });
    expect(facts.messages).toEqual([
      {
        role: 'user',
        text: 'What is in these?\njane.pdf\na contract\nplain words\ninner words\nhttps://example.com/cat.png',
      },
      { role: 'assistant', text: 'hmm\nget_weather\ncity\nParis' },
      { role: 'user', text: '15 degrees\nfile_011CNha8iCJcU1wXNR6q4V8w\nhttps://example.com/docs\nDocs\nfound words' },
    ]);
    expect(facts.text.split('\n').slice(15)).toEqual([
      ...['Be kind.', 'get_weather', 'Weather of a city', 'object', 'web_search'],
      ...['https://mcp.example.com/sse', 'example-mcp', 'END', 'user-7'],
    ]);
  });

  it('reads strings, and counts tokens without a limit and without streaming', async () => {
    expect(await factsOf(path, ask({ system: 'be brief' }))).toMatchObject({
      system: 'be brief',
      messages: [{ role: 'user', text: 'hello' }],
      text: 'hello\nbe brief',
      stream: false,
      maxTokens: 9,
      tokens: 4,
    });
    expect(await factsOf('/v1/messages/count_tokens', { model: 'm', messages: hello })).toMatchObject({
      operation: 'count_tokens',
      maxTokens: undefined,
      text: 'hello',
    });
  });

  it('takes system messages for instructions, after those of the body', async () => {
    const messages = [...hello, { role: 'system', content: 'be brief' }];
    expect(await factsOf(path, ask({ system: 'be kind', messages }))).toMatchObject({
      system: 'be kind\nbe brief',
      text: 'hello\nbe brief\nbe kind',
    });
  });

  it('reads kinds of blocks, fields and deltas that it has never heard of as words', async () => {
    const { messages } = await factsOf(path, blocks({ type: 'hologram', beam: { note: 'secret' } }));
    expect(messages[0]!.text).toBe('beam\nnote\nsecret');
  });

  it('reads the words of text files in base64', async () => {
    const data = Buffer.from(`secret é ${'words '.repeat(40_000)}end`).toString('base64');
    const source = { type: 'base64', media_type: 'text/plain', data };
    const facts = await factsOf(path, {
      ...blocks({ type: 'document', source }),
      system: [{ type: 'document', source }],
    });
    expect(facts.messages[0]!.text).toMatch(/^secret é (words ){40000}end$/);
    expect(facts.system).toMatch(/^secret é /);
    expect(facts.text.split('secret é')).toHaveLength(3);
    expect(facts.files).toBe(2);
  });

  it('names custom tools by their name and hosted ones by their type', async () => {
    const tools = [
      { type: null, name: 'a' },
      { type: 'custom', name: 'b' },
      { type: 'bash_20250124', name: 'bash' },
    ];
    expect((await factsOf(path, ask({ tools }))).tools).toEqual([
      { name: 'a' },
      { name: 'b' },
      { name: 'bash_20250124' },
    ]);
  });

  it.each([
    [[], "Invalid type for 'the body': expected an object"],
    [{ messages: hello }, "Missing required parameter: 'model'."],
    [ask({ messages: 'hi' }), "Invalid type for 'messages': expected an array"],
    [ask({ messages: [] }), "Invalid 'messages': empty array."],
    [ask({ messages: ['hi'] }), "Invalid type for 'messages[0]': expected an object"],
    [ask({ messages: [{ role: 'User', content: 'x' }] }), "Invalid value for 'messages[0].role'"],
    [ask({ messages: [{ role: 'user' }] }), "Invalid type for 'messages[0].content'"],
    [ask({ messages: [{ role: 'user', content: {} }] }), "Invalid type for 'messages[0].content'"],
    [ask({ system: 7 }), "Invalid type for 'system'"],
    [blocks('x'), "Invalid type for 'messages[0].content[0]': expected an object"],
    [blocks({ text: 'x' }), "Missing required parameter: 'messages[0].content[0].type'."],
    [blocks({ type: 'Text', text: 'x' }), "Invalid value for 'messages[0].content[0].type'"],
    [blocks({ type: 'text', text: {} }), "Invalid type for 'messages[0].content[0].text'"],
    [blocks({ type: 'text' }), "Missing required parameter: 'messages[0].content[0].text'."],
    [blocks({ type: 'text', text: 'x', Text: 'y' }), "supplied in 'messages[0].content[0]'"],
    [
      blocks({ type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'x', Source: {} }] }),
      "supplied in 'messages[0].content[0].content[0]'",
    ],
    [
      blocks({ type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'A'.repeat(300) } }),
      'expected words, but got base64 data',
    ],
    [
      blocks({ type: 'document', source: { type: 'base64', media_type: 'text/plain', data: '/////w==' } }),
      'a text file must be UTF-8',
    ],
    [blocks({ type: 'image', source: { type: 'base64', Data: 'x' } }), "supplied in 'messages[0].content[0].source'"],
    [ask({ max_tokens: '9' }), "Invalid type for 'max_tokens': expected an integer"],
    [ask({ max_tokens: -1 }), "Invalid 'max_tokens': integer below minimum value."],
    [ask({ stream: 'true' }), "Invalid type for 'stream': expected a boolean"],
    [ask({ tools: {} }), "Invalid type for 'tools'"],
    [ask({ tools: [{ input_schema: {} }] }), "Missing required parameter: 'tools[0].name'."],
    [ask({ tools: [{ name: 'x', Type: 'bash' }] }), "supplied in 'tools[0]'"],
    [ask({ mcp_servers: [{ type: 'url', url: 7 }] }), "Invalid type for 'mcp_servers[0].url'"],
    [ask({ thinking: 'on' }), "Invalid type for 'thinking': expected an object"],
    [ask({ MAX_TOKENS: 100000 }), 'Unrecognized request argument supplied'],
    [ask({ 'mo\u200bdel': 'n' }), 'Unrecognized request argument supplied'],
    [ask(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`k${i}`, i]))), 'more than 1024 names'],
  ])('refuses %.100j', async (body, because) => {
    const message = await refusalOf(path, body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });

  it('is meant by POST to its two paths only', () => {
    expect(formatOfRequest('POST', path)?.format).toBe(anthropicMessages);
    for (const [method, other] of [
      ['GET', path],
      ['POST', '/v1/messages/'],
      ['POST', '/v1/messages/batches'],
      ['POST', '/v1/messages/batches/x/results'],
      ['POST', '/v1/complete'],
      ['POST', '/v1/Messages'],
    ] as const)
      expect(formatOfRequest(method, other)).toBeUndefined();
  });
});

describe('what Anthropic clients get from the gate', () => {
  it('words errors as Anthropic does', () => {
    expect(JSON.parse(anthropicMessages.error(denied))).toEqual({
      type: 'error',
      error: { type: 'permission_error', message: denied.message, code: 'policy_denied' },
      request_id: 's-1',
    });
  });

  it.each([
    ['invalid_json', 'invalid_request_error'],
    ['token_missing', 'authentication_error'],
    ['no_rule_allows', 'permission_error'],
    ['rate_limit_exceeded', 'rate_limit_error'],
    ['request_too_large', 'request_too_large'],
    ['overloaded', 'overloaded_error'],
    ['record_unavailable', 'api_error'],
    ['response_unreadable', 'api_error'],
  ] as const)('calls %s %s', (code, type) => {
    const body = JSON.parse(anthropicMessages.error({ code, row: errorRow(code), message: 'm', session: '' }));
    expect(body.error.type).toBe(type);
    expect(body).not.toHaveProperty('request_id');
  });

  it('lists models as Anthropic does', () => {
    expect(JSON.parse(anthropicMessages.modelList(['a', 'b']))).toEqual({
      data: ['a', 'b'].map((id) => ({ type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' })),
      has_more: false,
      first_id: 'a',
      last_id: 'b',
    });
    expect(JSON.parse(anthropicMessages.modelList([]))).toMatchObject({ data: [], first_id: null, last_id: null });
  });
});
