import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Plan, Watched } from '../../../src/checkpoint/stages.ts';
import { NOTHING_DELIVERED, OpenSessions } from '../../../src/envoy/sessions.ts';
import type { RecordEvent, Recorder } from '../../../src/record/events.ts';

const startMs = Date.UTC(2026, 9, 1);
beforeEach(() => {
  vi.useFakeTimers({ now: startMs });
});
afterEach(() => {
  vi.useRealTimers();
});

function recording() {
  const events: RecordEvent[] = [];
  const recorder: Recorder = {
    writer: 'w',
    state: 'open',
    event: (event) => events.push(event) - 1,
    content: () => {},
    written: async () => {},
    durable: async () => {},
  };
  return { events, recorder };
}

const plan = (session: string): Plan => ({
  session,
  format: 'openai-chat',
  stream: true,
  mask: [],
  cluster: 'model_demo_1',
  requestId: 'r',
  issuedAtMs: Date.now(),
  revision: 'sha256:0',
  request: { writer: 'w', leaf: 7 },
  reservations: [],
  maskRequest: [],
  tokens: 1,
  opaque: false,
  watched: false,
});

test('a yes that no stream takes up ends as not_dispatched after a minute, citing its request', () => {
  const { events, recorder } = recording();
  const sessions = new OpenSessions(recorder, Date.now, false);
  sessions.dispatched(plan('lost'));
  sessions.dispatched(plan('taken'));
  sessions.take(plan('taken'));
  vi.advanceTimersByTime(59_000);
  expect(events).toEqual([]);
  vi.advanceTimersByTime(10_000);
  expect(events).toMatchObject([
    { type: 'end', session: 'lost', how: 'not_dispatched', request: { writer: 'w', leaf: 7 } },
  ]);
  expect(sessions.size).toBe(1);
  sessions.close();
});

test('where sessions are shared, another process may have the stream: nothing is written, and nothing is kept', () => {
  const { events, recorder } = recording();
  const sessions = new OpenSessions(recorder, Date.now, true);
  sessions.dispatched(plan('elsewhere'));
  sessions.dispatched(plan('gone'));
  sessions.take(plan('foreign'));
  // The client of this one left before the yes could be sent: nobody else can have it.
  sessions.end('gone', { ...NOTHING_DELIVERED, how: 'client_gone' });
  vi.advanceTimersByTime(120_000);
  expect(events).toMatchObject([{ session: 'gone', how: 'client_gone' }]);
  expect(sessions.size).toBe(1);
  expect(sessions.end('foreign', { ...NOTHING_DELIVERED, how: 'complete' })).toBe(true);
  expect(sessions.end('foreign', { ...NOTHING_DELIVERED, how: 'complete' })).toBe(false);
  expect(events).toHaveLength(2);
  sessions.close();
});

test('what the rules on the response are asked with is handed over with the session, and gone with its end', () => {
  const { recorder } = recording();
  const sessions = new OpenSessions(recorder, Date.now, true);
  const watched = {} as Watched;
  sessions.dispatched(plan('watched'), watched);
  expect(sessions.take(plan('watched'))).toBe(watched);
  sessions.end('watched', { ...NOTHING_DELIVERED, how: 'complete' });
  expect(sessions.take(plan('watched'))).toBeUndefined();
  expect(sessions.take(plan('foreign'))).toBeUndefined();
  sessions.close();
});
