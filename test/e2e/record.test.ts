import { readdirSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { archiveClient } from './support/archive.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { answerJson, DONE, delta } from './support/upstream.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ config: { log: { level: 'debug' }, record: { shipping: { retryMinMs: 1_000 } } } });
});
afterAll(() => stack.close());

const SECRETS = [
  'maria.lindqvist@example.org',
  '4111 1111 1111 1111',
  '4111111111111111',
  '+1 (415) 555-0132',
  'DE89 3704 0044 0532 0130 00',
  '219-09-9999',
  '203.0.113.42',
  'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  'AKIAIOSFODNN7EXAMPLE',
];
const TEXT = `Contact: ${SECRETS.join(' ; ')} end.`;

const post = async (who: 'jane' | 'sam', body: object) =>
  fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await stack.token(who)}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const ask = (text: string, stream = false) => ({ model: 'demo', stream, messages: [{ role: 'user', content: text }] });

function files(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSocket()) return [];
    return stat.isDirectory() ? files(path) : [path];
  });
}

/** Process ids of our own children whose command line has `part` in it: read from /proc, since a slim machine has no `ps`. */
function childrenNamed(part: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // `pid (comm) state ppid …`; comm may hold anything, a parenthesis too.
      const [, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      const ours = Number(parent) === process.pid && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(part);
      return ours ? [Number(name)] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

test('the journal has the durable end the moment that the client has seen [DONE]', async () => {
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(delta('hello ') + delta('world', 'stop') + DONE);
  };
  const session = await new Promise<string>((resolve, reject) => {
    void stack.token('sam').then((token) => {
      const request = http.request(
        `${stack.url}/v1/chat/completions`,
        { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
        (response) => {
          let text = '';
          response.on('data', (part: Buffer) => {
            text += part.toString();
            if (text.includes('[DONE]')) resolve(String(response.headers['x-sallyport-session']));
          });
        },
      );
      request.on('error', reject);
      request.end(JSON.stringify(ask('hi', true)));
    });
  });
  const lines = await stack.journal();
  const mine = lines.flatMap((line) => (line.kind === 'event' && line.event.session === session ? [line.event] : []));
  expect(mine.map(({ type }) => type)).toEqual(['request', 'decision', 'response', 'end']);
  expect(mine.at(-1)).toMatchObject({ how: 'complete', status: 200 });
  const delivered = lines.flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
  );
  expect(delivered.join('')).toContain('[DONE]');
});

test('clear personal data is in no file of the gateway, neither from requests nor from answers, for whoever asks', async () => {
  stack.model.answer = answerJson(TEXT);
  const clear = await (await post('jane', ask(TEXT))).text();
  expect(clear).toContain('maria.lindqvist');
  const masked = await (await post('sam', ask('hello'))).text();
  for (const secret of SECRETS) expect(masked).not.toContain(secret);
  const refused = await post('sam', ask(TEXT));
  expect(refused.status).toBe(403);
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const character of TEXT) response.write(delta(character));
    response.end(delta('', 'stop') + DONE);
  };
  await (await post('jane', ask(TEXT, true))).text();
  // What a caller names freely: the model, tools, the user agent, the path.
  await post('sam', { ...ask('hi'), model: SECRETS[0] });
  const tools = [{ type: 'function', function: { name: '4111111111111111' } }];
  await post('jane', { ...ask('hi'), tools });
  const structural = {
    reasoning_effort: SECRETS[0],
    service_tier: SECRETS[1],
    seed: 4111111111111111,
    user: SECRETS[3],
  };
  await post('jane', { ...ask('hi'), ...structural });
  await fetch(`${stack.url}/v1/${SECRETS[0]}`, {
    headers: { 'user-agent': `agent of ${SECRETS[0]}`, authorization: 'Bearer x' },
  });
  const client = archiveClient(stack);
  await eventually(async () => ((await client.sessions()).length >= 8 ? true : undefined), 'the sessions in the store');
  // Columns are compressed on disk: the engine is asked for its texts, and its files are searched as well.
  const stored = await client.sql('SELECT * FROM sallyport.contents');
  const events = await client.sql('SELECT * FROM sallyport.events');
  const everything: [string, string][] = [
    ['contents', JSON.stringify(stored)],
    ['events', JSON.stringify(events)],
    ['log', stack.log.join('\n')],
    ...files(stack.config.stateDir).map((path): [string, string] => [path, readFileSync(path, 'latin1')]),
  ];
  expect(everything.length).toBeGreaterThan(10);
  const token = await stack.token('sam');
  for (const [where, text] of everything)
    for (const secret of [...SECRETS, token]) expect(text.includes(secret), `${secret} in ${where}`).toBe(false);
  expect(JSON.stringify(stored)).toContain('<EMAIL_ADDRESS>');
});

