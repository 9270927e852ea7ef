/**
 * Answers that are broken, through Envoy: the caller gets a clear end, what was read well and what was held back is not lost, and
 * nothing leaves that is not masked.
 */
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, type Got, open, streamedChat } from './support/ask.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta, inPieces } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: answers}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask, then: mask, detect: [all]}
    - {name: no-cards, on: response, when: '"credit_card" in response.findings', then: stop, message: It told a card number.}
`;
const MAIL = 'jane.doe@example.com';
const CARD = '4111 1111 1111 1111';
const SSE = 'text/event-stream';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ policies: { 'test.yaml': POLICY } });
});
afterAll(() => stack.close());

const contentOf = (text: string): string =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .flatMap((event) => (JSON.parse(event.slice(6)) as { choices?: { delta: { content?: string } }[] }).choices ?? [])
    .map((choice) => choice.delta.content ?? '')
    .join('');
const endOf = ({ headers }: Pick<Got, 'headers'>) =>
  eventually(
    async () =>
      (await stack.journal())
        .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
        .find((event) => event.type === 'end' && event.session === headers['x-sallyport-session']),
    'the end of the session',
  );
const recorded = async ({ headers }: Got): Promise<string> =>
  (await stack.journal())
    .flatMap((line) =>
      line.kind === 'content' && line.session === headers['x-sallyport-session'] && line.direction === 'response'
        ? [line.text]
        : [],
    )
    .join('');

const UNREADABLE =
  /\ndata: \{"error":\{"message":"[^\n]*","type":"server_error","param":null,"code":"response_unreadable"\}\}\n\n$/;
const raw = (json: string): string => `data: ${json}\n\n`;
const good = delta('write to jane');
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe('a stream that turns out unreadable in the middle', () => {
  test.each<[string, (string | Buffer)[]]>([
    ['bytes that are not UTF-8', [good, bytes('data: {"a":"', [0xff, 0xfe], '"}\n\n'), delta(MAIL)]],
    ['a character that is cut off', [good, bytes('data: {"a":"', [0xe2, 0x82], '"}\n\n')]],
    ['an encoded surrogate', [good, bytes('data: {"a":"', [0xed, 0xa0, 0xbd], '"}\n\n')]],
    [
      'a lone surrogate in an escape',
      [good, raw(String.raw`{"choices":[{"index":0,"delta":{"content":"\ud83d ${MAIL}"}}]}`)],
    ],
    ['an event that ends in the middle', [good, `data: {"choices":[{"index":0,"delta":{"content":"${MAIL}`]],
    [
      'an event that ends in the middle, with its good ones in one piece',
      [`${good}data: {"choices":[{"index":0,"delta":{"content":"${MAIL}`],
    ],
    ['a name used twice', [good, raw(`{"choices":[],"choices":[{"delta":{"content":"${MAIL}"}}]}`)]],
    ['a line that is no field', [good, `${MAIL} is the address\n\n`]],
    ['JSON where events are due', [good, `{"content":"${MAIL}"}\n`]],
    ['two values in one event', [good, raw(`{"a":1} {"b":"${MAIL}"}`)]],
    ['text after the end of its choice', [delta('write to jane', 'stop'), delta(MAIL), DONE]],
  ])('%s: what was held leaves masked, then the error, then the end', async (_name, parts) => {
    stack.model.answer = inPieces(SSE, ...parts);
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toMatch(UNREADABLE);
    expect(contentOf(got.text)).toBe('write to jane');
    expect(got.text).not.toMatch(/doe|example\.com|DONE/);
    const end = await endOf(got);
    expect(end).toMatchObject({
      how: 'response_refused',
      code: 'response_unreadable',
      status: 200,
      detail: expect.stringMatching(/./),
    });
    expect(end['bytes']).toBe(Buffer.byteLength(got.text));
    expect(await recorded(got)).toContain('write to ');
  });

  test('a match that what was held makes whole is masked, and a rule that watches for it is asked', async () => {
    stack.model.answer = inPieces(SSE, delta('hello '), delta(`write to ${MAIL}`), 'nonsense\n\n');
    const mail = await ask(stack, streamedChat);
    expect(contentOf(mail.text)).toBe('hello write to <EMAIL_ADDRESS>');
    expect(mail.text).toMatch(UNREADABLE);
    stack.model.answer = inPieces(SSE, delta('hello '), delta(`pay ${CARD}`), 'nonsense\n\n');
    const card = await ask(stack, streamedChat);
    expect(card.text).toContain('It told a card number.');
    expect(card.text).not.toMatch(/1111|CREDIT_CARD/);
    expect(await endOf(card)).toMatchObject({ how: 'stopped', detail: 'answers/no-cards' });
  });

  test.each<[string, number, (size: number) => string]>([
    [
      'an event of 10 MB',
      10_000_000,
      (size) => raw(`{"choices":[{"index":0,"delta":{"content":"${`${MAIL} `.repeat(size / 21)}"}}]}`),
    ],
    ['a line without an end', 3_000_000, (size) => `data: ${'x'.repeat(size)}`],
    ['a comment without an end', 3_000_000, (size) => `: ${`${MAIL} `.repeat(size / 21)}`],
  ])('%s is refused before it is all there', async (_name, size, make) => {
    stack.model.answer = inPieces(SSE, good, make(size), DONE);
    const got = await ask(stack, streamedChat);
    expect([got.complete, contentOf(got.text)]).toEqual([true, 'write to jane']);
    expect(got.text).toMatch(UNREADABLE);
    expect(got.text.length).toBeLessThan(2_000);
    expect(await endOf(got)).toMatchObject({ detail: 'an event is longer than 1048576 bytes' });
  });
});

