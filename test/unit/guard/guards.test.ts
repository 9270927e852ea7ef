import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { guardsSection } from '../../../src/guard/config.ts';
import type { Checked, Verdict } from '../../../src/guard/guard.ts';
import { createGuards, type GuardOutcome } from '../../../src/guard/guards.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

type Answer = (seen: Seen, response: ServerResponse) => void;

/** A classifier on the loopback. */
async function classifier(answer: Answer) {
  const seen: Seen[] = [];
  let open = 0;
  const state = { seen, most: 0, closed: 0 };
  const server = createServer(async (request, response) => {
    state.most = Math.max(state.most, ++open);
    response.on('close', () => {
      open--;
      if (response.writableFinished) return;
      state.closed++;
      server.emit('gone');
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    const one = { method: request.method!, url: request.url!, headers: request.headers, body };
    seen.push(one);
    answer(one, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

const json =
  (value: unknown): Answer =>
  (_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const chatAnswer = (content: unknown, more: object = {}) =>
  json({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop', ...more }] });

type Told = [outcome: GuardOutcome, how: string];

function guardOf(config: object, more: { readonly env?: Record<string, string>; readonly now?: () => number } = {}) {
  const told: Told[] = [];
  const [parsed] = guardsSection.parse([{ name: 'g', kind: 'webhook', ...config }]);
  const guards = createGuards([parsed!], {
    env: more.env ?? {},
    observer: { checked: (_, outcome, how) => told.push([outcome, how]) },
    ...(more.now && { now: more.now }),
  });
  onTestFinished(() => guards.close());
  const guard = guards.byName.get('g')!;
  return {
    told,
    guards,
    checkAll: (checked: Checked) => guard.check(checked),
    check: (text: string, signal?: AbortSignal) => guard.check({ text, messages: [{ role: 'user', text }] }, signal),
  };
}

const clean: Verdict = { ok: true, flagged: false, categories: [], scores: new Map() };

describe('a moderation endpoint', () => {
  const result = {
    flagged: true,
    categories: { hate: true, violence: false, 'self-harm': null },
    category_scores: { hate: 0.9, violence: 0.4 },
    category_applied_input_types: { hate: ['text'] },
  };

  it('is asked as OpenAI’s is, and its answer read', async () => {
    const server = await classifier(json({ id: 'm', model: 'mod', results: [result] }));
    const { check, told } = guardOf(
      { kind: 'moderation', url: `${server.url}/v1/moderations`, model: 'mod', credential: { env: 'KEY' } },
      { env: { KEY: 'k-1' } },
    );
    expect(await check('some text')).toEqual({
      ok: true,
      flagged: true,
      categories: ['hate'],
      scores: new Map([
        ['hate', 0.9],
        ['violence', 0.4],
      ]),
    });
    expect(server.seen).toMatchObject([
      {
        method: 'POST',
        url: '/v1/moderations',
        body: { model: 'mod', input: 'some text' },
        headers: { authorization: 'Bearer k-1', 'content-type': 'application/json' },
      },
    ]);
    expect(told).toEqual([['flagged', 'asked']]);
  });

  it.each<[string, object, boolean, string[]]>([
    ['categories that were not flagged', { categories: ['violence'] }, false, []],
    ['a category that was', { categories: ['hate', 'violence'] }, true, ['hate']],
    ['a low threshold', { threshold: 0.3 }, true, ['hate', 'violence']],
    ['a threshold nobody reaches', { threshold: 0.95 }, false, []],
    ['a threshold for one category', { threshold: 0.3, categories: ['violence'] }, true, ['violence']],
  ])('counts by the config: %s', async (_, config, flagged, categories) => {
    const server = await classifier(json({ results: [result] }));
    const { check } = guardOf({ kind: 'moderation', url: server.url, ...config });
    expect(await check('x')).toMatchObject({ ok: true, flagged, categories });
  });

  it('counts a flagged category without a score, whatever the threshold', async () => {
    const server = await classifier(json({ results: [{ flagged: true, categories: { hate: true } }] }));
    const { check } = guardOf({ kind: 'moderation', url: server.url, threshold: 0.5 });
    expect(await check('x')).toMatchObject({ flagged: true, categories: ['hate'] });
  });
});

describe('a chat model', () => {
  it.each<[string, string, boolean, string[]]>([
    ['safe', 'safe', false, []],
    ['safe with white space', '\n\nsafe\n', false, []],
    ['unsafe with codes', 'unsafe\nS1,S10', true, ['violent_crimes', 'hate']],
    ['unsafe with spaces', '\n\nunsafe\n S2, S2 ', true, ['non_violent_crimes']],
    ['unsafe with a code that we do not know', 'unsafe\nS77', true, ['S77']],
    ['unsafe alone', 'unsafe', true, []],
  ])('says %s', async (_, content, flagged, categories) => {
    const server = await classifier(chatAnswer(content));
    const { check } = guardOf({ kind: 'chat', url: server.url, model: 'llama-guard' });
    expect(await check('hello')).toEqual({ ok: true, flagged, categories, scores: new Map() });
    expect(server.seen[0]!.body).toEqual({
      model: 'llama-guard',
      messages: [{ role: 'user', content: 'hello' }],
      max_tokens: 64,
      temperature: 0,
      stream: false,
    });
  });

  it.each<[string, object, boolean]>([
    ['by code', { categories: ['S10'] }, true],
    ['by name', { categories: ['hate'] }, true],
    ['and not another', { categories: ['S1'] }, false],
  ])('counts the hazards that are wanted: %s', async (_, config, flagged) => {
    const server = await classifier(chatAnswer('unsafe\nS10'));
    const { check } = guardOf({ kind: 'chat', url: server.url, model: 'm', ...config });
    expect(await check('x')).toMatchObject({ ok: true, flagged });
  });

  it('flags what is unsafe for no named reason, whatever is wanted', async () => {
    const server = await classifier(chatAnswer('unsafe'));
    const { check } = guardOf({ kind: 'chat', url: server.url, model: 'm', categories: ['S1'] });
    expect(await check('x')).toMatchObject({ ok: true, flagged: true });
  });

  it.each<[string, Answer]>([
    ['another answer', chatAnswer('I think this is safe.')],
    ['safe and more', chatAnswer('safe\nS1')],
    ['an answer for each line', chatAnswer('safe\nunsafe\nS1')],
    ['Safe', chatAnswer('Safe')],
    ['nothing', chatAnswer('')],
    ['null', chatAnswer(null)],
    ['an answer cut off', chatAnswer('unsafe\nS1', { finish_reason: 'length' })],
    ['no choice', json({ choices: [] })],
  ])('fails with %s', async (_, answer) => {
    const server = await classifier(answer);
    expect(await guardOf({ kind: 'chat', url: server.url, model: 'm' }).check('x')).toEqual({
      ok: false,
      code: 'guard_answer',
    });
  });
});

describe('a webhook', () => {
  it('is told the text and the messages, and answers with a verdict', async () => {
    const server = await classifier(json({ flagged: true, categories: ['a', 'a'], scores: { a: 0.5 } }));
    const { check } = guardOf({ url: `${server.url}/hook?x=1` });
    expect(await check('hello')).toEqual({ ok: true, flagged: true, categories: ['a'], scores: new Map([['a', 0.5]]) });
    expect(server.seen[0]).toMatchObject({
      url: '/hook?x=1',
      body: { version: 1, name: 'g', text: 'hello', messages: [{ role: 'user', text: 'hello' }] },
    });
  });

  it('carries its credential where the config says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-guard-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'key'), 'secret\n');
    const server = await classifier(json({ flagged: false }));
    const { check } = guardOf({
      url: server.url,
      credential: { file: join(folder, 'key'), header: 'x-api-key', prefix: '' },
    });
    expect(await check('x')).toEqual(clean);
    expect(server.seen[0]!.headers).toMatchObject({ 'x-api-key': 'secret' });
    expect(server.seen[0]!.headers.authorization).toBeUndefined();
  });

  it.each<[string, Answer, string]>([
    ['another status', (_, r) => r.writeHead(500).end('{"flagged":false}'), 'guard_status'],
    ['a status of success that is not 200', (_, r) => r.writeHead(202).end('{"flagged":false}'), 'guard_status'],
    ['no JSON', (_, r) => r.end('flagged: false'), 'guard_answer'],
    ['bytes that are no UTF-8', (_, r) => r.end(Buffer.from([0x22, 0xff, 0x22])), 'guard_answer'],
    ['an empty answer', (_, r) => r.end(), 'guard_answer'],
    ['a key that we do not know', json({ flagged: false, flaged: true }), 'guard_answer'],
    ['a flag that is none', json({ flagged: 'false' }), 'guard_answer'],
    ['a score out of range', json({ flagged: false, scores: { a: 7 } }), 'guard_answer'],
    [
      'an endless answer',
      (_, r) => r.end(JSON.stringify({ flagged: false, categories: ['x'.repeat(70_000)] })),
      'guard_answer',
    ],
    ['a broken connection', (_, r) => r.socket!.destroy(), 'guard_unreachable'],
    [
      'a compressed answer',
      (_, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from([0x1f, 0x8b, 8])),
      'guard_answer',
    ],
  ])('fails with %s: refused, or let pass where the config says so', async (_, answer, code) => {
    const server = await classifier(answer);
    const denies = guardOf({ url: server.url });
    expect(await denies.check('x')).toEqual({ ok: false, code });
    expect(denies.told).toEqual([[code, 'asked']]);
    const allows = guardOf({ url: server.url, onFailure: 'allow' });
    expect(await allows.check('x')).toEqual(clean);
    expect(allows.told).toEqual([[code, 'asked']]);
  });

  it('does not follow a redirect', async () => {
    const other = await classifier(json({ flagged: false }));
    const server = await classifier((_, r) => r.writeHead(307, { location: other.url }).end());
    expect(await guardOf({ url: server.url }).check('x')).toEqual({ ok: false, code: 'guard_status' });
    expect(other.seen).toEqual([]);
  });

  it('fails where nobody listens', async () => {
    const server = await classifier(json({}));
    server.server.close();
    expect(await guardOf({ url: server.url }).check('x')).toEqual({ ok: false, code: 'guard_unreachable' });
  });

  it.each<[string, Answer]>([
    ['headers', () => {}],
    ['a body', (_, r) => void r.writeHead(200).write('{"flagged":')],
  ])('fails when it waits too long for %s', async (_, answer) => {
    const server = await classifier(answer);
    const { check } = guardOf({ url: server.url, timeout: '100ms' });
    expect(await check('x')).toEqual({ ok: false, code: 'guard_timeout' });
  });
});

describe('a request of images alone', () => {
  const guard = (server: { readonly url: string }, config: object = {}) => guardOf({ url: server.url, ...config });

  it.each<[string, object, Verdict]>([
    ['fails', {}, { ok: false, code: 'guard_no_text' }],
    ['is let pass where failures are', { onFailure: 'allow' }, clean],
  ])('%s, and is not sent as an empty text', async (_, config, verdict) => {
    const server = await classifier(json({ flagged: false }));
    const { told, checkAll } = guard(server, config);
    expect(await checkAll({ text: ' \n', messages: [], unread: true })).toEqual(verdict);
    expect(server.seen).toEqual([]);
    expect(told).toEqual([['guard_no_text', 'not_asked']]);
  });

  it.each<[string, Checked]>([
    ['has a text beside them', { text: 'x', messages: [], unread: true }],
    ['is empty, but has nothing that was not read', { text: '', messages: [], unread: false }],
  ])('is sent where it %s', async (_, checked) => {
    const server = await classifier(json({ flagged: false }));
    expect(await guard(server).checkAll(checked)).toEqual(clean);
    expect(server.seen).toHaveLength(1);
  });
});

describe('long texts', () => {
  const text = `${'a'.repeat(60)}${'z'.repeat(60)}`;

  it.each<[string, object, Verdict]>([
    ['are refused', {}, { ok: false, code: 'guard_text_too_long' }],
    [
      'are refused even where failures are let pass',
      { onFailure: 'allow' },
      { ok: false, code: 'guard_text_too_long' },
    ],
  ])('%s and not sent', async (_, config, verdict) => {
    const server = await classifier(json({ flagged: false }));
    const { check, told } = guardOf({ url: server.url, maxCharacters: 100, ...config });
    expect(await check(text)).toEqual(verdict);
    expect(server.seen).toEqual([]);
    expect(told).toEqual([['guard_text_too_long', 'not_asked']]);
  });

  it.each([
    ['head', 'a'.repeat(60) + 'z'.repeat(40)],
    ['ends', `${'a'.repeat(50)}\n${'z'.repeat(50)}`],
  ])('are cut where the config says %s', async (tooLong, sent) => {
    const server = await classifier(json({ flagged: false }));
    const { check } = guardOf({ url: server.url, maxCharacters: 100, tooLong });
    expect(await check(text)).toEqual(clean);
    expect(server.seen[0]!.body).toEqual({ version: 1, name: 'g', text: sent, messages: [] });
  });

  it('are cut between characters', async () => {
    const server = await classifier(json({ flagged: false }));
    const { check } = guardOf({ url: server.url, maxCharacters: 3, tooLong: 'head' });
    await check('😀😀');
    expect(server.seen[0]!.body).toMatchObject({ text: '😀\ufffd' });
  });
});

describe('many checks', () => {
  /** Answers only when told to. */
  async function held() {
    const waiting: ServerResponse[] = [];
    const server = await classifier((_, response) => {
      waiting.push(response);
      server.server.emit('asked');
    });
    const release = () => {
      for (const response of waiting.splice(0)) response.end('{"flagged":false}');
    };
    const asked = async (count: number) => {
      while (server.seen.length < count) await once(server.server, 'asked');
    };
    return { server, release, asked };
  }

  it('of one text are one request', async () => {
    const { server, release, asked } = await held();
    const { check, told } = guardOf({ url: server.url });
    const checks = Array.from({ length: 20 }, () => check('same'));
    await asked(1);
    release();
    expect(await Promise.all(checks)).toEqual(Array.from({ length: 20 }, () => clean));
    expect(server.seen).toHaveLength(1);
    expect(told.map(([, how]) => how).toSorted()).toEqual(['asked', ...Array.from({ length: 19 }, () => 'shared')]);
    expect(await check('same')).toEqual(clean);
    expect(server.seen).toHaveLength(1);
    expect(told.at(-1)).toEqual(['clean', 'cached']);
  });

  it('take so many places, so many wait, and the rest fails', async () => {
    const { server, release, asked } = await held();
    const { check } = guardOf({ url: server.url, concurrency: 2, waiting: 3 });
    const checks = Array.from({ length: 9 }, (_, i) => check(`text ${i}`));
    const verdicts = Promise.all(checks);
    await asked(2);
    for (let i = 2; i <= 5; i++) {
      release();
      if (i < 5) await asked(i + 1);
    }
    release();
    expect((await verdicts).map((verdict) => (verdict.ok ? 'ok' : verdict.code))).toEqual([
      ...Array.from({ length: 5 }, () => 'ok'),
      ...Array.from({ length: 4 }, () => 'guard_busy'),
    ]);
    expect(server.most).toBeLessThanOrEqual(2);
    const after = check('afterwards');
    await asked(6);
    release();
    expect(await after).toEqual(clean);
  });

  it('wait no longer than the timeout for a place, and give it back', async () => {
    const { server, release, asked } = await held();
    const { check } = guardOf({ url: server.url, concurrency: 1, waiting: 5, timeout: '150ms' });
    const verdicts = await Promise.all([check('a'), check('b'), check('c')]);
    expect(verdicts.map((verdict) => !verdict.ok && verdict.code)).toEqual([
      'guard_timeout',
      'guard_timeout',
      'guard_timeout',
    ]);
    const before = server.seen.length;
    const after = check('d');
    await asked(before + 1);
    release();
    expect(await after).toEqual(clean);
  });

  it('end when nobody waits any more, and only then', async () => {
    const { server, release, asked } = await held();
    const { check, told } = guardOf({ url: server.url, onFailure: 'allow' });
    const [one, two] = [new AbortController(), new AbortController()];
    const both = [check('x', one.signal), check('x', two.signal)];
    await asked(1);
    one.abort();
    expect(await both[0]).toEqual({ ok: false, code: 'guard_abandoned' });
    expect(server.closed).toBe(0);
    const gone = once(server.server, 'gone');
    two.abort();
    expect(await both[1]).toEqual({ ok: false, code: 'guard_abandoned' });
    expect(told).toEqual([
      ['guard_abandoned', 'asked'],
      ['guard_abandoned', 'shared'],
    ]);
    await gone;
    // The next one asks anew.
    const third = check('x');
    await asked(2);
    release();
    expect(await third).toEqual(clean);
    expect(server.closed).toBe(1);
  });

  it('are not begun for a client that is gone', async () => {
    const { server } = await held();
    expect(await guardOf({ url: server.url }).check('x', AbortSignal.abort())).toEqual({
      ok: false,
      code: 'guard_abandoned',
    });
    expect(server.seen).toEqual([]);
  });
});

describe('the cache', () => {
  it('keeps verdicts for its time, and so many', async () => {
    let now = 0;
    const server = await classifier(({ body }, r) => r.end(JSON.stringify({ flagged: body['text'] === 'bad' })));
    const { check } = guardOf({ url: server.url, cache: { entries: 2, ttl: '10s' } }, { now: () => now });
    const ask = async (text: string) => {
      const before = server.seen.length;
      const verdict = await check(text);
      return [verdict.ok && verdict.flagged, server.seen.length - before];
    };
    expect(await ask('bad')).toEqual([true, 1]);
    expect(await ask('bad')).toEqual([true, 0]);
    now = 9_999;
    expect(await ask('bad')).toEqual([true, 0]);
    now = 10_000;
    expect(await ask('bad')).toEqual([true, 1]);
    await ask('b');
    await ask('c');
    expect(await ask('bad')).toEqual([true, 1]);
  });

  it('keeps no failure', async () => {
    let fails = true;
    const server = await classifier((_, r) => r.writeHead(fails ? 503 : 200).end('{"flagged":true}'));
    const { check } = guardOf({ url: server.url, onFailure: 'allow' });
    expect(await check('x')).toEqual(clean);
    fails = false;
    expect(await check('x')).toMatchObject({ flagged: true });
  });

  it('keeps nothing where it has no entries', async () => {
    const server = await classifier(json({ flagged: false }));
    const { check } = guardOf({ url: server.url, cache: { entries: 0 } });
    await check('x');
    await check('x');
    expect(server.seen).toHaveLength(2);
  });
});

it('a guard that is closed fails what is under way', async () => {
  const server = await classifier(() => {});
  const { check, guards } = guardOf({ url: server.url });
  const verdict = check('x');
  await once(server.server, 'request');
  await guards.close();
  expect(await verdict).toMatchObject({ ok: false });
});

describe('the config', () => {
  const base = { name: 'g', kind: 'webhook', url: 'http://127.0.0.1/' };

  it.each<[string, object]>([
    ['an unknown key', { ...base, retries: 1 }],
    ['a name in upper case', { ...base, name: 'Guard' }],
    ['a URL with a password', { ...base, url: 'https://a:b@c.example/' }],
    ['a URL that is none', { ...base, url: 'guard.example' }],
    ['a scheme that is not HTTP', { ...base, url: 'file:///etc/passwd' }],
    ['a chat without a model', { ...base, kind: 'chat' }],
    ['a chat with a threshold', { ...base, kind: 'chat', model: 'm', threshold: 0.5 }],
    ['a timeout without a unit', { ...base, timeout: '2' }],
    ['a timeout of an hour', { ...base, timeout: '1h' }],
    ['a credential from nowhere', { ...base, credential: {} }],
    ['a credential from two places', { ...base, credential: { env: 'A', file: 'b' } }],
    ['a header that breaks the line', { ...base, credential: { env: 'A', header: 'a\r\nb' } }],
  ])('is refused with %s', (_, config) => {
    expect(guardsSection.safeParse([config]).success).toBe(false);
  });

  it('is refused with two guards of a name', () => {
    expect(guardsSection.safeParse([base, base]).error?.issues).toMatchObject([{ path: [1, 'name'] }]);
  });

  it.each<[string, object, Record<string, string>]>([
    ['a variable that is not set', { credential: { env: 'KEY' } }, {}],
    ['a value that breaks the header', { credential: { env: 'KEY' } }, { KEY: 'a\r\nb: c' }],
    ['a file that is not there', { credential: { file: '/nowhere/key' } }, {}],
    ['a CA that is not there', { caFile: '/nowhere/ca' }, {}],
  ])('does not start with %s, and does not tell the secret', (_, more, env) => {
    const configs = guardsSection.parse([{ ...base, ...more }]);
    expect(() => createGuards(configs, { env })).toThrow(/^guard g: .*(KEY|nowhere)/);
    expect(() => createGuards(configs, { env })).not.toThrow(/b: c/);
  });
});
