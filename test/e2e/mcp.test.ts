/** MCP through the gateway: the official client and server, and what a rule says about a tool. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Stack, startStack } from './support/stack.ts';
import { inPieces } from './support/upstream.ts';

const CARD = '4111 1111 1111 1111';
const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: tools}
spec:
  rules:
    - {name: everyone, when: 'true', then: allow}
    - {name: no-sql, when: 'request.operation == "execute_tool" && request.text.contains("DROP")', then: deny, message: Ask a human to drop it.}
    - {name: mask, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [all]}
`;

interface Server {
  readonly port: number;
  readonly seen: { method: string | undefined; headers: http.IncomingHttpHeaders }[];
  close(): void;
}

/** An MCP server with sessions; answers as JSON or as an event stream. */
async function startServer(enableJsonResponse: boolean): Promise<Server> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const seen: Server['seen'] = [];
  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      enableJsonResponse,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    const server = new McpServer({ name: 'shop', version: '1' });
    server.registerTool(
      'lookup',
      { description: 'Looks a customer up', inputSchema: { who: z.string() }, outputSchema: { card: z.string() } },
      ({ who }) => ({
        content: [{ type: 'text', text: `${who} pays with ${CARD}` }],
        structuredContent: { card: CARD },
      }),
    );
    server.registerTool('run_sql', { description: 'Runs SQL', inputSchema: { sql: z.string() } }, ({ sql }) => ({
      content: [{ type: 'text', text: `ran ${sql}` }],
    }));
    await server.connect(transport as Transport);
    return transport;
  };
  const server = http.createServer((request, response) => {
    seen.push({ method: request.method, headers: request.headers });
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    Promise.resolve(known ?? open())
      .then((transport) => transport.handleRequest(request, response))
      .catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

describe.each([
  ['JSON', true],
  ['an event stream', false],
])('an MCP server that answers with %s', (_how, asJson) => {
  let server: Server;
  let stack: Stack;
  beforeAll(async () => {
    server = await startServer(asJson);
    stack = await startStack({
      modelPort: server.port,
      model: { name: 'shop', cluster: 'model_demo_1', formats: ['mcp'], match: { paths: ['/mcp'] } },
      policies: { 'tools.yaml': POLICY },
    });
  });
  afterAll(async () => {
    await stack.close();
    server.close();
  });

  async function connect(token: string) {
    const errors: Error[] = [];
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`${stack.url}/mcp`), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    });
    client.onerror = (error) => errors.push(error);
    await client.connect(transport as Transport);
    return { client, transport, errors };
  }

  test('is initialized, lists its tools and is called; what it says is masked for those who are not cleared', async () => {
    const { client, transport, errors } = await connect(await stack.token('sam'));
    expect(client.getServerVersion()).toMatchObject({ name: 'shop' });
    expect(transport.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['lookup', 'run_sql']);
    const result = await client.callTool({ name: 'lookup', arguments: { who: 'Jane' } });
    expect(JSON.stringify(result)).not.toContain(CARD);
    expect(result).toMatchObject({ content: [{ type: 'text', text: expect.stringMatching(/^Jane pays with </) }] });
    expect(server.seen.at(-1)?.headers).toMatchObject({
      'mcp-session-id': transport.sessionId,
      'mcp-protocol-version': expect.any(String),
      authorization: 'Bearer model-secret',
    });
    await transport.terminateSession();
    await client.close();
    // No GET and no DELETE reached it, and the client minded neither.
    expect(new Set(server.seen.map(({ method }) => method))).toEqual(new Set(['POST']));
    expect(errors).toEqual([]);
  });

  test('answers a cleared caller with what it says', async () => {
    const { client } = await connect(await stack.token('jane'));
    const result = await client.callTool({ name: 'lookup', arguments: { who: 'Jane' } });
    expect(result['structuredContent']).toEqual({ card: CARD });
    await client.close();
  });

  test('does not see a call that a rule denies, and the client hears why, with the session', async () => {
    const { client } = await connect(await stack.token('sam'));
    const before = server.seen.length;
    const error = await client.callTool({ name: 'run_sql', arguments: { sql: 'DROP TABLE people' } }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StreamableHTTPError);
    expect(error).toMatchObject({ code: 403, message: expect.stringContaining('Ask a human to drop it.') });
    expect(server.seen.length).toBe(before);
    expect((await client.callTool({ name: 'run_sql', arguments: { sql: 'SELECT 1' } }))['content']).toEqual([
      { type: 'text', text: 'ran SELECT 1' },
    ]);
    await client.close();
  });

  test('is on the record with the tool and the operation', async () => {
    const { client } = await connect(await stack.token('sam'));
    await client.callTool({ name: 'lookup', arguments: { who: 'Jane' } });
    await client.close();
    const events = (await stack.journal()).flatMap((line) =>
      line.kind === 'event' && line.event.type === 'request' ? [line.event] : [],
    );
    expect(events.findLast(({ operation }: Record<string, unknown>) => operation === 'execute_tool')).toMatchObject({
      format: 'mcp',
      model: 'shop',
      toolCall: 'lookup',
    });
  });

  test('is not reached without a token: 401 in the terms of JSON-RPC', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const answer = await fetch(`${stack.url}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body,
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="sallyport"');
    expect(await answer.json()).toEqual({
      jsonrpc: '2.0',
      id: null,
      error: {
        code: -32001,
        message: expect.stringContaining('no credential'),
        data: { code: 'token_missing', session: answer.headers.get('x-sallyport-session') },
      },
    });
  });

  test.each(['GET', 'DELETE', 'PUT'])('%s is answered by the gate with 405', async (method) => {
    const answer = await fetch(`${stack.url}/mcp`, {
      method,
      headers: { authorization: `Bearer ${await stack.token('sam')}`, accept: 'text/event-stream' },
    });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('POST');
    expect(await answer.json()).toMatchObject({ error: { data: { code: 'method_not_allowed' } } });
  });
});

describe('an answer of an MCP server that ends early', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({
      model: { name: 'shop', cluster: 'model_demo_1', formats: ['mcp'], match: { paths: ['/mcp'] } },
      policies: {
        'tools.yaml': `${POLICY}    - {name: no-cards, on: response, when: '"credit_card" in response.findings', then: stop, message: No cards.}\n`,
      },
    });
  });
  afterAll(() => stack.close());
  const event = (message: object) => `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
  const progress = event({ method: 'notifications/progress', params: { progress: 1, progressToken: 1 } });
  const result = event({ id: 7, result: { content: [{ type: 'text', text: CARD }] } });

  test.each<[string, string, string, string, string]>([
    ['a number', '7', '7', result, 'response_stopped'],
    ['a text', '"a \\"7\\""', '"a \\"7\\""', result, 'response_stopped'],
    ['a number that no double has', '90071992547409931', '90071992547409931', result, 'response_stopped'],
    ['one that is too long to be kept', `"${'7'.repeat(200)}"`, 'null', result, 'response_stopped'],
    ['of an answer that cannot be read', '7', '7', 'data: {"jsonrpc":\n\n', 'response_unreadable'],
  ])("has an error with the request's id: %s", async (_name, id, said, piece, code) => {
    stack.model.answer = inPieces('text/event-stream', progress, piece, progress);
    const answer = await fetch(`${stack.url}/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await stack.token('sam')}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"lookup","arguments":{}}}`,
    });
    const text = await answer.text();
    expect(text).toContain('notifications/progress');
    expect(text).toContain(`data: {"jsonrpc":"2.0","id":${said},"error":{`);
    expect(text).toContain(`"code":"${code}"`);
  });
});
