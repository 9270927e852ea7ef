import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FormatId } from '../../../src/exchange/facts.ts';
import { formatById, formatOfRequest, readRequest } from '../../../src/exchange/formats.ts';

const json = { contentType: 'application/json', contentEncoding: undefined };
const paths: Partial<Record<FormatId, string>> = {
  'openai-chat': '/v1/chat/completions',
  'openai-completions': '/v1/completions',
  'openai-responses': '/v1/responses',
  'openai-embeddings': '/v1/embeddings',
  tgi: '/generate',
};

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8'));

function read(id: FormatId, body: unknown, path = paths[id]!) {
  const asked = formatOfRequest('POST', path)!;
  return readRequest(asked, json, Buffer.from(JSON.stringify(body)));
}

async function facts(id: FormatId, body: unknown, path?: string) {
  const reading = await read(id, body, path);
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

async function refusal(id: FormatId, body: unknown) {
  const reading = await read(id, body);
  return reading.ok ? 'accepted' : `${reading.code}: ${reading.message}`;
}

describe('facts about the requests of the OpenAI family', () => {
  it('are those of a completion: each prompt, its suffix, what constrains it', async () => {
    const body = fixture('openai-completions/request.json');
    expect(await facts('openai-completions', body)).toEqual({
      format: 'openai-completions',
      operation: 'text_completion',
      model: 'demo',
      stream: false,
      choices: 4,
      system: '',
      messages: [
        { role: 'user', text: 'Say this' },
        { role: 'user', text: 'is a test' },
      ],
      text: 'Say this\nis a test\nThe end.\n\n\n[a-z]+\nyes\nno\njane@example.com',
      tools: [],
      toolCall: undefined,
      images: 0,
      audio: 0,
      files: 0,
      unread: false,
      maxTokens: 7,
      parameters: new Map<string, unknown>([
        ['max_tokens', 7],
        ['temperature', 0],
        ['n', 2],
        ['best_of', 3],
        ['echo', true],
        ['guided_regex', '[a-z]+'],
        ['user', 'jane@example.com'],
      ]),
      tokens: 15,
      bytes: JSON.stringify(body).length,
    });
  });

  it('are those of a Responses request: every item, what is attached, what is on offer', async () => {
    const read = await facts('openai-responses', fixture('openai-responses/request.json'));
    expect(read).toMatchObject({
      format: 'openai-responses',
      operation: 'chat',
      stream: false,
      choices: 1,
      system: 'Be kind.\nNever swear.',
      images: 1,
      audio: 0,
      files: 1,
      maxTokens: 500,
      tools: [{ name: 'run_sql' }, { name: 'web_search' }, { name: 'mcp' }],
    });
    expect(read.messages).toEqual([
      { role: 'developer', text: 'Never swear.' },
      { role: 'user', text: 'What is in it?\nsalaries-2026.pdf' },
      { role: 'assistant', text: 'They want the total.' },
      { role: 'assistant', text: 'run_sql\n{"query":"select sum(pay) from staff"}' },
      { role: 'tool', text: '4711 rows' },
      { role: 'assistant', text: 'pay scales' },
      { role: 'item_reference', text: '' },
    ]);
    expect(read.text).toContain('Be kind.');
    expect(read.text).toContain('https://mcp.example.com/mcp');
    expect(Object.fromEntries(read.parameters)).toEqual({
      temperature: 0.3,
      max_output_tokens: 500,
      'reasoning.effort': 'low',
      tool_choice: 'auto',
      previous_response_id: 'resp_1',
      store: false,
    });
  });

  it.each([
    ['openai-chat', { messages: [{ role: 'user', content: 'a' }], max_tokens: 5 }],
    ['openai-completions', { prompt: 'a', max_tokens: 5 }],
    ['openai-responses', { input: 'a', max_output_tokens: 5 }],
  ] as const)("have llama.cpp's own limit of tokens, where it is the larger: %s", async (id, body) => {
    const most = async (n: number | null) => (await facts(id, { model: 'm', ...body, n_predict: n })).maxTokens;
    expect(await Promise.all([null, 3, 5000].map(most))).toEqual([5, 5, 5000]);
    // 0 and below mean no limit there.
    expect(await Promise.all([0, -1, -2].map(most))).toEqual([undefined, undefined, undefined]);
    for (const n_predict of ['5', 1.5, -3])
      expect(await refusal(id, { model: 'm', ...body, n_predict })).toContain("'n_predict'");
  });

  it('are those of embeddings: each input', async () => {
    const read = await facts('openai-embeddings', fixture('openai-embeddings/request.json'));
    expect(read).toMatchObject({ operation: 'embeddings', stream: false, choices: 1, maxTokens: undefined });
    expect(read.messages.map(({ text }) => text)).toEqual([
      'The food was delicious',
      'and the waiter was maria.lindqvist@example.org',
    ]);
    expect(Object.fromEntries(read.parameters)).toEqual({ encoding_format: 'float', dimensions: 256, user: 'jane' });
  });

  it.each([
    ['/generate', false],
    ['/generate_stream', true],
  ])('are those of TGI at %s, which names no model', async (path, stream) => {
    const read = await facts('tgi', fixture('tgi/request.json'), path);
    expect(read).toMatchObject({ operation: 'text_completion', model: '', stream, images: 2, maxTokens: 20 });
    expect(read.messages).toEqual([{ role: 'user', text: expect.stringMatching(/^What is .*\?$/) }]);
    expect(read.text.split('\n').at(-1)).toBe('[a-z]+');
    expect(Object.fromEntries(read.parameters)).toEqual({
      max_new_tokens: 20,
      temperature: 0.5,
      best_of: 2,
      details: true,
    });
  });

  it('are those of chat with what vLLM adds', async () => {
    const read = await facts('openai-chat', {
      model: 'demo',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi', name: 'jane' },
        { role: 'developer', content: 'Be brief.' },
      ],
      temperature: 0.5,
      best_of: 2,
      guided_json: { title: 'secret plan' },
      guided_choice: ['yes', 'no'],
      structured_outputs: { regex: '[0-9]+', disable_any_whitespace: true },
      chat_template: '{{ do_evil }}',
      chat_template_kwargs: { enable_thinking: false },
      documents: [{ title: 'pay', text: '4111 1111 1111 1111' }],
      add_generation_prompt: false,
      continue_final_message: true,
      prompt_logprobs: 3,
      stop_token_ids: [2, 7],
      seed: 7,
      web_search_options: { search_context_size: 'low' },
      unheard_of: 'x',
      metadata: { team: 'red' },
      stop: null,
    });
    expect(read.system).toBe('Be kind.\nBe brief.');
    expect(read.tools).toEqual([{ name: 'web_search' }]);
    expect(Object.fromEntries(read.parameters)).toEqual({
      temperature: 0.5,
      best_of: 2,
      chat_template: '{{ do_evil }}',
      add_generation_prompt: false,
      continue_final_message: true,
      prompt_logprobs: 3,
      seed: 7,
      unheard_of: 'x',
      'structured_outputs.regex': '[0-9]+',
      'structured_outputs.disable_any_whitespace': true,
      'chat_template_kwargs.enable_thinking': false,
      'web_search_options.search_context_size': 'low',
      'metadata.team': 'red',
    });
    for (const words of ['secret plan', 'yes', '{{ do_evil }}', 'pay', '4111 1111 1111 1111'])
      expect(read.text.split('\n')).toContain(words);
  });
});

