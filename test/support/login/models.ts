/** A server in the place of the models: takes only tokens that are good now, answers as OpenAI and Anthropic do. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestModels {
  readonly url: string;
  /** Credentials of the requests in order: `header: value`. */
  readonly seen: string[];
  /** Tokens that are refused as expired. */
  readonly expired: Set<string>;
  close(): Promise<void>;
}

/** @param known tells whether a token was ever good */
export async function startTestModels(known: (token: string) => boolean): Promise<TestModels> {
  const seen: string[] = [];
  const expired = new Set<string>();
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const { authorization, 'x-api-key': apiKey } = request.headers;
      const token = authorization?.replace(/^Bearer /, '') ?? String(apiKey);
      seen.push(authorization === undefined ? `x-api-key: ${token}` : `authorization: ${authorization}`);
      const isGood = known(token) && !expired.has(token);
      const code = expired.has(token) ? 'token_expired' : 'token_invalid';
      const answer = request.url?.startsWith('/v1/messages') ? message : request.method === 'GET' ? models : completion;
      response.writeHead(isGood ? 200 : 401, { 'content-type': 'application/json', 'x-should-retry': 'false' });
      response.end(
        JSON.stringify(isGood ? answer : { type: 'error', error: { type: code, message: code, code, param: null } }),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    expired,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const models = { object: 'list', data: [{ id: 'demo', object: 'model', created: 0, owned_by: 'x' }] };
const completion = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 0,
  model: 'demo',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop', logprobs: null }],
};
const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'demo',
  content: [{ type: 'text', text: 'Hi' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};
