import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordBatch } from '../../src/record/batch.ts';
import { canonicalJson } from '../../src/record/canonical.ts';
import { type ContentRecord, type EventRecord, leafHash } from '../../src/record/codec.ts';
import type { ContentChunk, RecordEvent } from '../../src/record/events.ts';
import { storeConfig } from '../../src/store/config.ts';
import { Engine } from '../../src/store/engine.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/port.ts';
import { explainSession, listSessions, showSession } from '../../src/store/queries.ts';
import { chunk, decision, end, refused, request, response, sessionId, startMs } from '../unit/record/events.ts';
import { type Front, startFront } from './support/clickhouse-front.ts';

const writer = '3f0c2b1a-0000-4000-8000-000000000001';
let leaf = 0;

function batch(events: readonly RecordEvent[], chunks: readonly ContentChunk[] = []): RecordBatch {
  const stored = events.map((event): EventRecord => {
    const body = Buffer.from(canonicalJson(event));
    return {
      kind: 'event',
      writer,
      leaf: leaf++,
      scheme: 1,
      hash: leafHash(body),
      session: event.session,
      at: event.at,
      type: event.type,
      body,
    };
  });
  const contents = chunks.map(
    (piece): ContentRecord => ({ ...piece, kind: 'content', writer, bytes: Buffer.from(piece.bytes) }),
  );
  return { events: stored, contents, bytes: 0 };
}

interface Opened {
  readonly store: Store;
  readonly front: Front | undefined;
  close(): Promise<void>;
}

async function embedded(dir: string): Promise<Opened> {
  const store = await openStore(storeConfig.parse({ engine: 'embedded', dir }), {});
  return { store, front: undefined, close: () => store.close() };
}

async function server(dir: string): Promise<Opened> {
  mkdirSync(dir, { recursive: true });
  const configFile = join(dir, 'engine.xml');
  writeFileSync(configFile, '<clickhouse></clickhouse>');
  const engine = await Engine.open({ dataDir: join(dir, 'data'), workDir: dir, configFile, queryTimeoutMs: 30_000 });
  const front = await startFront(engine, dir, 'sallyport', 's3cret: \u{1f511}');
  const config = storeConfig.parse({
    engine: 'clickhouse',
    url: front.url,
    user: 'sallyport',
    passwordEnv: 'PASSWORD',
  });
  const store = await openStore(config, { PASSWORD: 's3cret: \u{1f511}' });
  const close = async () => {
    await store.close();
    await front.close();
    await engine.close();
  };
  return { store, front, close };
}