describe('facts about the items of a Responses request', () => {
  const of = (...input: readonly unknown[]) => facts('openai-responses', { model: 'm', input });
  const part = (type: string, more: object = {}) => ({ type, ...more });

  it.each([
    ['a text', { role: 'user', content: 'hi' }, 'user', 'hi'],
    [
      'an answer',
      { type: 'message', id: 'm', role: 'assistant', content: [part('output_text', { text: 'yes' })] },
      'assistant',
      'yes',
    ],
    ['a refusal', { role: 'assistant', content: [part('refusal', { refusal: 'no' })] }, 'assistant', 'no'],
    [
      'arguments with escapes',
      part('function_call', { name: 'f', call_id: 'c', arguments: '{"a":"\\u0034"}' }),
      'assistant',
      'f\na\n4',
    ],
    ['an output', part('function_call_output', { call_id: 'c', output: 'out' }), 'tool', 'out'],
    [
      'parts of an output',
      part('function_call_output', { output: [part('input_text', { text: 'out' })] }),
      'tool',
      'out',
    ],
    ['a custom call', part('custom_tool_call', { name: 'sh', input: 'rm -r x' }), 'assistant', 'sh\nrm -r x'],
    ['its output', part('custom_tool_call_output', { call_id: 'c', output: 'gone' }), 'tool', 'gone'],
    [
      'a search in files',
      part('file_search_call', { queries: ['pay'], results: [{ filename: 'a.pdf', text: 'sum', score: 0.5 }] }),
      'assistant',
      'pay\na.pdf\nsum',
    ],
    ['a search on the web', part('web_search_call', { action: { type: 'search', query: 'pay' } }), 'assistant', 'pay'],
    [
      'a use of the computer',
      part('computer_call', { action: { type: 'type', text: 'pass phrase' } }),
      'assistant',
      'pass phrase',
    ],
    [
      'code',
      part('code_interpreter_call', { code: 'print(1)', outputs: [{ type: 'logs', logs: 'one' }] }),
      'assistant',
      'print(1)\none',
    ],
    [
      'a command',
      part('local_shell_call', { action: { type: 'exec', command: ['cat', 'secret'], env: {} } }),
      'assistant',
      'cat\nsecret',
    ],
    ['a shell', part('shell_call', { action: { commands: ['ls'] } }), 'assistant', 'ls'],
    [
      'its streams',
      part('shell_call_output', { output: [{ stdout: 'a', stderr: 'b', outcome: { type: 'exit', exit_code: 1 } }] }),
      'tool',
      'a\nb',
    ],
    [
      'a patch',
      part('apply_patch_call', { operation: { type: 'update_file', path: 'a.ts', diff: '+1' } }),
      'assistant',
      'a.ts\n+1',
    ],
    [
      'an MCP call',
      part('mcp_call', { server_label: 's', name: 'f', arguments: '{"q":1}', output: 'o', error: null }),
      'assistant',
      's\nf\n{"q":1}\no',
    ],
    [
      'a request for approval',
      part('mcp_approval_request', { server_label: 's', name: 'f', arguments: '{}' }),
      'assistant',
      's\nf\n{}',
    ],
    [
      'an approval',
      part('mcp_approval_response', { approval_request_id: 'a', approve: true, reason: 'fine' }),
      'user',
      'fine',
    ],
    ['what is compacted, unread', part('compaction', { encrypted_content: 'gAAAAABo'.repeat(64) }), 'assistant', ''],
    ['a reference without a type', { id: 'msg_1' }, 'item_reference', ''],
  ])('read %s', async (_what, item, role, text) => {
    expect((await of(item)).messages).toEqual([{ role, text }]);
  });

  it('count what is attached anywhere', async () => {
    const image = part('input_image', { image_url: 'https://example.com/a.png' });
    const read = await of(
      {
        role: 'user',
        content: [
          image,
          part('input_file', { file_id: 'file_1' }),
          part('input_audio', { input_audio: { data: 'x', format: 'wav' } }),
        ],
      },
      part('function_call_output', {
        output: [image, part('input_file', { filename: 'b.pdf', file_url: 'https://example.com/b' })],
      }),
      part('computer_call_output', {
        output: part('computer_screenshot', { image_url: 'data:image/png;base64,AAAA' }),
      }),
      part('image_generation_call', { result: 'AAAA' }),
      part('code_interpreter_call', { code: '', outputs: [{ type: 'image', url: 'https://example.com/c' }] }),
    );
    expect(read).toMatchObject({ images: 5, files: 2, audio: 1 });
    expect(read.text).toContain('b.pdf');
  });

  it('name the tools on offer, in the request, in items and in namespaces', async () => {
    const read = await facts('openai-responses', {
      model: 'm',
      input: [
        part('additional_tools', { role: 'developer', tools: [part('function', { name: 'late' })] }),
        part('tool_search_output', { tools: [part('custom', { name: 'found' })] }),
        part('mcp_list_tools', { server_label: 's', tools: [{ name: 'listed', input_schema: {} }] }),
      ],
      tools: [
        part('namespace', { name: 'crm', description: '', tools: [part('function', { name: 'inner' })] }),
        part('code_interpreter', { container: { type: 'auto' } }),
        part('image_generation'),
      ],
    });
    expect(read.tools.map(({ name }) => name)).toEqual([
      'late',
      'found',
      'listed',
      'crm',
      'inner',
      'code_interpreter',
      'image_generation',
    ]);
  });

  it('are none where a prompt template is all there is, and its variables are read', async () => {
    const read = await facts('openai-responses', {
      model: 'm',
      prompt: { id: 'pmpt_1', version: '2', variables: { city: 'Bern', photo: part('input_image', { file_id: 'f' }) } },
    });
    expect(read).toMatchObject({ messages: [], images: 1 });
    expect(read.text).toContain('Bern');
    expect(Object.fromEntries(read.parameters)).toEqual({ 'prompt.id': 'pmpt_1', 'prompt.version': '2' });
  });
});

