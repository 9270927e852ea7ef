import { describe, expect, test } from 'vitest';
import { usedTokens } from '../../../src/gateway/limits.ts';

describe('tokens that a session is charged', () => {
  test.each([
    ['are those reported', 'complete', 9, 12, 4000, 21],
    ['are those reported, where fewer were delivered', 'interrupted', 9, 12, 4, 21],
    ['are the estimate and what was delivered where none are reported', 'complete', undefined, undefined, 4000, 1050],
    ['are what was delivered where 0 are reported for it', 'complete', 0, 0, 4000, 1050],
    ['are what was delivered of a stream that was left at its beginning', 'interrupted', 9, 1, 4000, 1009],
    ['are what was delivered of one that began with 0', 'interrupted', 9, 0, 4000, 1009],
    ['are what was delivered of one that a rule stopped', 'stopped', 9, 1, 4000, 1009],
    ['are what was delivered of one that could not be read on', 'response_refused', 9, 1, 4000, 1009],
    ['are the estimate alone where nothing came', 'interrupted', undefined, undefined, 0, 50],
  ] as const)('%s', (_, how, inputTokens, outputTokens, textBytes, tokens) => {
    expect(usedTokens(50, { how, inputTokens, outputTokens, textBytes })).toBe(tokens);
  });
});
