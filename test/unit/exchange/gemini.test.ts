import { describe, expect, it } from 'vitest';
import { errorRow } from '../../../src/exchange/errors.ts';
import { formatOfRequest } from '../../../src/exchange/formats.ts';
import { gemini } from '../../../src/exchange/gemini.ts';
import { denied, factsOf, fixture, refusalOf } from './requests.ts';

const path = '/v1beta/models/gemini-2.5-flash:generateContent';
const counting = '/v1beta/models/gemini-2.5-flash:countTokens';
const contents = [{ parts: [{ text: 'hello' }] }];
const ask = (more: object) => ({ contents, ...more });
const part = (one: object) => ({ contents: [{ role: 'user', parts: [one] }] });

describe('facts about a Gemini request', () => {
  it('reads a request with every kind of part', async () => {
    const facts = await factsOf(path, fixture('gemini/request.json'));
    expect(facts).toMatchObject({
      format: 'gemini',
      operation: 'chat',
      model: 'gemini-2.5-flash',
      stream: false,
      choices: 2,
      system: 'Be kind.',
      tools: [{ name: 'get_weather' }, { name: 'googleSearch' }],
      images: 1,
      audio: 1,
      files: 2,
      maxTokens: 1024,
    });
    expect([...facts.parameters]).toEqual([
      ['maxOutputTokens', 1024],
      ['candidateCount', 2],
      ['temperature', 0.5],
      ['thinkingConfig.thinkingBudget', 512],
    ]);
    expect(facts.messages).toEqual([
      { role: 'user', text: 'What is in these?\nhttps://example.com/files/abc\nc2VjcmV0IHdvcmRz\nsecret words' },
      { role: 'model', text: 'get_weather\ncity\nParis\nprint(1)' },
      { role: 'user', text: 'get_weather\nsky\nclear\none' },
    ]);
    expect(facts.text.split('\n').slice(12)).toEqual([
      ...['Be kind.', 'get_weather', 'Weather of a city', 'OBJECT', 'END'],
    ]);
  });

  it('reads the same request in snake_case with the same facts', async () => {
    const snake = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(snake);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [
          name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
          snake(inner),
        ]),
      );
    };
    const body = fixture('gemini/request.json');
    const { parameters: _1, bytes: _2, ...facts } = await factsOf(path, body);
    expect(await factsOf(path, snake(body))).toMatchObject(facts);
  });

  it('takes one object where a list of one is meant, and a message without a role for the user’s', async () => {
    expect(
      await factsOf(path, { contents: { parts: { text: 'hi' } }, system_instruction: { parts: { text: 'be kind' } } }),
    ).toMatchObject({ messages: [{ role: 'user', text: 'hi' }], system: 'be kind', text: 'hi\nbe kind' });
  });

  it('learns from the path which model answers, and whether it streams', async () => {
    const stream = '/v1/models/gemini%2D2.5-flash:streamGenerateContent';
    expect(await factsOf(stream, ask({ model: 'models/gemini-2.5-flash' }))).toMatchObject({
      model: 'gemini-2.5-flash',
      stream: true,
    });
  });

  it('reads the whole request that a token count may have inside', async () => {
    expect(await factsOf(counting, ask({}))).toMatchObject({ operation: 'count_tokens', text: 'hello' });
    const inner = { model: 'models/gemini-2.5-flash', ...fixture('gemini/request.json') };
    const facts = await factsOf(counting, { generateContentRequest: inner });
    expect(facts).toMatchObject({ operation: 'count_tokens', system: 'Be kind.', maxTokens: 1024, images: 1 });
    expect(facts.text).toBe((await factsOf(path, fixture('gemini/request.json'))).text);
  });

  it('counts media in the results of functions too', async () => {
    const parts = [{ inlineData: { mimeType: 'image/png', data: 'iVBO' } }];
    expect(await factsOf(path, part({ functionResponse: { name: 'f', response: {}, parts } }))).toMatchObject({
      images: 1,
    });
  });

  it('tells which cached prompt is used, which it cannot read', async () => {
    const { parameters } = await factsOf(path, ask({ cachedContent: 'cachedContents/abc' }));
    expect(parameters.get('cachedContent')).toBe('cachedContents/abc');
  });

  it.each([
    [[], "Invalid type for 'the body': expected an object"],
    [{}, "Missing required parameter: 'contents'."],
    [{ contents: [] }, "Missing required parameter: 'contents'."],
    [{ contents: 'hi' }, "Invalid type for 'contents': expected an object"],
    [{ contents: [7] }, "Invalid type for 'contents[0]'"],
    [{ contents: [{ role: 'User', parts: [] }] }, "Invalid value for 'contents[0].role'"],
    [{ contents: [{ parts: ['x'] }] }, "Invalid type for 'contents[0].parts[0]'"],
    [part({ text: 7 }), "Invalid type for 'contents[0].parts[0].text'"],
    [part({ text: 'x', Text: 'y' }), "supplied in 'contents[0].parts[0]'"],
    [part({ inlineData: {}, inline_data: {} }), "'inlineData' and 'inline_data' at once"],
    [part({ inlineData: { mimeType: 'image/png', mime_type: 'text/plain' } }), "'mimeType' and 'mime_type' at once"],
    [part({ inlineData: { mimeType: 7 } }), "Invalid type for 'contents[0].parts[0].inlineData.mimeType'"],
    [part({ inlineData: { mimeType: 'text/csv', data: '/////w==' } }), 'a text file must be UTF-8'],
    [part({ functionCall: 'f' }), "Invalid type for 'contents[0].parts[0].functionCall'"],
    [part({ functionCall: { Name: 'f' } }), "supplied in 'contents[0].parts[0].functionCall'"],
    [ask({ systemInstruction: {}, system_instruction: {} }), "'systemInstruction' and 'system_instruction' at once"],
    [ask({ systemInstruction: 'x' }), "Invalid type for 'systemInstruction'"],
    [ask({ SystemInstruction: {} }), 'Unrecognized request argument supplied'],
    [ask({ generationConfig: {}, generation_config: {} }), "'generationConfig' and 'generation_config' at once"],
    [
      ask({ generationConfig: { maxOutputTokens: 1, max_output_tokens: 9 } }),
      "'maxOutputTokens' and 'max_output_tokens' at once in 'generationConfig'",
    ],
    [ask({ generationConfig: { maxOutputTokens: '9' } }), "Invalid type for 'maxOutputTokens': expected an integer"],
    [ask({ generationConfig: { MaxOutputTokens: 9 } }), "supplied in 'generationConfig'"],
    [ask({ generationConfig: { candidateCount: 129 } }), "Invalid 'candidateCount': integer above maximum value."],
    [
      ask({ tools: [{ functionDeclarations: [{}] }] }),
      "Missing required parameter: 'tools[0].functionDeclarations[0].name'.",
    ],
    [ask({ tools: [{ function_declarations: [], functionDeclarations: [] }] }), 'at once'],
    [ask({ tools: [{ google_search: {}, googleSearch: {} }] }), 'at once'],
    [ask({ model: 'models/other' }), 'the path names another model'],
  ])('refuses %j', async (body, because) => {
    const message = await refusalOf(path, body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });

  it('refuses a token count that says two things', async () => {
    const body = ask({ generateContentRequest: { contents } });
    expect(await refusalOf(counting, body)).toContain("'contents' and 'generateContentRequest' at once");
    expect(await refusalOf(counting, { generateContentRequest: { contents, Contents: [] } })).toContain('Unrecognized');
    expect(await refusalOf(counting, { generateContentRequest: [] })).toContain(
      "'generateContentRequest': expected an object",
    );
  });

  it.each([
    ['GET', path],
    ['POST', '/v1beta/models/m:embedContent'],
    ['POST', '/v1beta/models/m:generatecontent'],
    ['POST', '/v1beta/models/:generateContent'],
    ['POST', '/v1beta/models/a/b:generateContent'],
    ['POST', '/v1beta/models/a%2Fb:generateContent'],
    ['POST', '/v1beta/models/a%00:generateContent'],
    ['POST', '/v1beta/models/a%0A:generateContent'],
    ['POST', '/v1beta/models/a%zz:generateContent'],
    ['POST', '/v1beta/models/a%252Fb:generateContent'],
    ['POST', '/v1beta/models/..:generateContent'],
    ['POST', '/v1beta/tunedModels/m:generateContent'],
    ['POST', '/v2/models/m:generateContent'],
  ])('is not meant by %s %s', (method, other) => {
    expect(formatOfRequest(method, other)).toBeUndefined();
  });
});

describe('what Gemini clients get from the gate', () => {
  it('words errors as Google does', () => {
    expect(JSON.parse(gemini.error(denied))).toEqual({
      error: {
        code: 403,
        message: denied.message,
        status: 'PERMISSION_DENIED',
        details: [
          {
            '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
            reason: 'POLICY_DENIED',
            domain: 'sallyport',
            metadata: { session: 's-1' },
          },
        ],
      },
    });
  });

  it.each([
    ['invalid_request', 'INVALID_ARGUMENT'],
    ['token_expired', 'UNAUTHENTICATED'],
    ['unknown_model', 'PERMISSION_DENIED'],
    ['rate_limit_exceeded', 'RESOURCE_EXHAUSTED'],
    ['model_unavailable', 'UNAVAILABLE'],
    ['response_unreadable', 'INTERNAL'],
  ] as const)('calls %s %s', (code, status) => {
    expect(JSON.parse(gemini.error({ code, row: errorRow(code), message: 'm', session: '' })).error).toMatchObject({
      status,
    });
  });

  it('lists models as Google does', () => {
    expect(JSON.parse(gemini.modelList(['a'])).models[0]).toMatchObject({ name: 'models/a', displayName: 'a' });
  });
});
