/**
 * Which strings of an Anthropic Messages request and response are text. Source: the Anthropic API reference, "Messages"
 * and "Streaming messages".
 */
import { type Markers, type Treatment, textRules } from './text-rules.ts';

type Table = Record<string, Treatment | Markers>;

/** Blocks stand in messages, in tool results and in documents: so deep they are told apart, beyond all is words. */
const depth = 3;

/** A content block of a request. */
function block(at: string, level: number): Table {
  const inner = level < depth ? { ...blocks(`${at}.content`, level), ...blocks(`${at}.source.content`, level) } : {};
  return {
    ...inner,
    ...table('structural', [
      ...['type', 'id', 'tool_use_id', 'is_error', 'cache_control.type', 'cache_control.ttl'],
      ...['source.type', 'source.media_type', 'citations.enabled', 'caller.type', 'caller.tool_id'],
    ])(at),
    ...table('whole', [
      ...['text', 'name', 'server_name', 'input', 'thinking', 'title', 'context', 'url', 'page_age'],
      ...[
        'source',
        'source.url',
        'source.file_id',
        'file_id',
        'citations',
        'stdout',
        'stderr',
        'return_code',
        'error_code',
      ],
    ])(at),
    // As long as they are: a signature has some hundreds of characters of base64.
    ...table('sealed', ['signature', 'data', 'encrypted_content'])(at),
    [`${at}.source.data`]: 'binary',
  };
}

function blocks(at: string, level: number): Table {
  return { [at]: 'whole', ...block(`${at}[]`, level + 1) };
}

function table(treatment: Treatment, names: readonly string[]): (at: string) => Table {
  return (at) => Object.fromEntries(names.map((name) => [at === '' ? name : `${at}.${name}`, treatment] as const));
}

export const requestText = textRules({
  ...table('structural', [
    ...['model', 'max_tokens', 'stream', 'temperature', 'top_p', 'top_k', 'service_tier', 'speed', 'inference_geo'],
    ...['thinking.type', 'thinking.budget_tokens', 'thinking.display', 'tool_choice.type'],
    ...['tool_choice.disable_parallel_tool_use', 'output_config.effort', 'output_config.format.type'],
    ...['cache_control.type', 'cache_control.ttl', 'messages[].role', 'mcp_servers[].type'],
    ...['tools[].type', 'tools[].cache_control.type', 'tools[].cache_control.ttl', 'tools[].strict'],
    ...['tools[].max_uses', 'tools[].defer_loading', 'tools[].display_width_px', 'tools[].display_height_px'],
  ])(''),
  ...table('whole', [
    ...['metadata.user_id', 'stop_sequences[]', 'container', 'tool_choice.name', 'output_config.format.schema'],
    ...['tools[].name', 'tools[].description', 'tools[].input_schema', 'tools[].allowed_domains[]'],
    ...['tools[].blocked_domains[]', 'tools[].user_location', 'tools[].input_examples', 'tools[].mcp_server_name'],
    ...['mcp_servers[].name', 'mcp_servers[].url', 'mcp_servers[].authorization_token'],
    ...['mcp_servers[].tool_configuration', 'output_format', 'context_management'],
  ])(''),
  ...blocks('system', 0),
  ...blocks('messages[].content', 0),
});

const usage = (at: string): Table => ({
  [`${at}usage.**`]: 'counts',
  ...table('input-tokens', ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'])(`${at}usage`),
  [`${at}usage.output_tokens`]: 'output-tokens',
  [`${at}usage.service_tier`]: 'structural',
});

const message = (at: string): Table => ({
  ...table(
    'structural',
    ['id', 'type', 'role', 'model', 'stop_reason'].map((name) => at + name),
  )(''),
  [`${at}stop_sequence`]: 'whole',
  ...usage(at),
});

/** What is complete in a block, whole or at its start. */
const completeBlock = (at: string): Table => ({
  ...table('structural', ['type', 'id', 'tool_use_id'])(at),
  ...table('whole', ['name', 'server_name'])(at),
  ...table('binary', ['signature', 'data', 'encrypted_content', 'content[].encrypted_content'])(at),
  [`${at}.input.**`]: 'whole',
  [`${at}.citations[].**`]: 'whole',
  [`${at}.content[].**`]: 'whole',
});

/** A response that is one JSON body. Clients put the texts of its blocks together. */
export const responseText = textRules({
  ...message(''),
  'error.**': 'error',
  request_id: 'structural',
  // The answer of count_tokens.
  input_tokens: 'counts',
  'container.**': 'whole',
  'context_management.**': 'whole',
  ...completeBlock('content[+]'),
  'content[+].text': 'channel',
  'content[+].thinking': 'channel',
});

/** One event of a streamed response: `index` says which block goes on. */
export const eventText = textRules(
  {
    '**': 'whole',
    type: { content_block_stop: 'end', message_stop: 'terminal' },
    index: 'structural',
    'message.**': 'whole',
    ...message('message.'),
    'content_block.**': 'whole',
    ...completeBlock('content_block'),
    'content_block.text': 'channel',
    'content_block.thinking': 'channel',
    'delta.type': 'structural',
    'delta.text': 'channel',
    'delta.thinking': 'channel',
    'delta.partial_json': 'json',
    'delta.signature': 'binary',
    'delta.citation.**': 'whole',
    'delta.stop_reason': 'structural',
    'delta.stop_sequence': 'whole',
    'delta.stop_details.**': 'whole',
    'delta.container.**': 'whole',
    ...usage(''),
    'error.**': 'error',
    request_id: 'structural',
  },
  { ownIndex: true, aliases: { content_block: 'delta' } },
);
