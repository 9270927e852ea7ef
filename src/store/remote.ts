/** The store on a ClickHouse server or cluster, through the official client. */
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import type { RecordBatch } from '../record/batch.ts';
import type { ClickhouseConfig } from './config.ts';
import {
  type Health,
  insertError,
  type Parameters,
  type Row,
  type SqlOptions,
  type Statement,
  type Store,
  StoreError,
} from './port.ts';
import { encodeBatch } from './rows.ts';
import { type Dialect, migrate } from './schema.ts';

/** Connects lazily: a server that is down is an outage, not a reason not to start. `environment` holds `passwordEnv`. */
export async function openRemote(
  config: ClickhouseConfig,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<RemoteStore> {
  const password = await readPassword(config, environment);
  const ca = config.caFile === undefined ? undefined : await readFile(config.caFile);
  const pair =
    config.certFile === undefined || config.keyFile === undefined
      ? undefined
      : { cert: await readFile(config.certFile), key: await readFile(config.keyFile) };
  const tls =
    pair !== undefined
      ? { tls: { ca_cert: ca ?? Buffer.from(rootCertificates.join('\n')), ...pair } }
      : ca !== undefined
        ? { tls: { ca_cert: ca } }
        : {};
  const client = createClient({
    url: config.url,
    username: config.user,
    password,
    application: 'sallyport',
    request_timeout: Math.max(config.insertTimeoutMs, config.queryTimeoutMs),
    max_open_connections: 8,
    // Its messages quote rows and parameters; ours go to the gateway's log without them.
    log: { level: ClickHouseLogLevel.OFF },
    compression: { request: true, response: true },
    ...tls,
  });
  return new RemoteStore(client, config);
}

interface Extra {
  readonly headers: Record<string, string>;
  readonly settings: ClickHouseSettings;
}

export class RemoteStore implements Store {
  readonly #client: ClickHouseClient;
  readonly #config: ClickhouseConfig;
  readonly #dialect: Dialect;

  constructor(client: ClickHouseClient, config: ClickhouseConfig) {
    this.#client = client;
    this.#config = config;
    this.#dialect = { database: config.database, fsync: false };
  }

  async migrate(): Promise<void> {
    const run = async (sql: string) => {
      await this.#answered(() => this.#client.command({ query: sql, clickhouse_settings: { wait_end_of_query: 1 } }));
    };
    await migrate(this.#dialect, run, (statement) => this.query(statement, {}));
  }

  async insert(batch: RecordBatch): Promise<void> {
    for (const { table, columns, tsv } of await encodeBatch(batch, this.#config.retention)) {
      try {
        await this.#client.insert({
          table: `${this.#config.database}.${table}`,
          columns: columns.map(({ name }) => name) as [string, ...string[]],
          format: 'TabSeparated',
          values: Readable.from([tsv], { objectMode: false }),
          // The answer must mean that the rows are stored: no asynchronous inserts, no early 200.
          clickhouse_settings: { async_insert: 0, wait_end_of_query: 1 },
          abort_signal: AbortSignal.timeout(this.#config.insertTimeoutMs),
        });
      } catch (error) {
        throw error instanceof ClickHouseError ? insertError(Number(error.code), error.type ?? '') : unreachable(error);
      }
    }
  }

  async query(statement: Statement, parameters: Parameters): Promise<readonly Row[]> {
    const text = await this.#read(statement.sql, 'JSONEachRow', parameters, this.#config.queryTimeoutMs);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  async sql(text: string, { format = 'PrettyCompactMonoBlock', write = false }: SqlOptions = {}): Promise<string> {
    return this.#read(text, format, {}, this.#config.insertTimeoutMs, {
      headers: { 'X-ClickHouse-Database': this.#config.database },
      settings: write ? {} : { readonly: '2' },
    });
  }

  async health(): Promise<Health> {
    try {
      const version = await this.#read('SELECT version()', 'TabSeparatedRaw', {}, 5000);
      return { ok: true, version: version.trim() };
    } catch (error) {
      return { ok: false, error: (error as Error).message };
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #read(
    sql: string,
    format: string,
    parameters: Parameters,
    timeoutMs: number,
    { headers, settings }: Extra = { headers: {}, settings: {} },
  ): Promise<string> {
    return this.#answered(async () => {
      const result = await this.#client.exec({
        query: `${sql.trimEnd().replace(/;$/, '')}\nFORMAT ${format}`,
        query_params: { ...parameters },
        http_headers: headers,
        clickhouse_settings: { wait_end_of_query: 1, max_execution_time: Math.ceil(timeoutMs / 1000), ...settings },
        abort_signal: AbortSignal.timeout(timeoutMs),
      });
      const parts: Buffer[] = [];
      for await (const part of result.stream) parts.push(part as Buffer);
      return Buffer.concat(parts).toString();
    });
  }

  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw error instanceof ClickHouseError
        ? new StoreError('query_failed', error.message, error)
        : unreachable(error);
    }
  }
}

function unreachable(error: unknown): StoreError {
  return new StoreError(
    'store_unavailable',
    `the ClickHouse server cannot be reached: ${(error as Error).message}`,
    error,
  );
}

async function readPassword(
  config: ClickhouseConfig,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  if (config.passwordFile !== undefined) return (await readFile(config.passwordFile, 'utf8')).replace(/\r?\n$/, '');
  if (config.passwordEnv === undefined) return '';
  const password = environment[config.passwordEnv];
  if (password === undefined)
    throw new StoreError(
      'store_unavailable',
      `the environment variable ${config.passwordEnv} (store.passwordEnv) is not set`,
    );
  return password;
}
