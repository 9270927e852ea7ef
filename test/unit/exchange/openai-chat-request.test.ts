import { describe, expect, it } from 'vitest';
import { formatOfRequest, modelsAsked, readRequest } from '../../../src/exchange/formats.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';

const json = { contentType: 'application/json', contentEncoding: undefined };
const hello = [{ role: 'user', content: 'hello' }];

const read = async (body: unknown, media = json) =>
  readRequest(
    { format: openaiChat, endpoint: { operation: 'chat' } },
    media,
    Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  );

async function facts(body: unknown) {
  const reading = await read(body);
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

async function refusal(body: unknown, media = json) {
  const reading = await read(body, media);
  return reading.ok ? 'accepted' : `${reading.code}: ${reading.message}`;
}

describe('facts about an OpenAI chat request', () => {
  it('joins texts of any size and number, escaped or not, in their order', async () => {
    const long = 'say "hé" to 😀\n'.repeat(20_000);
    const contents = [long, ...Array.from({ length: 3000 }, (_, i) => `short ${i} \t`), '', long, 'end'];
    const { text, messages, tokens } = await facts({
      model: 'm',
      messages: contents.map((content) => ({ role: 'user', content })),
    });
    expect(messages.map((message) => message.text)).toEqual(contents);
    expect(text).toBe(contents.filter((content) => content !== '').join('\n'));
    expect(tokens).toBe(Math.ceil(Buffer.byteLength(text) / 4));
  });

  it('leaves encoded media out of the words, but not what only begins like it', async () => {
    const image = `data:image/png;base64,${'iVBORw0KGgo/'.repeat(20_000)}`;
    const of = (url: string) =>
      facts({
        model: 'm',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url } },
              { type: 'text', text: 'see' },
            ],
          },
        ],
      });
    expect((await of(image)).text).toBe('see');
    expect((await of(`${image} a note`)).text).toBe(`${image} a note\nsee`);
  });

  it('reads the smallest request', async () => {
    const body = { model: 'demo', messages: hello };
    expect(await facts(body)).toEqual({
      format: 'openai-chat',
      operation: 'chat',
      model: 'demo',
      stream: false,
      choices: 1,
      system: '',
      messages: [{ role: 'user', text: 'hello' }],
      text: 'hello',
      tools: [],
      toolCall: undefined,
      images: 0,
      audio: 0,
      files: 0,
      unread: false,
      maxTokens: undefined,
      parameters: new Map(),
      tokens: 2,
      bytes: JSON.stringify(body).length,
    });
  });

  it('reads every text of every kind of message, in order', async () => {
    const { messages, text } = await facts({
      model: 'demo',
      messages: [
        { role: 'system', content: 'be kind' },
        {
          role: 'user',
          name: 'jane',
          content: [
            { type: 'text', text: 'one' },
            { type: 'text', text: 'two' },
          ],
        },
        {
          role: 'assistant',
          content: null,
          refusal: 'no',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{"q":"three"}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'four' },
        { role: 'user', content: 'five', surprise: { deep: ['six', 4111111111111111, 7] } },
      ],
    });
    expect(messages).toEqual([
      { role: 'system', text: 'be kind' },
      { role: 'user', text: 'jane\none\ntwo' },
      { role: 'assistant', text: 'no\nlook\n{"q":"three"}' },
      { role: 'tool', text: 'four' },
      { role: 'user', text: 'five\nsurprise\ndeep\nsix\n4111111111111111' },
    ]);
    expect(text).toBe(messages.map((m) => m.text).join('\n'));
  });

  it('takes a structural field for words where it does not look like an id, an enumeration or a parameter', async () => {
    const { text } = await facts({
      model: 'org/demo-1:latest',
      messages: [{ role: 'tool', tool_call_id: '5555 5555 5555 4444', content: 'x' }],
      reasoning_effort: 'jane.roe@example.com',
      service_tier: 'auto',
      seed: 5105105105105100,
      max_tokens: 123456789,
    });
    expect(text.split('\n').sort()).toEqual(['5105105105105100', '5555 5555 5555 4444', 'jane.roe@example.com', 'x']);
  });

  it('puts the words outside of the messages into the text as well', async () => {
    const { text } = await facts({
      model: 'demo',
      messages: hello,
      user: 'jane@example.com',
      surprises: [{ deep: 'secret' }],
      tools: [
        {
          type: 'function',
          function: { name: 'look', description: 'looks', parameters: { type: 'object', properties: { card: {} } } },
        },
      ],
    });
    expect(text.split('\n')).toEqual([
      'hello',
      'jane@example.com',
      'surprises',
      'deep',
      'secret',
      'look',
      'looks',
      'object',
      'properties',
      'card',
    ]);
  });

  it('reads tool-call arguments decoded, so that escapes hide nothing', async () => {
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{"card":"\\u0034111"}' } };
    expect((await facts({ model: 'demo', messages: [{ role: 'assistant', tool_calls: [call] }] })).text).toBe(
      'f\ncard\n4111',
    );
    const broken = { ...call, function: { name: 'f', arguments: '{"card":"\\u0034' } };
    expect((await facts({ model: 'demo', messages: [{ role: 'assistant', tool_calls: [broken] }] })).text).toBe(
      'f\n{"card":"\\u0034',
    );
  });

  it('counts media, and takes encoded media for no text, but a note behind it', async () => {
    const picture = `data:image/png;base64,${'iVBOR/+0'.repeat(100)}`;
    const content = [
      { type: 'image_url', image_url: { url: picture, detail: 'low' } },
      { type: 'image_url', image_url: { url: 'https://example.com/jane.png' } },
      { type: 'image_url', image_url: { url: `${picture} call 555-0100` } },
      { type: 'input_audio', input_audio: { data: 'UklGR'.repeat(100), format: 'wav' } },
      { type: 'file', file: { filename: 'jane.pdf', file_data: 'JVBER'.repeat(100) } },
    ];
    const read = await facts({ model: 'demo', messages: [{ role: 'user', content }] });
    expect(read).toMatchObject({ images: 3, audio: 1, files: 1 });
    expect(read.text).toContain('https://example.com/jane.png');
    expect(read.text).toContain('call 555-0100');
    expect(read.text).toContain('jane.pdf');
    expect(read.text).not.toContain('UklGR');
    expect(read.text).not.toContain('JVBER');
  });

  it('names tools, functions and hosted tools', async () => {
    const { tools } = await facts({
      model: 'demo',
      messages: hello,
      tools: [
        { type: 'function', function: { name: 'run_sql' } },
        { type: 'custom', custom: { name: 'shell' } },
        { type: 'web_search' },
      ],
      functions: [{ name: 'old' }],
    });
    expect(tools).toEqual([{ name: 'run_sql' }, { name: 'shell' }, { name: 'web_search' }, { name: 'old' }]);
  });

  it('takes the larger of two token limits: servers differ in which one they obey', async () => {
    expect(
      (await facts({ model: 'demo', messages: hello, max_tokens: 5000, max_completion_tokens: 10 })).maxTokens,
    ).toBe(5000);
    expect(await facts({ model: 'demo', messages: hello, max_tokens: null, n: 3, stream: true })).toMatchObject({
      maxTokens: undefined,
      choices: 3,
      stream: true,
    });
  });

  it('reads a request of megabytes in slices, with the same facts', async () => {
    const long = 'word é '.repeat(200_000);
    const read = await facts({
      model: 'demo',
      messages: Array.from({ length: 3 }, () => ({ role: 'user', content: long })),
    });
    expect(read.text).toBe([long, long, long].join('\n'));
    expect(read.tokens).toBe(Math.ceil(Buffer.byteLength(read.text) / 4));
  });

  it.each([
    [[], 'Invalid type for the body: expected an object, but got an array instead.'],
    [{ messages: hello }, "Missing required parameter: 'model'."],
    [{ model: 7, messages: hello }, "Invalid type for 'model': expected a string, but got an integer instead."],
    [{ model: 'm' }, "Missing required parameter: 'messages'."],
    [
      { model: 'm', messages: 'hi' },
      "Invalid type for 'messages': expected an array of objects, but got a string instead.",
    ],
    [
      { model: 'm', messages: [] },
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ],
    [{ model: 'm', messages: ['hi'] }, "Invalid type for 'messages[0]': expected an object, but got a string instead."],
    [{ model: 'm', messages: [{ content: 'x' }] }, "Missing required parameter: 'messages[0].role'."],
    [{ model: 'm', messages: [{ role: 'System', content: 'x' }] }, "Invalid value for 'messages[0].role'."],
    [{ model: 'm', messages: [{ role: 'user', content: 7 }] }, "Invalid type for 'messages[0].content'"],
    [
      { model: 'm', messages: [{ role: 'user', content: ['x'] }] },
      "Invalid type for 'messages[0].content[0]': expected an object",
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: {} }] }] },
      "Invalid type for 'messages[0].content[0].text': expected a string, but got an object",
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      "Missing required parameter: 'messages[0].content[0].text'.",
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'hologram' }] }] },
      "Invalid value for 'messages[0].content[0].type'.",
    ],
    [
      { model: 'm', messages: [{ role: 'assistant', tool_calls: {} }] },
      "Invalid type for 'messages[0].tool_calls': expected an array of objects",
    ],
    [
      { model: 'm', messages: hello, stream: 'true' },
      "Invalid type for 'stream': expected a boolean, but got a string instead.",
    ],
    [
      { model: 'm', messages: hello, n: 0 },
      "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ],
    [{ model: 'm', messages: hello, n: 129 }, "Invalid 'n': integer above maximum value."],
    [{ model: 'm', messages: hello, n: 1.5 }, "Invalid type for 'n': expected an integer, but got a decimal instead."],
    [
      { model: 'm', messages: hello, max_tokens: '5' },
      "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
    ],
    [
      { model: 'm', messages: hello, tools: {} },
      "Invalid type for 'tools': expected an array of objects, but got an object instead.",
    ],
    [
      { model: 'm', messages: hello, tools: [{ type: 'function' }] },
      "Invalid type for 'tools[0].function': expected an object, but got nothing instead.",
    ],
    [
      { model: 'm', messages: hello, tools: [{ type: 'function', function: {} }] },
      "Missing required parameter: 'tools[0].function.name'.",
    ],
    [{ model: 'm', Model: 'x', messages: hello }, 'Unrecognized request argument supplied'],
    [{ model: 'm', ｍessages: hello, messages: hello }, 'differs from a known one only in case'],
    [{ model: 'm', 'mo\u200bdel': 'n', messages: hello }, 'differs from a known one only in case'],
    [{ model: 'm', [`model\0${'x'.repeat(100)}`]: 'n', messages: hello }, 'differs from a known one only in case'],
    [{ model: 'm', messages: [{ role: 'user', Content: 'x', content: 'y' }] }, "supplied in 'messages[0]'"],
  ])('refuses %j', async (body, because) => {
    const message = await refusal(body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });

  it('refuses a big integer as a limit', async () => {
    expect(await refusal('{"model":"m","messages":[{"role":"user"}],"max_tokens":99999999999999999999}')).toContain(
      'above maximum',
    );
  });

  it.each([
    [undefined, undefined, 'unsupported_media_type'],
    ['', undefined, 'unsupported_media_type'],
    ['text/plain', undefined, 'unsupported_media_type'],
    ['multipart/form-data; boundary=x', undefined, 'unsupported_media_type'],
    ['application/x-www-form-urlencoded', undefined, 'unsupported_media_type'],
    ['application/json, text/plain', undefined, 'unsupported_media_type'],
    ['application/json; charset=utf-16', undefined, 'unsupported_media_type'],
    ['application/json; charset=utf-8; charset=utf-16', undefined, 'unsupported_media_type'],
    ['application/json', 'gzip', 'unsupported_encoding'],
    ['application/json', 'identity, br', 'unsupported_encoding'],
    ['application/json', '', 'unsupported_encoding'],
  ])('refuses content type %s with encoding %s', async (contentType, contentEncoding, code) => {
    expect(await refusal({ model: 'm', messages: hello }, { contentType, contentEncoding } as typeof json)).toMatch(
      new RegExp(`^${code}: `),
    );
  });

  it.each(['application/json', 'Application/JSON ; charset="UTF-8"', 'application/json;charset=utf-8'])(
    'takes content type %s',
    async (contentType) => {
      expect(
        await refusal({ model: 'm', messages: hello }, { contentType, contentEncoding: 'Identity' } as never),
      ).toBe('accepted');
    },
  );

  it('is meant by POST to its paths only', () => {
    expect(formatOfRequest('POST', '/v1/chat/completions')?.format).toBe(openaiChat);
    expect(formatOfRequest('POST', '/chat/completions')?.format).toBe(openaiChat);
    for (const [method, path] of [
      ['GET', '/v1/chat/completions'],
      ['post', '/v1/chat/completions'],
      ['POST', '/v1/chat/completions/'],
      ['POST', '/V1/chat/completions'],
      ['POST', '/v1/chat/completions;x'],
      ['POST', '/v1/rerank'],
    ] as const)
      expect(formatOfRequest(method, path)).toBeUndefined();
    expect(modelsAsked('/v1/models', () => false)).toEqual({ format: openaiChat, one: undefined });
  });

  it('lists models as OpenAI does', () => {
    expect(JSON.parse(openaiChat.modelList(['demo']))).toEqual({
      object: 'list',
      data: [{ id: 'demo', object: 'model', created: 0, owned_by: 'sallyport' }],
    });
  });
});
