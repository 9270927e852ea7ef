/**
 * The families of model APIs, one endpoint each, for attacks on bodies. A format joins by a row: `entry` is its entry in
 * models.yaml (its version, upstream and cluster are the stack's), `body` a request that passes.
 */

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
}

const HOST = 'llm.example.com';

export const FAMILIES: readonly Family[] = [
  {
    format: 'openai-chat',
    path: '/v1/chat/completions',
    entry: { name: 'demo', formats: ['openai-chat'] },
    body: '{"model":"demo","messages":[{"role":"user","content":"@"}]}',
    name: 'model',
    code: (body) => (body as { error: { code: string } }).error.code,
  },
  {
    format: 'mcp',
    path: '/mcp',
    entry: { name: 'tools', formats: ['mcp'], match: { hosts: [HOST], paths: ['/mcp'] } },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup","arguments":{"who":"@"}}}',
    name: 'method',
    code: (body) => (body as { error: { data: { code: string } } }).error.data.code,
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

/** What reads the names of members it knows: a name that differs from one in its case alone is refused. */
export const READ: readonly Family[] = FAMILIES.filter(({ format }) => format !== 'opaque');
