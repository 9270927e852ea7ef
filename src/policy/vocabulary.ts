/** Fields that can have only some values, and comparisons with one that they never have. */
import type { FormatId, Operation } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import { literal, type Node, pathOf } from './ast.ts';
import type { ChangeFacts, ResponseFacts } from './decision.ts';
import { didYouMean } from './problem.ts';

/** Each value, and what it means where the name does not say it. */
export type Vocabulary = Readonly<Record<string, string>>;

export const formats = {
  'openai-chat': '',
  'openai-completions': '',
  'openai-responses': '',
  'openai-embeddings': '',
  'anthropic-messages': '',
  gemini: '',
  'ollama-chat': '',
  'ollama-generate': '',
  tgi: '',
  'bedrock-converse': '',
  mcp: '',
  opaque: 'not read by the gateway',
} as const satisfies Record<FormatId, string>;

export const operations = {
  chat: '',
  text_completion: '',
  embeddings: '',
  count_tokens: '',
  execute_tool: 'MCP’s `tools/call`',
  mcp: 'any other MCP message',
  opaque: 'not read by the gateway',
} as const satisfies Record<Exclude<Operation, 'list_models'>, string>;

export const callerKinds = {
  person: '',
  service: '',
  peer: 'a workload without a token, [by mTLS](identity.md#mesh-identities)',
} as const satisfies Record<Caller['kind'], string>;

export const proofs = {
  token: 'of a provider',
  issued: 'a token of the gateway',
  saml: '',
  peer: '',
  jwt_authn: 'by Envoy',
} as const satisfies Record<Caller['proof'], string>;

export const phases = {
  headers: '',
  finding: 'a new one',
  toolCall: 'a complete one',
  end: '',
} as const satisfies Record<ResponseFacts['phase'], string>;

export const changeKinds = {
  register: '',
  version: '',
  config: '',
  retire: '',
} as const satisfies Record<ChangeFacts['kind'], string>;

/** `caller.team` → the values that it can have. */
export type Values = ReadonlyMap<string, readonly string[]>;

/** What is wrong with a comparison (`==`, `!=`, `in [..]`) of such a field with a text that is written out, and where. */
export function problemWithComparison(
  node: Node,
  values: Values,
): { readonly message: string; readonly offset: number } | undefined {
  if (node.op !== '==' && node.op !== '!=' && node.op !== 'in') return undefined;
  const [left, right] = (node.args as [Node, Node]).map(listed) as [readonly Node[], readonly Node[]];
  for (const [fields, texts] of [
    [left, right],
    [right, left],
  ] as const)
    for (const field of fields) {
      const path = pathOf(field);
      const known = path === undefined ? undefined : values.get(path);
      const never = known && texts.find((text) => !known.includes(literal(text) ?? known[0] ?? ''));
      if (path !== undefined && known !== undefined && never !== undefined)
        return { message: neverIs(path, literal(never) ?? '', known), offset: never.start };
    }
  return undefined;
}

/** The elements of a list that is written out; of anything else, itself. */
const listed = (node: Node): readonly Node[] => (node.op === 'list' ? (node.args as Node[]) : [node]);

function neverIs(path: string, text: string, known: readonly string[]): string {
  const near = didYouMean(text, known);
  const rest = known.length === 0 ? ' None is configured.' : ` It is one of: ${known.join(', ')}.`;
  return `${path} is never "${text}".${near === '' ? rest : near}`;
}
