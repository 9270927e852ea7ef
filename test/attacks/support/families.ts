/**
 * The families of model APIs, one endpoint each, for attacks on bodies. A format joins by a row: `entry` is its entry in
 * models.yaml (its version, upstream and cluster are the stack's), `body` a request that passes.
 */
import { formatById } from '../../../src/exchange/formats.ts';

export interface Family {
  readonly format: string;
  readonly path: string;
  /** Further names of members that models.yaml needs for it. */
  readonly entry: object;
  /** A request that passes; `@` stands where a text is. */
  readonly body: string;
  /** A name that is in `body`, and that a server which ignores case or reads it twice would take another value for. */
  readonly name: string;
  /** Where a refusal has the error's code; undefined: its API has no place for it. */
  readonly code: ((body: unknown) => unknown) | undefined;
  /** What a GET of the path is; 403 `path_not_admitted` by default. */
  readonly onGet?: { readonly status: number; readonly code: string };
}

const HOST = 'llm.example.com';

const ALL: readonly Family[] = [
  {
    format: 'openai-chat',
    path: '/v1/chat/completions',
    entry: { name: 'demo', formats: ['openai-chat'] },
    body: '{"model":"demo","messages":[{"role":"user","content":"@"}]}',
    name: 'model',
    code: (body) => (body as { error: { code: string } }).error.code,
  },
  {
    format: 'openai-responses',
    path: '/v1/responses',
    entry: { name: 'responses', formats: ['openai-responses'] },
    body: '{"model":"responses","input":"@"}',
    name: 'model',
    code: (body) => (body as { error: { code: string } }).error.code,
  },
  {
    format: 'anthropic-messages',
    path: '/v1/messages',
    entry: { name: 'claude', formats: ['anthropic-messages'] },
    body: '{"model":"claude","max_tokens":16,"messages":[{"role":"user","content":"@"}]}',
    name: 'model',
    code: undefined,
  },
  {
    format: 'gemini',
    path: '/v1beta/models/gem:generateContent',
    entry: { name: 'gem', formats: ['gemini'] },
    body: '{"contents":[{"role":"user","parts":[{"text":"@"}]}]}',
    name: 'contents',
    code: undefined,
    // A question about a model of this name.
    onGet: { status: 404, code: 'model_not_found' },
  },
  {
    format: 'ollama-chat',
    path: '/api/chat',
    entry: { name: 'ollama', formats: ['ollama-chat'] },
    body: '{"model":"ollama","stream":false,"messages":[{"role":"user","content":"@"}]}',
    name: 'model',
    code: undefined,
  },
  {
    format: 'bedrock-converse',
    path: '/model/bedrock/converse',
    entry: { name: 'bedrock', formats: ['bedrock-converse'] },
    body: '{"messages":[{"role":"user","content":[{"text":"@"}]}]}',
    name: 'messages',
    code: undefined,
  },
  {
    format: 'tgi',
    path: '/generate',
    entry: { name: 'tgi', formats: ['tgi'] },
    body: '{"inputs":"@"}',
    name: 'inputs',
    code: undefined,
  },
  {
    format: 'mcp',
    path: '/mcp',
    entry: { name: 'tools', formats: ['mcp'], match: { hosts: [HOST], paths: ['/mcp'] } },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup","arguments":{"who":"@"}}}',
    name: 'method',
    code: (body) => (body as { error: { data: { code: string } } }).error.data.code,
    onGet: { status: 405, code: 'method_not_allowed' },
  },
  {
    format: 'opaque',
    path: '/v1/files',
    entry: { name: 'files', formats: ['opaque'], match: { hosts: [HOST], paths: ['/v1/files'] } },
    body: '{"purpose":"@"}',
    name: 'purpose',
    code: (body) => (body as { error: { code: string } }).error.code,
  },
];

/** Those that the gateway speaks. */
export const FAMILIES: readonly Family[] = ALL.filter(({ format }) => formatById(format) !== undefined);

/** What reads the names of members it knows: a name that differs from one in its case alone is refused. */
export const READ: readonly Family[] = FAMILIES.filter(({ format }) => format !== 'opaque');
