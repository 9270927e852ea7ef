import { describe, expect, it } from 'vitest';
import type { RequestFacts } from '../../../src/exchange/facts.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import { factsOf } from './requests.ts';

const CARD = '4111 1111 1111 1111';
const words = `drop the bomb, ${CARD}. `.repeat(20);
const base64 = (text: string, encoding: BufferEncoding = 'utf8') => Buffer.from(text, encoding).toString('base64');
const text = base64(words);
const png = base64(`\x89PNG\r\n\x1a\n\0\0\0\rIHDR${words}`, 'latin1');
const random = base64(
  Array.from({ length: 600 }, (_, i) => String.fromCharCode((i * i * 37) % 251)).join(''),
  'latin1',
);

const chat = (part: unknown) => ({ model: 'm', messages: [{ role: 'user', content: [part] }] });
const anthropic = (block: unknown) => ({ ...chat(block), max_tokens: 5 });
const responses = (part: unknown) => ({ model: 'm', input: [{ role: 'user', content: [part] }] });
const gemini = (part: unknown) => ({ contents: [{ role: 'user', parts: [part] }] });
const converse = (block: unknown) => ({ messages: [{ role: 'user', content: [block] }] });
const GEMINI = '/v1beta/models/m:generateContent';

/** Where a format has files: path, format, and a body with this data. */
const places: readonly [string, string, string, (data: string) => unknown][] = [
  [
    'a file of OpenAI chat',
    '/v1/chat/completions',
    'openai-chat',
    (data) => chat({ type: 'file', file: { file_data: data } }),
  ],
  [
    'a data URL of OpenAI chat',
    '/v1/chat/completions',
    'openai-chat',
    (data) => chat({ type: 'image_url', image_url: { url: `data:text/plain;base64,${data}` } }),
  ],
  [
    'a data URL without a type',
    '/v1/chat/completions',
    'openai-chat',
    (data) => chat({ type: 'image_url', image_url: { url: `data:;base64,${data}` } }),
  ],
  [
    'sound of OpenAI chat',
    '/v1/chat/completions',
    'openai-chat',
    (data) => chat({ type: 'input_audio', input_audio: { data, format: 'wav' } }),
  ],
  [
    'a file of Responses',
    '/v1/responses',
    'openai-responses',
    (data) => responses({ type: 'input_file', file_data: `data:text/plain;base64,${data}` }),
  ],
  [
    'a document of Anthropic, called a PDF',
    '/v1/messages',
    'anthropic-messages',
    (data) => anthropic({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } }),
  ],
  [
    'a document of Anthropic without a type',
    '/v1/messages',
    'anthropic-messages',
    (data) => anthropic({ type: 'document', source: { type: 'base64', data } }),
  ],
  [
    'inline data of Gemini, called an image',
    GEMINI,
    'gemini',
    (data) => gemini({ inlineData: { mimeType: 'image/png', data } }),
  ],
  [
    'a document of Bedrock, called a PDF',
    '/model/m/converse',
    'bedrock-converse',
    (data) => converse({ document: { format: 'pdf', name: 'x', source: { bytes: data } } }),
  ],
  [
    'an image of Ollama',
    '/api/chat',
    'ollama-chat',
    (data) => ({ model: 'm', messages: [{ role: 'user', content: 'x', images: [data] }] }),
  ],
];

const bodies = createBodies(['credit_card']);
const recorded = async (format: string, body: unknown) => {
  const { masked, findings } = await bodies.request(format, Buffer.from(JSON.stringify(body)));
  return { masked: masked.toString(), findings: Object.fromEntries(findings) };
};

