/**
 * MCP over streamable HTTP: one JSON-RPC message a `POST`, answered with JSON or server-sent events. Source: the Model
 * Context Protocol, 2025-06-18 and 2025-11-25, "Transports" and "Tools"; JSON-RPC 2.0.
 */
import { carrierAt } from './carrier.ts';
import type { ErrorText, Format } from './format.ts';
import { mcpFacts } from './mcp-request.ts';
import { messageText } from './mcp-text.ts';

export const mcp: Format = {
  id: 'mcp',
  // Its paths are those of the model entries that admit it.
  endpoint: () => undefined,
  paths: [],
  facts: mcpFacts,
  requestText: messageText,
  responseText: messageText,
  eventText: messageText,
  // A stream ends with its body.
  isTerminal: () => false,
  carrier: carrierAt,
  error,
  modelListPaths: [],
  modelList: () => '[]',
};

/** `id` is null: the message may not have been read when it is refused (JSON-RPC 2.0, section 5). */
function error({ code, row, message, session }: ErrorText): string {
  const data = { code, session };
  return JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: rpcCode(code, row.status), message, data } });
}

/** JSON-RPC 2.0, section 5.1; what is the server's own business is from −32000 to −32099. */
function rpcCode(code: string, status: number): number {
  if (code === 'invalid_json') return -32700;
  return status === 400 ? -32600 : -32001;
}