describe('a stream that is a little odd', () => {
  test('data after [DONE] does not leave', async () => {
    stack.model.answer = inPieces(SSE, good, delta('', 'stop') + DONE, delta(MAIL), `data: ${MAIL}\n\n`);
    const got = await ask(stack, streamedChat);
    expect([got.complete, contentOf(got.text), got.text.endsWith(DONE)]).toEqual([true, 'write to jane', true]);
    expect(await endOf(got)).toMatchObject({ how: 'complete' });
  });

  test('a last event without a newline, and one whose held text nothing carries any more, are delivered', async () => {
    stack.model.answer = inPieces(SSE, good, delta('.doe@example.com now, jane').trimEnd());
    const got = await ask(stack, streamedChat);
    expect([got.complete, contentOf(got.text)]).toEqual([true, 'write to <EMAIL_ADDRESS> now, jane']);
    expect(await endOf(got)).toMatchObject({ how: 'complete', masked: { email_address: 1 } });
  });

  test('one that never ends is over when its caller goes, at the model too, and the record says so', async () => {
    let over = false;
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': SSE });
      const timer = setInterval(() => response.write(delta('word ')), 10);
      response.on('close', () => {
        over = true;
        clearInterval(timer);
      });
    };
    const call = await open(stack, streamedChat);
    await call.saw('word ');
    call.abort();
    await eventually(() => over || undefined, 'the end at the model');
    await eventually(
      async () => (await stack.journal()).find((line) => line.kind === 'event' && line.event['how'] === 'interrupted'),
      'the end on the record',
    );
  });

  test('one that is stopped and never ends is broken off after a while', { timeout: 20_000 }, async () => {
    let over = false;
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': SSE });
      response.write(delta('hello '));
      const timer = setInterval(() => response.write(delta(`${CARD} `)), 20);
      response.on('close', () => {
        over = true;
        clearInterval(timer);
      });
    };
    const call = await open(stack, streamedChat);
    await call.saw('It told a card number.');
    const got = await call.done;
    expect(got.complete).toBe(false);
    expect(got.text).not.toMatch(/1111|CARD/);
    expect(got.text.match(/response_stopped/g)).toHaveLength(1);
    await eventually(() => over || undefined, 'the end at the model');
  });

  test('one whose model goes away in the middle breaks off; nothing that was held leaves unmasked', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': SSE });
      response.write(delta('hello there. write to jane.doe@exam'));
      setTimeout(() => response.destroy(), 100);
    };
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, false]);
    expect(got.text).not.toContain('jane.doe');
    expect(await endOf(got)).toMatchObject({ how: 'interrupted' });
  });
});