describe.each([
  { name: 'the embedded engine', open: embedded },
  { name: 'a ClickHouse server behind the official client', open: server },
])('the store on $name', ({ open }) => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  let opened: Opened;
  let store: Store;

  beforeAll(async () => {
    opened = await open(join(dir, 'store'));
    store = opened.store;
    await store.migrate();
  });
  afterAll(async () => {
    await opened.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('can be migrated again, and says that it is well', async () => {
    await store.migrate();
    expect(await store.health()).toMatchObject({ ok: true, version: expect.stringMatching(/^\d+\./) });
    expect(
      await store.sql('SELECT version, name FROM sallyport.schema_versions FINAL ORDER BY version', {
        format: 'TabSeparated',
      }),
    ).toBe(
      '1\tevents, contents, sessions\n2\tcredentials\n3\thow callers proved who they are\n4\tlimits, filters, severity, rules on responses\n5\tthe text of every revision of the policies\n',
    );
  });

  it('keeps credentials in the log, out of the sessions', async () => {
    const { caller } = request(900);
    const given: RecordEvent = {
      ...{
        type: 'credential',
        session: sessionId(900),
        at: startMs,
        action: 'issued',
        grant: 'token_exchange',
        caller,
      },
      ...{ tokenId: 'jti-900', expiresAtMs: startMs + 900_000, code: '', detail: '', clientAddress: '192.0.2.7' },
      ...{ by: '', count: 1 },
    };
    await store.insert(batch([given]));
    const columns =
      'fields.action, fields.caller.subject, credential.grant, credential.tokenId, credential.expiresAtMs';
    expect(
      await store.sql(`SELECT ${columns} FROM sallyport.events FINAL WHERE type = 'credential'`, {
        format: 'TabSeparated',
      }),
    ).toBe(`issued\tjane\ttoken_exchange\tjti-900\t${startMs + 900_000}\n`);
    expect(await showSession(store, sessionId(900))).toBeUndefined();
  });

  it('shows a session with who, what, verdict, tokens, masked counts and both texts as they were delivered', async () => {
    const text = 'Grüße \u{1f511}\\ "quoted"\n\tdata: [DONE]\r\n';
    const bytes = Buffer.from(text);
    await store.insert(
      batch(
        [request(1), decision(1), response(1), end(1)],
        [
          chunk(1, 0, '{"messages":[]}', 'request'),
          // Cut inside the four bytes of the key.
          { ...chunk(1, 0, ''), bytes: bytes.subarray(0, 10) },
          { ...chunk(1, 1, ''), bytes: bytes.subarray(10) },
        ],
      ),
    );
    const found = await showSession(store, sessionId(1));
    expect(found?.session).toEqual({
      session: sessionId(1),
      startedAtMs: request(1).at,
      endedAtMs: end(1).at,
      provider: 'demo',
      subject: 'jane',
      email: 'jane@example.com',
      kind: 'person',
      groups: ['ml-eng', 'pii-cleared'],
      team: 'ml-platform',
      method: 'POST',
      host: 'llm.example.com',
      path: '/v1/chat/completions',
      clientAddress: '192.0.2.7',
      userAgent: 'OpenAI/JS 7.57.0',
      requestId: '0d4f7a4e-1111-4222-8333-444455556666',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      model: 'demo',
      modelVersion: '1',
      format: 'openai-chat',
      operation: 'chat',
      stream: true,
      estimatedTokens: 212,
      requestBytes: 980,
      tools: [],
      findings: { credit_card: 1 },
      verdict: 'allow',
      rules: ['demo/engineers-may-chat'],
      mask: ['credit_card', 'email'],
      message: '',
      policyRevision: 'sha256:0123456789abcdef',
      policyCommit: '',
      filters: {},
      toolCall: '',
      gateUs: 640,
      modelStatus: 200,
      cluster: 'model_demo_1',
      how: 'complete',
      code: '',
      status: 200,
      detail: '',
      refusals: 0,
      masked: { email: 2 },
      inputTokens: 200,
      outputTokens: 90,
      responseBytes: 400,
      chunks: 2,
      firstByteMs: 40,
      durationMs: 900,
    });
    expect(found?.request.text).toBe('{"messages":[]}');
    expect(found?.response.text).toBe(text);
    expect(found?.response.chunks.map(({ seq, bytes: length, atMs }) => [seq, length, atMs])).toEqual([
      [0, 10, chunk(1, 0, '').at],
      [1, bytes.length - 10, chunk(1, 1, '').at],
    ]);
    expect(found?.events.map(({ type }) => type)).toEqual(['request', 'decision', 'response', 'end']);
    const [first] = found?.events ?? [];
    expect(first?.event).toEqual(JSON.parse(canonicalJson(request(1))));
    expect(first?.leafHash).toBe(leafHash(Buffer.from(canonicalJson(first?.event))).toString('hex'));
  });

  it('takes the same batch twice and has every row once', async () => {
    const twice = batch([request(2), decision(2), end(2)], [chunk(2, 0, 'once '), chunk(2, 1, 'only')]);
    await store.insert(twice);
    await store.insert(twice);
    const found = await showSession(store, sessionId(2));
    expect(found?.events).toHaveLength(3);
    expect(found?.response.text).toBe('once only');
    expect(await listSessions(store, { limit: 1000 })).toHaveLength(2);
  });

  it('lists the latest first, by caller, model, verdict and time', async () => {
    const sam = { ...request(4).caller, subject: 'sam', email: undefined };
    await store.insert(
      batch([
        request(3, { model: 'llama' }),
        decision(3, { verdict: 'deny', message: 'no' }),
        end(3, { how: 'denied', status: 403, code: 'policy_denied' }),
        request(4, { caller: sam }),
        decision(4),
        refused(5, { count: 17 }),
      ]),
    );
    const ids = async (filter: Parameters<typeof listSessions>[1]) =>
      (await listSessions(store, filter)).map(({ session }) => Number(`0x${session.slice(-4)}`));
    expect(await ids({ limit: 3 })).toEqual([5, 4, 3]);
    expect(await ids({ limit: 10, subject: 'sam' })).toEqual([4]);
    expect(await ids({ limit: 10, model: 'llama' })).toEqual([3]);
    expect(await ids({ limit: 10, verdict: 'deny' })).toEqual([3]);
    expect(await ids({ limit: 10, verdict: 'refused' })).toEqual([5]);
    expect(await ids({ limit: 10, verdict: 'allow', subject: 'jane' })).toEqual([2, 1]);
    expect(await ids({ limit: 10, sinceMs: request(4).at })).toEqual([5, 4]);
    await expect(listSessions(store, { limit: 0 })).rejects.toThrow(RangeError);
  });

  it('shows a refusal before identity by its session id, with code, status and how many it stands for', async () => {
    const explained = await explainSession(store, sessionId(5));
    expect(explained).toMatchObject({ code: 'token_missing', detail: 'no credential', rules: [] });
    expect(explained?.session).toMatchObject({
      verdict: 'refused',
      how: 'refused',
      status: 401,
      subject: '',
      refusals: 17,
    });
  });

  it('explains a denial by its rules, and shows a session that has no end as open', async () => {
    const denied = await explainSession(store, sessionId(3));
    expect(denied).toMatchObject({ code: 'policy_denied', message: 'no' });
    expect(denied?.rules).toEqual([
      { policy: 'demo', rule: 'engineers-may-chat', effect: 'allow', mode: 'enforce', error: null },
    ]);
    expect((await showSession(store, sessionId(4)))?.session).toMatchObject({
      how: 'open',
      endedAtMs: null,
      inputTokens: null,
    });
  });

  it('prefers an end that says how to the "unknown" of a restart, whichever came first', async () => {
    await store.insert(
      batch([
        request(6),
        end(6, { how: 'unknown', bytes: 1 }),
        end(6, { bytes: 99 }),
        end(6, { how: 'unknown', bytes: 2 }),
      ]),
    );
    expect((await showSession(store, sessionId(6)))?.session).toMatchObject({ how: 'complete', responseBytes: 99 });
  });

  it('shows a session that nobody has ended after a day as unknown: none of the processes that share it took it up', async () => {
    const dayMs = 24 * 60 * 60 * 1000;
    await store.insert(
      batch([request(7, { at: request(7).at - dayMs - 60_000 }), request(8, { at: request(8).at - dayMs + 60_000 })]),
    );
    expect((await showSession(store, sessionId(7)))?.session).toMatchObject({ how: 'unknown', endedAtMs: null });
    expect((await showSession(store, sessionId(8)))?.session).toMatchObject({ how: 'open', endedAtMs: null });
  });

  it.each([
    "it's",
    'back\\slash',
    "\\'; DROP TABLE sallyport.events --",
    'tab\tnew\nline\r\0',
    '{subject:String}',
    '\\N',
    '\u{1f511}%_',
    "'||(SELECT 1)||'",
  ])('takes %j as a value, never as SQL', async (subject) => {
    const n = 100 + leaf;
    await store.insert(batch([request(n, { caller: { ...request(n).caller, subject } })]));
    const found = await listSessions(store, { limit: 10, subject });
    expect(found.map((row) => [row.session, row.subject])).toEqual([[sessionId(n), subject]]);
    expect(await showSession(store, subject)).toBeUndefined();
  });

  it('refuses a wrong statement as query_failed, and rows that it cannot read as batch_rejected without quoting them', async () => {
    await expect(store.sql('SELEKT 1')).rejects.toMatchObject({ code: 'query_failed' });
    const broken = batch([request(900)]);
    const bad = { ...broken, events: broken.events.map((event) => ({ ...event, writer: 'tell-nobody' })) };
    const failure = await store.insert(bad).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'batch_rejected' });
    expect(String(failure)).not.toContain('tell-nobody');
  });
});

