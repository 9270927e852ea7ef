/**
 * Secrets that a model's answer hides in its transport, its framing and its lesser fields: through Envoy, with every detector in
 * force. What is hidden in the text itself is thrown elsewhere.
 */
import http from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, chat, codeOf, open, streamedChat } from '../e2e/support/ask.ts';
import { eventually, type Stack, startStack } from '../e2e/support/stack.ts';
import { completion, DONE, delta, type Handler, inPieces } from '../e2e/support/upstream.ts';
import { deliver, textsOf } from '../unit/mask/bodies.ts';

const MAIL = 'jane.doe@example.com';
const CARD = '4111 1111 1111 1111';
const SECRET = /jane|doe@|example\.com|1111/;
const LEAKED_PART = /doe@|@example|1111/;

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: masked}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask, then: mask, detect: [all]}
`;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ policies: { 'test.yaml': POLICY } });
});
afterAll(() => stack.close());

const event = (more: object, choice: object = {}): string =>
  `data: ${JSON.stringify({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'demo',
    choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }],
    ...more,
  })}\n\n`;
const part = (more: object): string => event({}, { delta: more });
const call = (made: object, index = 0): string =>
  part({ tool_calls: [{ index, id: 'a', type: 'function', function: made }] });
const content = (text: string): string => textsOf(text).get('choices[0].delta.content') ?? '';

describe('a secret that is split', () => {
  test('at every byte, of two bytes and three cuts as well', async () => {
    const stream = delta(`Müller 😀 <${MAIL}> or ${CARD}.`) + delta('', 'stop') + DONE;
    const length = Buffer.byteLength(stream);
    const whole = (await deliver(stream, 'sse')).text;
    expect(whole).not.toMatch(SECRET);
    for (let at = 0; at <= length; at++)
      for (const cuts of [[at], [at, at + 1], [at, at + 3, at + 7]])
        expect((await deliver(stream, 'sse', cuts)).text).toBe(whole);
  });

  test('at every character, over events', async () => {
    const text = `Müller 😀 <${MAIL}> or ${CARD}.`;
    for (let at = 0; at <= text.length; at++) {
      const stream =
        delta(text.slice(0, at).toWellFormed()) + delta(text.slice(at).toWellFormed()) + delta('', 'stop') + DONE;
      expect(content((await deliver(stream, 'sse')).text)).not.toMatch(LEAKED_PART);
    }
  });

  test('into events of one character each, through Envoy', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const character of `to ${MAIL} or ${CARD}.`) response.write(delta(character));
      response.end(delta('', 'stop') + DONE);
    };
    const got = await ask(stack, streamedChat);
    expect([got.complete, content(got.text)]).toEqual([true, 'to <EMAIL_ADDRESS> or <CREDIT_CARD>.']);
  });
});

const json = (text: string): string => JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] });

describe('the framing of a stream', () => {
  test.each<[string, string]>([
    ['LF', delta(`to ${MAIL} `) + DONE],
    ['CR', (delta(`to ${MAIL} `) + DONE).replaceAll('\n', '\r')],
    ['CRLF', (delta(`to ${MAIL} `) + DONE).replaceAll('\n', '\r\n')],
    [
      'line ends of all kinds in one event',
      `data: ${json(`to ${MAIL} `)}\r\r\ndata: ${json(CARD)}\n\rdata: [DONE]\n\n`,
    ],
    ['data over several lines', `data: {"choices":[{"index":0,\ndata: "delta":{"content":"${MAIL} "}}]}\n\n${DONE}`],
    ['comments', `: ${MAIL}\n\n:${CARD}\n${delta('x')}${DONE}`],
    ['event, id and retry lines', `event: ${MAIL}\nid: ${CARD}\nretry: 4111111111111111\ndata: {}\n\n${DONE}`],
    ['a byte order mark', `\ufeff${delta(`to ${MAIL} `)}${DONE}`],
    ['data after [DONE]', `${delta('x')}${DONE}${delta(MAIL)}data: ${CARD}\n\n`],
    ['a last event without a newline', `${delta('to jane.d')}${delta('oe@example.com').trimEnd()}`],
    ['data that is no JSON', `data: ${MAIL}\n\n${DONE}`],
    ['an event without data', `event: ${MAIL}\n\n${DONE}`],
    ['unknown event types', `event: response.${CARD}\ndata: {"type":"new.thing","words":"${MAIL} "}\n\n${DONE}`],
  ])('%s hides nothing', async (_name, stream) => {
    stack.model.answer = inPieces('text/event-stream', stream.slice(0, 25), stream.slice(25));
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).not.toMatch(SECRET);
  });

  test.each<[string, string, string]>([
    ['JSON under a lying content type', 'text/event-stream', completion(MAIL)],
    ['events under a lying content type', 'application/json', delta(`${MAIL} `) + DONE],
    ['a byte order mark in the middle', 'text/event-stream', `${delta('x')}\ufeff${delta(MAIL)}`],
  ])('%s: refused', async (_name, type, body) => {
    stack.model.answer = (_request, response) => response.writeHead(200, { 'content-type': type }).end(body);
    const got = await ask(stack, streamedChat);
    expect(got.text).toContain('response_unreadable');
    expect(got.text).not.toMatch(SECRET);
  });

  test('one event of 10 MB is refused', async () => {
    const one = delta(`${MAIL} `.repeat(480_000));
    await expect(deliver(one, 'sse')).rejects.toThrow('an event is longer than');
  });

  test('a response that never ends gives nothing away', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(delta('write to jane.d'));
      const timer = setInterval(() => response.write(': still there\n\n'), 10);
      response.on('close', () => clearInterval(timer));
    };
    const running = await open(stack, streamedChat);
    await running.saw('still there');
    expect(running.text).not.toContain('jane');
    running.abort();
    await running.done.catch(() => {});
  });
});

const logprobs = {
  content: [{ token: MAIL, logprob: 0, bytes: [106, 97], top_logprobs: [{ token: CARD, logprob: 0 }] }],
};

describe('the lesser fields of an answer', () => {
  test.each<[string, string]>([
    [
      'tool-call arguments by index',
      call({ name: 'f', arguments: '{"a":"jane.d' }) +
        call({ arguments: '{"b":"4111 1111 ' }, 1) +
        call({ arguments: 'oe@example.com"}' }) +
        call({ arguments: '1111 1111"}' }, 1),
    ],
    ['tool-call arguments in escapes', call({ arguments: String.raw`{"a":"jane.doe\u0040example.com"}` })],
    ['function names', call({ name: MAIL, arguments: '{}' })],
    ['function names in pieces', call({ name: 'jane.doe' }) + call({ name: '@example.com' })],
    ['custom tools', part({ tool_calls: [{ index: 0, custom: { name: MAIL, input: `${CARD} ` } }] })],
    ['reasoning', part({ reasoning: 'jane.d' }) + part({ reasoning: 'oe@example.com ' })],
    ['reasoning_content', part({ reasoning_content: 'jane.d' }) + part({ reasoning_content: 'oe@example.com ' })],
    ['refusal', part({ refusal: 'jane.d' }) + part({ refusal: 'oe@example.com ' })],
    ['logprobs and top_logprobs', event({}, { logprobs })],
    ['token ids', event({ prompt_token_ids: [4111111111111111] }, { token_ids: [4111111111111111] })],
    ['prompt_logprobs', event({ prompt_logprobs: [{ 1: { decoded_token: MAIL, logprob: 0 } }] })],
    ['n > 1 interleaved', [...`${MAIL} `].map((c) => delta(c, null, 0) + delta(c, null, 1)).join('')],
    ['the audio transcript', part({ audio: { id: 'a', transcript: `${MAIL} ` } })],
    [
      'ids, roles and models',
      event({ id: MAIL, model: CARD, object: MAIL, system_fingerprint: CARD }, { delta: { role: MAIL } }),
    ],
    ['finish_reason and stop_reason', event({}, { finish_reason: MAIL, stop_reason: CARD })],
    ['usage', event({ usage: { prompt_tokens: 4111111111111111, details: MAIL } })],
    ['an error in the stream', `data: ${JSON.stringify({ error: { message: MAIL, type: CARD, code: null } })}\n\n`],
    ['a field that nobody knows', event({ hint: { deep: [`${MAIL} `] } })],
    ['a name of a field', event({ [MAIL]: 1 })],
  ])('%s are masked or left out', async (_name, stream) => {
    stack.model.answer = inPieces('text/event-stream', stream, delta('', 'stop') + DONE);
    const got = await ask(stack, streamedChat);
    expect([got.status, got.complete]).toEqual([200, true]);
    expect(got.text).not.toMatch(LEAKED_PART);
    const texts = [...textsOf(got.text).values()].join(' ');
    expect(texts).not.toMatch(LEAKED_PART);
  });

  test('echo: the prompt in a completion, its logprobs too', async () => {
    const choice = {
      index: 0,
      text: `${MAIL} is mine`,
      logprobs: { tokens: [MAIL], token_logprobs: [0], top_logprobs: [{ [CARD]: 0 }], text_offset: [0] },
      finish_reason: 'stop',
    };
    const body = JSON.stringify({ id: 'c', object: 'text_completion', created: 1, model: 'demo', choices: [choice] });
    const { openaiCompletions: format } = await import('../../src/exchange/openai-completions.ts');
    expect((await deliver(body, 'json', [], { format })).text).not.toMatch(SECRET);
    expect((await deliver(`data: ${body}\n\n${DONE}`, 'sse', [], { format })).text).not.toMatch(SECRET);
  });
});

const answers =
  (status: number, headers: http.OutgoingHttpHeaders, body: string | Buffer): Handler =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };

describe('what surrounds an answer', () => {
  test.each<[string, number, string, string]>([
    [
      'an error body of the API',
      400,
      'application/json',
      JSON.stringify({ error: { message: `no ${MAIL}`, param: CARD } }),
    ],
    [
      'an error body of another shape',
      500,
      'application/json',
      JSON.stringify({ detail: [{ loc: [MAIL], input: CARD }] }),
    ],
    ['an error body of text', 502, 'text/html', `<p>${MAIL} ${CARD}</p>`],
    ['an error body as a problem', 422, 'application/problem+json', JSON.stringify({ title: MAIL })],
  ])('%s is masked', async (_name, status, type, body) => {
    stack.model.answer = answers(status, { 'content-type': type }, body);
    const got = await ask(stack);
    expect([got.status, got.complete]).toEqual([status, true]);
    expect(got.text).toMatch(/EMAIL_ADDRESS/);
    expect(got.text).not.toMatch(SECRET);
  });

  test('response headers that could carry text do not pass', async () => {
    const headers = {
      'content-type': 'application/json',
      'x-debug': MAIL,
      etag: `"${MAIL}"`,
      warning: `299 - "${CARD}"`,
      link: `<${MAIL}>`,
      'server-timing': `a;desc="${MAIL}"`,
    };
    stack.model.answer = answers(200, headers, completion('ok'));
    const got = await ask(stack);
    expect([got.status, JSON.stringify(got.headers).match(SECRET)]).toEqual([200, null]);
  });

  test('response trailers do not pass', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', trailer: 'x-debug' });
      response.write(delta('x') + DONE);
      response.addTrailers({ 'x-debug': MAIL });
      response.end();
    };
    const token = await stack.token('sam');
    const got = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request(`${stack.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', te: 'trailers' },
      });
      request.on('response', (response) => response.resume().on('end', () => resolve(response)));
      request.on('error', reject);
      request.end(JSON.stringify(streamedChat));
    });
    expect([got.statusCode, got.trailers]).toEqual([200, {}]);
  });

  test.each<[string, number, http.OutgoingHttpHeaders, string | Buffer, string]>([
    [
      '206',
      206,
      { 'content-type': 'application/json', 'content-range': 'bytes 0-9/99' },
      completion(MAIL),
      'response_type_refused',
    ],
    [
      'compressed against our wish',
      200,
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync(completion(MAIL)),
      'response_encoding_refused',
    ],
    [
      'compressed without saying so',
      200,
      { 'content-type': 'application/json' },
      gzipSync(completion(MAIL)),
      'response_unreadable',
    ],
    [
      'UTF-16',
      200,
      { 'content-type': 'application/json' },
      Buffer.from(completion(MAIL), 'utf16le'),
      'response_unreadable',
    ],
  ])('%s is refused', async (_name, status, headers, body, code) => {
    stack.model.answer = answers(status, headers, body);
    const got = await ask(stack);
    expect([got.status, codeOf(got)]).toEqual([502, code]);
    expect(got.text).not.toMatch(SECRET);
    expect(stack.model.arrived.at(-1)!.headers['accept-encoding']).toBeUndefined();
  });

  test('304 has no body, and its headers are those of any answer', async () => {
    stack.model.answer = answers(304, { etag: `"${MAIL}"`, 'x-debug': CARD }, '');
    const got = await ask(stack);
    expect([got.status, got.text, JSON.stringify(got.headers).match(SECRET)]).toEqual([304, '', null]);
  });

  test('the record has none of it either', async () => {
    stack.model.answer = answers(
      400,
      { 'content-type': 'application/json' },
      JSON.stringify({ error: { message: MAIL } }),
    );
    const session = (await ask(stack, chat)).headers['x-sallyport-session'];
    const kept = await eventually(async () => {
      const lines = await stack.journal();
      return lines.some((line) => line.kind === 'event' && line.event.type === 'end' && line.event.session === session)
        ? lines.flatMap((line) => (line.kind === 'content' ? [line.text] : [])).join('\n')
        : undefined;
    }, 'the end on the record');
    expect(kept).toContain('<EMAIL_ADDRESS>');
    // A name that came in pieces was delivered so: `jane.doe` alone is no address.
    expect(kept).not.toMatch(LEAKED_PART);
  });
});
