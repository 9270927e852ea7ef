import { describe, expect, test } from 'vitest';
import { formatById } from '../../../src/exchange/formats.ts';
import { paced } from '../../../src/exchange/pace.ts';
import { MAX_ARGUMENTS, TooLongCall, ToolCalls } from '../../../src/exchange/tool-calls.ts';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';

const callsOf = (format: string, enforced = true) => new ToolCalls(formatById(format)!.toolCalls!, enforced);

/** What is complete after each event, and whether something is held then. */
async function stepsOf(format: string, events: readonly object[]) {
  const calls = callsOf(format);
  const steps: unknown[] = [];
  for (const event of events) {
    await paced(calls.event(JSON.stringify(event)));
    const taken = await paced(calls.take());
    steps.push([taken.map((call) => [call.name, plain(call.arguments)]), calls.holds]);
  }
  calls.endAll();
  const rest = await paced(calls.take());
  return { steps, rest: rest.map((call) => [call.name, plain(call.arguments)]) };
}
async function body(format: string, value: unknown) {
  const calls = callsOf(format);
  await paced(calls.body(JSON.stringify(value)));
  return (await paced(calls.take())).map((call) => [call.name, plain(call.arguments)]);
}
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one)));

const nothing = [[], false];
const held = [[], true];

describe('tool calls of OpenAI chat', () => {
  const chat = (delta: object, finish: string | null = null, index = 0) => ({
    choices: [{ index, delta, finish_reason: finish }],
  });
  const piece = (index: number, args: string, name?: string, id?: string) => ({
    tool_calls: [
      { index, ...(id === undefined ? {} : { id }), function: { ...(name ? { name } : {}), arguments: args } },
    ],
  });

  test('are complete with their choice, several that alternate in several choices', async () => {
    const { steps } = await stepsOf('openai-chat', [
      chat({ content: 'so: ' }),
      chat(piece(0, '', 'run_sql', 'a')),
      chat(piece(1, '{"b":', 'rm', 'b')),
      chat(piece(0, '{"q":"select 1"}')),
      chat(piece(0, '{"c":1}', 'other', 'c'), null, 1),
      chat(piece(1, '2}')),
      chat({}, 'tool_calls'),
      chat({}, 'stop', 1),
    ]);
    expect(steps).toEqual([
      nothing,
      held,
      held,
      held,
      held,
      held,
      [
        [
          ['run_sql', { q: 'select 1' }],
          ['rm', { b: 2 }],
        ],
        true,
      ],
      [[['other', { c: 1 }]], false],
    ]);
  });

  test.each<[string, object[], unknown]>([
    ['a call whose finish never comes', [chat(piece(0, '{"a":', 'f'))], [['f', '{"a":']]],
    ['a custom tool', [chat({ tool_calls: [{ index: 0, custom: { name: 'c', input: 'ls -l' } }] })], [['c', 'ls -l']]],
    [
      'the older function_call',
      [chat({ function_call: { name: 'f', arguments: '{"x":' } }), chat({ function_call: { arguments: '1}' } })],
      [['f', { x: 1 }]],
    ],
    [
      'a list that is none',
      [chat({ tool_calls: { index: 0, function: { name: 'f', arguments: '{}' } } })],
      [['f', {}]],
    ],
    [
      'arguments that are no text',
      [chat({ tool_calls: [{ function: { name: 'f', arguments: { x: 1 } } }] })],
      [['f', { x: 1 }]],
    ],
    ['no arguments', [chat(piece(0, '', 'f'))], [['f', '']]],
    [
      'a name in pieces: as clients may take it',
      [chat(piece(0, '', 'get_')), chat(piece(0, '{}', 'rm'))],
      [
        ['rm', {}],
        ['get_rm', {}],
      ],
    ],
    ['a name that each event repeats', [chat(piece(0, '{', 'rm')), chat(piece(0, '}', 'rm'))], [['rm', {}]]],
    ['arguments with a name twice: as text', [chat(piece(0, '{"a":1,"a":2}', 'f'))], [['f', '{"a":1,"a":2}']]],
    ['arguments with more behind them: as text', [chat(piece(0, '{"a":1} x', 'f'))], [['f', '{"a":1} x']]],
    [
      'a member called __proto__',
      [chat(piece(0, '{"__proto__":{"a":1}}', 'f'))],
      [['f', JSON.parse('{"__proto__":{"a":1}}')]],
    ],
    [
      'an integer that is no double',
      [chat(piece(0, '{"n":9007199254740993}', 'f'))],
      [['f', { n: '9007199254740993n' }]],
    ],
  ])('read: %s', async (_name, events, expected) => {
    expect((await stepsOf('openai-chat', events)).rest).toEqual(expected);
  });

  test('of servers that send each whole, without an index, are told apart by their ids', async () => {
    const whole = (id: string, name: string) => chat({ tool_calls: [{ id, function: { name, arguments: '{}' } }] });
    const { steps, rest } = await stepsOf('openai-chat', [whole('a', 'one'), whole('b', 'two')]);
    expect([steps, rest]).toEqual([[held, [[['one', {}]], true]], [['two', {}]]]);
  });

  test('of a body', async () => {
    const message = {
      tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{"x":1}' } }, { custom: { name: 'c', input: 'y' } }],
    };
    expect(
      await body('openai-chat', {
        choices: [
          { index: 0, message, finish_reason: 'tool_calls' },
          { index: 1, message: { function_call: { name: 'g', arguments: '' } } },
        ],
      }),
    ).toEqual([
      ['f', { x: 1 }],
      ['c', 'y'],
      ['g', ''],
    ]);
  });

  test.each<[string, object]>([
    ['a list of texts', chat({ tool_calls: ['rm'] })],
    ['a name that is a number', chat({ tool_calls: [{ function: { name: 1 } }] })],
    ['choices that are a text', { choices: 'rm' }],
  ])('in a form that nobody knows are refused: %s', async (_name, event) => {
    const read = async (enforced: boolean) => paced(callsOf('openai-chat', enforced).event(JSON.stringify(event)));
    await expect(read(true)).rejects.toThrow(UnreadableBody);
    // For rules on trial nothing is refused.
    await expect(read(false)).resolves.toBe(true);
  });

  test('are bounded together, and free again when they are complete', async () => {
    const calls = callsOf('openai-chat');
    const push = async (index: number, length: number) =>
      paced(calls.event(JSON.stringify(chat(piece(index, 'x'.repeat(length), 'f')))));
    await push(0, MAX_ARGUMENTS - 10);
    calls.endAll();
    await push(0, MAX_ARGUMENTS / 2);
    await expect(push(1, MAX_ARGUMENTS / 2)).rejects.toThrow(TooLongCall);
    const trial = callsOf('openai-chat', false);
    await paced(trial.event(JSON.stringify(chat(piece(0, 'x'.repeat(MAX_ARGUMENTS + 1), 'f')))));
    expect([trial.holds, await paced(trial.take())]).toEqual([false, []]);
  });
});

