/** A loopback port for tools that only know a fixed key: each request goes on with a fresh token in place of it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Agent, type Dispatcher, request as send } from 'undici';
import { CliError, exitCodes } from '../cli.ts';
import { admit, type Carrier } from './admit.ts';
import { endToEnd } from './headers.ts';
import { KeptBody } from './kept-body.ts';

export interface ProxyOptions {
  /** 0 takes any free one. */
  readonly port: number;
  readonly key: string;
  /** Where models are called, without a slash at its end. */
  readonly modelsUrl: string;
  /** A token that is good now; `refused`: one that was just refused, for which there must be another. Rejects with CliError. */
  readonly token: (refused?: string) => Promise<string>;
  /** Tells the user of what went wrong. Never a token, a body or a query. */
  readonly say: (text: string) => void;
}

export interface RunningProxy {
  readonly url: string;
  /** Takes no more requests; resolves once those under way are done. */
  drain(): Promise<void>;
  /** Cuts what is under way. */
  close(): Promise<void>;
}

/** Largest body that can be sent a second time, bytes. */
const maxKeptBytes = 1024 * 1024;
/** Longest error answer that is looked into, bytes. */
const maxErrorBytes = 64 * 1024;
const connectTimeoutMs = 10_000;

/** Listens on 127.0.0.1 only. Throws CliError where the port is taken. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  // No time limits on answers: a request may wait for an approval, a model may think for long.
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
  });
  let { port } = options;
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 75_000 });
  server.on('request', (request, response) => {
    response.once('finish', () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    forward(request, response, port, options, agent).catch((error: unknown) => {
      // The client went away, or the answer broke off: it must not look whole.
      if (response.headersSent || response.destroyed) response.destroy();
      else fail(response, error, options);
    });
  });
  server.listen(options.port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new CliError(
      exitCodes.failed,
      `Port ${options.port} cannot be used (${(error as NodeJS.ErrnoException).code}).`,
      'Another `sallyport proxy` may run already; or choose another one with --port.',
      error,
    );
  }
  port = (server.address() as AddressInfo).port;
  const closed = once(server, 'close');
  return {
    url: `http://127.0.0.1:${port}`,
    async drain() {
      server.close();
      server.closeIdleConnections();
      await closed;
      await agent.close();
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await closed;
      await agent.destroy();
    },
  };
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  options: ProxyOptions,
  agent: Agent,
): Promise<void> {
  const admission = admit(request, port, options.key);
  if (!admission.ok) {
    refuse(response, admission.status, admission.code, admission.message);
    return;
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const body = new KeptBody(maxKeptBytes);
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const ask = async (token: string, sent: KeptBody | Buffer | null) =>
    send(`${options.modelsUrl}${request.url}`, {
      dispatcher: agent,
      method: request.method as Dispatcher.HttpMethod,
      headers: [...endToEnd(request.rawHeaders, dropped), ...credential(admission.carrier, token)],
      body: sent,
      signal: gone.signal,
      responseHeaders: 'raw',
    });
  const token = await options.token();
  // A tool that goes away in the middle is seen by what reads the body; nobody else need hear of it.
  for (const stream of [request, body]) stream.on('error', () => {});
  if (hasBody) pipeline(request, body).catch(() => {});
  const first = await ask(token, hasBody ? body : null);
  const refusedText = first.statusCode === 401 ? await readShort(first.body) : undefined;
  const whole = hasBody ? body.whole : null;
  if (refusedText === undefined || !isExpired(refusedText.text) || whole === undefined)
    return answer(response, first, refusedText);
  // RFC 6750, section 3.1: with a new token the same request may succeed. Once only.
  return answer(response, await ask(await options.token(token), whole));
}

/** Of the request; `expect` has been answered by node:http. */
const dropped = ['host', 'expect', 'authorization', 'x-api-key', 'x-goog-api-key'];

const credential = ({ header, prefix }: Carrier, token: string): [string, string] => [header, `${prefix}${token}`];

type Upstream = Dispatcher.ResponseData;
interface Short {
  readonly text: Buffer;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/** Sends an answer on as it comes. `read`: what has been read of it already. */
async function answer(response: ServerResponse, upstream: Upstream, read?: Short): Promise<void> {
  const raw = upstream.headers as unknown as string[];
  response.writeHead(upstream.statusCode, endToEnd(raw));
  response.flushHeaders();
  if (read !== undefined) response.write(read.text);
  if (read?.isWhole === true) return void response.end();
  await pipeline(upstream.body, response);
}

/** Reads an error answer, up to a length. */
async function readShort(body: Upstream['body']): Promise<Short> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxErrorBytes) return { text: Buffer.concat(chunks), isWhole: false };
  }
  return { text: Buffer.concat(chunks), isWhole: true };
}

/** The gate's error in any of its shapes says `token_expired` as `error.code`, `error.type` or `error.status`. */
function isExpired(text: Buffer): boolean {
  return /"token_expired"/.test(text.toString('utf8'));
}

/** What went wrong before an answer came. */
function fail(response: ServerResponse, error: unknown, { say, modelsUrl }: ProxyOptions): void {
  if (error instanceof CliError) {
    say(`${error.message}\n  → ${error.remedy}`);
    const isDown = error.exitCode === exitCodes.unreachable;
    const message = `${error.message} ${error.remedy}`;
    if (isDown) refuse(response, 502, 'gateway_unreachable', message);
    else refuse(response, 401, 'signed_out', message);
    return;
  }
  const code = String((error as { code?: unknown }).code ?? (error as Error).name);
  say(`${modelsUrl} cannot be reached (${code}).`);
  refuse(response, 502, 'gateway_unreachable', `The gateway cannot be reached at ${modelsUrl} (${code}).`);
}

/** An error in OpenAI's shape. SDKs repeat 502 by themselves, and obey `x-should-retry`. */
function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const type = status === 502 ? 'server_error' : status === 401 ? 'authentication_error' : 'invalid_request_error';
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-should-retry': String(status === 502),
    // The rest of the request is not read.
    connection: 'close',
  });
  response.end(JSON.stringify({ error: { message: `sallyport proxy: ${message}`, type, param: null, code } }));
}