describe('a content type that lies', () => {
  const events = delta(`write to ${MAIL} now`) + DONE;
  const text = completion(`write to ${MAIL} now`);
  const oneLine = `${JSON.stringify({ choices: [{ index: 0, delta: { content: `${MAIL} ` } }] })}\n`;

  test.each<[string, string, string]>([
    ['JSON as events', SSE, text],
    ['events as JSON', 'application/json', events],
    ['events as text', 'text/plain', events],
    ['events as lines of JSON', 'application/x-ndjson', events],
    ['lines of JSON as JSON', 'application/json', oneLine + oneLine],
    ['text as JSON', 'application/json', `write to ${MAIL}`],
  ])('%s is refused', async (_name, type, body) => {
    stack.model.answer = inPieces(type, body.slice(0, 10), body.slice(10));
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toContain('response_unreadable');
    expect(got.text).not.toContain('jane');
    stack.model.answer = inPieces(type, body);
    expect((await ask(stack, streamedChat)).text).not.toContain('jane');
  });

  test.each<[string, string, string]>([
    ['JSON as text', 'text/plain', text],
    ['JSON as a page', 'text/html', text],
    ['one JSON text as lines', 'application/x-ndjson', text],
  ])('%s is masked', async (_name, type, body) => {
    stack.model.answer = inPieces(type, body.slice(0, 10), body.slice(10));
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toContain('write to <EMAIL_ADDRESS> now');
  });
});

describe('a text that breaks', () => {
  test('gets a last line, and what was held before it', async () => {
    stack.model.answer = inPieces('text/plain', 'write to jane', Buffer.from([0xff]), MAIL);
    const got = await ask(stack);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toMatch(/^write to jane\n\[response_unreadable\] [^\n]*\n$/);
  });

  test('and so do lines of JSON', async () => {
    const line = `${JSON.stringify({ choices: [{ index: 0, delta: { content: 'write to jane' } }] })}\n`;
    stack.model.answer = inPieces('application/x-ndjson', line, `{"a":"${MAIL}`);
    const got = await ask(stack);
    const lines = got.text.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.map((one) => JSON.parse(one))).toMatchObject([
      { choices: [{ delta: { content: 'write to ' } }] },
      { choices: [{ delta: { content: 'jane' } }] },
      { error: { code: 'response_unreadable' } },
    ]);
  });
});

describe('a JSON body that is longer than it may be', () => {
  let small: Stack;
  beforeAll(async () => {
    small = await startStack({
      policies: { 'test.yaml': POLICY },
      config: { masking: { json: { maxBytes: 100_000 } } },
    });
  });
  afterAll(() => small.close());
  const body = (length: number): string => completion(`${MAIL} ${'x'.repeat(length)}`);

  test('passes masked up to the limit', async () => {
    small.model.answer = inPieces('application/json', body(90_000).slice(0, 50), body(90_000).slice(50));
    const got = await ask(small);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toBe(body(90_000).replace(MAIL, '<EMAIL_ADDRESS>'));
  });

  test('is refused beyond it, and nothing of it leaves', async () => {
    small.model.answer = inPieces('application/json', body(10).slice(0, 50), body(200_000).slice(50));
    const got = await ask(small);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(JSON.parse(got.text)).toMatchObject({ error: { code: 'response_unreadable' } });
    small.model.answer = inPieces('application/json', body(200_000));
    expect((await ask(small)).text).not.toMatch(/jane|xxx/);
  });
});

test('a model that speaks no HTTP is 503, and nothing of it leaves', async () => {
  const server = http.createServer();
  server.on('connection', (socket) => socket.end(`${MAIL}\r\n\r\n`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = await startStack({
    policies: { 'test.yaml': POLICY },
    modelPort: (server.address() as { port: number }).port,
  });
  try {
    const got = await ask(other);
    expect(got.status).toBeGreaterThanOrEqual(500);
    expect(got.text).not.toContain('jane');
  } finally {
    await other.close();
    server.close();
  }
});
