/** The same way with the oldest Envoy that is supported (see docs; the newest is what all other tests run). */
import OpenAI, { PermissionDeniedError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { envoyVersion } from '../../src/envoy/launch.ts';
import { type Stack, startStack } from './support/stack.ts';
import { answerJson, DONE, delta, inPieces } from './support/upstream.ts';

const binary = process.env['ENVOY_BIN_OLDEST'];
const suite = describe.skipIf(binary === undefined || binary === '');

suite('the oldest supported Envoy (skipped where ENVOY_BIN_OLDEST names none: `npm test` brings it)', () => {
  let stack: Stack;
  let sam: OpenAI;
  beforeAll(async () => {
    stack = await startStack({ binary: binary! });
    sam = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: await stack.token('sam'), maxRetries: 0 });
  });
  afterAll(() => stack?.close());

  const messages = [{ role: 'user' as const, content: 'Whom do I write to?' }];

  test('is 1.36', async () => {
    expect(await envoyVersion(binary!)).toMatch(/^1\.36\./);
  });

  test('a JSON answer is masked', async () => {
    stack.model.answer = answerJson('write to maria.lindqvist@example.org');
    const answer = await sam.chat.completions.create({ model: 'demo', messages });
    expect(answer.choices[0]!.message.content).toBe('write to <EMAIL_ADDRESS>');
  });

  test('a stream is masked across its events, whole, and on the record when it ends', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const character of 'write to maria.lindqvist@example.org or call') response.write(delta(character));
      response.end(delta('', 'stop') + DONE);
    };
    const stream = await sam.chat.completions.create({ model: 'demo', messages, stream: true });
    let text = '';
    let finish: string | null = null;
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? '';
      finish = choices[0]?.finish_reason ?? finish;
    }
    expect([text, finish]).toEqual(['write to <EMAIL_ADDRESS> or call', 'stop']);
    const ends = (await stack.journal()).filter((line) => line.kind === 'event' && line.event.type === 'end');
    expect(ends.at(-1)).toMatchObject({ event: { how: 'complete', masked: { email_address: 1 } } });
  });

  test('an answer that is unreadable is 502 at first, and later an error in the stream', async () => {
    const bad = 'data: {"choices":[],"choices":[]}\n\n';
    stack.model.answer = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(bad);
    const first = await sam.chat.completions
      .create({ model: 'demo', messages, stream: true })
      .catch((one: unknown) => one);
    expect(first).toMatchObject({ status: 502, code: 'response_unreadable' });
    stack.model.answer = inPieces('text/event-stream', delta('write to maria'), bad, DONE);
    let text = '';
    const later = await (async () => {
      const stream = await sam.chat.completions.create({ model: 'demo', messages, stream: true });
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    })().catch((one: unknown) => one);
    expect(later).toMatchObject({ code: 'response_unreadable' });
    expect(text).toBe('write to maria');
  });

  test('a refusal arrives as the class of the SDK, and the model gets nothing', async () => {
    const before = stack.model.arrived.length;
    const card = [{ role: 'user' as const, content: 'Charge 4111 1111 1111 1111 please' }];
    const error = await sam.chat.completions.create({ model: 'demo', messages: card }).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect((error as InstanceType<typeof PermissionDeniedError>).code).toBe('policy_denied');
    expect(stack.model.arrived.length).toBe(before);
  });

  test('a body over the limit gets 413 in the shape of the SDK', async () => {
    const large = [{ role: 'user' as const, content: 'x'.repeat(4 * 1024 * 1024) }];
    const error = (await sam.chat.completions
      .create({ model: 'demo', messages: large })
      .catch((one: unknown) => one)) as InstanceType<typeof OpenAI.APIError>;
    expect([error.status, error.code]).toEqual([413, 'request_too_large']);
  });

  test('a model that is down: 503 in the shape of the SDK', async () => {
    stack.model.answer = (_request, response) => response.destroy();
    const error = (await sam.chat.completions
      .create({ model: 'demo', messages })
      .catch((one: unknown) => one)) as InstanceType<typeof OpenAI.APIError>;
    expect([error.status, error.code]).toEqual([503, 'model_unavailable']);
  });

  test('the gateway is away: 503, nothing at the model', async () => {
    const before = stack.model.arrived.length;
    await stack.gateway.close();
    const error = (await sam.chat.completions
      .create({ model: 'demo', messages })
      .catch((one: unknown) => one)) as InstanceType<typeof OpenAI.APIError>;
    expect([error.status, error.code]).toEqual([503, 'gate_failed']);
    expect(stack.model.arrived.length).toBe(before);
  });
});
