/** A model server for one test: answers what the test says, and remembers what reached it. */
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Upstream {
  readonly port: number;
  /** Requests in order of arrival. */
  readonly arrived: readonly Arrived[];
  /** What the next requests get. */
  answer: Handler;
  close(): Promise<void>;
}

export type Handler = (request: Arrived, response: http.ServerResponse) => void;

export const completion = (content: string, extra: object = {}): string =>
  JSON.stringify({
    id: 'chatcmpl-test',
    object: 'chat.completion',
    created: 1_790_000_000,
    model: 'demo',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 },
    ...extra,
  });

/** One SSE event of a streamed chat completion. */
export const delta = (content: string, finish: string | null = null, index = 0): string =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-test',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'demo',
    choices: [{ index, delta: content === '' ? {} : { content }, finish_reason: finish }],
  })}\n\n`;
export const DONE = 'data: [DONE]\n\n';

export const answerJson =
  (content: string): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(completion(content));
  };

/** Sends the pieces one by one, the next once the one before has had time to be a chunk of its own. */
export const inPieces =
  (type: string, ...parts: readonly (string | Buffer)[]): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': type });
    const left = [...parts];
    const send = (): void => {
      const part = left.shift();
      if (part === undefined) response.end();
      else response.write(part, () => setTimeout(send, 15));
    };
    send();
  };

export async function startUpstream(): Promise<Upstream> {
  const arrived: Arrived[] = [];
  const upstream = { arrived, answer: answerJson('ok') as Handler };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      arrived.push(one);
      upstream.answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(upstream, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

/** A model that speaks HTTP/2 and ends its answer with trailers. */
export async function startHttp2Upstream(body: string): Promise<{ port: number; close(): void }> {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'text/event-stream' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-secret': 'jane.doe@example.com' }));
    stream.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
