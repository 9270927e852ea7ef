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

/** `id` is null where the message has not been read when it is refused (JSON-RPC 2.0, section 5). */
function error({ code, row, message, session, rpcId = 'null' }: ErrorText): string {
  const said = { code: rpcCode(code, row.status), message, data: { code, session } };
  // As it is written: integers beyond 2^53 are ids, too.
  return `{"jsonrpc":"2.0","id":${rpcId},"error":${JSON.stringify(said)}}`;
}

/** JSON-RPC 2.0, section 5.1; what is the server's own business is from −32000 to −32099. */
function rpcCode(code: string, status: number): number {
  if (code === 'invalid_json') return -32700;
  return status === 400 ? -32600 : -32001;
}
