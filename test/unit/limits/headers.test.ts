import { describe, expect, test } from 'vitest';
import { limitHeaders, retryAfter } from '../../../src/limits/headers.ts';
import type { LimitState } from '../../../src/limits/limiter.ts';
import { day, minute, noon } from './charges.ts';

const state = (more: Partial<LimitState> = {}): LimitState => ({
  ...{ policy: 'budgets', rule: 'per-person', mode: 'enforce', unit: 'requests' },
  ...{ limit: 60, remaining: 58, windowMs: minute, resetMs: 29_001, exceeded: false },
  ...more,
});
const tokens = (more: Partial<LimitState> = {}) =>
  state({ unit: 'tokens', limit: 200_000, remaining: 1500, windowMs: day, resetMs: day / 2, ...more });
const shown = (states: readonly LimitState[], format = 'openai-chat') =>
  Object.fromEntries(limitHeaders(states, format, noon));

describe('headers of limits', () => {
  test('are those of the draft and of OpenAI', () => {
    expect(shown([state(), tokens()])).toEqual({
      'ratelimit-policy':
        '"per-person-requests-1m";q=60;w=60;qu="requests", "per-person-tokens-1d";q=200000;w=86400;qu="tokens"',
      ratelimit: '"per-person-requests-1m";r=58;t=30, "per-person-tokens-1d";r=1500;t=43200',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '58',
      'x-ratelimit-reset-requests': '30s',
      'x-ratelimit-limit-tokens': '200000',
      'x-ratelimit-remaining-tokens': '1500',
      'x-ratelimit-reset-tokens': '12h0m0s',
    });
  });

  test('are Anthropic’s for the Messages API', () => {
    expect(shown([state(), tokens()], 'anthropic-messages')).toEqual({
      'ratelimit-policy': expect.any(String),
      ratelimit: expect.any(String),
      'anthropic-ratelimit-requests-limit': '60',
      'anthropic-ratelimit-requests-remaining': '58',
      'anthropic-ratelimit-requests-reset': '2026-11-18T12:00:29Z',
      'anthropic-ratelimit-tokens-limit': '200000',
      'anthropic-ratelimit-tokens-remaining': '1500',
      'anthropic-ratelimit-tokens-reset': '2026-11-19T00:00:00Z',
    });
  });

  test.each<[string, readonly LimitState[], string]>([
    ['the one with the fewest left', [state(), state({ rule: 'tight', remaining: 2 })], 'tight'],
    ['of equals the one that lasts longest', [state(), state({ rule: 'long', resetMs: day })], 'long'],
    [
      'the one that refused, whatever the others have left',
      [state({ remaining: 0 }), state({ rule: 'refused', remaining: 40, exceeded: true })],
      'refused',
    ],
    ['no dry run', [state({ rule: 'trial', mode: 'dryRun', remaining: 0, exceeded: true }), state()], 'per-person'],
  ])('show of each unit %s', (_, states, rule) => {
    expect(shown(states)['ratelimit']).toMatch(new RegExp(`^"${rule}-requests-1m";r=\\d+;t=\\d+$`));
  });

  test.each<[string, readonly LimitState[]]>([
    ['no limits', []],
    ['dry runs alone', [state({ mode: 'dryRun' })]],
  ])('are none for %s', (_, states) => {
    expect(limitHeaders(states, 'openai-chat', noon)).toEqual([]);
  });

  test.each([
    ['per-person', 'per-person'],
    ['a"b\\c\r\nset-cookie: x', 'a-b-c--set-cookie--x'],
    ['grün, ☃;q=1', 'gr-n----q-1'],
    ['x'.repeat(5000), 'x'.repeat(100)],
  ])('name the rule in safe characters: %j', (rule, name) => {
    expect(shown([state({ rule })])['ratelimit-policy']).toBe(`"${name}-requests-1m";q=60;w=60;qu="requests"`);
  });

  test.each([
    [1000, '1s'],
    [90_000, '90s'],
    [5 * 3_600_000, '5h'],
    [36 * 3_600_000, '36h'],
    [7 * day, '7d'],
  ])('name a window of %s ms %s', (windowMs, name) => {
    expect(shown([state({ windowMs })])['ratelimit']).toBe(`"per-person-requests-${name}";r=58;t=30`);
  });

  test('hold numbers that every parser of structured fields takes', () => {
    const { ratelimit, 'ratelimit-policy': policy } = shown([state({ limit: 2 ** 53, remaining: 2 ** 53 })]);
    expect([ratelimit, policy].join()).toMatch(/r=999999999999999;.*q=999999999999999;/);
  });

  test.each([
    [29_001, '30s'],
    [1, '1s'],
    [90_000, '1m30s'],
    [3_600_000, '1h0m0s'],
    [90_061_000, '25h1m1s'],
    [0, '0s'],
    [-5, '0s'],
  ])('write %s ms as %s', (resetMs, text) => {
    expect(shown([state({ resetMs })])['x-ratelimit-reset-requests']).toBe(text);
  });

  test.each([
    [0, '1'],
    [1, '1'],
    [1000, '1'],
    [1001, '2'],
    [day, '86400'],
  ])('ask to come back in whole seconds: %s ms', (resetMs, seconds) => {
    expect(retryAfter(state({ resetMs }))).toEqual(['retry-after', seconds]);
  });
});
