/**
 * The tables, in versioned migrations, one SQL for the embedded engine and a ClickHouse server. Migrations only add:
 * version N and N-1 of the gateway run side by side on one schema. Every statement can be run again, so that one that
 * was cut off half-way is simply repeated.
 *
 * - `events`: the log. What was proven (the leaf's canonical JSON) is stored as it is; every other column is computed
 *   from it by the engine, in one parse. A row sent twice has the same key and counts once.
 * - `contents`: delivered text, chunk by chunk, with its time.
 * - `sessions`: a view, one row a session, merged from the events of both gates. No materialized views: after a kill in
 *   the middle of an insert they may lack a block.
 *
 * `revision` is the ReplacingMergeTree version: an erasure will replace a row by one with a higher revision.
 */
import type { Statement } from './port.ts';

export interface Dialect {
  readonly database: string;
  /** Has the embedded engine sync inserts itself; a server has its own settings. */
  readonly fsync: boolean;
}

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: (dialect: Dialect) => readonly string[];
}

// JSON keys of src/record/events.ts. A key that an event lacks reads as the type's default.
const fields = `Tuple(
  session String, at Int64, type LowCardinality(String),
  caller Tuple(provider String, subject String, email String, kind LowCardinality(String), groups Array(String), team String),
  http Tuple(method LowCardinality(String), host String, path String, clientAddress String, userAgent String, requestId String, traceId String),
  model LowCardinality(String), modelVersion LowCardinality(String), format LowCardinality(String), operation LowCardinality(String),
  stream Bool, tokens UInt64, bytes UInt64, tools Array(String), findings Map(String, UInt64),
  verdict LowCardinality(String),
  rules Array(Tuple(policy String, rule String, effect String, mode String, error String)),
  maskResponse Array(String), message String, revision LowCardinality(String), gateUs UInt64,
  status UInt16, contentType LowCardinality(String), cluster LowCardinality(String),
  request Tuple(writer String, leaf Int64),
  how LowCardinality(String), code LowCardinality(String), masked Map(String, UInt64),
  inputTokens Nullable(UInt64), outputTokens Nullable(UInt64), chunks UInt64,
  firstByteMs Nullable(Float64), durationMs Float64,
  detail String, count UInt64, action LowCardinality(String), reader String, subject String
)`;

const settings = ({ fsync }: Dialect) => (fsync ? 'SETTINGS fsync_after_insert = 1, fsync_part_directory = 1' : '');

const events = (dialect: Dialect) => `CREATE TABLE IF NOT EXISTS ${dialect.database}.events (
  writer UUID COMMENT 'log that the event is a leaf of: one gateway process''s journal',
  leaf UInt64 COMMENT 'index in the log',
  leaf_scheme UInt8 COMMENT '1: SHA-256(0x00 || body), RFC 6962',
  leaf_hash FixedString(32),
  body String COMMENT 'the event, canonical JSON (RFC 8785)' CODEC(ZSTD(1)),
  revision UInt32 DEFAULT 0,
  expires_at DateTime('UTC'),
  fields ${fields} MATERIALIZED JSONExtract(body, '${fields.replaceAll(/\s+/g, ' ')}') CODEC(ZSTD(1)),
  session String MATERIALIZED JSONExtractString(body, 'session') CODEC(ZSTD(1)),
  at DateTime64(3, 'UTC') MATERIALIZED fromUnixTimestamp64Milli(JSONExtractInt(body, 'at'), 'UTC') CODEC(Delta, ZSTD(1)),
  type LowCardinality(String) MATERIALIZED JSONExtractString(body, 'type'),
  INDEX by_time at TYPE minmax GRANULARITY 1,
  INDEX by_subject fields.caller.subject TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(at)
ORDER BY (session, writer, leaf)
TTL expires_at
${settings(dialect)}`;

