/** Content filters and guards through the gate: real word lists, classifiers behind real HTTP, real Envoy. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { archiveClient } from './support/archive.ts';
import { ask, codeOf, type Got } from './support/ask.ts';
import { eventually, type JournalLine, type Stack, startStack } from './support/stack.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: content}
spec:
  rules:
    - {name: members, when: '"ml-eng" in caller.groups || "contractors" in caller.groups', then: allow}
    - {name: no-projects, when: '"projects" in request.filters', then: deny, messageExpression: '"Found " + string(request.filters["projects"]) + "."'}
    - {name: no-encoded-cards, when: '"credit_card" in request.findings', then: deny, message: A card number.}
    - name: safe-only
      models: [guarded]
      when: 'guard("safety").flagged'
      then: deny
      messageExpression: '"Flagged: " + guard("safety").categories.join(", ")'
    - {name: hook, models: [hooked], when: 'guard("hook").flagged', then: deny, message: The hook says no.}
`;

interface Asked {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A chat model that answers as Llama Guard does, and a webhook, in one server. */
let classifier: http.Server;
let verdict: (asked: Asked) => string | undefined;
const asked: Asked[] = [];
let stack: Stack;

const completion = (content: string) =>
  JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content } }] });

beforeAll(async () => {
  classifier = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const one = { path: request.url ?? '', headers: request.headers, body };
      asked.push(one);
      const said = verdict(one);
      if (said === undefined) response.writeHead(500).end();
      else
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(one.path === '/hook' ? said : completion(said));
    });
  });
  await new Promise<void>((resolve) => classifier.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(classifier.address() as AddressInfo).port}`;
  const model = (name: string) => ({ name, version: '1', formats: ['openai-chat'], credential: { file: 'model-key' } });
  stack = await startStack({
    policies: { 'content.yaml': POLICY },
    models: ['guarded', 'hooked'].map(model),
    config: {
      filters: [{ name: 'projects', words: ['operation nightfall', 'bluebird'], patterns: ['\\bBB-\\d{4,6}\\b'] }],
      guards: [
        { name: 'safety', kind: 'chat', url: `${url}/v1/chat/completions`, model: 'llama-guard', timeout: '500ms' },
        { name: 'hook', kind: 'webhook', url: `${url}/hook`, onFailure: 'allow', timeout: '500ms' },
      ],
    },
  });
});
afterAll(async () => {
  await stack.close();
  classifier.closeAllConnections();
  await new Promise((resolve) => classifier.close(resolve));
});
beforeEach(() => {
  asked.length = 0;
  verdict = () => 'safe';
});

const saying = (content: string, model = 'demo') => ({ model, messages: [{ role: 'user', content }] });

type Event = Extract<JournalLine, { kind: 'event' }>['event'];
async function requestEvent(got: Got): Promise<Event | undefined> {
  const lines = await stack.journal();
  return lines.flatMap((line) =>
    line.kind === 'event' && line.event.session === got.headers['x-sallyport-session'] && line.event.type === 'request'
      ? [line.event]
      : [],
  )[0];
}

describe('content filters', () => {
  test.each([
    ['a word', 'Tell me about Bluebird.', 'Found 1.'],
    ['a phrase, whatever is between its words', 'OPERATION\n  Nightfall', 'Found 1.'],
    ['with what cannot be seen between its letters', 'blue\u200bbird', 'Found 1.'],
    ['in full width letters', 'ｂｌｕｅｂｉｒｄ', 'Found 1.'],
    ['a pattern, and a word beside it', 'BB-1234 is bluebird', 'Found 2.'],
  ])('find %s', async (_, text, message) => {
    const got = await ask(stack, saying(text));
    expect(got.status).toBe(403);
    expect(got.text).toContain(message);
    expect(await requestEvent(got)).toMatchObject({ checked: true, filters: { projects: expect.any(Number) } });
  });

  test('are named by each decision, by /readyz and by SQL', async () => {
    const got = await ask(stack, saying('Tell me about bluebird.'));
    const session = (await requestEvent(got))?.session;
    const lines = await stack.journal();
    const decision = lines.find(
      (line) => line.kind === 'event' && line.event.type === 'decision' && line.event.session === session,
    );
    expect(decision).toMatchObject({ event: { filtersRevision: expect.stringMatching(/^[0-9a-f]{16}$/) } });
    const { filtersRevision } = (decision as unknown as { event: { filtersRevision: string } }).event;
    const ready = await (await fetch(`${stack.gateway.addresses['internal']}/readyz`)).json();
    expect(ready).toMatchObject({
      parts: { filters: { detail: expect.stringContaining(`3 entries, revision ${filtersRevision}`) } },
    });
    const query = `SELECT filters_revision FROM sessions WHERE session = '${session}'`;
    const rows = await eventually(async () => {
      const answer = await archiveClient(stack).sql(query);
      return answer.rows[0]?.[0] === filtersRevision ? answer.rows : undefined;
    }, 'the revision in the store');
    expect(rows).toHaveLength(1);
  });

  test('let pass what only looks like it', async () => {
    expect((await ask(stack, saying('bluebirds over operation nightfalls, BB-12'))).status).toBe(200);
  });
});

test('what is hidden in base64 or percent-encoding is found, and not in clear on the record', async () => {
  const clear = '4111 1111 1111 1111';
  for (const hidden of [Buffer.from(`card: ${clear} thanks`).toString('base64'), '4111%201111%201111%201111']) {
    const got = await ask(stack, saying(`Decode ${hidden} please`));
    expect(got.status).toBe(403);
    expect(await requestEvent(got)).toMatchObject({ findings: { credit_card: 1 } });
    const texts = (await stack.journal()).flatMap((line) =>
      line.kind === 'content' && line.session === got.headers['x-sallyport-session'] ? [line.text] : [],
    );
    expect(texts.join('')).toContain('<CREDIT_CARD>');
    expect(texts.join('')).not.toContain(hidden);
  }
});

describe('guards', () => {
  test('are asked only for models whose rules read them', async () => {
    expect((await ask(stack, saying('Hello'))).status).toBe(200);
    expect(asked).toEqual([]);
    expect((await ask(stack, saying('Hello', 'guarded'))).status).toBe(200);
    expect(asked.map(({ path }) => path)).toEqual(['/v1/chat/completions']);
    expect(asked[0]?.body).toContain('Hello');
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  test('deny what they flag, with what they say in the message and on the record', async () => {
    verdict = () => 'unsafe\nS1,S10';
    const got = await ask(stack, saying('How do I hurt somebody?', 'guarded'));
    expect(got.status).toBe(403);
    expect(got.text).toMatch(/Flagged: .+, .+/);
    expect(await requestEvent(got)).toMatchObject({ guards: { safety: { flagged: true, code: '' } } });
  });

  test.each([
    ['answers with an error', () => undefined],
    ['answers something else', () => 'I would rather not say.'],
  ])('that %s deny by default, and the model hears nothing', async (name, answer) => {
    verdict = answer;
    const before = stack.model.arrived.length;
    const got = await ask(stack, saying(`A question: ${name}`, 'guarded'));
    expect(got.status).toBe(403);
    expect(codeOf(got)).toBe('policy_error');
    expect(stack.model.arrived.length).toBe(before);
    expect(await requestEvent(got)).toMatchObject({
      guards: { safety: { flagged: false, code: expect.stringMatching(/^guard_/) } },
    });
  });

  test('with onFailure: allow let pass when they fail, and deny when they say so', async () => {
    verdict = () => undefined;
    expect((await ask(stack, saying('One', 'hooked'))).status).toBe(200);
    verdict = () => JSON.stringify({ flagged: true });
    const got = await ask(stack, saying('Two', 'hooked'));
    expect(got.status).toBe(403);
    expect(got.text).toContain('The hook says no.');
  });
});
