import { beforeAll, describe, expect, test } from 'vitest';
import type { GateRequest, Header, RouteStage } from '../../../src/checkpoint/stages.ts';
import { createRoute } from '../../../src/gateway/route.ts';
import { parseModels } from '../../../src/models/load.ts';
import { createRegistry } from '../../../src/models/registry.ts';

const base = (format: string) => `version: "1", upstream: "http://m:80", formats: [${format}]`;
const text = `models:
  - {name: meta/llama, ${base('openai-chat')}}
  - {name: tools, ${base('mcp')}, match: {paths: [/mcp], hosts: [tools.test]}}
  - {name: everything, ${base('opaque')}, match: {paths: [/], hosts: [open.test]}}
`;
let route: RouteStage;

beforeAll(async () => {
  const loaded = await parseModels(text, () => Promise.reject(new Error('no secret was expected')));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  route = createRoute(createRegistry(loaded.models));
});

interface About {
  readonly method?: string;
  readonly host?: string;
  readonly type?: string;
  readonly body?: string | Buffer;
  readonly named?: string;
  readonly anthropic?: boolean;
  readonly google?: boolean;
}

const request = (path: string, about: About): GateRequest => {
  const { method = 'POST', host = 'models.test', type = 'application/json' } = about;
  const version: Header[] = [
    ...(about.anthropic ? [['anthropic-version', '2023-06-01'] as const] : []),
    ...(about.google ? [['x-goog-api-key', 'key'] as const] : []),
  ];
  return {
    method,
    path,
    host,
    headers: [['content-type', type], ...version],
    joined: false,
    body: Buffer.from((about.body ?? '{}') as string),
    clientAddress: '127.0.0.1',
    namedModel: about.named,
    peer: '',
    jwtAuthn: undefined,
  };
};

/** `call openai-chat`, `models openai-chat meta/llama`, `refused path_not_admitted openai-chat`. */
function asked(path: string, about: About = {}): string {
  const routed = route.ask(request(path, about));
  const more = routed.kind === 'refused' ? [routed.code] : routed.kind === 'models' ? [routed.one ?? 'all'] : [];
  return [routed.kind, ...more, routed.format?.id ?? 'unknown'].join(' ');
}

const chat = '/v1/chat/completions';
const open = { host: 'Open.test:8080' };
const tools = { host: 'tools.test' };

describe('a request asks for', () => {
  test.each<[string, string, About, string]>([
    ['a call', chat, {}, 'call openai-chat'],
    ['a call, whatever the query says', `${chat}?x=/mcp`, {}, 'call openai-chat'],
    ['nothing that is known', '/v1/files', {}, 'refused path_not_admitted unknown'],
    ['another method of what is known', chat, { method: 'PUT' }, 'refused path_not_admitted openai-chat'],
    ['the models', '/v1/models', { method: 'GET' }, 'models all openai-chat'],
    [
      "the models, in Anthropic's shape where its SDK asks",
      '/v1/models',
      { method: 'GET', anthropic: true },
      'models all anthropic-messages',
    ],
    [
      "the models, in Google's shape where its SDK asks",
      '/v1/models',
      { method: 'GET', google: true },
      'models all gemini',
    ],
    ["the models on Google's own path", '/v1beta/models', { method: 'GET' }, 'models all gemini'],
    ["the models on Ollama's path", '/api/tags', { method: 'GET' }, 'models all ollama-chat'],
    ['one model', '/v1/models/meta%2Fllama', { method: 'GET' }, 'models meta/llama openai-chat'],
    ['one model with a slash', '/v1/models/meta/llama', { method: 'GET' }, 'models meta/llama openai-chat'],
    ['a model that no one could name', '/v1/models/%ff', { method: 'GET' }, 'models  openai-chat'],
    ['a change of the models', '/v1/models', { method: 'DELETE' }, 'refused path_not_admitted unknown'],
    ['an MCP server', '/mcp', tools, 'call mcp'],
    ['an MCP server, below its path', '/mcp/x', tools, 'call mcp'],
    ['its stream', '/mcp', { ...tools, method: 'GET' }, 'refused method_not_allowed mcp'],
    ['the end of a session', '/mcp', { ...tools, method: 'DELETE' }, 'refused method_not_allowed mcp'],
    ['an MCP server of another host', '/mcp', {}, 'refused path_not_admitted unknown'],
    [
      'an MCP server where the route names another',
      '/mcp',
      { ...tools, named: 'meta/llama' },
      'refused path_not_admitted unknown',
    ],
    ['what is opaque', '/v1/files', open, 'call opaque'],
    ['what is opaque, without a body', '/v1/files/1', { ...open, method: 'GET', body: '' }, 'call opaque'],
    ['what is opaque elsewhere', '/v1/files', tools, 'refused path_not_admitted unknown'],
    ['what no method asks for', '/v1/files', { ...open, method: 'TRACE' }, 'refused path_not_admitted unknown'],
  ])('%s', (_what, path, about, expected) => {
    expect(asked(path, about)).toBe(expected);
  });
});

