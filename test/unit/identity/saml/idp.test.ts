import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { samlProvider } from '../../../../src/identity/config/saml.ts';
import { createHttp } from '../../../../src/identity/http.ts';
import { createExaminer, type Examiner } from '../../../../src/identity/saml/examiner.ts';
import { createIdpSource } from '../../../../src/identity/saml/idp.ts';
import { idpEntityId, makeCertificate, metadataOf, startMs } from '../../../support/saml-world.ts';

const one = makeCertificate('ec');
const two = makeCertificate('ec');
const hourMs = 3_600_000;

let server: Server;
const examiner: Examiner = createExaminer();
afterAll(() => examiner.close());
let fetches = 0;
let answer: () => readonly [status: number, body: string];
let nowMs = startMs;

beforeEach(async () => {
  fetches = 0;
  nowMs = startMs;
  answer = () => [200, metadataOf([one.cert])];
  server = createServer((_req, res) => {
    fetches += 1;
    const [status, body] = answer();
    res.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const sourceOf = (idp: object, readFile: (path: string) => Promise<string> = () => Promise.reject(new Error('none'))) =>
  createIdpSource(samlProvider.parse({ name: 'corp', entityId: idpEntityId, idp }), {
    examiner,
    http: createHttp({ trustedHosts: ['127.0.0.1'] }),
    now: () => nowMs,
    readFile,
  });
const byUrl = (more: object = {}) =>
  sourceOf({ metadataUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`, ...more });
const keyOf = (cert: string) => ({ ok: true, idp: { certificates: [cert] } });

describe('metadata from a URL', () => {
  test('is fetched once, however many ask at once', async () => {
    const source = byUrl();
    const answers = await Promise.all(Array.from({ length: 10 }, () => source.current()));
    expect(answers).toEqual(Array(10).fill(expect.objectContaining({ ok: true })));
    expect(fetches).toBe(1);
  });

  test('is fetched again after an hour, and nobody waits for that', async () => {
    const source = byUrl();
    await source.current();
    nowMs += hourMs - 1;
    await source.current();
    expect(fetches).toBe(1);
    answer = () => [200, metadataOf([two.cert])];
    nowMs += 1;
    expect(await source.current()).toMatchObject(keyOf(one.cert));
    await expect.poll(() => source.current(), { timeout: 10_000 }).toMatchObject(keyOf(two.cert));
    expect(fetches).toBe(2);
  });

  test('that was good is used until metadataMaxAgeSeconds, then refused', async () => {
    const source = byUrl({ metadataMaxAgeSeconds: 7200 });
    await source.current();
    answer = () => [503, ''];
    nowMs += 2 * hourMs - 1;
    expect(await source.current()).toMatchObject(keyOf(one.cert));
    nowMs += 60_001;
    expect(await source.current()).toEqual({ ok: false, detail: 'the metadata cannot be had: it was answered 503' });
  });

  test('that cannot be had is asked for once a minute', async () => {
    answer = () => [500, ''];
    const source = byUrl();
    for (let i = 0; i < 5; i += 1) expect(await source.current()).toMatchObject({ ok: false });
    expect(fetches).toBe(1);
    nowMs += 60_000;
    answer = () => [200, metadataOf([one.cert])];
    expect(await source.current()).toMatchObject(keyOf(one.cert));
  });

  const bad: readonly (readonly [string, readonly [number, string], string | RegExp])[] = [
    ['that redirects', [302, ''], 'the metadata cannot be had: it was answered 302'],
    ['that is no XML', [200, 'hello'], /^the metadata cannot be had: there is text outside the document element/],
    [
      'of another entity',
      [200, metadataOf([one.cert], { entityId: 'urn:x' })],
      'the metadata cannot be had: the metadata does not have entityId',
    ],
    [
      'that is over',
      [200, metadataOf([one.cert], { more: ' validUntil="2026-01-15T12:00:00Z"' })],
      'the metadata cannot be had: validUntil of the metadata is in the past',
    ],
    ['of 5 MB', [200, 'x'.repeat(5_000_000)], 'the metadata cannot be had: the answer is longer than 4194304 bytes'],
  ];
  test.each(bad)('%s is refused', async (_name, given, detail) => {
    answer = () => given;
    expect(await byUrl().current()).toEqual({
      ok: false,
      detail: typeof detail === 'string' ? detail : expect.stringMatching(detail),
    });
  });

  test('ends with validUntil, between two fetches too', async () => {
    answer = () => [200, metadataOf([one.cert], { more: ' validUntil="2026-01-15T12:10:00Z"' })];
    const source = byUrl();
    expect(await source.current()).toMatchObject({ ok: true });
    nowMs += 600_000;
    expect(await source.current()).toEqual({ ok: false, detail: 'validUntil of the metadata is in the past' });
  });

  test('newer than what did not fit is fetched at most once a minute', async () => {
    const source = byUrl();
    const first = await source.current();
    if (!first.ok) throw new Error(first.detail);
    answer = () => [200, metadataOf([two.cert])];
    nowMs += 59_999;
    expect(await source.newer(first)).toBeUndefined();
    nowMs += 1;
    const found = await Promise.all([source.newer(first), source.newer(first)]);
    expect(found).toEqual([expect.objectContaining({ ok: true }), expect.objectContaining({ ok: true })]);
    expect(fetches).toBe(2);
  });
});

describe('metadata from a file', () => {
  test('counts as soon as it is changed', async () => {
    let text = metadataOf([one.cert]);
    const source = sourceOf({ metadataFile: 'idp.xml' }, async () => text);
    expect(await source.current()).toMatchObject(keyOf(one.cert));
    text = metadataOf([two.cert]);
    expect(await source.current()).toMatchObject(keyOf(two.cert));
    text = 'damaged';
    expect(await source.current()).toMatchObject({ ok: false });
  });

  test.each([
    ['the thread was busy', { maxWaiting: 0 }, false],
    ['the thread was ended', {}, true],
  ])('that was not examined since %s is examined the next time', async (_name, options, isEnded) => {
    const [troubled, text] = [createExaminer(options), metadataOf([one.cert])];
    let isTroubled = true;
    const source = createIdpSource(
      samlProvider.parse({ name: 'corp', entityId: idpEntityId, idp: { metadataFile: 'f' } }),
      {
        examiner: {
          ...examiner,
          readMetadata: (job) => (isTroubled ? troubled : examiner).readMetadata(job),
        },
        http: createHttp({ trustedHosts: [] }),
        now: () => nowMs,
        readFile: async () => text,
      },
    );
    const first = source.current();
    if (isEnded) await troubled.close();
    expect(await first).toMatchObject({ ok: false });
    isTroubled = false;
    expect(await source.current()).toMatchObject(keyOf(one.cert));
    await troubled.close();
  });

  test('that cannot be read is refused', async () => {
    const source = sourceOf({ metadataFile: 'idp.xml' });
    expect(await source.current()).toEqual({ ok: false, detail: 'the metadata file cannot be read (error)' });
  });
});
