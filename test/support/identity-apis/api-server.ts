import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a string as it is; undefined: no answer comes at all. */
  readonly body?: unknown;
}

/** What a test puts in place of the next answer; `never`: the request is left open. */
type Override = ApiAnswer | 'never';

/** An HTTP API on the loopback that writes down what it is asked and can be made to fail, to stall and to hold its answers. */
export class ApiServer {
  readonly #answer: (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>;
  readonly #server = createServer((req, res) => {
    void this.#serve(req, res);
  });
  readonly #overrides: { readonly path: RegExp; readonly answer: Override }[] = [];
  readonly requests: ApiRequest[] = [];
  origin = '';
  /** Answers wait for this. */
  held: Promise<void> = Promise.resolve();
  /** Requests that are being answered, and the most that ever were. */
  open = 0;
  mostOpen = 0;

  constructor(answer: (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>) {
    this.#answer = answer;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Puts an answer in place of the next one on a path that fits; several are taken in order. */
  instead(path: RegExp, ...answers: Override[]): void {
    this.#overrides.push(...answers.map((answer) => ({ path, answer })));
  }

  /** Requests whose path fits. */
  asked(path: RegExp): ApiRequest[] {
    return this.requests.filter((request) => path.test(request.path));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const url = new URL(req.url ?? '/', this.origin);
    const request: ApiRequest = {
      method: req.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: req.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    this.requests.push(request);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    await this.held;
    const at = this.#overrides.findIndex(({ path }) => path.test(request.path));
    const answer = at < 0 ? await this.#answer(request) : this.#overrides.splice(at, 1)[0]?.answer;
    this.open -= 1;
    if (answer === undefined || answer === 'never') return;
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {});
    res.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...answer.headers }).end(text);
  }
}

/** The bearer token of a request, '' without one. */
export const bearerOf = ({ headers }: ApiRequest): string =>
  /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
