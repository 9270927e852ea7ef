import { describe, expect, it } from 'vitest';
import { bedrockConverse } from '../../../src/exchange/bedrock-converse.ts';
import { errorRow } from '../../../src/exchange/errors.ts';
import { formatOfRequest } from '../../../src/exchange/formats.ts';
import { denied, factsOf, fixture, refusalOf } from './requests.ts';

const path = '/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse';
const messages = [{ role: 'user', content: [{ text: 'hello' }] }];
const ask = (more: object) => ({ messages, ...more });
const block = (one: object) => ({ messages: [{ role: 'user', content: [one] }] });

describe('facts about a Bedrock Converse request', () => {
  it('reads a request with every kind of block', async () => {
    const facts = await factsOf(path, fixture('bedrock-converse/request.json'));
    expect(facts).toMatchObject({
      format: 'bedrock-converse',
      operation: 'chat',
      model: 'anthropic.claude-3-haiku-20240307-v1:0',
      stream: false,
      choices: 1,
      system: 'Be kind.',
      tools: [{ name: 'get_weather' }],
      images: 2,
      audio: 1,
      files: 2,
      maxTokens: 512,
    });
    expect(Object.fromEntries(facts.parameters)).toEqual({ maxTokens: 512, temperature: 0.5, topP: 0.9, top_k: 200 });
    expect(facts.messages).toEqual([
      {
        role: 'user',
        text: 'What is in these?\ncontract\nnotes\nc2VjcmV0IHdvcmRz\nsecret words\ns3://bucket/clip.mp4\nguarded words',
      },
      { role: 'assistant', text: 'hmm\nget_weather\ncity\nParis' },
      { role: 'user', text: 'sky\nclear\ns3://bucket/map.png' },
    ]);
    expect(facts.text).toContain('\nBe kind.\nEND\nget_weather\nWeather of a city\n');
  });

  it('takes the larger of two token limits: models differ in which one they obey', async () => {
    const limited = ask({ inferenceConfig: { maxTokens: 10 }, additionalModelRequestFields: { max_tokens: 5000 } });
    expect((await factsOf(path, limited)).maxTokens).toBe(5000);
    expect((await factsOf(path, ask({}))).maxTokens).toBeUndefined();
  });

  it.each([
    ['us.anthropic.claude-sonnet-4-20250514-v1%3A0', 'us.anthropic.claude-sonnet-4-20250514-v1:0'],
    ['us.anthropic.claude-sonnet-4-20250514-v1:0', 'us.anthropic.claude-sonnet-4-20250514-v1:0'],
    [
      'arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0',
      'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x-v1:0',
    ],
  ])('decodes the model %s of a path', (segment, model) => {
    expect(formatOfRequest('POST', `/model/${segment}/converse`)).toMatchObject({
      format: { id: 'bedrock-converse' },
      endpoint: { model },
    });
  });

  it.each([
    ['GET', path],
    ['POST', '/model//converse'],
    ['POST', '/model/a/b/converse'],
    ['POST', '/model/a%2F..%2Fb/converse'],
    ['POST', '/model/a%2F%2Fb/converse'],
    ['POST', '/model/a%2F/converse'],
    ['POST', '/model/a%00/converse'],
    ['POST', '/model/a%253A/converse'],
    ['POST', '/model/a%20b/converse'],
    ['POST', '/model/%E0%A4%A/converse'],
    ['POST', '/model/a/Converse'],
    ['POST', '/model/a/async-invoke'],
  ])('is not meant by %s %s', (method, other) => {
    expect(formatOfRequest(method, other)).toBeUndefined();
  });

  it.each([
    ['converse-stream', 'application/vnd.amazon.eventstream'],
    ['invoke', 'InvokeModel'],
    ['invoke-with-response-stream', 'InvokeModel'],
  ])('refuses %s, and says what to call instead', async (operation, because) => {
    const message = await refusalOf(`/model/m/${operation}`, ask({}));
    expect(message).toMatch(/^invalid_request: .*call Converse instead/);
    expect(message).toContain(because);
  });

  it.each([
    [[], "Invalid type for 'the body'"],
    [{}, "Missing required parameter: 'messages'."],
    [{ messages: [] }, "Invalid 'messages': empty array."],
    [{ messages: [{ role: 'user', content: 'hi' }] }, "Invalid type for 'messages[0].content': expected an array"],
    [{ messages: [{ role: 'User', content: [] }] }, "Invalid value for 'messages[0].role'"],
    [block({ text: 7 }), "Invalid type for 'messages[0].content[0].text'"],
    [block({ Text: 'x' }), "supplied in 'messages[0].content[0]'"],
    [block({ tooluse: {} }), "supplied in 'messages[0].content[0]'"],
    [block({ image: 'x' }), "Invalid type for 'messages[0].content[0].image'"],
    [block({ image: { Format: 'png' } }), "supplied in 'messages[0].content[0].image'"],
    [block({ image: { source: { BYTES: 'x' } } }), "supplied in 'messages[0].content[0].image.source'"],
    [block({ document: { format: 'txt', name: 'n', source: { bytes: '/////w==' } } }), 'a text file must be UTF-8'],
    [block({ toolUse: { Name: 'x' } }), "supplied in 'messages[0].content[0].toolUse'"],
    [block({ toolResult: { content: [{ TEXT: 'x' }] } }), "supplied in 'messages[0].content[0].toolResult.content[0]'"],
    [ask({ system: 'be kind' }), "Invalid type for 'system': expected an array"],
    [ask({ System: [] }), 'Unrecognized request argument supplied'],
    [ask({ inferenceconfig: {} }), 'Unrecognized request argument supplied'],
    [ask({ inferenceConfig: { maxTokens: '9' } }), "Invalid type for 'maxTokens'"],
    [ask({ inferenceConfig: { MaxTokens: 9 } }), "supplied in 'inferenceConfig'"],
    [ask({ additionalModelRequestFields: { max_tokens: '9' } }), "Invalid type for 'max_tokens'"],
    [ask({ toolConfig: [] }), "Invalid type for 'toolConfig'"],
    [
      ask({ toolConfig: { tools: [{ toolSpec: {} }] } }),
      "Missing required parameter: 'toolConfig.tools[0].toolSpec.name'.",
    ],
    [ask({ toolConfig: { tools: [{ ToolSpec: {} }] } }), "supplied in 'toolConfig.tools[0]'"],
  ])('refuses %j', async (body, because) => {
    const message = await refusalOf(path, body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });
});

describe('what Bedrock clients get from the gate', () => {
  it.each([
    ['invalid_request', 'ValidationException'],
    ['token_missing', 'AccessDeniedException'],
    ['policy_denied', 'AccessDeniedException'],
    ['rate_limit_exceeded', 'ThrottlingException'],
    ['model_unavailable', 'ServiceUnavailableException'],
    ['response_unreadable', 'InternalServerException'],
  ] as const)('calls %s %s', (code, type) => {
    expect(JSON.parse(bedrockConverse.error({ ...denied, code, row: errorRow(code) }))).toEqual({
      __type: type,
      message: denied.message,
    });
  });
});
