/** The bench's client: raw sockets, keep-alive, one request at a time each; asserts every answer it times. */
import net from 'node:net';

export interface Target {
  readonly port: number;
  readonly token: string;
}

export interface Exchange {
  readonly body: string;
  /** Called with the whole response (head and chunked body, undecoded); throws when it is wrong. */
  readonly assert: (response: string) => void;
}

function requestBytes(target: Target, body: string): Buffer {
  return Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${target.token}\r\n` +
      `content-type: application/json\r\nuser-agent: bench\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** One keep-alive connection. */
class Connection {
  private readonly socket: net.Socket;
  private text = '';
  private done: ((response: string) => void) | undefined;
  private failed: ((error: Error) => void) | undefined;
  onData: ((text: string, now: bigint) => void) | undefined;

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1').setNoDelay(true);
    this.socket.setEncoding('latin1');
    this.socket.on('data', (data) => this.receive(String(data)));
    this.socket.on('error', (error) => this.failed?.(error));
    this.socket.on('close', () => this.failed?.(new Error(`connection closed after: ${this.text.slice(-300)}`)));
  }

  send(bytes: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.text = '';
      this.done = resolve;
      this.failed = reject;
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.failed = undefined;
    this.socket.destroy();
  }

  private receive(data: string): void {
    this.onData?.(data, process.hrtime.bigint());
    this.text += data;
    if (!this.complete()) return;
    const { text, done } = this;
    this.text = '';
    done?.(text);
  }

  private complete(): boolean {
    if (this.text.endsWith('0\r\n\r\n')) return true;
    const head = this.text.indexOf('\r\n\r\n');
    const length = head < 0 ? undefined : /\r\ncontent-length: (\d+)/.exec(this.text.slice(0, head))?.[1];
    return length !== undefined && this.text.length >= head + 4 + Number(length);
  }
}

export interface Throughput {
  readonly count: number;
  readonly seconds: number;
  /** Milliseconds of each exchange, sorted. */
  readonly latencies: readonly number[];
}

/**
 * As many exchanges as `clients` connections finish in `seconds`; with `everyMs`, one each so many milliseconds and client, as
 * long as answers come in time. Then what an exchange took counts from when it was due, not from when it could be sent.
 */
export async function throughput(
  target: Target,
  exchange: Exchange,
  clients: number,
  seconds: number,
  everyMs?: number,
): Promise<Throughput> {
  const bytes = requestBytes(target, exchange.body);
  const latencies: number[] = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  const worker = async (index: number): Promise<void> => {
    const connection = new Connection(target.port);
    let due = everyMs === undefined ? 0 : started + (everyMs * index) / clients;
    while (Math.max(due, performance.now()) < until) {
      const early = due - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      const at = everyMs === undefined ? performance.now() : due;
      due += everyMs ?? 0;
      const response = await connection.send(bytes);
      latencies.push(performance.now() - at);
      exchange.assert(response);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => worker(index)));
  return {
    count: latencies.length,
    seconds: (performance.now() - started) / 1000,
    latencies: latencies.sort((a, b) => a - b),
  };
}

export interface Pacing {
  /** Milliseconds from the model's write of the first event to its arrival, one a stream, sorted. */
  readonly first: readonly number[];
  /** The same for all later events. */
  readonly later: readonly number[];
}

/** `streams` paced streams at once, each read to its end. */
export async function pacing(target: Target, exchange: Exchange, streams: number): Promise<Pacing> {
  const bytes = requestBytes(target, exchange.body);
  const first: number[] = [];
  const later: number[] = [];
  const worker = async (index: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, index * 3));
    const connection = new Connection(target.port);
    let events = 0;
    connection.onData = (text, now) => {
      for (const [, written] of text.matchAll(/"id":"t-(\d+)"/g)) {
        const delay = Number(now - BigInt(written!)) / 1e6;
        if (events++ === 0) first.push(delay);
        else later.push(delay);
      }
    };
    exchange.assert(await connection.send(bytes));
    connection.close();
  };
  await Promise.all(Array.from({ length: streams }, (_, i) => worker(i)));
  const sorted = (values: number[]) => values.sort((a, b) => a - b);
  return { first: sorted(first), later: sorted(later) };
}

/** `count` streams held open at once; resolves when all have begun, with a way to end them. */
export async function holdStreams(target: Target, body: string, count: number): Promise<() => void> {
  const bytes = requestBytes(target, body);
  const connections = Array.from({ length: count }, () => new Connection(target.port));
  await Promise.all(
    connections.map(
      (connection) =>
        new Promise<void>((resolve, reject) => {
          connection.onData = (text) => {
            if (text.includes('data: ')) resolve();
          };
          connection.send(bytes).catch(reject);
        }),
    ),
  );
  return () => {
    for (const connection of connections) connection.close();
  };
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
