/** Going down without failing a request: one gateway with a live stream, and two that are restarted in turn under load. */
import type http from 'node:http';
import net from 'node:net';
import { expect, type TestContext, test } from 'vitest';
import { archiveClient } from './support/archive.ts';
import { ask, open, streamedChat } from './support/ask.ts';
import { type Fleet, type FleetOptions, type GateProcess, startFleet } from './support/processes.ts';
import { eventually, type JournalLine } from './support/stack.ts';
import { completion, DONE, delta, type Handler } from './support/upstream.ts';

const start = async (options: FleetOptions, { onTestFinished }: TestContext): Promise<Fleet> => {
  const fleet = await startFleet(options);
  onTestFinished(() => fleet.close());
  return fleet;
};

const SSE = { 'content-type': 'text/event-stream' };

/** A model whose streams say one thing, and the rest when the test lets them. */
function heldStreams(): { readonly answer: Handler; finish(): void } {
  const open = new Set<http.ServerResponse>();
  return {
    answer: (_request, response) => {
      response.writeHead(200, SSE);
      response.write(delta('first '));
      open.add(response);
    },
    finish: () => {
      for (const response of open) response.end(delta('last', 'stop') + DONE);
      open.clear();
    },
  };
}

test.concurrent('a gateway that is told to stop says so at once, lets its live stream finish, and ends with 0', async (context) => {
  const f = await start({ gates: 1 }, context);
  const [gate] = f.gates;
  const held = heldStreams();
  f.model.answer = held.answer;
  const call = await open(f, streamedChat);
  await call.saw('first');
  gate!.signal('SIGTERM');
  const saidAt = performance.now();
  await eventually(async () => ((await gate!.readyz()) === 503 ? true : undefined), '/readyz to say 503');
  expect(performance.now() - saidAt).toBeLessThan(1_000);
  // Requests that still come are answered: Envoy has not heard of it yet.
  f.model.answer = (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(completion('ok'));
  expect((await ask(f)).status).toBe(200);
  held.finish();
  const got = await call.done;
  expect([got.status, got.complete]).toEqual([200, true]);
  expect(got.text).toContain('last');
  expect(got.text).toContain('[DONE]');
  expect(await gate!.exited()).toBe(0);
  const ends = endsOf(await gate!.journal());
  expect(ends.map(({ how }) => how)).toEqual(['complete', 'complete']);
});

test.concurrent('drainTimeout bounds it: a stream that goes on and on is ended, and is on the record', async (context) => {
  const f = await start({ gates: 1, config: { drainTimeout: '1s' } }, context);
  const [gate] = f.gates;
  f.model.answer = heldStreams().answer;
  const call = await open(f, streamedChat);
  await call.saw('first');
  gate!.signal('SIGTERM');
  expect(await gate!.exited()).toBe(0);
  const got = await call.done;
  expect(got.complete).toBe(false);
  expect(got.text).not.toContain('[DONE]');
  expect(endsOf(await gate!.journal()).map(({ how }) => how)).toEqual(['interrupted']);
});

interface Load {
  readonly answered: number;
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** JSON answers and short streams, one after the other, from so many clients each. */
function startLoad(f: Fleet, clients: number): Load {
  const state = { answered: 0, failures: [] as string[], running: true };
  const client = async (streamed: boolean): Promise<void> => {
    while (state.running) {
      const got = await ask(f, streamed ? streamedChat : undefined).catch((error: unknown) => String(error));
      const bad = typeof got === 'string' ? got : `${got.status} ${got.complete} ${got.text.slice(0, 200)}`;
      if (typeof got === 'string' || got.status !== 200 || !got.complete || (streamed && !got.text.includes('[DONE]')))
        state.failures.push(bad);
      else state.answered++;
    }
  };
  const clientsDone = Array.from({ length: clients }, (_, n) => client(n % 2 === 0));
  return {
    get answered() {
      return state.answered;
    },
    failures: state.failures,
    stop: async () => {
      state.running = false;
      await Promise.all(clientsDone);
    },
  };
}

const endsOf = (lines: readonly JournalLine[]) =>
  lines.flatMap((line) => (line.kind === 'event' && line.event.type === 'end' ? [line.event] : []));

/** Whether somebody listens on a gateway's socket. */
const listening = (gate: GateProcess): Promise<boolean> => {
  const { grpc } = gate.config.listen;
  if (grpc.kind !== 'unix') throw new Error('the fleet listens on Unix sockets');
  return new Promise((resolve) => {
    const socket = net.connect(grpc.path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
};

interface Recorded {
  readonly writer: string;
  readonly leaf: number;
  readonly event: { readonly type: string; readonly session: string } & Record<string, unknown>;
}

/** Every event in the stores of both gateways, once as many sessions have ended as were asked for. */
const recorded = (gates: readonly GateProcess[], sessions: number): Promise<readonly Recorded[]> =>
  eventually(async () => {
    const all: Recorded[] = [];
    for (const gate of gates) {
      const { rows } = await archiveClient(gate).sql('SELECT toString(writer), leaf, body FROM sallyport.events FINAL');
      for (const [writer, leaf, body] of rows)
        all.push({ writer: String(writer), leaf: Number(leaf), event: JSON.parse(String(body)) as Recorded['event'] });
    }
    return all.filter(({ event }) => event.type === 'end').length >= sessions ? all : undefined;
  }, 'all sessions in the stores');

test('two gateways restarted in turn under load fail no request, and every session has one end that cites its request', async (context) => {
  const f = await start({ gates: 2, config: { drainTimeout: '30s' } }, context);
  const [first, second] = f.gates as [GateProcess, GateProcess];
  const held = heldStreams();
  let hold = true;
  f.model.answer = (request, response) => {
    if (hold) return held.answer(request, response);
    if (!request.body.includes('"stream":true'))
      return response.writeHead(200, { 'content-type': 'application/json' }).end(completion('ok'));
    response.writeHead(200, SSE);
    response.write(delta('first '));
    setTimeout(() => response.end(delta('last', 'stop') + DONE), 20);
  };
  const live = await Promise.all(Array.from({ length: 4 }, () => open(f, streamedChat)));
  await Promise.all(live.map((call) => call.saw('first')));
  hold = false;
  const load = startLoad(f, 6);
  await eventually(() => (load.answered > 20 ? true : undefined), 'load');

  first.signal('SIGTERM');
  // The live streams outlast the time in which the gateway still takes requests.
  await eventually(async () => ((await listening(first)) ? undefined : true), 'the gateway to stop listening');
  held.finish();
  expect(await first.exited()).toBe(0);
  await first.start();
  second.signal('SIGTERM');
  expect(await second.exited()).toBe(0);
  const afterBoth = load.answered;
  await eventually(() => (load.answered > afterBoth + 20 ? true : undefined), 'load on the gateway that was restarted');
  await load.stop();
  const finished = await Promise.all(live.map((call) => call.done));
  expect(load.failures).toEqual([]);
  expect(finished.map(({ complete, text }) => complete && text.includes('[DONE]'))).toEqual([true, true, true, true]);

  await second.start();
  const sessions = load.answered + live.length;
  const events = await recorded([first, second], sessions);
  const requests = events.filter(({ event }) => event.type === 'request');
  const ends = events.filter(({ event }) => event.type === 'end');
  expect(requests).toHaveLength(sessions);
  expect(ends).toHaveLength(sessions);
  expect(new Set(ends.map(({ event }) => event['how']))).toEqual(new Set(['complete']));
  // Check and Process of one request were often answered by different processes: the end finds its request all the same.
  const cited = new Map(requests.map(({ writer, leaf, event }) => [event.session, { writer, leaf }]));
  for (const { event } of ends) expect(event['request']).toEqual(cited.get(event.session));
  const crossed = ends.filter(({ writer, event }) => cited.get(event.session)?.writer !== writer);
  expect(crossed.length).toBeGreaterThan(0);
});
