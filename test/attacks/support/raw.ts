/** HTTP/1.1 written byte by byte: what `fetch` and `node:http` would correct or refuse to send. */
import net from 'node:net';

export interface RawAnswer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Everything that was received, for when there is more than one answer. */
  readonly received: string;
}

/** No answer within this time counts as none, milliseconds. */
const PATIENCE_MS = 2_000;

/**
 * Sends bytes and reads until the server closes, or until it is silent after an answer. Strings are sent as latin1.
 */
export function sendRaw(port: number, ...parts: readonly (string | Buffer)[]): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    const done = (): void => {
      socket.destroy();
      resolve(parse(Buffer.concat(chunks).toString('latin1')));
    };
    socket.setTimeout(PATIENCE_MS, done);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', done);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? done() : reject(error),
    );
    for (const part of parts) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  });
}

function parse(received: string): RawAnswer {
  const split = received.indexOf('\r\n\r\n');
  const [start = '', ...lines] = received.slice(0, Math.max(split, 0)).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const rest = received.slice(split + 4);
  const body = headers.get('transfer-encoding') === 'chunked' ? dechunk(rest) : rest;
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(start)?.[1] ?? 0), headers, body, received };
}

function dechunk(text: string): string {
  let body = '';
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const length = Number.parseInt(text.slice(at, end), 16);
    if (end < 0 || !(length > 0)) return body;
    body += text.slice(end + 2, end + 2 + length);
    at = end + 4 + length;
  }
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly version?: string;
  /** Header lines as they go out, after Host, Authorization, Content-Type, and before Content-Length. */
  readonly headers?: readonly string[];
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer;
  /** Send no Content-Length. */
  readonly unframed?: boolean;
  readonly host?: string;
}

/** One request on a connection of its own. */
export function rawRequest(token: string, request: RawRequest): Buffer {
  const { method = 'POST', path = '/v1/chat/completions', version = 'HTTP/1.1', headers = [] } = request;
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.from(request.body ?? '', 'utf8');
  const contentType = 'contentType' in request ? request.contentType : 'application/json';
  const lines = [
    `${method} ${path} ${version}`,
    `Host: ${request.host ?? 'llm.example.com'}`,
    `Authorization: Bearer ${token}`,
    ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
    ...headers,
    ...(headers.some((line) => /^connection:/i.test(line)) ? [] : ['Connection: close']),
    ...(request.unframed === true ? [] : [`Content-Length: ${body.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}
