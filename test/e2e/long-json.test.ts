/** A JSON answer that is longer than what is kept, through Envoy: masked as it comes, in bounded memory. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, type Call, type Got, open } from './support/ask.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { completion, type Handler } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: answers}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask, then: mask, detect: [all]}
    - {name: no-cards, on: response, when: '"credit_card" in response.findings', then: stop, message: It told a card.}
`;
const MAIL = 'jane.doe@example.com';
const LABEL = '<EMAIL_ADDRESS>';
const MB = 1024 * 1024;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    policies: { 'test.yaml': POLICY },
    config: { masking: { json: { maxBytes: MB, beyond: 'stream' } } },
  });
});
afterAll(() => stack.close());

/** As fast as it is taken. */
const inChunks =
  (chunks: Iterable<string>): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const left = chunks[Symbol.iterator]();
    const send = (): void => {
      for (;;) {
        const next = left.next();
        if (next.done) return void response.end();
        if (!response.write(next.value)) return void response.once('drain', send);
      }
    };
    send();
  };

const words = 'a few "words" of an answer, é 😀\\n'.repeat(2_000);
const inner = JSON.stringify(words).slice(1, -1);
/** Some 40 MB: secrets at the beginning, in the middle and at the end, cut in two by the chunks. */
function* answer(pieces = 600): Iterable<string> {
  yield `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"${MAIL.slice(0, 7)}`;
  yield `${MAIL.slice(7)} `;
  for (let i = 0; i < pieces; i++) {
    yield inner;
    if (i === pieces / 2) {
      yield ` ${MAIL.slice(0, 12)}`;
      yield `${MAIL.slice(12)} `;
    }
  }
  yield ` ${MAIL.slice(0, 3)}`;
  yield `${MAIL.slice(3)}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}`;
}

const endOf = (session: string | string[] | undefined) =>
  eventually(
    async () =>
      (await stack.journal())
        .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
        .find((event) => event.type === 'end' && event.session === session),
    'the end of the session',
  );

const beginning = [...answer(60)].slice(0, -2).join('');
/** A call whose model goes on once the first of its answer has arrived. */
function inTwo(first: string, second: string): { seen: Promise<Call>; rest: (call: Call) => Promise<Got> } {
  let more: () => void = () => {};
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(first.slice(0, 1_500_000));
    more = () => response.end(first.slice(1_500_000) + second);
  };
  const seen = open(stack).then(async (call) => {
    await call.saw('words');
    return call;
  });
  return {
    seen,
    rest: (call) => {
      more();
      return call.done;
    },
  };
}

describe('a JSON answer of 40 MB', () => {
  test('leaves masked, its secrets nowhere, and is on the record', { timeout: 120_000 }, async () => {
    const expected = [...answer()].join('').replaceAll(MAIL, LABEL);
    expect(expected.length).toBeGreaterThan(35_000_000);
    stack.model.answer = inChunks(answer());
    const got = await ask(stack);
    expect([got.status, got.complete, got.text.length]).toEqual([200, true, expected.length]);
    expect(got.text === expected).toBe(true);
    const session = got.headers['x-sallyport-session'];
    expect(await endOf(session)).toMatchObject({
      how: 'complete',
      masked: { email_address: 3 },
      inputTokens: 3,
      outputTokens: 5,
      bytes: Buffer.byteLength(expected),
    });
    // What was shipped to the store already is not in the journal's files any more.
    const recorded = (await stack.journal()).flatMap((line) =>
      line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
    );
    expect(recorded.length).toBeGreaterThan(0);
    // Its pieces are cut anywhere.
    const ascii = (text: string): string => text.replaceAll(/[^ -~]/g, '');
    expect(ascii(expected).endsWith(ascii(recorded.join('')))).toBe(true);
  });

  test('arrives while the model is still at it', async () => {
    const { seen, rest } = inTwo(completion(`${MAIL} ${'words '.repeat(300_000)} ${MAIL}`), '');
    const call = await seen;
    expect(call.text).toContain(`${LABEL} words`);
    const got = await rest(call);
    expect(got.complete).toBe(true);
    expect(JSON.parse(got.text).choices[0].message.content.endsWith(` ${LABEL}`)).toBe(true);
  });

  test('ends with an error where it breaks, and is no JSON text then', async () => {
    const { seen, rest } = inTwo(beginning, ` ${MAIL}\u0001 ${MAIL}"}}]}`);
    const got = await rest(await seen);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).toMatch(/<EMAIL_ADDRESS>\n\{"error":\{[^\n]*"code":"response_unreadable"\}\}\n$/);
    expect(got.text).not.toContain('jane');
    expect(() => JSON.parse(got.text)).toThrow();
    const session = got.headers['x-sallyport-session'];
    expect(await endOf(session)).toMatchObject({ how: 'response_refused', code: 'response_unreadable' });
    const recorded = (await stack.journal()).flatMap((line) =>
      line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
    );
    expect(recorded.join('').includes(`${LABEL} `)).toBe(true);
    expect(recorded.join('').length).toBeGreaterThan(got.text.length - 100);
  });

  test('is stopped in the middle by a rule', async () => {
    const { seen, rest } = inTwo(beginning, ' 4111 1111 1111 1111 "}}]}');
    const got = await rest(await seen);
    expect(got.text).toMatch(/\n\{"error":\{[^\n]*It told a card\.[^\n]*\}\}\n$/);
    expect(got.text).not.toMatch(/1111|CARD/);
    expect(await endOf(got.headers['x-sallyport-session'])).toMatchObject({ how: 'stopped' });
  });
});