/** Beside `fields`, which older versions of the gateway know as it is. */
const credential = ({ database }: Dialect) => {
  const type =
    'Tuple(grant LowCardinality(String), tokenId String, expiresAtMs Int64, clientAddress String, by String)';
  return `ALTER TABLE ${database}.events ADD COLUMN IF NOT EXISTS
  credential ${type} MATERIALIZED JSONExtract(body, '${type}') CODEC(ZSTD(1))`;
};

const proof = ({ database }: Dialect) => {
  const type = 'Tuple(proof LowCardinality(String), groupsProblem String)';
  return `ALTER TABLE ${database}.events ADD COLUMN IF NOT EXISTS
  identity ${type} MATERIALIZED JSONExtract(body, 'caller', '${type}') CODEC(ZSTD(1))`;
};

/** Of a request what came later than `fields`; of a decision (and of an end, whose `rules` are those on the response) the whole of it. */
const ruling = ({ database }: Dialect) => {
  const asked =
    'Tuple(checked Bool, filters Map(String, UInt64), toolCall String, choices UInt32, images UInt32, audio UInt32, files UInt32, maxTokens Nullable(UInt64))';
  const ruled =
    'Tuple(commit String, filtersRevision String, rules Array(Tuple(policy String, rule String, effect LowCardinality(String), mode LowCardinality(String), severity LowCardinality(String), labels Map(String, String), error String)), limits Array(Tuple(policy String, rule String, mode LowCardinality(String), unit LowCardinality(String), limit UInt64, remaining UInt64, windowMs UInt64, exceeded Bool)), maskRequest Array(String), maskedRequest Map(String, UInt64))';
  return [
    `ALTER TABLE ${database}.events ADD COLUMN IF NOT EXISTS
  asked ${asked} MATERIALIZED JSONExtract(body, '${asked}') CODEC(ZSTD(1))`,
    `ALTER TABLE ${database}.events ADD COLUMN IF NOT EXISTS
  ruled ${ruled} MATERIALIZED JSONExtract(body, '${ruled}') CODEC(ZSTD(1))`,
  ];
};

const contents = (dialect: Dialect) => `CREATE TABLE IF NOT EXISTS ${dialect.database}.contents (
  session String CODEC(ZSTD(1)),
  direction LowCardinality(String) COMMENT 'request, response',
  seq UInt32 CODEC(Delta, ZSTD(1)),
  at DateTime64(3, 'UTC') COMMENT 'when it was delivered' CODEC(Delta, ZSTD(1)),
  text String COMMENT 'as delivered, masked; a chunk may end inside a character' CODEC(ZSTD(1)),
  revision UInt32 DEFAULT 0,
  expires_at DateTime('UTC')
) ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(at)
ORDER BY (session, direction, seq)
TTL expires_at
${settings(dialect)}`;

// The end that says most wins: `unknown` is what a restart writes for a session whose end may lie in another log.
const ended = (column: string) => `argMaxIf(${column}, fields.how != 'unknown', type = 'end')`;
// No stream lasts longer. Where several processes share sessions, a yes that none of them took up has no end (config.ts).
const LONGEST_SESSION = 'INTERVAL 1 DAY';
const first = (column: string, type: string) => `anyIf(${column}, type = '${type}')`;
/** The map that has something in it: what was found may come with the request or after it. */
const found = (column: string) => `anyIf(${column}, type IN ('request', 'findings') AND notEmpty(${column}))`;
const SEVERITIES = "['info', 'low', 'medium', 'high', 'critical']";
const either = (column: string) => `anyIf(${column}, type IN ('request', 'refused'))`;

