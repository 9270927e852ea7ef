import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChatRequest, chatRequestSchema } from './chat-request.ts';
import { type Completion, completionOf, eventsOf } from './completion.ts';
import { closeServer, type DemoServer } from './provider.ts';

export interface DemoModelOptions {
  /** 0 takes any free one. */
  readonly port: number;
  /** The model's own bearer credential: nothing else gets an answer, a caller's token least of all. */
  readonly credential: string;
  /** Pause between the events of a stream, milliseconds. Default 0. */
  readonly eventDelayMs?: number;
}

const maxBodyBytes = 64 * 1024 * 1024;

/**
 * Starts the demo model on the loopback: OpenAI chat completions, JSON and SSE, answered from a script. The same request
 * gets the same answer, id and time included. A last message that begins with `/status 503` gets that status, one with
 * `/slow 250` pauses so many milliseconds between events, one with `/drop` is cut off in the middle.
 */
export async function startDemoModel(options: DemoModelOptions): Promise<DemoServer> {
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      if (!response.headersSent) refuse(response, 500, 'server_error', 'The script failed.');
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => closeServer(server) };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: DemoModelOptions): Promise<void> {
  if (!isAuthorized(request.headers.authorization, options.credential))
    return refuse(response, 401, 'invalid_api_key', 'This model takes its own credential only.');
  const path = request.url?.split('?')[0];
  if (path === '/v1/models' && request.method === 'GET')
    return json(response, {
      object: 'list',
      data: [{ id: 'demo', object: 'model', created: 0, owned_by: 'sallyport' }],
    });
  if (path !== '/v1/chat/completions')
    return refuse(response, 404, 'not_found', 'The demo model has /v1/chat/completions and /v1/models.');
  if (request.method !== 'POST') return refuse(response, 405, 'method_not_allowed', 'Use POST.');

  const body = await readBody(request);
  const parsed = chatRequestSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refuse(response, 400, 'invalid_request_error', `${issue?.path.join('.') || 'body'}: ${issue?.message}`);
  }
  const order = orderIn(parsed.data);
  if (order?.name === 'status') return refuse(response, order.value, 'server_error', 'You asked for this status.');
  const completion = completionOf(parsed.data, createHash('sha256').update(body).digest('hex'));
  const pauseMs = order?.name === 'slow' ? order.value : (options.eventDelayMs ?? 0);
  if (parsed.data.stream === true) await stream(response, parsed.data, completion, pauseMs, order?.name === 'drop');
  else if (order?.name === 'drop') drop(response, JSON.stringify(completion));
  else {
    if (order?.name === 'slow') await pause(pauseMs, response);
    json(response, completion);
  }
}

async function stream(
  response: ServerResponse,
  request: ChatRequest,
  completion: Completion,
  pauseMs: number,
  isDropped: boolean,
) {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  const events = [...eventsOf(completion, request.stream_options?.include_usage === true)];
  for (const [index, event] of events.entries()) {
    if (response.destroyed) return;
    if (isDropped && index > events.length / 2) return void response.destroy();
    if (!response.write(`data: ${JSON.stringify(event)}\n\n`))
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    if (pauseMs > 0) await pause(pauseMs, response);
  }
  response.end('data: [DONE]\n\n');
}

/** Waits so long, or until nobody listens any more. */
async function pause(ms: number, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  response.once('close', abort);
  await sleep(ms, undefined, { signal: gone.signal }).catch(() => {});
  response.off('close', abort);
}

/** Sends half of what the length promises, then cuts the connection. */
function drop(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.write(body.slice(0, body.length / 2), () => response.destroy());
}

/** An order to the script at the start of the last message, such as `/status 503`. */
function orderIn(request: ChatRequest): { readonly name: string; readonly value: number } | undefined {
  const content = request.messages.at(-1)?.content;
  const match = /^\/(?:(status) ([45]\d\d)|(slow) (\d{1,5})|(drop))\b/.exec(typeof content === 'string' ? content : '');
  if (match === null) return undefined;
  return { name: match[1] ?? match[3] ?? match[5] ?? '', value: Number(match[2] ?? match[4] ?? 0) };
}

function isAuthorized(header: string | undefined, credential: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(header ?? ''), hash(`Bearer ${credential}`));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error('request body over 64 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** An error in OpenAI's shape. */
function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(
      JSON.stringify({ error: { message, type: status === 401 ? 'invalid_request_error' : code, param: null, code } }),
    );
}
