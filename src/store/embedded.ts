/** The store on one machine: ClickHouse's engine in a process of its own, its data in a folder. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RecordBatch } from '../record/batch.ts';
import type { EmbeddedConfig } from './config.ts';
import { Engine, type EngineOptions, EngineRefusal } from './engine.ts';
import type { EngineCall } from './engine-protocol.ts';
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
import { encodeBatch, parameterText } from './rows.ts';
import { type Dialect, migrate } from './schema.ts';

export type EmbeddedEvents = Pick<EngineOptions, 'onDown' | 'onUp' | 'onLine' | 'restartMinMs' | 'restartMaxMs'>;

const dialect: Dialect = { database: 'sallyport', fsync: true };

/** Starts the engine. Throws StoreError: `engine_missing` without the package, `store_unavailable` when it does not come up. */
export async function openEmbedded(config: EmbeddedConfig, events: EmbeddedEvents = {}): Promise<EmbeddedStore> {
  const dir = resolve(config.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const configFile = join(dir, 'engine.xml');
  await writeFile(configFile, engineConfig(config), { mode: 0o600 });
  // What a dead process left there is still in the journal.
  const workDir = join(dir, 'incoming');
  await rm(workDir, { recursive: true, force: true });
  await mkdir(workDir, { mode: 0o700 });
  const engine = await Engine.open({
    ...events,
    dataDir: join(dir, 'data'),
    workDir,
    configFile,
    queryTimeoutMs: config.queryTimeoutMs,
  });
  return new EmbeddedStore(engine, config, workDir);
}

export class EmbeddedStore implements Store {
  readonly #engine: Engine;
  readonly #config: EmbeddedConfig;
  readonly #workDir: string;
  #inserts = 0;

  constructor(engine: Engine, config: EmbeddedConfig, workDir: string) {
    this.#engine = engine;
    this.#config = config;
    this.#workDir = workDir;
  }

  /** Process id of the engine, while it runs. */
  get enginePid(): number | undefined {
    return this.#engine.pid;
  }

  async migrate(): Promise<void> {
    const run = async (sql: string) => {
      await this.#call({ op: 'run', sql }, this.#config.insertTimeoutMs);
    };
    await migrate(dialect, run, (statement) => this.query(statement, {}));
  }

  async insert(batch: RecordBatch): Promise<void> {
    const rows = await encodeBatch(batch, this.#config.retention);
    const number = ++this.#inserts;
    const tables = rows.map(({ table, columns, tsv }) => ({
      table: `${dialect.database}.${table}`,
      columns,
      file: `${table}-${number}.tsv`,
      tsv,
    }));
    const pathOf = (file: string): string => join(this.#workDir, file);
    try {
      for (const { file, tsv } of tables) await writeFile(pathOf(file), tsv, { mode: 0o600 });
      const call = { op: 'insert', tables: tables.map(({ tsv: _, ...table }) => table) } as const;
      await this.#engine.call(call, this.#config.insertTimeoutMs);
    } catch (error) {
      throw error instanceof EngineRefusal ? insertError(error.clickhouseCode, error.label) : error;
    } finally {
      for (const { file } of tables) await rm(pathOf(file), { force: true });
    }
  }

  async query(statement: Statement, parameters: Parameters): Promise<readonly Row[]> {
    const texts = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, parameterText(value)]));
    const call = { op: 'query', sql: statement.sql, parameters: texts, format: 'JSONEachRow' } as const;
    const data = await this.#call(call, 2 * this.#config.queryTimeoutMs);
    return Buffer.from(data)
      .toString()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  async sql(text: string, { format = defaultFormat, write = false }: SqlOptions = {}): Promise<string> {
    const call = { op: 'sql', database: dialect.database, sql: text, format, write } as const;
    return Buffer.from(await this.#call(call, operatorTimeoutMs)).toString();
  }

  async health(): Promise<Health> {
    const { version } = this.#engine;
    return version === undefined ? { ok: false, error: 'the engine is being started' } : { ok: true, version };
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  async #call(call: EngineCall, timeoutMs: number): Promise<Uint8Array> {
    try {
      return await this.#engine.call(call, timeoutMs);
    } catch (error) {
      throw error instanceof EngineRefusal ? new StoreError('query_failed', error.message, error) : error;
    }
  }
}

const defaultFormat = 'PrettyCompactMonoBlock';

/** An operator's own query may take its time; the engine is not killed for it before an hour. */
const operatorTimeoutMs = 3_600_000;

/** Server settings that keep the engine small; measured at about 250 MB at rest. */
function engineConfig({ memoryBytes }: EmbeddedConfig): string {
  const settings = {
    max_server_memory_usage: memoryBytes,
    mark_cache_size: 64 * 1024 * 1024,
    uncompressed_cache_size: 0,
    background_pool_size: 2,
    background_merges_mutations_concurrency_ratio: 1,
    background_schedule_pool_size: 4,
    background_common_pool_size: 2,
  };
  const lines = Object.entries(settings).map(([name, value]) => `  <${name}>${value}</${name}>`);
  return ['<clickhouse>', ...lines, '</clickhouse>', ''].join('\n');
}
