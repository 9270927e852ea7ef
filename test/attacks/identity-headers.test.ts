/**
 * Headers in which proxies, identity-aware gateways and clouds tell the server behind them who is calling. A model, or
 * whatever stands in front of it, may believe any of them: none that a client wrote may arrive, in whatever spelling.
 */
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { AT_THE_MODEL, type Attempts, attempts, BODY, EVERY_REFUSAL } from './support/attempts.ts';
import { KNOWN } from './support/identity-headers.ts';
import { rawRequest } from './support/raw.ts';

const names = Object.values(KNOWN).flat();

let stack: Stack;
let token: string;
let attempt: Attempts;
beforeAll(async () => {
  stack = await startStack({
    config: EVERY_REFUSAL,
    // As little of it as can be is Envoy's: a mesh lets underscores through and keeps the certificate header, unless told otherwise.
    envoy: ({ static_resources: { listeners } }) =>
      Object.assign(listeners[0]!.filter_chains[0]!.filters[0]!.typed_config, {
        common_http_protocol_options: { headers_with_underscores_action: 'ALLOW' },
        forward_client_cert_details: 'ALWAYS_FORWARD_ONLY',
      }),
  });
  token = await stack.token('sam');
  attempt = attempts(stack);
});
afterAll(() => stack.close());

const titled = (name: string): string => name.replaceAll(/(^|-)([a-z])/g, (letter) => letter.toUpperCase());
const call = (...headers: readonly string[]): Buffer => rawRequest(token, { body: BODY, headers });

test('the table has each header once', () => {
  expect(names.length).toBeGreaterThan(200);
  expect(names).toEqual([...new Set(names)]);
});

describe.each(Object.entries(KNOWN))('%s', (_reader, headers) => {
  test.each(headers)(
    '%s does not reach the model: in any case, with underscores, twice, as somebody else',
    async (name) => {
      const lines = [
        `${name}: boss`,
        `${titled(name)}: boss`,
        `${name.toUpperCase()}: boss@example.com`,
        `${name.replaceAll('-', '_')}: boss`,
        `${titled(name).replaceAll('-', '_')}: boss`,
        `${name}:`,
      ];
      const arrived = await attempt.passes(call(...lines));
      expect(arrived.headers).toEqual(AT_THE_MODEL);
    },
  );
});

describe('headers that Connection lists (RFC 9110, section 7.6.1: a proxy drops those)', () => {
  /** Envoy refuses a request that wants these dropped. */
  const kept = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
  /** As many as Envoy lets one request list, beside `close`. */
  const most = 8;

  test('are dropped by Envoy or by the gate: none reaches the model', async () => {
    const listed = names.filter((name) => !kept.has(name));
    for (let at = 0; at < listed.length; at += most) {
      const some = listed.slice(at, at + most);
      const arrived = await attempt.passes(
        call(`Connection: close, ${some.join(', ')}`, ...some.map((name) => `${titled(name)}: boss`)),
      );
      expect(arrived.headers, some.join()).toEqual(AT_THE_MODEL);
    }
  });

  test.each([...kept])('%s in it ends the request at Envoy', async (name) => {
    await attempt.refused(
      { status: 0, detail: 'connection_header_rejected' },
      call(`Connection: close, ${name}`, `${name}: 10.0.0.1`),
    );
  });
});

test('none reaches the model over HTTP/2, in which they come in lower case, twice', async () => {
  const single = new Set(['from', 'proxy-authorization', 'authentication-info', 'true-client-ip']);
  const session = http2.connect(stack.url);
  try {
    for (let at = 0; at < names.length; at += 30) {
      const before = stack.model.arrived.length;
      const some = names.slice(at, at + 30).map((name) => [name, single.has(name) ? 'boss' : ['boss', 'second']]);
      const stream = session.request({
        ...Object.fromEntries(some),
        ':method': 'POST',
        ':path': '/v1/chat/completions',
        ':authority': 'llm.example.com',
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': BODY.length,
      });
      stream.end(BODY);
      const status = await new Promise((resolve, reject) => {
        stream.on('response', (head) => resolve(head[':status']));
        stream.on('error', reject);
      });
      stream.resume();
      expect(status, some.join()).toBe(200);
      expect(stack.model.arrived.slice(before).map(({ headers }) => headers)).toEqual([AT_THE_MODEL]);
    }
  } finally {
    session.close();
  }
});

test('whatever they say, the record has who the token names', async () => {
  const known = (await stack.journal()).length;
  for (let at = 0; at < names.length; at += 60)
    await attempt.passes(call(...names.slice(at, at + 60).map((name) => `${name}: boss`)));
  const callers = (await stack.journal())
    .slice(known)
    .flatMap((line) => (line.kind === 'event' && line.event.type === 'request' ? [line.event['caller']] : []));
  expect(callers).toHaveLength(Math.ceil(names.length / 60));
  for (const caller of callers) expect(caller).toMatchObject({ provider: 'demo', subject: 'sam', kind: 'person' });
});
