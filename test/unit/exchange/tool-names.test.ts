import { describe, expect, it } from 'vitest';
import { factsOf } from './requests.ts';

const messages = [{ role: 'user', content: 'x' }];
const CHAT = '/v1/chat/completions';
const chat = (tool: unknown) => ({ model: 'm', messages, tools: [tool] });
const anthropic = (tool: unknown) => ({ ...chat(tool), max_tokens: 1 });
const responses = (tool: unknown) => ({ model: 'm', input: 'x', tools: [tool] });

describe('the tools of a request have every name that a server may read', () => {
  it.each<[string, string, unknown, readonly string[]]>([
    ['a function', CHAT, chat({ type: 'function', function: { name: 'a' } }), ['a']],
    ['a custom tool', CHAT, chat({ type: 'custom', custom: { name: 'a' } }), ['a']],
    ['a function of another type', CHAT, chat({ type: 'x', function: { name: 'run_sql' } }), ['x', 'run_sql']],
    [
      'a custom tool that is a function',
      CHAT,
      chat({ type: 'custom', custom: { name: 'ok' }, function: { name: 'run_sql' } }),
      ['run_sql', 'ok'],
    ],
    [
      'a name beside the function',
      CHAT,
      chat({ type: 'function', function: { name: 'ok' }, name: 'run_sql' }),
      ['ok', 'run_sql'],
    ],
    ['a tool of Responses', '/v1/responses', responses({ type: 'function', name: 'a' }), ['a']],
    ['a hosted one of Responses', '/v1/responses', responses({ type: 'web_search' }), ['web_search']],
    ['of another type', '/v1/responses', responses({ type: 'x', name: 'run_sql' }), ['x', 'run_sql']],
    ['in the form of chat', '/v1/responses', responses({ type: 'x', function: { name: 'run_sql' } }), ['x', 'run_sql']],
    ['a tool of Anthropic', '/v1/messages', anthropic({ name: 'a' }), ['a']],
    ['a hosted one', '/v1/messages', anthropic({ type: 'bash_20250124', name: 'bash' }), ['bash_20250124']],
    [
      'a hosted one with a name of its own',
      '/v1/messages',
      anthropic({ type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' }),
      ['text_editor_20250728'],
    ],
    ['a type that is none', '/v1/messages', anthropic({ type: 'x', name: 'run_sql' }), ['x', 'run_sql']],
    [
      'a hosted type with the name of another tool',
      '/v1/messages',
      anthropic({ type: 'bash_20250124', name: 'run_sql' }),
      ['bash_20250124', 'run_sql'],
    ],
    [
      'a type that only begins like its name',
      '/v1/messages',
      anthropic({ type: 'run_sql_20250124', name: 'run_sql' }),
      ['run_sql_20250124', 'run_sql'],
    ],
    [
      'servers of Anthropic',
      '/v1/messages',
      {
        model: 'm',
        max_tokens: 1,
        messages,
        mcp_servers: [
          { type: 'url', name: 'shop', url: 'https://a.example' },
          { type: 'url', url: 'https://b.example' },
          { type: 'url' },
        ],
      },
      ['shop', 'https://b.example', 'mcp_servers'],
    ],
    [
      'a new kind of Bedrock',
      '/model/m/converse',
      {
        messages: [{ role: 'user', content: [{ text: 'x' }] }],
        toolConfig: { tools: [{ toolSpec: { name: 'a' } }, { hostedTool: { name: 'run_sql' } }] },
      },
      ['a', 'hostedTool', 'run_sql'],
    ],
    [
      'a function of Ollama of another type',
      '/api/chat',
      { model: 'm', messages, tools: [{ type: 'x', function: { name: 'run_sql' } }] },
      ['run_sql'],
    ],
  ])('%s', async (_name, path, body, expected) => {
    const { tools } = await factsOf(path, body);
    expect(tools.map(({ name }) => name)).toEqual(expected);
  });
});