describe('tool calls of Responses', () => {
  const item = { id: 'i', type: 'function_call', call_id: 'c', name: 'f', arguments: '' };
  const added = { type: 'response.output_item.added', output_index: 0, item };
  const delta = (text: string) => ({
    type: 'response.function_call_arguments.delta',
    output_index: 0,
    item_id: 'i',
    delta: text,
  });
  const done = (args: string) => ({ type: 'response.function_call_arguments.done', output_index: 0, arguments: args });
  const itemDone = (args: string) => ({
    type: 'response.output_item.done',
    output_index: 0,
    item: { ...item, arguments: args },
  });
  const completed = (args: string) => ({
    type: 'response.completed',
    response: { output: [{ ...item, arguments: args }] },
  });

  test('are asked about once, however often events say them', async () => {
    const { steps } = await stepsOf('openai-responses', [
      { type: 'response.created', response: { output: [] } },
      added,
      delta('{"a"'),
      delta(':1}'),
      done('{"a":1}'),
      itemDone('{"a":1}'),
      completed('{"a":1}'),
    ]);
    expect(steps).toEqual([nothing, held, held, held, [[['f', { a: 1 }]], true], nothing, nothing]);
  });

  test('are asked about again where events differ', async () => {
    const { steps } = await stepsOf('openai-responses', [
      added,
      delta('{"a":1}'),
      done('{"a":2}'),
      itemDone('{"a":3}'),
      completed('{"a":4}'),
    ]);
    expect(steps.slice(2)).toEqual([
      [[['f', { a: 2 }]], true],
      [
        [
          ['f', { a: 1 }],
          ['f', { a: 3 }],
        ],
        false,
      ],
      [[['f', { a: 4 }]], false],
    ]);
  });

  test.each<[string, object, unknown]>([
    ['a custom tool', { type: 'custom_tool_call', name: 'c', input: 'ls' }, ['c', 'ls']],
    [
      'a call of an MCP server',
      { type: 'mcp_call', name: 'm', arguments: '{"x":1}', server_label: 's' },
      ['m', { x: 1 }],
    ],
    ['a call that a human is to approve', { type: 'mcp_approval_request', name: 'm', arguments: '{}' }, ['m', {}]],
    [
      'a hosted tool',
      { type: 'local_shell_call', id: 'i', status: 'completed', action: { command: ['ls'] } },
      ['local_shell_call', { action: { command: ['ls'] } }],
    ],
  ])('of a body: %s', async (_name, one, expected) => {
    expect(await body('openai-responses', { output: [{ type: 'message', content: [] }, one] })).toEqual([expected]);
  });
});

