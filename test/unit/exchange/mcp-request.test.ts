import { describe, expect, it } from 'vitest';
import type { Operation, RequestFacts } from '../../../src/exchange/facts.ts';
import { readRequest } from '../../../src/exchange/formats.ts';
import { mcp } from '../../../src/exchange/mcp.ts';

const media = { contentType: 'application/json', contentEncoding: undefined };
const read = async (body: unknown) =>
  readRequest(
    { format: mcp, endpoint: { operation: 'mcp' } },
    media,
    Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  );

async function factsOf(body: unknown): Promise<RequestFacts> {
  const reading = await read(body);
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

const rpc = (more: object) => ({ jsonrpc: '2.0', id: 1, ...more });
const callOf = (params: unknown) => rpc({ method: 'tools/call', params });

describe('an MCP message', () => {
  it('that calls a tool says which, with what, and all the words in it', async () => {
    const args = { sql: 'SELECT 1', deep: [{ note: 'mind the gap' }], n: 5 };
    const body = callOf({ name: 'run_sql', arguments: args, _meta: { progressToken: 'p-1' } });
    expect(await factsOf(body)).toMatchObject({
      format: 'mcp',
      operation: 'execute_tool',
      model: '',
      stream: false,
      toolCall: { name: 'run_sql', arguments: args },
      parameters: new Map([['method', 'tools/call']]),
      bytes: JSON.stringify(body).length,
    });
    const { text } = await factsOf(body);
    for (const words of ['SELECT 1', 'mind the gap']) expect(text).toContain(words);
  });

  it('that calls a tool without arguments has none', async () => {
    expect((await factsOf(callOf({ name: 'now' }))).toolCall).toEqual({ name: 'now', arguments: {} });
  });

  it.each<[string, object, string, string]>([
    ['initialize', rpc({ method: 'initialize', params: { clientInfo: { name: 'jane' } } }), 'initialize', 'jane'],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/initialized' }, 'notifications/initialized', ''],
    ['a prompt', rpc({ method: 'prompts/get', params: { name: 'p', arguments: { a: 'b c' } } }), 'prompts/get', 'b c'],
    ['a resource', rpc({ method: 'resources/read', params: { uri: 'file:///a b' } }), 'resources/read', 'file:///a b'],
    [
      'an answer to the server',
      rpc({ result: { role: 'user', content: { type: 'text', text: 'yes, do' } } }),
      '',
      'yes, do',
    ],
    ['an error to the server', rpc({ error: { code: -1, message: 'the user said no' } }), '', 'the user said no'],
    ['an error that answers nothing', { jsonrpc: '2.0', id: null, error: { code: -1, message: 'x y' } }, '', 'x y'],
  ])('that is %s has its method as a parameter, and its words', async (_what, body, method, words) => {
    const facts = await factsOf(body);
    expect(facts.operation).toBe('mcp' satisfies Operation);
    expect(facts.toolCall).toBeUndefined();
    expect(facts.parameters.get('method')).toBe(method);
    expect(facts.text).toContain(words);
  });

  it('names the prompt or the resource as a parameter', async () => {
    const facts = await factsOf(rpc({ method: 'resources/read', params: { uri: 'docs://a' } }));
    expect([...facts.parameters]).toEqual([
      ['method', 'resources/read'],
      ['uri', 'docs://a'],
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a batch', [callOf({ name: 'a' })], /batches/],
    ['an empty batch', [], /batches/],
    ['a string', '"tools/call"', /JSON-RPC message/],
    ['null', 'null', /JSON-RPC message/],
    ['no version', { id: 1, method: 'ping' }, /jsonrpc/],
    ['another version', { jsonrpc: '1.0', id: 1, method: 'ping' }, /jsonrpc/],
    ['a version that is a number', { jsonrpc: 2, id: 1, method: 'ping' }, /jsonrpc/],
    ['nothing', {}, /jsonrpc/],
    ['no method and no result', rpc({}), /either/],
    ['a method and a result', rpc({ method: 'ping', result: {} }), /either/],
    ['a result and an error', rpc({ result: {}, error: {} }), /either/],
    ['a result with params', rpc({ result: {}, params: {} }), /either/],
    ['a result that is a text', rpc({ result: 'x' }), /result/],
    ['params as a list', rpc({ method: 'ping', params: [] }), /params/],
    ['a method that is a number', rpc({ method: 5 }), /method/],
    ['an empty method', rpc({ method: '' }), /method/],
    ['the method in another case', rpc({ method: 'tools/Call', params: { name: 'a' } }), /it is 'tools\/call'/],
    ['a method with a space', rpc({ method: 'tools/call ', params: { name: 'a' } }), /method/],
    ['a method with a NUL', rpc({ method: 'tools/call\0x', params: { name: 'a' } }), /method/],
    ['a method with two slashes', rpc({ method: 'tools//call', params: { name: 'a' } }), /method/],
    ['a method of 300 characters', rpc({ method: 'a'.repeat(300) }), /method/],
    ['an id that is a fraction', { jsonrpc: '2.0', id: 1.5, method: 'ping' }, /'id'/],
    ['an id that is null', { jsonrpc: '2.0', id: null, method: 'ping' }, /'id'/],
    ['an id that is an object', { jsonrpc: '2.0', id: {}, method: 'ping' }, /'id'/],
    ['method in another case', rpc({ method: 'ping', Method: 'tools/call' }), /only in case/],
    [
      'params in another case',
      rpc({ method: 'tools/call', params: { name: 'a' }, Params: { name: 'b' } }),
      /only in case/,
    ],
    ['params with a NUL behind', rpc({ method: 'tools/call', params: { name: 'a' }, 'params\0': {} }), /only in case/],
    ['name in another case', callOf({ name: 'a', Name: 'run_sql' }), /only in case/],
    ['name in full width', callOf({ name: 'a', '\uff4eame': 'run_sql' }), /only in case/],
    ['arguments with a zero width space', callOf({ name: 'a', 'arguments\u200b': {} }), /only in case/],
    [
      'the name of a prompt in another case',
      rpc({ method: 'prompts/get', params: { name: 'a', NAME: 'b' } }),
      /only in case/,
    ],
    ['a call without params', rpc({ method: 'tools/call' }), /params/],
    ['a call without a name', callOf({}), /params.name/],
    ['a call with an empty name', callOf({ name: '' }), /params.name/],
    ['a name that is a list', callOf({ name: ['run_sql'] }), /params.name/],
    ['a name with a space behind', callOf({ name: 'run_sql ' }), /params.name/],
    ['a name with a zero width space', callOf({ name: 'run\u200b_sql' }), /params.name/],
    ['a name with a NUL', callOf({ name: 'run_sql\0' }), /params.name/],
    ['a name of 300 characters', callOf({ name: 'a'.repeat(300) }), /longer than 256/],
    ['arguments that are a list', callOf({ name: 'a', arguments: ['x'] }), /params.arguments/],
    ['arguments that are null', callOf({ name: 'a', arguments: null }), /params.arguments/],
    ['arguments that are a text', callOf({ name: 'a', arguments: '{}' }), /params.arguments/],
  ])('that is %s is refused', async (_what, body, message) => {
    const reading = await read(body);
    expect(reading).toMatchObject({ ok: false, code: 'invalid_request', message: expect.stringMatching(message) });
  });

  it.each([
    ['a name twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}'],
    ['a name twice, once escaped', '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}'],
    ['the tool twice', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}'],
    ['two messages', '{"jsonrpc":"2.0","method":"ping"}{"jsonrpc":"2.0","method":"ping"}'],
  ])('that has %s is no JSON that can be read in one way only', async (_what, body) => {
    expect(await read(body)).toMatchObject({ ok: false, code: 'invalid_json' });
  });
});
