/** The record's parts together: journal, store and the shipper between them; and the record as a human reads it. */
import { type Config, sharesSessions } from '../config.ts';
import {
  type Archive,
  QueryError,
  type SessionDetail,
  type SessionFilter,
  type SessionSummary,
  type SqlResult,
} from '../console/archive.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { JournalDisk } from '../record/disk.ts';
import type { Recorder } from '../record/events.ts';
import { type Journal, openJournal } from '../record/journal.ts';
import { Shipper } from '../record/shipper.ts';
import { openStore } from '../store/open.ts';
import { type Health, type Store, StoreError } from '../store/port.ts';
import { listSessions, type SessionRow, showSession } from '../store/queries.ts';
import { recordedSessions } from '../store/recorded.ts';
import { newSession, nowMs } from './request.ts';

export interface RecordParts {
  readonly journal: Journal;
  readonly store: Store;
  readonly shipper: Shipper;
  readonly archive: Archive;
  /** The store's state at the last look. */
  readonly health: () => Health;
  /** Why the store did not take the last batch; undefined when it did. */
  readonly shippingProblem: () => string | undefined;
  close(): Promise<void>;
}

/** How often the store is asked how it is, milliseconds; also how often its tables are tried for while it is down. */
const HEALTH_INTERVAL_MS = 2_000;
/** A clean stop ships what it can; what is left is in the journal and is shipped by the next run. */
const DRAIN_ON_CLOSE_MS = 3_000;
/** Longest that a reader waits for what is not in the store yet, milliseconds. */
const SETTLE_MS = 2_000;

export interface RecordOptions {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where the journal writes; the real disk unless a test breaks it. */
  readonly disk: JournalDisk | undefined;
}

export async function openRecord(options: RecordOptions): Promise<RecordParts> {
  const { config, log } = options;
  const journal = await openJournalOf(options);
  const store = await openStore(config.store, options.environment, {
    onDown: (error) => log.warn('the store process ended; it is started again', { part: 'store', error }),
  }).catch(async (error: unknown) => {
    await journal.close();
    throw error;
  });
  let migrated = false;
  let shippingProblem: string | undefined;
  let health: Health = { ok: false, error: 'starting' };
  const look = async (): Promise<void> => {
    if (!migrated) migrated = await migrate(store, log);
    health = await store.health();
  };
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, HEALTH_INTERVAL_MS).unref();
  const shipper = new Shipper({
    journal,
    sink: {
      insert: async (batch) => {
        if (!migrated) migrated = await migrate(store, log);
        if (!migrated) throw new StoreError('store_unavailable', 'the tables of the store are not there yet');
        await store.insert(batch).catch((error: unknown) => {
          // Somebody has removed the tables: the next try makes them again.
          if (error instanceof StoreError && error.code === 'tables_missing') migrated = false;
          throw error;
        });
        shippingProblem = undefined;
      },
    },
    config: config.record.shipping,
    onFailure: (error) => {
      shippingProblem = problemOf(error);
      log.warn('the store did not take a batch; it is tried again', { part: 'shipper', error });
    },
    onDamage: (damage) =>
      log.error('a stretch of the journal is damaged; it is kept aside', { part: 'journal', ...place(damage) }),
    onQuarantined: (file, count, error) => {
      shippingProblem = undefined;
      log.error('records that the store cannot take were put aside', { part: 'shipper', path: file, count, error });
    },
  });
  return {
    journal,
    store,
    shipper,
    archive: archiveOf(journal, store, databaseOf(config), () => shipped(shipper)),
    health: () => health,
    shippingProblem: () => shippingProblem,
    close: async () => {
      clearInterval(timer);
      await looking;
      if (health.ok)
        await Promise.race([shipper.drained(), new Promise((done) => setTimeout(done, DRAIN_ON_CLOSE_MS).unref())]);
      await shipper.stop();
      await journal.close();
      await store.close();
    },
  };
}

async function openJournalOf({ config, log, metrics, disk }: RecordOptions): Promise<Journal> {
  let opened: Journal | undefined;
  let counted = 0;
  const journal = await openJournal({
    ...config.record.journal,
    ...(disk === undefined ? {} : { disk }),
    sharedSessions: sharesSessions(config),
    onFailed: (error) => log.error('the journal failed; nothing passes until a restart', { part: 'journal', error }),
    onSync: (tookMs) => {
      const leaves = opened?.gauges().nextLeaf ?? counted;
      metrics.commit(tookMs * 1000, leaves - counted);
      counted = leaves;
    },
  });
  opened = journal;
  counted = journal.gauges().nextLeaf;
  const { cut, damage, abandonedWriter, unended } = journal.recovered;
  if (cut !== undefined) log.warn('a torn tail of the journal was cut', { part: 'journal', bytes: cut.bytes });
  for (const one of damage) log.error('a stretch of the journal is damaged', { part: 'journal', ...place(one) });
  if (abandonedWriter !== undefined)
    log.error('the log could not be continued; a new one begins', { part: 'journal', writer: abandonedWriter });
  if (unended > 0) log.warn('sessions of a dead process were ended as unknown', { part: 'journal', count: unended });
  return journal;
}

