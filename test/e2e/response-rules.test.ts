/** `on: response` rules through Envoy: at the headers, at a finding in the middle of a stream, at the end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, chat, codeOf, open, streamedChat } from './support/ask.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta, type Handler, startHttp2Upstream } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: answers}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: no-errors, on: response, when: response.status == 418, then: stop, message: No teapots.}
    - {name: no-text, on: response, when: 'response.contentType == "text/plain"', then: stop, message: No plain text.}
    - {name: no-cards, on: response, when: '"credit_card" in response.findings', then: stop, message: It told a card number., severity: high}
    - {name: not-long, on: response, when: 'response.phase == "end" && response.bytes > 3000', then: stop, message: The answer is too long.}
    - {name: fails, on: response, when: 'response.status == 203 && request.maxTokens > 1', then: stop}
    - {name: mask-errors, on: response, when: response.status >= 400, then: mask, detect: [email_address]}
    - {name: mask-late, on: response, when: '"us_ssn" in response.findings', then: mask, detect: [us_ssn]}
    - {name: trial, mode: dryRun, on: response, when: 'response.phase == "end"', then: stop}
    - {name: tool-trial, mode: dryRun, on: response, when: 'toolCall.name == "x"', then: stop}
`;
const CARD = '4111 1111 1111 1111';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    policies: { 'test.yaml': POLICY },
    models: [{ name: 'claude', formats: ['anthropic-messages'] }],
  });
});
afterAll(() => stack.close());

const answers =
  (body: string, status = 200, type = 'application/json'): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
  };
/** A stream whose events go out one by one, the next once the test says so. */
function streamed(events: readonly string[], type = 'text/event-stream') {
  const next: (() => void)[] = [];
  const handler: Handler = (_request, response) => {
    response.writeHead(200, { 'content-type': type });
    let at = 0;
    const send = () => {
      const event = events[at++];
      if (event === undefined) response.end();
      else response.write(event);
    };
    next.push(send);
    send();
  };
  return { handler, next: () => next.at(-1)!() };
}

const endOf = (session: unknown) =>
  eventually(
    async () =>
      (await stack.journal())
        .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
        .find((event) => event.type === 'end' && event.session === session),
    'the end of the session',
  );
const sessionIn = (text: string): string => /\(session ([0-9a-f-]+)\)/.exec(text)![1]!;
const hit = (rule: string) => expect.objectContaining({ policy: 'answers', rule });
const messageOf = ({ text }: { readonly text: string }) =>
  (JSON.parse(text) as { error: { message: string } }).error.message;
const contentOf = async (session: unknown) =>
  (await stack.journal()).flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
  );

describe('at the headers', () => {
  test.each([
    ['the status', completion('short and stout'), 418, 'application/json', 'no-errors', 'No teapots.'],
    ['the content type', 'plain words', 200, 'text/plain', 'no-text', 'No plain text.'],
    ['an answer without a body', '', 418, 'application/json', 'no-errors', 'No teapots.'],
    ['a rule that cannot be evaluated', completion('ok'), 203, 'application/json', 'fails', 'could not be evaluated'],
  ])('%s stops it with 403 and the words of the rule', async (_name, body, status, type, rule, words) => {
    stack.model.answer = answers(body, status, type);
    const got = await ask(stack);
    expect([got.status, codeOf(got)]).toEqual([403, 'response_stopped']);
    expect(messageOf(got)).toContain(words);
    const end = await endOf(got.headers['x-sallyport-session']);
    expect(end).toMatchObject({
      how: 'stopped',
      code: 'response_stopped',
      status: 403,
      detail: `answers/${rule}`,
      bytes: 0,
      rules: expect.arrayContaining([hit(rule)]),
    });
    expect(await contentOf(end['session'])).toEqual([]);
  });

  test('a mask that reads the status masks what the plan does not', async () => {
    stack.model.answer = answers(completion('write to a@b.co'), 400);
    const got = await ask(stack);
    expect([got.status, got.complete]).toEqual([400, true]);
    expect(got.text).toContain('write to <EMAIL_ADDRESS>');
    stack.model.answer = answers(completion('write to a@b.co'), 200);
    expect((await ask(stack)).text).toContain('write to a@b.co');
    const end = await endOf(got.headers['x-sallyport-session']);
    expect(end).toMatchObject({
      how: 'complete',
      masked: { email_address: 1 },
      rules: [hit('mask-errors'), hit('trial')],
    });
  });
});