describe('tool calls of Anthropic', () => {
  const start = (index: number, block: object) => ({ type: 'content_block_start', index, content_block: block });
  const delta = (index: number, json: string) => ({
    type: 'content_block_delta',
    index,
    delta: { type: 'input_json_delta', partial_json: json },
  });
  const stop = (index: number) => ({ type: 'content_block_stop', index });

  test('are complete with their block', async () => {
    const { steps } = await stepsOf('anthropic-messages', [
      start(0, { type: 'text', text: '' }),
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'x' } },
      stop(0),
      start(1, { type: 'tool_use', name: 'f', input: {} }),
      delta(1, '{"a":'),
      delta(1, '1}'),
      stop(1),
      start(2, { type: 'mcp_tool_use', name: 'g', input: {} }),
      stop(2),
    ]);
    expect(steps).toEqual([
      nothing,
      nothing,
      nothing,
      held,
      held,
      held,
      [[['f', { a: 1 }]], false],
      held,
      [[['g', {}]], false],
    ]);
  });

  test('of a body', async () => {
    expect(
      await body('anthropic-messages', {
        content: [
          { type: 'text', text: 'x' },
          { type: 'tool_use', name: 'f', input: { a: [1] } },
        ],
      }),
    ).toEqual([['f', { a: [1] }]]);
  });
});

describe('tool calls that come whole', () => {
  const gemini = (part: object) => ({ candidates: [{ index: 0, content: { parts: [{ text: 'x' }, part] } }] });

  test.each<[string, object, unknown]>([
    ['gemini', gemini({ functionCall: { name: 'f', args: { a: 1 } } }), ['f', { a: 1 }]],
    ['gemini', gemini({ functionCall: { name: 'f' } }), ['f', {}]],
    [
      'gemini',
      gemini({ executableCode: { language: 'PYTHON', code: 'x' } }),
      ['executableCode', { language: 'PYTHON', code: 'x' }],
    ],
    [
      'ollama-chat',
      { message: { tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] }, done: false },
      ['f', { a: 1 }],
    ],
    ['ollama-generate', { tool_calls: [{ function: { name: 'f', arguments: {} } }], done: false }, ['f', {}]],
    [
      'bedrock-converse',
      { output: { message: { content: [{ toolUse: { name: 'f', input: { a: 1 } } }] } } },
      ['f', { a: 1 }],
    ],
  ])('%s: %j', async (format, event, expected) => {
    expect((await stepsOf(format, [event])).steps).toEqual([[[expected], false]]);
    expect(await body(format, event)).toEqual([expected]);
  });

  test('Gemini: arguments that come by their paths are held until they have come', async () => {
    const call = (more: object) => gemini({ functionCall: more });
    const { steps } = await stepsOf('gemini', [
      call({ name: 'f', willContinue: true }),
      call({ partialArgs: [{ jsonPath: '$.a', stringValue: 'x' }], willContinue: true }),
      call({}),
    ]);
    expect(steps).toEqual([held, held, [[['f', [{ jsonPath: '$.a', stringValue: 'x' }]]], false]]);
  });

  test('Gemini: each item of a stream that is an array', async () => {
    const one = gemini({ functionCall: { name: 'f', args: {} } });
    expect(await body('gemini', [one, gemini({ text: 'y' }), one])).toEqual([
      ['f', {}],
      ['f', {}],
    ]);
  });
});