const sessions = (
  { database }: Dialect,
  { proofs, rulings }: { proofs: boolean; rulings: boolean },
) => `CREATE OR REPLACE VIEW ${database}.sessions AS
SELECT
  session,
  min(at) AS started_at,
  maxOrNullIf(at, type IN ('end', 'refused')) AS ended_at,
  ${either('fields.caller.provider')} AS provider,
  ${either('fields.caller.subject')} AS subject,
  ${either('fields.caller.email')} AS email,
  ${either('fields.caller.kind')} AS kind,
  ${either('fields.caller.groups')} AS groups,
  ${either('fields.caller.team')} AS team,${
    proofs
      ? `
  ${either('identity.proof')} AS proof,\n  ${either('identity.groupsProblem')} AS groups_problem,`
      : ''
  }
  ${either('fields.http.method')} AS method,
  ${either('fields.http.host')} AS host,
  ${either('fields.http.path')} AS path,
  ${either('fields.http.clientAddress')} AS client_address,
  ${either('fields.http.userAgent')} AS user_agent,
  ${either('fields.http.requestId')} AS x_request_id,
  ${either('fields.http.traceId')} AS trace_id,
  ${first('fields.model', 'request')} AS model,
  ${first('fields.modelVersion', 'request')} AS model_version,
  ${first('fields.format', 'request')} AS format,
  ${first('fields.operation', 'request')} AS operation,
  ${first('fields.stream', 'request')} AS stream,
  ${first('fields.tokens', 'request')} AS estimated_tokens,
  ${first('fields.bytes', 'request')} AS request_bytes,
  ${first('fields.tools', 'request')} AS tools,
  ${rulings ? found('fields.findings') : first('fields.findings', 'request')} AS findings,${
    rulings
      ? `
  ${found('asked.filters')} AS filters,
  ${first('asked.toolCall', 'request')} AS tool_call,
  ${first('asked.choices', 'request')} AS choices,
  ${first('asked.images', 'request')} AS images,
  ${first('asked.audio', 'request')} AS audio,
  ${first('asked.files', 'request')} AS files,
  ${first('asked.maxTokens', 'request')} AS max_tokens,`
      : ''
  }
  multiIf(max(type = 'decision'), ${first('fields.verdict', 'decision')}, max(type = 'refused'), 'refused', '') AS verdict,
  arrayMap(r -> concat(r.policy, '/', r.rule), ${first('fields.rules', 'decision')}) AS rules,
  ${first('fields.maskResponse', 'decision')} AS mask,
  ${first('fields.message', 'decision')} AS message,
  ${first('fields.revision', 'decision')} AS policy_revision,${
    rulings
      ? `
  ${first('ruled.commit', 'decision')} AS policy_commit,
  ${first('ruled.filtersRevision', 'decision')} AS filters_revision,
  ${first('ruled.maskRequest', 'decision')} AS mask_request,
  ${ended('ruled.maskedRequest')} AS masked_request,
  ${first('ruled.limits', 'decision')} AS limits,
  arrayMap(r -> concat(r.policy, '/', r.rule), ${first('ruled.rules', 'end')}) AS response_rules,
  arrayElementOrNull(${SEVERITIES}, maxIf(arrayMax(arrayPushFront(arrayMap(r -> indexOf(${SEVERITIES}, r.severity), ruled.rules), 0)), type IN ('decision', 'end'))) AS severity,`
      : ''
  }
  ${first('fields.gateUs', 'decision')} AS gate_us,
  ${first('fields.status', 'response')} AS model_status,
  ${first('fields.cluster', 'response')} AS cluster,
  multiIf(max(type = 'end'), ${ended('fields.how')}, max(type = 'refused'), 'refused', min(at) < now() - ${LONGEST_SESSION}, 'unknown', 'open') AS how,
  if(max(type = 'end'), ${ended('fields.code')}, ${first('fields.code', 'refused')}) AS code,
  if(max(type = 'end'), ${ended('fields.status')}, ${first('fields.status', 'refused')}) AS status,
  anyIf(fields.detail, type IN ('refused', 'end') AND fields.detail != '') AS detail,
  ${first('fields.count', 'refused')} AS refusals,
  ${ended('fields.masked')} AS masked,
  ${ended('fields.inputTokens')} AS input_tokens,
  ${ended('fields.outputTokens')} AS output_tokens,
  ${ended('fields.bytes')} AS response_bytes,
  ${ended('fields.chunks')} AS chunks,
  ${ended('fields.firstByteMs')} AS first_byte_ms,
  ${ended('fields.durationMs')} AS duration_ms
FROM ${database}.events FINAL
WHERE type IN ('request', ${rulings ? "'findings', " : ''}'decision', 'response', 'end', 'refused')
GROUP BY session`;