describe('at a finding', () => {
  test('a JSON answer is refused whole', async () => {
    stack.model.answer = answers(completion(`pay with ${CARD}, please`));
    const got = await ask(stack);
    expect([got.status, codeOf(got), messageOf(got).split(' (')[0]]).toEqual([
      403,
      'response_stopped',
      'It told a card number.',
    ]);
    const end = await endOf(got.headers['x-sallyport-session']);
    expect(end).toMatchObject({ how: 'stopped', bytes: 0, found: { credit_card: 1 }, rules: [hit('no-cards')] });
    expect(await contentOf(end['session'])).toEqual([]);
  });

  test('in the middle of a stream: what left before stays, nothing leaves after', async () => {
    const model = streamed([delta('hello '), delta('there '), delta(`${CARD} or`), delta(' never seen'), DONE]);
    stack.model.answer = model.handler;
    const call = await open(stack, streamedChat);
    await call.saw('hello');
    model.next();
    await call.saw('there');
    model.next();
    await call.saw('response_stopped');
    // The record is complete before the caller hears of it.
    const session = sessionIn(call.text);
    const end = await endOf(session);
    for (let left = 0; left < 3; left++) model.next();
    const got = await call.done;
    expect([got.status, got.complete, got.headers['x-sallyport-session']]).toEqual([200, true, session]);
    const error = {
      message: `It told a card number. (session ${session})`,
      type: 'permission_error',
      param: null,
      code: 'response_stopped',
    };
    expect(got.text).toBe(`${delta('hello ')}${delta('there ')}data: ${JSON.stringify({ error })}\n\n`);
    expect(end).toMatchObject({
      how: 'stopped',
      code: 'response_stopped',
      status: 200,
      detail: 'answers/no-cards',
      bytes: got.text.length,
      chunks: 3,
      found: { credit_card: 1 },
      withheld: { bytes: delta(`${CARD} or`).length, events: 1, findings: { credit_card: 1 } },
      rules: [{ policy: 'answers', rule: 'no-cards', effect: 'stop', mode: 'enforce', severity: 'high' }],
    });
    // What the record keeps is what was delivered.
    expect((await contentOf(end['session'])).join('')).toBe(got.text);
  });

  test('a mask that comes too late stops', async () => {
    stack.model.answer = answers(completion('his number is 536-22-8421.'));
    const got = await ask(stack);
    expect([got.status, codeOf(got)]).toEqual([403, 'response_stopped']);
    expect(messageOf(got)).toContain(
      'Rule answers/mask-late masks this answer, and can do so only from its headers on.',
    );
  });

  test('a stream of another format', async () => {
    const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    const text = (words: string) =>
      event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: words } });
    const usage = { input_tokens: 1, output_tokens: 1 };
    const model = streamed([
      event('message_start', {
        message: { id: 'm', type: 'message', role: 'assistant', content: [], model: 'claude', usage },
      }) +
        event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }) +
        text('hello '),
      text(`${CARD} or`),
    ]);
    stack.model.answer = model.handler;
    const response = await fetch(`${stack.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': await stack.token('sam'), 'content-type': 'application/json' },
      body: JSON.stringify({ ...chat, model: 'claude', max_tokens: 9, stream: true }),
    });
    const reader = response.body!.getReader();
    const first = Buffer.from((await reader.read()).value!).toString();
    expect(first).toContain('hello ');
    model.next();
    const second = Buffer.from((await reader.read()).value!).toString();
    expect(second).toMatch(
      /^event: error\ndata: \{"type":"error","error":\{"type":"permission_error","message":"It told/,
    );
    await reader.cancel();
    expect(await endOf(response.headers.get('x-sallyport-session'))).toMatchObject({ how: 'stopped' });
  });
});

describe('at the end', () => {
  test('JSON that is too long is refused whole', async () => {
    stack.model.answer = answers(completion('word '.repeat(800)));
    const got = await ask(stack);
    expect([got.status, codeOf(got)]).toEqual([403, 'response_stopped']);
    expect(messageOf(got)).toContain('The answer is too long.');
  });

  test('a stream that is too long does not end as if it were whole', async () => {
    const model = streamed([delta('word '.repeat(700)), delta('', 'stop') + DONE]);
    stack.model.answer = model.handler;
    const call = await open(stack, streamedChat);
    await call.saw('word ');
    model.next();
    await call.saw('response_stopped');
    model.next();
    const got = await call.done;
    expect(got.complete).toBe(true);
    expect(got.text).not.toContain('[DONE]');
    expect(await endOf(got.headers['x-sallyport-session'])).toMatchObject({
      how: 'stopped',
      rules: [hit('not-long'), hit('trial')],
    });
  });

  test('a rule on trial is recorded, and stops nothing', async () => {
    stack.model.answer = answers(completion('ok'));
    const got = await ask(stack);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(await endOf(got.headers['x-sallyport-session'])).toMatchObject({
      how: 'complete',
      rules: [{ policy: 'answers', rule: 'trial', effect: 'stop', mode: 'dryRun' }],
    });
  });
});

describe('an HTTP/2 model that ends with trailers', () => {
  test('gets its answer stopped at the end', async () => {
    const model = await startHttp2Upstream(delta('hello') + delta('', 'stop'));
    const s = await startStack({
      policies: {
        'test.yaml': POLICY.replace('response.bytes > 3000', 'response.bytes > 10'),
      },
      modelPort: model.port,
      modelsSpeakHttp2: true,
    });
    try {
      const got = await ask(s, streamedChat);
      // Envoy may not have sent the headers yet.
      expect(got.complete && got.status === 200).toBe(false);
      const events = (await s.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
      expect(events.findLast(({ type }) => type === 'end')).toMatchObject({
        how: 'stopped',
        rules: [hit('not-long'), hit('trial')],
      });
    } finally {
      await s.close();
      model.close();
    }
  });
});
