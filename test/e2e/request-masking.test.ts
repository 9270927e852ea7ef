/** `mask` with `on: request`, through Envoy: what the model gets, and that nothing else ever reaches it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, chat, codeOf, open } from './support/ask.ts';
import { type EnvoyConfig, eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask-in, then: mask, detect: [email_address, credit_card], on: request}
`;
const CARD = '4111 1111 1111 1111';
const saying = (content: string) => ({ ...chat, messages: [{ role: 'user', content }] });

/** Changes ext_proc's own settings. */
const proc =
  (change: (settings: Record<string, unknown>) => void) =>
  (config: EnvoyConfig): void => {
    const filters = config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config.http_filters;
    change(filters.find(({ name }) => name.endsWith('ext_proc'))!.typed_config);
  };

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ policies: { 'test.yaml': POLICY } });
});
afterAll(() => stack.close());

const last = () => stack.model.arrived.at(-1)!;
const content = () => (JSON.parse(last().body.toString()) as typeof chat).messages[0]!.content;
const endOf = (s: Stack, session: string) =>
  eventually(
    async () =>
      (await s.journal())
        .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
        .find((event) => event.type === 'end' && event.session === session),
    'the end of the session',
  );

test.each([
  ['grows', 'write to a@b.co, a@b.co', 'write to <EMAIL_ADDRESS>, <EMAIL_ADDRESS>', { email_address: 2 }],
  ['shrinks', `pay with ${CARD.replaceAll(' ', '-')}`, 'pay with <CREDIT_CARD>', { credit_card: 1 }],
  ['stays as it was', 'nothing to see', 'nothing to see', {}],
])('a body that %s reaches the model masked, whole, and at the right cluster', async (_name, said, sees, counts) => {
  const got = await ask(stack, saying(said));
  expect([got.status, content()]).toEqual([200, sees]);
  expect(last().headers['content-length']).toBe(String(last().body.length));
  const end = await endOf(stack, String(got.headers['x-sallyport-session']));
  expect(end).toMatchObject({ how: 'complete', maskedRequest: counts });
});

test('x', async () => {
  const got = await ask(stack, saying('a@b.co'));
  console.log(got, stack.log);
});
