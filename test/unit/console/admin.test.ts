import { describe, expect, it } from 'vitest';
import { createAdminApp, readerHeader } from '../../../src/console/admin.ts';
import { detail, MemoryArchive, sessionId } from './archive.ts';

const as = (reader: string) => ({ headers: { [readerHeader]: reader } });

function setUp() {
  const archive = new MemoryArchive([detail]);
  return { archive, app: createAdminApp(archive) };
}

/** The JSON of an answer, with the parts that tests look at. */
async function read(response: Response) {
  return (await response.json()) as { readonly error: { readonly code: string }; readonly session: object };
}

const sql = (body: string) => ({
  method: 'POST',
  body,
  headers: { ...as('ann').headers, 'content-type': 'application/json' },
});

describe('a look at the record', () => {
  it.each([
    ['list', '/v1/sessions?limit=5&who=sam', '{"limit":5,"who":"sam"}'],
    ['show', `/v1/sessions/${sessionId}/show`, sessionId],
    ['explain', `/v1/sessions/${sessionId}/explain`, sessionId],
  ] as const)('is itself put on the record: %s', async (action, path, subject) => {
    const { app, archive } = setUp();
    expect((await app.request(path, as('ann'))).status).toBe(200);
    expect(archive.looks).toEqual([{ action, reader: 'ann', subject }]);
  });

  it('is put on the record before an SQL query runs, one that fails too', async () => {
    const { app, archive } = setUp();
    const response = await app.request('/v1/sql', sql('{"query":"SELEKT 1"}'));
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: { code: 'query_refused', message: 'Syntax error at SELEKT' } },
    ]);
    expect(archive.looks).toEqual([{ action: 'sql', reader: 'ann', subject: 'SELEKT 1' }]);
  });

  it.each([
    ['/v1/sessions', undefined],
    [`/v1/sessions/${sessionId}/show`, undefined],
    ['/v1/sql', sql('{"query":"SELECT 1"}')],
  ])('does not take place when it cannot be recorded: %s', async (path, init) => {
    const { app, archive } = setUp();
    archive.isRecordBroken = true;
    const response = await app.request(path, init ?? as('ann'));
    const body = await response.text();
    expect([response.status, JSON.parse(body).error.code]).toEqual([503, 'look_not_recorded']);
    expect(body).not.toContain('customer');
    expect(archive.filters).toEqual([]);
  });

  it('of somebody unnamed is refused', async () => {
    const { app, archive } = setUp();
    expect((await app.request('/v1/sessions')).status).toBe(400);
    expect((await app.request('/v1/sessions', as('a b'))).status).toBe(400);
    expect(archive.looks).toEqual([]);
  });
});

describe('the admin API', () => {
  it('shows a session with its texts, and explains it without them', async () => {
    const { app } = setUp();
    const show = await read(await app.request(`/v1/sessions/${sessionId}/show`, as('ann')));
    const explain = await read(await app.request(`/v1/sessions/${sessionId}/explain`, as('ann')));
    expect(show.session).toEqual(detail);
    expect(explain.session).not.toHaveProperty('request');
    expect(explain.session).not.toHaveProperty('response');
  });

  it('has a default limit and passes filters on', async () => {
    const { app, archive } = setUp();
    await app.request('/v1/sessions', as('ann'));
    await app.request('/v1/sessions?limit=3&model=demo&verdict=deny&sinceMs=1700000000000', as('ann'));
    expect(archive.filters).toEqual([
      { limit: 20 },
      { limit: 3, model: 'demo', verdict: 'deny', sinceMs: 1_700_000_000_000 },
    ]);
  });

  it.each([
    '/v1/sessions?limit=0',
    '/v1/sessions?limit=1001',
    '/v1/sessions?limit=x',
    '/v1/sessions?verdict=maybe',
    '/v1/sessions?order=1;DROP TABLE sessions',
    '/v1/sessions/1 OR 1=1/show',
    '/v1/sessions/..%2f..%2fetc/show',
    `/v1/sessions/${sessionId}0/explain`,
  ])('refuses %s', async (path) => {
    const { app, archive } = setUp();
    const response = await app.request(path, as('ann'));
    expect([response.status, (await read(response)).error.code]).toEqual([400, 'invalid_argument']);
    expect(archive.looks).toEqual([]);
  });

  it.each(['', 'SELECT 1', '{"query":""}', '{"query":5}', '{"query":"SELECT 1","settings":"x"}', '[]'])(
    'refuses an SQL request of %j',
    async (body) => {
      const { app, archive } = setUp();
      expect((await app.request('/v1/sql', sql(body))).status).toBe(400);
      expect(archive.looks).toEqual([]);
    },
  );

  it('says that a session is unknown, and has put the look on the record', async () => {
    const { app, archive } = setUp();
    const other = sessionId.replace('0198', '0199');
    const response = await app.request(`/v1/sessions/${other}/show`, as('ann'));
    expect([response.status, (await read(response)).error.code]).toEqual([404, 'session_unknown']);
    expect(archive.looks).toHaveLength(1);
  });

  it('says nothing of what failed inside', async () => {
    const { archive } = setUp();
    archive.session = () => Promise.reject(new Error('secret path /var/lib'));
    const response = await createAdminApp(archive).request(`/v1/sessions/${sessionId}/show`, as('ann'));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('/var/lib');
  });
});
