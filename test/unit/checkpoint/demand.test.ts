import { expect, test } from 'vitest';
import { demandOf } from '../../../src/checkpoint.ts';
import { request } from '../policy/fixtures.ts';

test.each([
  ['a chat', { operation: 'chat', maxTokens: 50 }, 50],
  ['a chat of three choices', { operation: 'chat', maxTokens: 50, choices: 3 }, 150],
  ['a completion', { operation: 'text_completion', maxTokens: 7 }, 7],
  ['a chat without a maximum', { operation: 'chat', maxTokens: undefined }, undefined],
  ['a maximum of 0, which some servers take for none', { operation: 'chat', maxTokens: 0 }, undefined],
  ['one below 0', { operation: 'text_completion', maxTokens: -1 }, undefined],
  ['embeddings, which have no answer in tokens', { operation: 'embeddings', maxTokens: undefined }, 0],
  ['a count of tokens', { operation: 'count_tokens', maxTokens: 9 }, 0],
] as const)('the answer to %s is charged at most so much', (_, facts, maxOutputTokens) => {
  expect(demandOf(request({ tokens: 12, ...facts }))).toEqual({ inputTokens: 12, maxOutputTokens });
});
