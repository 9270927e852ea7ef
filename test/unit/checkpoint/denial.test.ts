import { expect, test } from 'vitest';
import { whyUnmaskable } from '../../../src/checkpoint/denial.ts';
import type { GateRequest } from '../../../src/checkpoint/stages.ts';
import type { RequestFacts } from '../../../src/exchange/facts.ts';
import type { Decision } from '../../../src/policy/decision.ts';

const passing = (maskRequest: readonly string[]): Decision => ({
  verdict: 'allow',
  rules: [],
  maskRequest,
  maskResponse: [],
  limits: [],
  revision: 'r',
});
const denial: Decision = { verdict: 'deny', rules: [], by: undefined, message: '', revision: 'r' };
const why = (decision: Decision, format: string, namedModel?: string) =>
  whyUnmaskable(decision, { namedModel } as GateRequest, { format } as RequestFacts);

test.each([
  [passing(['jwt']), 'opaque', undefined, /what no format reads cannot be masked/],
  [passing(['jwt']), 'openai-chat', 'llama', /its route is fixed/],
  [passing(['jwt']), 'mcp', '', /its route is fixed/],
])('a mask that cannot be put on refuses: %#', (decision, format, named, words) => {
  expect(why(decision, format, named)).toMatchObject({
    code: 'request_not_maskable',
    message: expect.stringMatching(words),
    format,
  });
});

test.each([
  [passing(['jwt']), 'openai-chat', undefined],
  [passing([]), 'opaque', 'llama'],
  [denial, 'opaque', 'llama'],
])('what can be masked, or need not be, passes: %#', (decision, format, named) => {
  expect(why(decision, format, named)).toBeUndefined();
});
