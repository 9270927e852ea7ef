/** Parts that end in the middle of an answer: the client, the model, Envoy, the gateway. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gateAddress } from '../../src/gateway/front.ts';
import { archiveClient } from './support/archive.ts';
import { ask, codeOf, open, streamedChat } from './support/ask.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { eventually, type JournalLine, startEnvoy } from './support/stack.ts';
import { answerJson, DONE, delta, type Handler } from './support/upstream.ts';

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet({ gates: 1 });
});
afterAll(() => fleet.close());

const gate = () => fleet.gates[0]!;

type Event = Extract<JournalLine, { kind: 'event' }>['event'];

/** The events of a session, once its end is in the journal. */
const ended = (session: string): Promise<readonly Event[]> =>
  eventually(async () => {
    const events = (await gate().journal()).flatMap((line) =>
      line.kind === 'event' && line.event.session === session ? [line.event] : [],
    );
    return events.some(({ type }) => type === 'end') ? events : undefined;
  }, `the end of ${session}`);
const endOf = async (session: string): Promise<Event> => (await ended(session)).findLast(({ type }) => type === 'end')!;

/** The session of the latest request on the record. */
async function latest(): Promise<string> {
  const requests = (await gate().journal()).filter((line) => line.kind === 'event' && line.event.type === 'request');
  const last = requests.at(-1);
  if (last?.kind !== 'event') throw new Error('no request is on the record');
  return last.event.session;
}

/** A model that says this much and then nothing. */
const says =
  (...events: readonly string[]): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) response.write(event);
  };

describe('the client goes away', () => {
  test('in the middle of a stream: interrupted, with what it had been sent', async () => {
    fleet.model.answer = says(delta('one '), delta('two '));
    const call = await open(fleet, streamedChat);
    await call.saw('one ');
    const session = await latest();
    call.abort();
    expect(await endOf(session)).toMatchObject({ how: 'interrupted', status: 200 });
    expect(Number((await endOf(session))['bytes'])).toBeGreaterThan(100);
  });

  test('before the model has answered: interrupted, with nothing', async () => {
    const { promise: asked, resolve: arrived } = Promise.withResolvers<void>();
    fleet.model.answer = () => arrived();
    const call = await open(fleet, streamedChat);
    await asked;
    const session = await latest();
    call.abort();
    expect(await endOf(session)).toMatchObject({ how: 'interrupted', status: 0, bytes: 0, chunks: 0 });
  });
});

describe('the model dies', () => {
  test('before its answer: 503 in the shape of the SDK, and on the record as a local reply', async () => {
    fleet.model.answer = (_request, response) => response.destroy();
    const got = await ask(fleet);
    expect([got.status, codeOf(got)]).toEqual([503, 'model_unavailable']);
    expect(got.headers['x-should-retry']).toBe('true');
    expect(await endOf(await latest())).toMatchObject({ how: 'local_reply', code: 'model_unavailable', status: 503 });
  });

  test.each([
    ['a stream', streamedChat],
    ['a JSON answer', undefined],
  ])('in the middle of %s: the answer is cut off, and on the record as interrupted', async (_name, body) => {
    fleet.model.answer = (_request, response) => {
      const type = body === undefined ? 'application/json' : 'text/event-stream';
      response.writeHead(200, { 'content-type': type });
      response.write(
        body === undefined ? '{"choices":[{"index":0,"message":{"content":"write to maria.l' : delta('one '),
      );
      setImmediate(() => response.destroy());
    };
    const got = await ask(fleet, body);
    expect(got.complete && got.status === 200).toBe(false);
    expect(got.text).not.toContain('[DONE]');
    expect(got.text).not.toContain('maria');
    expect(await endOf(await latest())).toMatchObject({ how: 'interrupted' });
  });
});

test('Envoy is killed in the middle of a stream: interrupted, and another Envoy is served', async () => {
  const dir = mkdtempSync(join(gate().config.stateDir, 'envoy-'));
  const second = await startEnvoy({
    dir,
    gates: [gateAddress(gate().config)],
    modelPort: fleet.model.port,
    onLine: () => {},
  });
  fleet.model.answer = says(delta('one '), delta('two '));
  const call = await open({ ...fleet, url: `http://127.0.0.1:${second.port}` }, streamedChat);
  await call.saw('one ');
  const session = await latest();
  process.kill(second.envoy.pid, 'SIGKILL');
  expect((await call.done).complete).toBe(false);
  expect(await endOf(session)).toMatchObject({ how: 'interrupted' });
  await second.envoy.stop(0);
  fleet.model.answer = answerJson('still here');
  expect((await ask(fleet)).text).toContain('still here');
});

test('the gateway is killed in the middle of a stream: nothing more leaves, 503 until it is back, and then the record says what was delivered', async () => {
  fleet.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(delta('whole', 'stop') + DONE);
  };
  const whole = String((await ask(fleet, streamedChat)).headers['x-sallyport-session']);

  const pieces = ['write ', 'to ', 'maria.lindqvist@', 'example.org', ' or '];
  let goOn: () => void = () => {};
  fleet.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) response.write(delta(piece));
    goOn = () => response.end(delta('4111 1111 1111 1111') + delta('', 'stop') + DONE);
  };
  const call = await open(fleet, streamedChat);
  await call.saw(' or ');
  const session = await latest();
  gate().signal('SIGKILL');
  expect(await gate().exited()).toBe('SIGKILL');
  goOn();
  const cut = await call.done;
  expect(cut.complete).toBe(false);
  expect(cut.text).not.toContain('[DONE]');
  expect(cut.text).not.toContain('4111');
  expect(cut.text).not.toContain('maria');
  expect(cut.text).toContain('<EMAIL_ADDRESS>');

  const meanwhile = await ask(fleet);
  expect([meanwhile.status, codeOf(meanwhile)]).toEqual([503, 'gate_failed']);

  await gate().start();
  expect(await endOf(session)).toMatchObject({ how: 'unknown', request: expect.anything() });
  const lines = await gate().journal();
  const recorded = lines.flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
  );
  // Everything that the client has was written before it left; a last chunk may have been written and not sent.
  expect(recorded.join('').startsWith(cut.text)).toBe(true);
  const shown = await eventually(() => archiveClient(gate()).show(session), 'the session in the store');
  expect(shown).toMatchObject({ how: 'unknown', subject: 'sam', verdict: 'allow', chunks: recorded.length });
  expect(shown.response).toBe(recorded.join(''));
  expect(shown.bytes).toBe(Buffer.byteLength(recorded.join('')));

  // What was complete before is there once, end and all, and is not ended again.
  const { rows } = await archiveClient(gate()).sql(
    `SELECT arrayStringConcat(arraySort(groupArray(type)), ' ') FROM sallyport.events WHERE session = '${whole}'`,
  );
  expect(rows).toEqual([['decision end request response']]);
  expect(await archiveClient(gate()).show(whole)).toMatchObject({ how: 'complete' });

  fleet.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(delta('back ', 'stop') + DONE);
  };
  // Envoy's health check sees it within a second.
  const back = await eventually(async () => {
    const { status, text } = await ask(fleet, streamedChat);
    return status === 200 ? text : undefined;
  }, 'an answer after the restart');
  expect(back).toContain('[DONE]');
});
