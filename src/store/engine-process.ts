/**
 * The engine's process: the embedded ClickHouse engine (npm `chdb`) behind IPC. Forked by engine.ts. Only asynchronous
 * calls, so that it always hears its parent; it ends when the parent does. One session writes, two read: a session is
 * serial, and a long query must hold up neither inserts nor the next query. Signals are left to the parent, which gets
 * the same Ctrl-C and wants to finish first.
 */
import type { Session } from 'chdb';
import type { EngineReply, EngineRequest } from './engine-protocol.ts';

type Chdb = typeof import('chdb');
type Opening = Extract<EngineRequest, { op: 'open' }>;

class Engine {
  readonly #chdb: Chdb;
  readonly #opening: Opening;
  readonly #writer: Session;
  readonly #readers: { readonly session: Session; busy: Promise<unknown> }[];
  #turn = 0;

  constructor(chdb: Chdb, opening: Opening) {
    this.#chdb = chdb;
    this.#opening = opening;
    this.#writer = this.#session();
    this.#readers = [this.#session(), this.#session()].map((session) => ({ session, busy: Promise.resolve() }));
  }

  async prepare(): Promise<Uint8Array> {
    for (const { session } of this.#readers) await this.#limit(session);
    const result = await this.#writer.queryAsync('SELECT version()', { format: 'TabSeparatedRaw' });
    return result.bytes();
  }

  async run(sql: string): Promise<Uint8Array> {
    await this.#writer.queryAsync(sql);
    return new Uint8Array();
  }

  /** From files: rows inside of the statement are looked at again and again, and take four times as long. */
  async insert({ tables }: Extract<EngineRequest, { op: 'insert' }>): Promise<Uint8Array> {
    for (const { table, columns, file } of tables) {
      const names = columns.map(({ name }) => name).join(', ');
      const structure = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
      await this.#writer.queryAsync(
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM file(${literal(file)}, 'TabSeparated', ${literal(structure)}) SETTINGS max_threads = 1, max_insert_threads = 1`,
      );
    }
    return new Uint8Array();
  }

  /** Parameters are settings of the session, so that each query has its session to itself. */
  query(request: Extract<EngineRequest, { op: 'query' }>): Promise<Uint8Array> {
    const reader = this.#readers[this.#turn++ % this.#readers.length]!;
    const answer = reader.busy.then(async () => {
      for (const [name, text] of Object.entries(request.parameters))
        await reader.session.queryAsync(`SET param_${name} = ${literal(text)}`);
      const result = await reader.session.queryAsync(request.sql, { format: request.format });
      return result.bytes();
    });
    reader.busy = answer.catch(() => {});
    return answer;
  }

  async sql({ sql, format, database, write }: Extract<EngineRequest, { op: 'sql' }>): Promise<Uint8Array> {
    const session = this.#session();
    try {
      // Before the first migration there is no such database; then the operator's query is still answered.
      await session.queryAsync(`USE ${database}`).catch(() => {});
      if (!write) await session.queryAsync('SET readonly = 2');
      const result = await session.queryAsync(sql, { format });
      return result.bytes();
    } finally {
      session.close();
    }
  }

  async close(): Promise<void> {
    await this.#chdb.drainPending();
    this.#writer.close();
    for (const { session } of this.#readers) session.close();
    await this.#chdb.drainPending();
  }

  #session(): Session {
    return new this.#chdb.Session(this.#opening.dataDir, {
      connectionArgs: [`--config-file=${this.#opening.configFile}`],
    });
  }

  async #limit(session: Session): Promise<void> {
    await session.queryAsync(`SET max_execution_time = ${Math.ceil(this.#opening.queryTimeoutMs / 1000)}`);
    await session.queryAsync('SET readonly = 2');
  }
}

let engine: Engine | undefined;

async function answer(request: EngineRequest): Promise<Uint8Array> {
  if (request.op === 'open') {
    engine = new Engine(await import('chdb'), request);
    return engine.prepare();
  }
  if (engine === undefined) throw new Error('the engine is not open');
  switch (request.op) {
    case 'run':
      return engine.run(request.sql);
    case 'insert':
      return engine.insert(request);
    case 'query':
      return engine.query(request);
    case 'sql':
      return engine.sql(request);
    case 'close':
      await engine.close();
      return new Uint8Array();
  }
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function failure(id: number, error: unknown): EngineReply {
  const {
    code,
    clickhouseCode,
    message = String(error),
  } = error as { code?: unknown; clickhouseCode?: unknown; message?: string };
  return {
    id,
    ok: false,
    missing:
      code === 'ERR_MODULE_NOT_FOUND' ||
      code === 'MODULE_NOT_FOUND' ||
      /chdb.*(platform|not found|prebuilt)/i.test(message),
    clickhouseCode: Number(clickhouseCode ?? /Code: (\d+)\./.exec(message)?.[1] ?? 0),
    name: /\(([A-Z][A-Z0-9_]{3,})\)\s*(?:\(version|$)/.exec(message)?.[1] ?? '',
    message,
  };
}

async function end(): Promise<void> {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 10_000).unref();
  await engine?.close().catch(() => {});
  process.exit(0);
}

// The engine's files are for the gateway's user alone.
process.umask(0o077);
process.on('message', (request: EngineRequest) => {
  answer(request)
    .then((data): EngineReply => ({ id: request.id, ok: true, data }))
    .catch((error: unknown) => failure(request.id, error))
    .then((reply) => {
      if (!process.connected) return;
      process.send?.(reply, undefined, undefined, () => {
        if (request.op === 'close') process.exit(0);
      });
    });
});
process.on('disconnect', () => void end());
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