test('sessions show tells who, what, verdict, rules, timings, tokens, masked counts, request and response', async () => {
  stack.model.answer = answerJson('write to maria.lindqvist@example.org');
  const response = await post('sam', ask('whom do I write to?'));
  const session = response.headers.get('x-sallyport-session')!;
  await response.text();
  const shown = await eventually(() => archiveClient(stack).show(session), 'the session in the store');
  expect(shown).toMatchObject({
    subject: 'sam',
    email: 'sam@example.com',
    model: 'demo',
    modelVersion: '1',
    verdict: 'allow',
    how: 'complete',
    status: 200,
    inputTokens: 3,
    outputTokens: 5,
    masked: { email_address: 1 },
  });
  expect(shown.rules.map(({ rule }) => rule)).toEqual(['members-may-chat', 'mask-for-others']);
  expect(shown.request).toContain('whom do I write to?');
  expect(shown.response).toContain('write to <EMAIL_ADDRESS>');
  expect(shown.durationMs).toBeGreaterThanOrEqual(0);
  expect(shown.gateUs).toBeGreaterThan(0);
});

test('the tables are dropped: /readyz says why the store takes nothing, and the tables come back', async () => {
  stack.model.answer = answerJson('ok');
  const archive = archiveClient(stack);
  await expect(archive.sql('DROP TABLE sallyport.events')).rejects.toThrow('sql_reads_only');
  const store = async () => {
    const response = await fetch(`${stack.gateway.addresses['internal']}/readyz`);
    const { parts } = (await response.json()) as { parts: { store: { ready: boolean; reason?: string } } };
    return { status: response.status, ...parts.store };
  };
  expect(await store()).toMatchObject({ status: 200, ready: true });
  await archive.sql('DROP DATABASE sallyport', { write: true });
  const response = await post('sam', ask('hi'));
  const session = response.headers.get('x-sallyport-session')!;
  await response.text();
  expect(response.status).toBe(200);
  const failed = await eventually(async () => {
    const found = await store();
    return found.ready ? undefined : found;
  }, 'a store that says what is wrong');
  expect(failed).toMatchObject({ status: 200, reason: expect.stringMatching(/code (60|81).* behind the journal/) });
  expect(await eventually(() => archive.show(session), 'the session in tables made again')).toMatchObject({ session });
  expect(await store()).toMatchObject({ status: 200, ready: true });
});

test('the store process is killed: requests go on, nothing is lost or doubled, it comes back and catches up', async () => {
  stack.model.answer = answerJson('ok');
  const engines = childrenNamed('engine-process');
  expect(engines).toHaveLength(1);
  const sessions: string[] = [];
  const one = async (): Promise<void> => {
    const response = await post('sam', ask('hi'));
    expect(response.status).toBe(200);
    sessions.push(response.headers.get('x-sallyport-session')!);
    await response.text();
  };
  for (let i = 0; i < 10; i++) await one();
  process.kill(engines[0]!, 'SIGKILL');
  for (let i = 0; i < 40; i++) await one();
  const list = sessions.map((id) => `'${id}'`).join();
  const counted = await eventually(
    async () => {
      const query = `SELECT uniqExact(session), count() FROM sallyport.sessions WHERE session IN (${list}) AND how = 'complete'`;
      const { rows } = await archiveClient(stack)
        .sql(query)
        .catch(() => ({ rows: [] }));
      return Number(rows[0]?.[0]) === 50 ? rows[0]!.map(Number) : undefined;
    },
    'all sessions in the store',
    30_000,
  );
  expect(counted).toEqual([50, 50]);
});

test('/metrics counts what happened: yes, answers of the gate, refusals, events on disk and in the store', async () => {
  stack.model.answer = answerJson('ok');
  await (await post('sam', ask('hi'))).text();
  const authorization = `Bearer ${await stack.token('sam')}`;
  await (await fetch(`${stack.url}/v1/models`, { headers: { authorization } })).text();
  await (await fetch(`${stack.url}/v1/models`)).text();
  const text = await eventually(async () => {
    const now = await (await fetch(`${stack.gateway.addresses['internal']}/metrics`)).text();
    return /^sallyport_shipper_pending_events 0$/m.test(now) ? now : undefined;
  }, 'nothing pending');
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1],
    );
  expect(value('sallyport_requests_total{verdict="allow",code=""}')).toBeGreaterThan(0);
  expect(value('sallyport_requests_total{verdict="answer",code=""}')).toBe(1);
  expect(value('sallyport_requests_total{verdict="refuse",code="token_missing"}')).toBe(1);
  const onDisk = (await stack.journal()).filter(({ kind }) => kind === 'event').length;
  expect(value('sallyport_journal_events_total')).toBeGreaterThan(0);
  expect(value('sallyport_journal_events_total')).toBeLessThanOrEqual(onDisk);
});
