import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { createPresidio } from '../../../src/guard/presidio.ts';
import { namesSection } from '../../../src/guard/presidio-config.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** An analyzer that answers as told, and keeps what it was asked. */
async function analyzer(
  answer: (response: ServerResponse, question: Record<string, unknown>, request: IncomingMessage) => unknown,
  options: object = {},
) {
  const asked: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    const question = JSON.parse(await readAll(request));
    asked.push(question);
    await answer(response, question, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/analyze`;
  const outcomes: string[] = [];
  const presidio = namesSection.parse({ engine: 'presidio', url, ...options });
  const found = createPresidio(presidio!, { asked: (outcome) => void outcomes.push(outcome) });
  open.push(
    () => found.close(),
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return { find: found.find, presidio: found, asked, outcomes };
}

const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));
const result = (entity_type: string, start: number, end: number, score = 0.85) => ({
  entity_type,
  start,
  end,
  score,
  analysis_explanation: null,
});

describe('an analyzer', () => {
  it('is asked as its API says', async () => {
    const { find, asked, outcomes, presidio } = await analyzer(json([result('PERSON', 5, 8)]), { language: 'de' });
    expect(await find('I am Ann.')).toEqual([{ detector: 'person', start: 5, end: 8 }]);
    expect(asked).toEqual([
      { text: 'I am Ann.', language: 'de', entities: ['PERSON', 'LOCATION', 'ORGANIZATION'], score_threshold: 0.5 },
    ]);
    expect(outcomes).toEqual(['found']);
    expect(presidio.ids).toEqual(['person', 'location', 'organization']);
  });

  it('counts code points, and its offsets become UTF-16', async () => {
    const { find } = await analyzer(json([result('PERSON', 2, 5), result('LOCATION', 11, 14)]));
    const text = '😀 Ann 😀 in 李😀x';
    const found = await find(text);
    expect(found?.map(({ start, end }) => text.slice(start, end))).toEqual(['Ann', '李😀x']);
  });

  it('is not sent half a character', async () => {
    const { find, asked } = await analyzer(json([result('PERSON', 2, 5)]));
    expect(await find('\ud83d Ann')).toEqual([{ detector: 'person', start: 2, end: 5 }]);
    expect(asked[0]).toMatchObject({ text: '\ufffd Ann' });
  });

  it('says of overlapping names the longest, whatever their order', async () => {
    const results = [
      result('LOCATION', 0, 3, 0.9),
      result('PERSON', 0, 8, 0.6),
      result('ORGANIZATION', 4, 8, 1),
      result('PERSON', 9, 12, 0.3),
      result('US_SSN', 9, 12, 1),
    ];
    for (const order of [results, results.toReversed()]) {
      const { find } = await analyzer(json(order));
      expect(await find('Ann Lee. Bob Ray')).toEqual([{ detector: 'person', start: 0, end: 8 }]);
    }
  });

  const failures: readonly (readonly [string, Parameters<typeof analyzer>[0], string])[] = [
    ['a status of 500', (response) => response.writeHead(500).end('{"error":"x"}'), 'guard_status'],
    ['a redirect', (response) => response.writeHead(302, { location: '/' }).end(), 'guard_status'],
    ['what is no JSON', (response) => response.end('[{'), 'guard_answer'],
    ['another form', json({ result: [] }), 'guard_answer'],
    ['no offsets', json([{ entity_type: 'PERSON', score: 1 }]), 'guard_answer'],
    ['an offset behind the text', json([result('PERSON', 5, 10)]), 'guard_answer'],
    ['an offset of another entity behind the text', json([result('OTHER', 50, 51)]), 'guard_answer'],
    ['an empty part', json([result('PERSON', 5, 5)]), 'guard_answer'],
    ['a negative offset', json([result('PERSON', -1, 5)]), 'guard_answer'],
    ['half an offset', json([result('PERSON', 0.5, 5)]), 'guard_answer'],
    ['an answer of 100 KB', (response) => response.end(`[${' '.repeat(100_000)}]`), 'guard_answer'],
    ['no answer', () => {}, 'guard_timeout'],
    ['a broken connection', (_, __, request) => request.socket.destroy(), 'guard_unreachable'],
  ];

  it.each(failures)('fails on %s', async (_, answer, code) => {
    const closes = await analyzer(answer, { timeout: '150ms' });
    await expect(closes.find('I am Ann.')).rejects.toMatchObject({ name: 'GuardFailure', code });
    expect(closes.outcomes).toEqual([code]);
    const opens = await analyzer(answer, { timeout: '150ms', onFailure: 'open' });
    expect(await opens.find('I am Ann.')).toBeUndefined();
    expect(opens.outcomes).toEqual([code]);
  });

  it('has no more questions under way, and waiting, than configured', async () => {
    const waiting: ServerResponse[] = [];
    const { find, asked } = await analyzer((response) => waiting.push(response), {
      concurrency: 1,
      waiting: 1,
      timeout: '10s',
    });
    const first = find('One.');
    const second = find('Two.');
    await expect(find('Three.')).rejects.toMatchObject({ code: 'guard_busy' });
    while (waiting.length === 0) await new Promise(setImmediate);
    expect(asked).toHaveLength(1);
    waiting.pop()!.end('[]');
    expect(await first).toEqual([]);
    while (waiting.length === 0) await new Promise(setImmediate);
    waiting.pop()!.end('[]');
    expect(await second).toEqual([]);
  });
});

describe('the configuration of an analyzer', () => {
  const url = 'http://127.0.0.1:3000/analyze';
  it.each([
    [{}],
    [{ url: 'analyzer:3000' }],
    [{ url, entities: [] }],
    [{ url, entities: ['person'] }],
    [{ url, entities: ['EMAIL_ADDRESS'] }],
    [{ url, scoreThreshold: 2 }],
    [{ url, timeout: 500 }],
    [{ url, maxHoldback: 1 }],
    [{ url, onFailure: 'allow' }],
    [{ url, lang: 'en' }],
  ])('refuses %j', (presidio) => {
    expect(namesSection.safeParse({ engine: 'presidio', ...presidio }).success).toBe(false);
  });
});