describe('requests of the OpenAI family that are refused', () => {
  const tooMany = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`p${i}`, 1]));
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`p${i}`, 1]));
  it.each<[FormatId, unknown, string]>([
    ['openai-completions', [], 'Invalid type for the body'],
    ['openai-completions', { model: 'm' }, "Missing required parameter: 'prompt'."],
    ['openai-completions', { model: 'm', prompt: [] }, "Invalid 'prompt': empty array."],
    [
      'openai-completions',
      { model: 'm', prompt: {} },
      'expected one of a string or array of strings, but got an object',
    ],
    ['openai-completions', { model: 'm', prompt: [1, 2, 3] }, 'These are token ids.'],
    ['openai-completions', { model: 'm', prompt: [[1, 2], [3]] }, 'These are token ids.'],
    ['openai-completions', { model: 'm', prompt: ['a', 7] }, "Invalid type for 'prompt[1]'"],
    ['openai-completions', { model: 'm', prompt: ['a', null] }, "'prompt[1]': expected a string, but got null"],
    [
      'openai-completions',
      { model: 'm', prompt: 'a', prompt_embeds: 'AAAA' },
      "Unsupported parameter: 'prompt_embeds'.",
    ],
    ['openai-completions', { model: 'm', prompt: 'a', Prompt: 'b' }, 'Unrecognized request argument supplied'],
    [
      'openai-completions',
      { model: 'm', prompt: 'a', 'max\u200b_tokens': 1 },
      'Unrecognized request argument supplied',
    ],
    ['openai-completions', { model: 'm', prompt: 'a', n: 200 }, 'above maximum'],
    ['openai-completions', { model: 'm', prompt: 'a', stream: 1 }, "Invalid type for 'stream'"],
    ['openai-completions', { model: 'm', prompt: 'a', ...many }, 'Too many parameters'],
    [
      'openai-responses',
      { model: 'm', input: [{ role: 'user', content: 'a', ...tooMany }] },
      'Invalid input[0]: more than 1024 names.',
    ],
    [
      'openai-chat',
      { model: 'm', messages: [{ role: 'user', content: 'a' }], prompt_token_ids: [1] },
      "'prompt_token_ids'",
    ],
    ['openai-chat', { model: 'm', messages: [{ role: 'user', content: 'a' }], input_ids: [1] }, "'input_ids'"],
    [
      'openai-chat',
      { model: 'm', messages: [{ role: 'user', content: 'a' }], Best_of: 1 },
      'Unrecognized request argument',
    ],
    ['openai-embeddings', { model: 'm', input: [[1, 2]] }, 'These are token ids.'],
    ['openai-embeddings', { model: 'm', input: [1, 2] }, 'These are token ids.'],
    ['openai-embeddings', { model: 'm', input: [{ text: 'x' }] }, "'input[0]': expected a string, but got an object"],
    [
      'openai-embeddings',
      { model: 'm', messages: [{ role: 'user', content: 'a' }] },
      "Unsupported parameter: 'messages'.",
    ],
    ['openai-embeddings', { model: 'm', input: 'a', INPUT: 'b' }, 'Unrecognized request argument supplied'],
    ['openai-embeddings', { input: 'a' }, "Missing required parameter: 'model'."],
    ['tgi', {}, "Missing required parameter: 'inputs'."],
    ['tgi', { inputs: ['a'] }, "Invalid type for 'inputs': expected a string, but got an array"],
    ['tgi', { inputs: 'a', parameters: [] }, "Invalid type for 'parameters': expected an object"],
    ['tgi', { inputs: 'a', parameters: { max_new_tokens: '9' } }, "Invalid type for 'max_new_tokens'"],
    ['tgi', { inputs: 'a', parameters: { Max_New_Tokens: 9 } }, "supplied in 'parameters'"],
    ['tgi', { inputs: 'a', parameters: { stop: 'x' } }, "Invalid type for 'parameters.stop'"],
    ['tgi', { inputs: 'a', Inputs: 'b' }, 'Unrecognized request argument supplied'],
    ['openai-responses', { model: 'm' }, "Missing required parameter: 'input'."],
    ['openai-responses', { model: 'm', input: 7 }, "Invalid type for 'input'"],
    ['openai-responses', { model: 'm', input: ['a'] }, "Invalid type for 'input[0]': expected an object"],
    ['openai-responses', { model: 'm', input: 'a', background: true }, "'background' must be false"],
    ['openai-responses', { model: 'm', input: 'a', instructions: ['a'] }, "Invalid type for 'instructions'"],
    ['openai-responses', { model: 'm', input: 'a', Instructions: 'b' }, 'Unrecognized request argument supplied'],
    ['openai-responses', { model: 'm', input: [{ type: 'hologram' }] }, "Invalid value for 'input[0].type'."],
    ['openai-responses', { model: 'm', input: [{}] }, "Invalid value for 'input[0].type'."],
    ['openai-responses', { model: 'm', input: [{ type: 7, role: 'user' }] }, "Invalid type for 'input[0].type'"],
    ['openai-responses', { model: 'm', input: [{ role: 'User', content: 'a' }] }, "Invalid value for 'input[0].role'."],
    ['openai-responses', { model: 'm', input: [{ role: 'user' }] }, "Missing required parameter: 'input[0].content'."],
    ['openai-responses', { model: 'm', input: [{ role: 'user', content: {} }] }, "Invalid type for 'input[0].content'"],
    [
      'openai-responses',
      { model: 'm', input: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      "Invalid value for 'input[0].content[0].type'.",
    ],
    [
      'openai-responses',
      { model: 'm', input: [{ role: 'user', content: [{ type: 'input_text' }] }] },
      "'input[0].content[0].text'",
    ],
    [
      'openai-responses',
      { model: 'm', input: [{ role: 'user', content: 'a', Content: 'b' }] },
      "supplied in 'input[0]'",
    ],
    ['openai-responses', { model: 'm', input: [{ type: 'function_call_output', call_id: 'c' }] }, "'input[0].output'"],
    [
      'openai-responses',
      { model: 'm', input: [{ type: 'computer_call_output', output: 'x' }] },
      "Invalid type for 'input[0].output'",
    ],
    [
      'openai-responses',
      { model: 'm', input: [{ type: 'reasoning', content: 'x' }] },
      "Invalid type for 'input[0].content'",
    ],
    [
      'openai-responses',
      { model: 'm', input: 'a', tools: [{ type: 'function' }] },
      "Missing required parameter: 'tools[0].name'.",
    ],
    [
      'openai-responses',
      { model: 'm', input: 'a', tools: [{ name: 'f' }] },
      "Missing required parameter: 'tools[0].type'.",
    ],
    [
      'openai-responses',
      { model: 'm', input: 'a', tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'custom' }] }] },
      "'tools[0].tools[0].name'",
    ],
    ['openai-responses', { model: 'm', prompt: { variables: { x: 7 } } }, "Invalid type for 'prompt.variables.x'"],
    ['openai-responses', { model: 'm', input: 'a', max_output_tokens: 1.5 }, "Invalid type for 'max_output_tokens'"],
  ])('%s %j', async (id, body, because) => {
    const message = await refusal(id, body);
    expect(message).toMatch(/^invalid_request: /);
    expect(message).toContain(because);
  });

  it('have the form that their SDKs read', () => {
    const about = { code: 'policy_denied', message: 'No.', session: '', row: { type: 'permission_error' } as never };
    for (const id of ['openai-completions', 'openai-responses', 'openai-embeddings'] as const)
      expect(JSON.parse(formatById(id)!.error(about))).toEqual({
        error: { message: 'No.', type: 'permission_error', param: null, code: 'policy_denied' },
      });
    expect(JSON.parse(formatById('tgi')!.error(about))).toEqual({ error: 'No.', error_type: 'policy_denied' });
  });
});

