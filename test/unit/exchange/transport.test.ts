import { describe, expect, test } from 'vitest';
import { refuseTransport } from '../../../src/exchange/transport.ts';

const request = (headers: readonly (readonly [string, string])[] = [], host = 'llm.example.com', method = 'POST') => ({
  method,
  host,
  headers,
});

test.each(['llm.example.com', 'LLM.example.com:8443', 'my_model', '127.0.0.1:10000', '[::1]', '[2001:db8::7]:443'])(
  'the host %s is one',
  (host) => {
    expect(refuseTransport(request([], host))).toBeUndefined();
  },
);

test.each([
  '',
  'a,b',
  'a b',
  'a/b',
  'user@host',
  'a:b',
  'a:123456',
  '[::1',
  '::1',
  'h\u00f6st',
  'a'.repeat(300),
  'a\n',
])('the host %j is none: 400', (host) => {
  expect(refuseTransport(request([], host))).toMatchObject({ code: 'invalid_request', detail: 'Host' });
});

describe('what skips the reading of bodies is refused', () => {
  test.each([
    ['CONNECT', request([], 'llm.example.com:443', 'CONNECT'), 'CONNECT'],
    ['an upgrade', request([['upgrade', 'websocket']]), 'Upgrade: websocket'],
    ['an extended CONNECT', request([[':protocol', 'websocket']]), ':protocol websocket'],
    ['gRPC', request([['content-type', 'Application/gRPC+proto']]), 'gRPC'],
  ])('%s', (_name, what, detail) => {
    expect(refuseTransport(what)).toEqual({ code: 'upgrade_refused', detail });
  });
  test('JSON is not', () => {
    expect(refuseTransport(request([['content-type', 'application/json']]))).toBeUndefined();
  });
});