const place = (damage: { readonly segment: number; readonly from: number; readonly to: number }) => ({
  path: `segment ${damage.segment}, from ${damage.from}`,
  bytes: damage.to - damage.from,
});

/** For `/readyz`, which says nothing of what is in a record: our own words, or a code. */
const problemOf = (error: Error & { readonly code?: unknown }): string =>
  error instanceof StoreError ? error.message : typeof error.code === 'string' ? error.code : error.name;

const databaseOf = ({ store }: Config): string => (store.engine === 'clickhouse' ? store.database : 'sallyport');

async function migrate(store: Store, log: Log): Promise<boolean> {
  try {
    await store.migrate();
    return true;
  } catch (error) {
    log.warn('the store is not ready; it is tried again', { part: 'store', error });
    return false;
  }
}

/** Brings what is synced into the store before somebody reads it; a store that is slow or down is not waited for. */
async function shipped(shipper: Shipper): Promise<void> {
  await Promise.race([shipper.drained(), new Promise((done) => setTimeout(done, SETTLE_MS).unref())]);
}

/** The record as the CLI reads it. A look goes on the record before it is answered. */
function archiveOf(
  recorder: Pick<Recorder, 'event' | 'durable'>,
  store: Store,
  database: string,
  settle: () => Promise<void>,
): Archive {
  return {
    sessions: async ({ limit, who, model, verdict, sinceMs }: SessionFilter) =>
      (await listSessions(store, { limit, subject: who, model, verdict, sinceMs }, database)).map(summary),
    session: async (id) => {
      const found = await showSession(store, id, database);
      return found === undefined ? undefined : detail(found);
    },
    recorded: (filter) => recordedSessions(store, filter, database),
    sql: async (query, { write }) => {
      const text = await store.sql(query, { format: 'JSONCompact', write }).catch((error: unknown) => {
        if (error instanceof StoreError && error.code === 'query_failed') throw new QueryError(error.message, error);
        throw error;
      });
      return sqlResult(text);
    },
    looked: async ({ action, reader, subject }) => {
      recorder.event({ type: 'admin', session: newSession(), at: nowMs(), action, reader, subject });
      await recorder.durable();
      await settle();
    },
  };
}

/** An answer in JSONCompact; none for a statement that answers nothing. Throws QueryError for one in another form. */
function sqlResult(text: string): SqlResult {
  if (text.trim() === '') return { columns: [], rows: [] };
  try {
    const { meta, data } = JSON.parse(text) as { meta: { name: string }[]; data: unknown[][] };
    if (data.every(Array.isArray)) return { columns: meta.map(({ name }) => name), rows: data };
  } catch {
    // Said below.
  }
  throw new QueryError('The query chooses a form of its own for its answer, which cannot be shown.');
}

function summary(row: SessionRow): SessionSummary {
  return {
    session: row.session,
    at: row.startedAtMs,
    subject: row.subject,
    email: row.email,
    team: row.team,
    model: row.model,
    // The list of models is answered without a rule's verdict.
    verdict: row.verdict === '' ? 'allow' : row.verdict,
    how: row.how === 'open' ? '' : row.how,
    code: row.code,
    status: row.status,
    inputTokens: row.inputTokens ?? undefined,
    outputTokens: row.outputTokens ?? undefined,
    estimatedTokens: row.estimatedTokens,
    masked: row.masked,
    durationMs: row.endedAtMs === null ? undefined : row.durationMs,
  };
}

function detail(found: NonNullable<Awaited<ReturnType<typeof showSession>>>): SessionDetail {
  const { session: row, events } = found;
  const event = (wanted: string) =>
    events.find(({ type }) => type === wanted)?.event as
      | (Partial<Pick<SessionDetail, 'rules' | 'limits' | 'guards' | 'maskedRequest' | 'withheld'>> & object)
      | undefined;
  const decision = event('decision');
  const text = ({ chunks, text: whole }: typeof found.request) => (chunks.length === 0 ? undefined : whole);
  return {
    ...summary(row),
    provider: row.provider,
    kind: row.kind,
    groups: row.groups,
    modelVersion: row.modelVersion,
    format: row.format,
    stream: row.stream,
    http: {
      method: row.method,
      host: row.host,
      path: row.path,
      clientAddress: row.clientAddress,
      userAgent: row.userAgent,
      requestId: row.requestId,
      traceId: row.traceId,
    },
    rules: decision?.rules ?? [],
    limits: decision?.limits ?? [],
    responseRules: event('end')?.rules ?? [],
    maskedRequest: event('end')?.maskedRequest ?? {},
    withheld: event('end')?.withheld,
    guards: event('request')?.guards ?? {},
    message: row.message,
    detail: row.detail,
    revision: row.policyRevision,
    commit: row.policyCommit,
    operation: row.operation,
    findings: row.findings,
    filters: row.filters,
    toolCall: row.toolCall,
    tools: row.tools,
    gateUs: row.gateUs === 0 ? undefined : row.gateUs,
    firstByteMs: row.firstByteMs ?? undefined,
    bytes: row.responseBytes,
    chunks: row.chunks,
    request: text(found.request),
    response: text(found.response),
  };
}