describe('the endpoints of the OpenAI family', () => {
  it.each([
    ['POST', '/v1/completions', 'openai-completions'],
    ['POST', '/completions', 'openai-completions'],
    ['POST', '/v1/responses', 'openai-responses'],
    ['POST', '/responses', 'openai-responses'],
    ['POST', '/v1/embeddings', 'openai-embeddings'],
    ['POST', '/embeddings', 'openai-embeddings'],
    ['POST', '/generate', 'tgi'],
    ['POST', '/generate_stream', 'tgi'],
    ['GET', '/v1/responses', undefined],
    ['POST', '/v1/responses/', undefined],
    ['GET', '/v1/responses/resp_1', undefined],
    ['POST', '/v1/responses/resp_1/cancel', undefined],
    ['POST', '/v1/responses/input_tokens', undefined],
    ['POST', '/tokenize', undefined],
    ['POST', '/score', undefined],
    ['POST', '/v1/rerank', undefined],
    ['POST', '/pooling', undefined],
    ['POST', '/classify', undefined],
    ['POST', '/', undefined],
  ])('%s %s is %s', (method, path, id) => {
    expect(formatOfRequest(method, path)?.format.id).toBe(id);
  });
});

describe('large requests of the OpenAI family', () => {
  const long = 'word é '.repeat(100_000);
  it.each<[FormatId, (texts: string[]) => unknown]>([
    ['openai-completions', (prompt) => ({ model: 'm', prompt })],
    ['openai-embeddings', (input) => ({ model: 'm', input })],
    ['openai-responses', (texts) => ({ model: 'm', input: texts.map((content) => ({ role: 'user', content })) })],
  ])('%s are read in slices, with the same facts', async (id, body) => {
    const texts = [long, ...Array.from({ length: 3000 }, (_, i) => `short ${i}`), long];
    const pending = read(id, body(texts));
    expect(pending).toBeInstanceOf(Promise);
    const reading = await pending;
    if (!reading.ok) throw new Error(reading.message);
    expect(reading.value.text).toBe(texts.join('\n'));
    expect(reading.value.messages.map(({ text }) => text)).toEqual(texts);
  });

  it('do not stop at images that never end', async () => {
    const { images } = await facts('tgi', { inputs: `${'!['.repeat(200_000)}![a](b) ![c] ![d](e)` });
    expect(images).toBe(2);
  });
});