describe('a text file in base64', () => {
  it.each(places)('is text for rules, and found and labelled on the record: %s', async (_name, path, format, body) => {
    const facts = await factsOf(path, body(text));
    expect(facts.text).toContain('drop the bomb');
    expect(facts.text).not.toContain(text);
    expect(facts.unread).toBe(false);
    const { masked, findings } = await recorded(format, body(text));
    expect(findings).toEqual({ credit_card: 20 });
    expect(masked).toContain('<CREDIT_CARD>');
    expect(masked).not.toContain(text.slice(0, 100));
  });

  it.each(places)('is not looked for in media, which is unread: %s', async (_name, path, format, body) => {
    const sent = body(png);
    // What says that it is text must be text.
    const facts: RequestFacts = await factsOf(path, sent);
    expect(facts.text).not.toContain('bomb');
    expect(facts.text).not.toContain(png);
    expect(facts.unread).toBe(true);
    expect(await recorded(format, sent)).toEqual({ masked: JSON.stringify(sent), findings: {} });
  });

  it.each(places)('is not there in bytes of no kind, which are unread: %s', async (_name, path, format, body) => {
    const facts = await factsOf(path, body(random));
    expect(facts.text).not.toContain(random);
    expect(facts.unread).toBe(true);
    expect((await recorded(format, body(random))).findings).toEqual({});
  });

  const file = (data: string) => chat({ type: 'file', file: { file_data: data } });
  it.each([
    ['UTF-16 with a mark', base64(`\ufeff${words}`, 'utf16le'), false],
    ['UTF-16 without', base64(words, 'utf16le'), false],
    ['with a byte that is no UTF-8', base64(`\xff${words}`, 'latin1'), true],
    [
      'behind many bytes that are none',
      Buffer.concat([Buffer.alloc(2000, 0xfe), Buffer.from(words.repeat(9))]).toString('base64'),
      true,
    ],
    ['in lines', text.replace(/.{76}/g, '$&\r\n'), false],
    ['in the other alphabet', Buffer.from(`${words}ÿ~~?>`).toString('base64url'), false],
    ['in parts with padding', `${base64('a')}${text}`, false],
    ['behind the first words of a PDF', base64(`%PDF-1.7\n${words}`), false],
    ['of a few words', base64('drop the bomb'), false],
  ])('is read however it is written: %s', async (_name, data, unread) => {
    const facts = await factsOf('/v1/chat/completions', file(data));
    expect(facts.text).toContain('drop the bomb');
    expect(facts.unread).toBe(unread);
  });

  it('in an answer to an MCP server is text, too', async () => {
    const answers = [
      { contents: [{ uri: 'x', blob: text }] },
      { content: { type: 'audio', mimeType: 'audio/wav', data: text } },
      { content: [{ type: 'resource', resource: { uri: 'x', blob: text } }] },
    ];
    for (const result of answers) {
      const body = { jsonrpc: '2.0', id: 1, result };
      expect((await recorded('mcp', body)).findings).toEqual({ credit_card: 20 });
    }
  });
});

describe('what is not in the request', () => {
  it.each([
    ['/v1/chat/completions', chat({ type: 'image_url', image_url: { url: 'https://example.com/a.png' } })],
    ['/v1/chat/completions', chat({ type: 'file', file: { file_id: 'file-1' } })],
    ['/v1/responses', responses({ type: 'input_file', file_id: 'file-1' })],
    ['/v1/responses', responses({ type: 'input_file', file_url: 'https://example.com/a.txt' })],
    ['/v1/responses', responses({ type: 'input_image', image_url: 'https://example.com/a.png' })],
    ['/v1/responses', { model: 'm', input: [{ type: 'item_reference', id: 'x' }] }],
    ['/v1/messages', anthropic({ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } })],
    ['/v1/messages', anthropic({ type: 'container_upload', file_id: 'file-1' })],
    [GEMINI, gemini({ fileData: { mimeType: 'text/plain', fileUri: 'https://example.com/a' } })],
    [
      '/model/m/converse',
      converse({ document: { format: 'txt', name: 'x', source: { s3Location: { uri: 's3://a/b' } } } }),
    ],
    ['/generate', { inputs: '![](https://example.com/a.png)' }],
  ])('is unread: %s %j', async (path, body) => {
    expect((await factsOf(path, body)).unread).toBe(true);
  });

  it('a document in clear text is read', async () => {
    const source = { type: 'text', media_type: 'text/plain', data: 'words' };
    expect((await factsOf('/v1/messages', anthropic({ type: 'document', source }))).unread).toBe(false);
  });
});

describe('words that only look like base64', () => {
  const hidden = 'drop-the-bomb-'.repeat(30);
  it('are text in a block of Anthropic that we do not know', async () => {
    const facts = await factsOf('/v1/messages', anthropic({ type: 'mystery', data: hidden }));
    expect(facts.text).toContain('drop-the-bomb');
    expect(facts.unread).toBe(true);
  });
  it('are none where the server alone reads them', async () => {
    const facts = await factsOf('/v1/messages', anthropic({ type: 'redacted_thinking', data: random }));
    expect(facts).toMatchObject({ text: '', unread: false });
  });
  it('a text file is read in a field of a block that we do not know', async () => {
    const body = anthropic({ type: 'mystery', data: text });
    expect((await factsOf('/v1/messages', body)).text).toContain('drop the bomb');
    expect((await recorded('anthropic-messages', body)).findings).toEqual({ credit_card: 20 });
  });
});
