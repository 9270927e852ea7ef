import { beforeAll, describe, expect, test } from 'vitest';
import type { GateRequest, Header, RouteStage } from '../../../src/checkpoint/stages.ts';
import { formats } from '../../../src/exchange/formats.ts';
import { createRoute } from '../../../src/gateway/route.ts';
import { parseModels } from '../../../src/models/load.ts';
import { createRegistry } from '../../../src/models/registry.ts';

const base = (format: string) => `version: "1", upstream: "http://m:80", formats: [${format}]`;
const text = `models:
  - {name: meta/llama, ${base('openai-chat')}}
  - {name: tools, ${base('mcp')}, match: {paths: [/mcp], hosts: [tools.test]}}
  - {name: everything, ${base('opaque')}, match: {paths: [/], hosts: [open.test]}}
  - {name: open-tools, ${base('mcp')}, match: {paths: [/Mcp], hosts: [open.test]}}
  - {name: both, ${base('openai-chat, mcp')}, match: {paths: [/v1], hosts: [both.test]}}
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

describe('where everything else is opaque, no path is that', () => {
  const BEDROCK = '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx';
  test.each([
    '/v1/chat/completions/',
    '/v1/chat/completions//',
    '/v1//chat/completions',
    '/v1/chat/Completions',
    '/V1/CHAT/COMPLETIONS',
    '/v1/chat/completions;x',
    '/v1;a=b/chat;/completions;c',
    '/v1/chat/completions%3bx',
    '/v1/chat/completions%20',
    '/v1/chat/completions.',
    '/v1/chat/completions%20./',
    '/v1/%20chat/completions',
    '/v1/chat/completion%73',
    '/v1/chat%2fcompletions',
    '/v1/chat%252fcompletions',
    '/v1/chat%5Ccompletions',
    '/v1/chat/completion%252573',
    '/v1/chat/completions%3fx',
    '/v1/chat/completions%23/x',
    '/v1/chat/completion%EF%BD%93',
    '/v1/chat/completions%E2%80%8B',
    '/v1/chat/complet%C4%B1ons',
    '/v1/messages/',
    '/v1/Messages/Count_Tokens',
    '/v1beta/models/x:GenerateContent',
    '/v1beta/models/x:streamGenerateContent/',
    '/v1beta/models/a%2Fb:generateContent',
    '/v1/projects/p/locations/l/publishers/google/models/x:generateContent',
    '/api/chat/',
    '/API/generate',
    '/generate;x',
    '/generate_stream/',
    '/v1/Embeddings',
    '/v1/responses%20',
    '/completions/',
    `${BEDROCK}/Converse`,
    `${BEDROCK}/invoke/`,
    '/model/a%2F..%2Fb/converse',
    '/model/a%252Fb/converse',
    '/model/a/b/converse',
  ])('that a server could take for one of a model API: %s', (path) => {
    expect(asked(path, open)).toBe('refused path_not_admitted unknown');
    expect(asked(path, { ...open, type: 'text/plain', body: 'x' })).toBe('refused path_not_admitted unknown');
  });
  test.each(['/openai/v1/chat/completions', '/api/v1/chat/Completions', '/openai/deployments/x/chat/completions'])(
    'that ends with one: %s',
    (path) => {
      expect(asked(path, open)).toBe('refused path_not_admitted unknown');
      expect(asked(path, { ...open, method: 'PUT' })).toBe('refused path_not_admitted unknown');
    },
  );
  test.each([
    ['no percent-encoding', '/v1/files/100%'],
    ['half a percent-encoding', '/v1/files/%4'],
    ['no UTF-8', '/v1/files/%ff'],
    ['an overlong slash', '/v1/chat%c0%afcompletions'],
    ['a NUL', '/v1/chat/completions%00.txt'],
    ['a line feed, encoded twice', '/v1/files/%250a'],
    ['a dot segment, encoded twice', '/v1/x/%252e%252e/files'],
    ['a dot segment with a parameter', '/v1/x/..;/files'],
    ['a segment of dots', '/v1/files/...'],
  ])('that nobody can say the reading of: %s', (_what, path) => {
    expect(asked(path, open)).toBe('refused path_not_admitted unknown');
  });
  test.each(['/mcp', '/MCP/x', '/Mcp;x', '/%4dcp;', '/Mcp%2fx', '/mcp/'])(
    'that an MCP server could take for its own: %s',
    (path) => {
      expect(asked('/Mcp/x', open)).toBe('call mcp');
      expect(asked(path, open)).toBe('refused path_not_admitted unknown');
    },
  );
  test('that a server could take for its list of models', () => {
    expect(asked('/v1/Models', { ...open, method: 'GET' })).toBe('refused path_not_admitted unknown');
    expect(asked('/v1/models/', { ...open, method: 'GET' })).toBe('refused path_not_admitted unknown');
  });
  test.each([
    '/v1/chat/completions/x',
    '/v1/chatcompletions',
    '/xchat/completions-of-x',
    '/v1/audio/transcriptions/',
    '/v1/Files/a%20b',
    '/v1/files/100%25',
    '/v1/files/a%2Fb;v=1',
    '/v1/files/gr%C3%BCn',
    '/v1/images/generations',
    '/v1/messages/batches',
    '/model/converse',
    '/models/:generate',
    '/mcps',
    '/',
  ])('but another one is: %s', (path) => {
    expect(asked(path, open)).toBe('call opaque');
  });
  test.each(['/model/', '%20', '.', ';', '%25', '/a:generateContent', '%ef%b7%ba'])(
    'that holds the event loop, however long: 60 kB of %s',
    (part) => {
      const path = `/v1/files/${part.repeat(60_000 / part.length)}x`;
      asked(path, open);
      const started = performance.now();
      expect(asked(path, open)).toMatch(/opaque|refused/);
      expect(performance.now() - started).toBeLessThan(50);
    },
  );
});

describe('where one entry speaks MCP and a model API', () => {
  const both = { host: 'both.test' };
  test('each has its paths', () => {
    expect(asked(chat, both)).toBe('call openai-chat');
    expect(asked('/v1/x', both)).toBe('call mcp');
    expect(asked('/v1/embeddings/', both)).toBe('call mcp');
  });
  test.each(['/v1/chat/completions/', '/v1/Chat/completions', '/v1/openai/v1/chat/completions'])(
    'a call of the API is no MCP message, however its path is written: %s',
    (path) => {
      expect(asked(path, both)).toBe('refused path_not_admitted unknown');
    },
  );
});

test('the paths that a format tells of are those that it knows', () => {
  for (const format of formats)
    for (const path of format.paths)
      expect([path, format.endpoint('POST', path.replace(/^\/\*/, '/v1/models/x').replace('*', 'x'))]).not.toContain(
        undefined,
      );
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
    expect(answer('/v1/models')).toEqual({ object: 'list', data: [llama, { ...llama, id: 'both' }] });
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
