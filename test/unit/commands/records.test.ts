import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explain, explainCommand } from '../../../src/commands/explain.ts';
import { sessionsCommand } from '../../../src/commands/sessions.ts';
import { sqlCommand } from '../../../src/commands/sql.ts';
import { createAdminApp } from '../../../src/console/admin.ts';
import { type Listening, listenUnix } from '../../../src/console/listen.ts';
import type { EndEvent } from '../../../src/record/events.ts';
import { detail, MemoryArchive, sessionId } from '../console/archive.ts';
import { project, run } from './run.ts';

const { folder, file, stateDir } = project();
const commands = [sessionsCommand(), explainCommand(), sqlCommand()];
const cli = (...args: string[]) => run(commands, [...args, '--config', file]);

let archive: MemoryArchive;
let socket: Listening;
beforeEach(async () => {
  archive = new MemoryArchive([
    detail,
    {
      ...detail,
      session: sessionId.replace(/ab$/, 'cd'),
      subject: 'jane',
      email: '',
      verdict: 'deny',
      code: 'policy_denied',
      how: 'denied',
    },
  ]);
  socket = await listenUnix(createAdminApp(archive), join(stateDir, 'admin.sock'));
});
afterEach(() => socket.close());
afterAll(() => rmSync(folder, { recursive: true }));

