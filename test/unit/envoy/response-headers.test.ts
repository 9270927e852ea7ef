import { expect, test } from 'vitest';
import { leaves } from '../../../src/envoy/response-headers.ts';

test.each([
  [':status', '200'],
  ['content-length', '1234'],
  ['date', 'Sun, 22 Nov 2026 14:20:40 GMT'],
  ['cache-control', 'no-cache'],
  ['cache-control', 'max-age=3600, must-revalidate'],
  ['retry-after', '20'],
  ['vary', 'Accept-Encoding, Origin'],
  ['x-ratelimit-limit-requests', '60'],
  ['x-ratelimit-reset-tokens', '6m0s'],
  ['x-ratelimit-reset-requests', '1.5s'],
  ['x-ratelimit-reset-requests', '120ms'],
])('%s: %s leaves', (name, value) => {
  expect(leaves(name, value)).toBe(true);
});

test.each([
  ['x-ratelimit-note', '60'],
  ['x-ratelimit-limit-requests', 'card 4111 1111 1111 1111'],
  ['x-ratelimit-limit-requests', '4111111111111111'],
  ['x-ratelimit-reset-tokens', '4111s1111s1111s1111s1s'],
  ['cache-control', '4111-1111-1111-1111'],
  ['cache-control', 'max-age=4111111111111111'],
  ['retry-after', '5555 5555 5555 4444'],
  ['vary', 'jane.doe@example.com'],
  ['x-request-id', '4111-1111-1111-1111'],
  ['access-control-allow-origin', 'https://jane.doe@example.com'],
  ['server', 'jane'],
  ['set-cookie', 'a=b'],
  ['ratelimit', '"a";r=4111111111111111'],
  ['date', 'AKIAIOSFODNN7EXAMPLE'],
])('%s: %s does not leave', (name, value) => {
  expect(leaves(name, value)).toBe(false);
});
