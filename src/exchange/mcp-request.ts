/** What an MCP message says: a request, a notification, or the client's answer to a request of the server's. */
import { Check, kindOf } from './check.ts';
import type { Operation, ParameterValue, Reading, RequestFacts } from './facts.ts';
import { bareObject, isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { messageText } from './mcp-text.ts';
import type { Work } from './pace.ts';
import { Words } from './words.ts';

const messageNames = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const callNames = new Set(['name', 'arguments', '_meta', 'task']);
const paramNames = new Set(['name', 'uri', 'arguments', '_meta']);
const TOOLS_CALL = 'tools/call';

/** Methods and names of tools: what a rule compares must be what the server compares. */
const methodShape = /^[a-z][A-Za-z0-9_$.-]*(?:\/[A-Za-z0-9_$.-]+)*$/;
const longestName = 256;
const longestId = 128;

/** Reads the facts. Batches are no part of the protocol since 2025-06-18, and each of their calls would need a decision. */
export function* mcpFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  if (Array.isArray(body)) return refused('JSON-RPC batches are not supported: send one message.');
  if (!isJsonObject(body)) return refused(`Expected a JSON-RPC message, but got ${kindOf(body)}.`);
  const check = new Check();
  check.names(body, messageNames, '');
  if (body['jsonrpc'] !== '2.0') check.complain(`Invalid value for 'jsonrpc': expected "2.0".`);
  const method = readEnvelope(check, body);
  const isCall = method === TOOLS_CALL;
  const toolCall = isCall ? readCall(check, body) : undefined;
  const parameters = new Map<string, ParameterValue>([['method', method], ...readParameters(check, body, isCall)]);
  if (check.problem !== undefined) return refused(check.problem);
  const words = new Words();
  yield* words.collect(body, messageText);
  const text = words.text();
  const tokens = yield* words.tokens();
  const rpcId = idOf(body);
  const operation: Operation = isCall ? 'execute_tool' : 'mcp';
  return {
    ok: true,
    value: {
      format: 'mcp',
      operation,
      model: '',
      stream: false,
      choices: 1,
      system: '',
      messages: [],
      text,
      tools: [],
      toolCall,
      ...(rpcId !== undefined && { rpcId }),
      images: 0,
      audio: 0,
      files: 0,
      unread: words.unread,
      maxTokens: undefined,
      parameters,
      tokens,
      bytes,
    },
  };
}

/** The id of a request, as JSON. A longer one is legal, and is not kept. */
function idOf({ id, method }: JsonObject): string | undefined {
  if (method === undefined || (typeof id === 'string' && id.length > longestId)) return undefined;
  const json = typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : id?.toString();
  return json === undefined || json.length > longestId ? undefined : json;
}

/** The method; empty for an answer. A message is one of the two. */
function readEnvelope(check: Check, body: JsonObject): string {
  const { id, method, params, result, error } = body;
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'bigint' && !Number.isInteger(id))
    if (id !== null || error === undefined) check.complain(`Invalid type for 'id': expected a string or an integer.`);
  if (params !== undefined) check.object(params, 'params');
  if (method === undefined) {
    if ((result === undefined) === (error === undefined) || params !== undefined)
      check.complain("A message has either a 'method', or a 'result', or an 'error'.");
    check.object(result ?? error, result === undefined ? 'error' : 'result');
    return '';
  }
  if (result !== undefined || error !== undefined)
    check.complain("A message has either a 'method', or a 'result', or an 'error'.");
  if (typeof method !== 'string' || method.length > longestName || !methodShape.test(method))
    check.complain("Invalid value for 'method': expected a name such as 'tools/call'.");
  // The name of the one method that rules look into, in no other case.
  else if (method !== TOOLS_CALL && method.toLowerCase() === TOOLS_CALL)
    check.complain(`Invalid value for 'method': it is '${TOOLS_CALL}'.`);
  return typeof method === 'string' ? method : '';
}

function readCall(check: Check, body: JsonObject): NonNullable<RequestFacts['toolCall']> {
  const params = check.object(body['params'], 'params');
  check.names(params, callNames, 'params');
  const name = check.requiredText(params, 'name', 'params');
  // Servers look a tool up by its name as it is; what cannot be seen in it would hide from rules and readers.
  if (check.problem === undefined && !/^[^\s\p{Cc}\p{Cf}](?:[^\p{Cc}\p{Cf}]*[^\s\p{Cc}\p{Cf}])?$/u.test(name))
    check.complain("Invalid value for 'params.name': expected the name of a tool.");
  if (name.length > longestName)
    check.complain(`Invalid value for 'params.name': longer than ${longestName} characters.`);
  const given = params['arguments'];
  return { name, arguments: given === undefined ? bareObject() : check.object(given, 'params.arguments') };
}

/** What else names its object: a prompt, a resource. */
function readParameters(check: Check, body: JsonObject, isCall: boolean): [string, string][] {
  const { params } = body;
  if (isCall || !isJsonObject(params)) return [];
  check.names(params, paramNames, 'params');
  return ['name', 'uri'].flatMap((name): [string, string][] => {
    const value = params[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
}

function refused(message: string): Reading<never> {
  return { ok: false, code: 'invalid_request', message };
}