describe('where everything else is opaque, the path of a model API', () => {
  test.each<[string, About]>([
    ['JSON', {}],
    ['JSON of another kind', { type: 'application/vnd.api+json', body: 'x' }],
    ['JSON in another charset', { type: 'application/json; charset=utf-16', body: 'x' }],
    ['JSON that says that it is text', { type: 'text/plain' }],
    ['JSON that says that it is multipart', { type: 'multipart/form-data; boundary=x', body: ' \r\n{}' }],
    ['a list', { type: 'text/plain', body: '[1]' }],
    ['JSON behind a byte order mark', { type: 'text/plain', body: '\ufeff{}' }],
    ['JSON in UTF-16', { type: 'text/plain', body: Buffer.from('\ufeff{}', 'utf16le') }],
    ['JSON in big UTF-16', { type: 'text/plain', body: Buffer.from([0, 0x7b, 0, 0x7d]) }],
    ['no type', { type: '', body: 'x' }],
    ['two types', { type: 'text/plain, application/json', body: 'x' }],
    ['an empty body', { type: 'text/plain', body: '' }],
    ['a page of white space', { type: 'text/plain', body: `${' '.repeat(2000)}x` }],
  ])('is read by its format with %s', (_what, about) => {
    expect(asked(chat, { ...open, ...about })).toBe('call openai-chat');
  });
  test.each<[string, About]>([
    ['multipart', { type: 'multipart/form-data; boundary=x', body: '--x\r\n' }],
    ['a form', { type: 'application/x-www-form-urlencoded', body: 'a=b' }],
    ['bytes', { type: 'application/octet-stream', body: Buffer.from([1, 2, 3, 0x41]) }],
  ])('is opaque with %s', (_what, about) => {
    expect(asked(chat, { ...open, ...about })).toBe('call opaque');
  });
  test.each(['GET', 'PUT', 'DELETE'])('is not reached around its reader with %s', (method) => {
    expect(asked(chat, { ...open, method })).toBe('refused path_not_admitted openai-chat');
  });
});

describe('what is answered about models', () => {
  const models = () => route.models();
  const answer = (path: string, allowed = models()) => {
    const routed = route.ask(request(path, { method: 'GET' }));
    if (routed.kind !== 'models') throw new Error(routed.kind);
    const body = route.describe(routed, allowed);
    return body === undefined ? undefined : JSON.parse(body);
  };
  const llama = { id: 'meta/llama', object: 'model', created: 0, owned_by: 'sallyport' };

  test('is a list of those that a caller can name: no MCP server, nothing opaque', () => {
    expect(answer('/v1/models')).toEqual({ object: 'list', data: [llama] });
    expect(answer('/v1/models', [])).toEqual({ object: 'list', data: [] });
  });
  test('is one of them', () => {
    expect(answer('/v1/models/meta/llama')).toEqual(llama);
  });
  test.each(['/v1/models/meta', '/v1/models/META/llama', '/v1/models/tools', '/v1/models/__proto__', '/v1/models/%ff'])(
    'is nothing for %s',
    (path) => {
      expect(answer(path)).toBeUndefined();
    },
  );
  test('is nothing for one that the caller may not use', () => {
    expect(answer('/v1/models/meta/llama', [])).toBeUndefined();
  });
});

test('the model of a request is picked by host, path and name', () => {
  const pick = (path: string, name: string, about: About = {}) => {
    const one = request(path, about);
    const routed = route.ask(one);
    return routed.kind === 'call' ? route.pick(one, routed, name)?.name : routed.kind;
  };
  expect(pick(chat, 'meta/llama')).toBe('meta/llama');
  expect(pick(chat, 'tools')).toBeUndefined();
  expect(pick('/mcp', '', tools)).toBe('tools');
  expect(pick('/anything', '', open)).toBe('everything');
});