// The parts of a revision, and the times that it was put on the record again, add up to one row.
const policyRevisions = ({ database }: Dialect) => `CREATE OR REPLACE VIEW ${database}.policy_revisions AS
SELECT
  JSONExtractString(body, 'revision') AS revision,
  argMax(JSONExtractString(body, 'commit'), at) AS commit,
  argMax(JSONExtractString(body, 'source'), at) AS source,
  argMin(JSONExtractString(body, 'by'), at) AS by,
  min(at) AS first_loaded_at,
  max(at) AS last_loaded_at,
  CAST(arraySort(groupUniqArrayArray(JSONExtractKeysAndValues(body, 'files', 'String'))), 'Map(String, String)') AS files
FROM ${database}.events FINAL
WHERE type = 'policy' AND fields.action = 'loaded'
GROUP BY revision`;

export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'events, contents, sessions',
    statements: (dialect) => [events(dialect), contents(dialect), sessions(dialect, { proofs: false, rulings: false })],
  },
  {
    version: 2,
    name: 'credentials',
    statements: (dialect) => [credential(dialect)],
  },
  {
    version: 3,
    name: 'how callers proved who they are',
    statements: (dialect) => [proof(dialect), sessions(dialect, { proofs: true, rulings: false })],
  },
  {
    version: 4,
    name: 'limits, filters, severity, rules on responses',
    statements: (dialect) => [...ruling(dialect), sessions(dialect, { proofs: true, rulings: true })],
  },
  {
    version: 5,
    name: 'the text of every revision of the policies',
    statements: (dialect) => [policyRevisions(dialect)],
  },
];

/** Where the schema's own version is kept, and the statement that reads it. */
export function schemaVersions(dialect: Dialect): { readonly create: readonly string[]; readonly read: Statement } {
  return {
    create: [
      `CREATE DATABASE IF NOT EXISTS ${dialect.database}`,
      `CREATE TABLE IF NOT EXISTS ${dialect.database}.schema_versions (version UInt32, name String, at DateTime('UTC') DEFAULT now())
       ENGINE = ReplacingMergeTree ORDER BY version ${settings(dialect)}`,
    ],
    read: { name: 'schema version', sql: `SELECT max(version) AS version FROM ${dialect.database}.schema_versions` },
  };
}

const tables = ['events', 'contents', 'sessions'];

const tablesPresent = ({ database }: Dialect): Statement => ({
  name: 'tables present',
  sql: `SELECT count() AS tables FROM system.tables WHERE database = '${database}' AND name IN (${tables.map((name) => `'${name}'`).join(', ')})`,
});

/**
 * Brings the schema up to date. A schema newer than this version of the gateway is left alone; one whose tables somebody has
 * removed is made anew (its versions are still there: every statement can be run again).
 */
export async function migrate(
  dialect: Dialect,
  run: (sql: string) => Promise<void>,
  read: (statement: Statement) => Promise<readonly Readonly<Record<string, unknown>>[]>,
): Promise<void> {
  const versions = schemaVersions(dialect);
  for (const sql of versions.create) await run(sql);
  const [row] = await read(versions.read);
  const [found] = await read(tablesPresent(dialect));
  const isWhole = Number(found?.['tables'] ?? 0) === tables.length;
  const current = isWhole ? Number(row?.['version'] ?? 0) : 0;
  for (const migration of migrations) {
    if (migration.version <= current) continue;
    for (const sql of migration.statements(dialect)) await run(sql);
    await run(
      `INSERT INTO ${dialect.database}.schema_versions (version, name) VALUES (${migration.version}, '${migration.name}')`,
    );
  }
}