describe.each([
  { name: 'the embedded engine', open: embedded },
  { name: 'a ClickHouse server behind the official client', open: server },
])('the operator of the store on $name', ({ open }) => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  let opened: Opened;
  let store: Store;

  beforeAll(async () => {
    opened = await open(join(dir, 'store'));
    store = opened.store;
    await store.migrate();
    await store.insert(batch([request(1)]));
  });
  afterAll(async () => {
    await opened.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const count = async () =>
    (await store.sql('SELECT count() FROM sallyport.events', { format: 'TabSeparated' })).trim();

  it.each([
    'DROP TABLE sallyport.events',
    'TRUNCATE TABLE sallyport.events',
    'ALTER TABLE sallyport.events DELETE WHERE 1',
    'DROP DATABASE sallyport',
    "INSERT INTO sallyport.schema_versions (version, name) VALUES (9, 'x')",
    'SET readonly = 0',
  ])('reads only: %s is refused', async (sql) => {
    await expect(store.sql(sql)).rejects.toMatchObject({ code: 'query_failed', message: /readonly/i });
    expect(await count()).toBe('1');
  });

  it('may choose settings of a query that reads', async () => {
    expect(await store.sql('SELECT 1 SETTINGS max_threads = 1', { format: 'TabSeparated' })).toBe('1\n');
  });

  it.each(['TABLE sallyport.events', 'DATABASE sallyport'])(
    'may drop a %s with --write; then inserts say that tables are missing, and the next migration brings them back',
    async (what) => {
      await store.sql(`DROP ${what}`, { write: true });
      await expect(store.insert(batch([request(2)]))).rejects.toMatchObject({ code: 'tables_missing' });
      await store.migrate();
      await store.insert(batch([request(3)]));
      expect(await count()).toBe('1');
      expect(await listSessions(store, { limit: 10 })).toHaveLength(1);
    },
  );
});

describe('a ClickHouse server that is out of reach', () => {
  it('is an outage for inserts, and is well again by itself', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
    const { store, front, close } = await server(join(dir, 'store'));
    try {
      await store.migrate();
      for (const fault of ['reset', '503'] as const) {
        front?.faults.push(fault);
        await expect(store.insert(batch([request(910)]))).rejects.toMatchObject({ code: 'store_unavailable' });
      }
      await store.insert(batch([request(911)]));
      expect(await showSession(store, sessionId(911))).toBeDefined();
      await front?.close();
      expect(await store.health()).toMatchObject({ ok: false });
      await expect(store.insert(batch([request(912)]))).rejects.toMatchObject({ code: 'store_unavailable' });
    } finally {
      await close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('is not talked to with a wrong password, nor without the password that the config names', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
    const { front, close } = await server(join(dir, 'store'));
    try {
      const config = storeConfig.parse({
        engine: 'clickhouse',
        url: front?.url,
        user: 'sallyport',
        passwordEnv: 'PASSWORD',
      });
      const wrong = await openStore(config, { PASSWORD: 'guess' });
      await expect(wrong.insert(batch([request(1)]))).rejects.toMatchObject({ code: 'store_unavailable' });
      await wrong.close();
      await expect(openStore(config, {})).rejects.toThrow('PASSWORD');
    } finally {
      await close();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