describe('sessions list', () => {
  it('prints one aligned line a session', async () => {
    const { code, stdout, stderr } = await cli('sessions', 'list');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(
      [
        'SESSION                               TIME                 WHO              MODEL  VERDICT  END            TOKENS    MS  MASKED',
        '0198c2f4-1d2a-7c3b-8e4f-0123456789ab  2025-01-02 03:04:05  sam@example.com  demo   allow    complete       12+155  1520       7',
        '0198c2f4-1d2a-7c3b-8e4f-0123456789cd  2025-01-02 03:04:05  jane             demo   deny     policy_denied  12+155  1520       7',
        '',
      ].join('\n'),
    );
  });

  it('prints JSON, all of it, and nothing else', async () => {
    const { stdout } = await cli('sessions', 'list', '--json', '--who', 'sam@example.com');
    expect(JSON.parse(stdout)).toEqual([detail]);
  });

  it('passes its options on, and the OS user', async () => {
    await cli('sessions', 'list', '-n', '7', '--who', 'x y', '--model', 'm', '--verdict', 'refused', '--since', '2h');
    expect(archive.filters[0]).toEqual({
      limit: 7,
      who: 'x y',
      model: 'm',
      verdict: 'refused',
      sinceMs: expect.any(Number),
    });
    expect(Date.now() - (archive.filters[0]?.sinceMs ?? 0)).toBeGreaterThanOrEqual(7_200_000);
    expect(archive.looks).toMatchObject([{ action: 'list', reader: 'ann' }]);
  });

  it('says so when there is none', async () => {
    expect(await cli('sessions', 'list', '--who', 'nobody')).toMatchObject({ code: 0, stdout: 'No sessions.\n' });
  });

  it.each([
    ['-n', '0'],
    ['-n', 'many'],
    ['--verdict', 'perhaps'],
    ['--since', 'yesterday'],
    ['--since', '5'],
  ])('refuses %s %s with 2', async (...args) => {
    const { code, stdout, stderr } = await cli('sessions', 'list', ...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('It must be');
    expect(archive.looks).toEqual([]);
  });

  it.each([
    [{}, '~9+?'],
    [{ verdict: 'deny' as const }, ''],
    [{ estimatedTokens: 0 }, ''],
    [{ outputTokens: 3 }, '?+3'],
  ])('shows the estimate where the model reported no tokens: %j', async (more, shown) => {
    await socket.close();
    const unreported = {
      ...detail,
      inputTokens: undefined,
      outputTokens: undefined,
      masked: {},
      durationMs: 1,
      ...more,
    };
    socket = await listenUnix(createAdminApp(new MemoryArchive([unreported])), join(stateDir, 'admin.sock'));
    const [, line = ''] = (await cli('sessions', 'list')).stdout.split('\n');
    expect(line).toMatch(new RegExp(`complete +${shown.replaceAll(/[+?]/g, '\\$&')} +1 +0$`));
  });
});

describe('sessions show', () => {
  it('prints who, what, verdict, rules, timings, tokens, masked counts and both texts, escaped', async () => {
    const { code, stdout } = await cli('sessions', 'show', sessionId);
    expect(code).toBe(0);
    expect(stdout).toBe(`Session     0198c2f4-1d2a-7c3b-8e4f-0123456789ab
Time        2025-01-02T03:04:05.000Z
Who         sam <sam@example.com> (person, by demo)
Groups      contractors, night-shift
Team        payments
From        127.0.0.1  OpenAI/JS
Request     POST models.example/v1/chat/completions
Request id  r-1
Model       demo 1
Format      openai-chat, stream
Verdict     allow
Policies    sha256:0011223344556677
Status      200
End         complete
Gate        1.23 ms
First byte  20 ms
Duration    1520 ms
Tokens      12 in, 155 out
Response    4000 bytes in 160 chunks
Filters     slurs 1
Masked      credit_card 5, email 2

Rules that matched
  demo/all-may-chat: allow
  demo/mask-pii: mask, on trial, severity low, owner=privacy

Limits
  demo/budget: 187711 left of 200000 tokens in 86400 s

Guards
  safety: flagged S1

Request
  Who is the customer?

Response
  She is <email>.
  \\x1b[2JSecond line
`);
  });

  it('prints JSON', async () => {
    expect(JSON.parse((await cli('sessions', 'show', sessionId, '--json')).stdout)).toEqual(detail);
  });

  describe('of a stream', () => {
    const wire = ['She is ', '<EMAIL>']
      .map((content) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`)
      .join('');
    const response = `${wire}data: [DONE]\n\n`;
    beforeEach(async () => {
      await socket.close();
      socket = await listenUnix(
        createAdminApp(new MemoryArchive([{ ...detail, response }])),
        join(stateDir, 'admin.sock'),
      );
    });

    it('prints what it says, and with --raw the wire form', async () => {
      expect((await cli('sessions', 'show', sessionId)).stdout).toMatch(/\nResponse\n {2}She is <EMAIL>\n$/);
      const { stdout } = await cli('sessions', 'show', sessionId, '--raw');
      expect(stdout).toContain('\nResponse\n  data: {"choices"');
      expect(stdout).not.toContain('She is <EMAIL>');
    });

    it('prints both with --json', async () => {
      const { stdout } = await cli('sessions', 'show', sessionId, '--json');
      expect(JSON.parse(stdout)).toMatchObject({ response, responseText: 'She is <EMAIL>' });
    });
  });

  it('ends with 4 for a session that is not there', async () => {
    const { code, stdout, stderr } = await cli('sessions', 'show', sessionId.replace('0198', '0199'));
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/There is no session 0199.*\n {2}→ /);
  });

  it.each(['x', '../../v1/sql', '\u001b[2J'])('ends with 2 for %j, which is no id', async (id) => {
    const { code, stderr } = await cli('sessions', 'show', id);
    expect(code).toBe(2);
    expect(stderr).not.toContain('\u001b');
  });

  it('ends with 1, and shows nothing, when the look cannot be recorded', async () => {
    archive.isRecordBroken = true;
    const { code, stdout, stderr } = await cli('sessions', 'show', sessionId);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('could not be put on the record');
  });
});

describe('explain', () => {
  it('says why a request was denied, who can change it, and how', async () => {
    const { code, stdout } = await cli('explain', sessionId.replace(/ab$/, 'cd'));
    expect(code).toBe(0);
    expect(stdout).toContain('Verdict  deny (policy_denied, 200)');
    expect(stdout).toContain('What     A rule denies this request');
    expect(stdout).toContain('By       policy owner');
    expect(archive.looks).toMatchObject([{ action: 'explain', reader: 'ann' }]);
  });

  const ends: Record<EndEvent['how'], RegExp> = {
    complete: /in full/,
    denied: /rule denied/,
    answered_by_gate: /gateway itself/,
    client_gone: /caller went away/,
    interrupted: /broke off: the caller or the model/,
    response_refused: /could not be let through/,
    stopped: /rule on the response stopped/,
    local_reply: /Envoy answered/,
    not_dispatched: /did not send it on/,
    gate_failed: /A gate failed/,
    unknown: /process ended before/,
  };
  it.each(Object.entries(ends))('has a line for an end that is %s', (how, line) => {
    expect(explain({ ...detail, how }).what).toMatch(line);
  });

  it('tells the reason of a refusal in full, which the caller does not get', () => {
    const refused = { ...detail, verdict: 'refused' as const, how: '', code: 'token_invalid', status: 401, rules: [] };
    const explained = explain({ ...refused, detail: 'no key of the provider verifies it', masked: {} });
    expect(explained.why).toBe('The record says: no key of the provider verifies it.');
    expect(explained.what).toBe('The signature or a claim of the token does not hold.');
  });

  it.each(['toString', 'something_new'])('shows an end that it does not know as it is: %s', (how) => {
    expect(explain({ ...detail, how }).what).toBe(`It ended as ${how}.`);
  });

  it('says that an answered one was answered', async () => {
    const { stdout } = await cli('explain', sessionId, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      what: 'It was answered in full.',
      why: 'Decided by demo/all-may-chat (allow). 7 matches were masked in the answer.',
      fix: '',
    });
  });
});

describe('sql', () => {
  it('prints a table, numbers to the right, and JSON as objects', async () => {
    expect((await cli('sql', 'SELECT 1')).stdout).toBe(
      'verdict       count()\nallow              12\ndeny\\x1b[31m        3\n',
    );
    expect(JSON.parse((await cli('sql', 'SELECT 1', '--json')).stdout)).toEqual([
      { verdict: 'allow', 'count()': 12 },
      { verdict: 'deny\u001b[31m', 'count()': 3 },
    ]);
    expect(archive.looks.map(({ action, subject }) => [action, subject])).toEqual([
      ['sql', 'SELECT 1'],
      ['sql', 'SELECT 1'],
    ]);
  });

  it('only reads, unless --write says otherwise; which of both it was goes on the record', async () => {
    const refused = await cli('sql', 'DROP TABLE events');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/would change the record[\s\S]*--write/);
    expect(await cli('sql', 'DROP TABLE events', '--write')).toMatchObject({ code: 0, stderr: '' });
    expect(archive.looks.map(({ subject }) => subject)).toEqual(['DROP TABLE events', '(--write) DROP TABLE events']);
  });

  it.each([
    'SELECT 1 FORMAT JSON',
    'select 1 format Vertical;',
    'SELECT 1 -- why\nFORMAT TSV SETTINGS max_threads = 1',
    "SELECT 1 INTO OUTFILE '/tmp/x'",
  ])('refuses a form of the answer with 2, and says what there is instead: %s', async (query) => {
    const { code, stdout, stderr } = await cli('sql', query);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/must not say FORMAT[\s\S]*--json/);
    expect(archive.looks).toEqual([]);
  });

  it.each([
    'SELECT format FROM sessions',
    'SELECT format, count() FROM sessions GROUP BY format',
    'SELECT * FROM sessions ORDER BY format DESC',
    "SELECT 'x FORMAT JSON'",
    'SELECT 1 -- FORMAT JSON',
    "SELECT format('{} {}', a, b) FROM t",
  ])('knows a column, a function and a text of that name from a form: %s', async (query) => {
    expect(await cli('sql', query)).toMatchObject({ code: 0, stderr: '' });
  });

  it('ends with 1 and the engine’s words for a query that it refuses', async () => {
    const { code, stderr } = await cli('sql', 'SELEKT 1');
    expect(code).toBe(1);
    expect(stderr).toContain('Syntax error at SELEKT');
  });
});

describe('without a gateway', () => {
  it('ends with 3 and says how to start one', async () => {
    await socket.close();
    const { code, stderr } = await cli('sessions', 'list');
    expect(code).toBe(3);
    expect(stderr).toMatch(/No gateway is running on .*\n {2}→ Start it with `npm start`/);
  });

  it('opens the record itself where it can, puts its looks on it, and gives it up again', async () => {
    await socket.close();
    let closed = 0;
    const opening = [sessionsCommand(async () => ({ archive, close: async () => void closed++ }))];
    const { code, stdout } = await run(opening, ['sessions', 'show', sessionId, '--config', file]);
    expect([code, closed]).toEqual([0, 1]);
    expect(stdout).toContain('Who is the customer?');
    expect(archive.looks).toEqual([{ action: 'show', reader: 'ann', subject: sessionId }]);
    const missing = await run(opening, ['sessions', 'show', sessionId.replace('0198', '0199'), '--config', file]);
    expect([missing.code, closed]).toEqual([4, 2]);
  });

  it('prefers the running gateway, which owns the record', async () => {
    const opening = [sessionsCommand(() => Promise.reject(new Error('must not be opened')))];
    expect((await run(opening, ['sessions', 'list', '--config', file])).code).toBe(0);
  });

  it('ends with 3 and the reason when the record cannot be opened', async () => {
    await socket.close();
    const opening = [sessionsCommand(() => Promise.reject(new Error('another process owns it')))];
    const { code, stderr } = await run(opening, ['sessions', 'list', '--config', file]);
    expect(code).toBe(3);
    expect(stderr).toContain('another process owns it');
  });
});
