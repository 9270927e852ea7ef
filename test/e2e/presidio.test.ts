/** Names, with the real analyzer of Presidio, through Envoy. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, chat, codeOf, open } from './support/ask.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta } from './support/upstream.ts';

const packages = process.env['SALLYPORT_TEST_PRESIDIO'];

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: one-place, when: '"location" in request.findings && request.findings["location"] > 1', then: deny}
    - {name: all-may, then: allow}
    - {name: mask-in, then: mask, detect: [person], on: request}
    - {name: mask-out, then: mask, detect: [email_address, person, location]}
`;

describe.skipIf(packages === undefined)('with a Presidio analyzer', () => {
  let analyzer: ChildProcess;
  let stack: Stack;

  beforeAll(async () => {
    const script = join(import.meta.dirname, '..', 'fixtures', 'python', 'presidio_server.py');
    analyzer = spawn('python3', [script], {
      env: { ...process.env, PYTHONPATH: packages },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = await once(analyzer.stdout!, 'data');
    const names = {
      engine: 'presidio',
      url: `http://127.0.0.1:${String(port).trim()}/analyze`,
      entities: ['PERSON', 'LOCATION'],
      timeout: '5s',
    };
    stack = await startStack({
      policies: { 'test.yaml': POLICY },
      config: { names, record: { detect: ['all', 'person', 'location'] } },
    });
  }, 120_000);
  afterAll(async () => {
    await stack?.close();
    analyzer?.kill();
  });

  const saying = (content: string, more: object = {}) => ({
    ...chat,
    ...more,
    messages: [{ role: 'user', content }],
  });
  const say = (body: object) => ask(stack, body);

  test('names are masked in the request and in the answer', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(completion('😀 Ann Lee (ann@example.com) met Müller in Jena. 李雷 did not.'));
    };
    const got = await say(saying('Where is Bob? Ask Ann Lee in Jena'));
    const sent = JSON.parse(stack.model.arrived.at(-1)!.body.toString()) as typeof chat;
    expect(sent.messages[0]!.content).toBe('Where is <PERSON>? Ask <PERSON> in Jena');
    expect(got.text).toContain('😀 <PERSON> (<EMAIL_ADDRESS>) met <PERSON> in <LOCATION>. <PERSON> did not.');
    const end = await eventually(
      async () =>
        (await stack.journal())
          .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
          .find((event) => event.type === 'end' && event.session === String(got.headers['x-sallyport-session'])),
      'the end of the session',
    );
    expect(end).toMatchObject({ masked: { person: 3, location: 1, email_address: 1 }, maskedRequest: { person: 2 } });
    expect(JSON.stringify(end)).not.toMatch(/Ann Lee|Müller|李雷|Bob/);
  });

  test('rules read what was found', async () => {
    expect(codeOf(await say(saying('Jena, and Jena again')))).toBe('policy_denied');
  });

  test('a stream is masked a sentence at a time', async () => {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const part of 'I met Ann Lee. She saw B') response.write(delta(part));
      response.end(delta('ob') + delta('', 'stop') + DONE);
    };
    const got = await say(saying('Who?', { stream: true }));
    const text = [...got.text.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join('');
    expect([got.complete, text]).toEqual([true, 'I met <PERSON>. She saw <PERSON>']);
    expect(got.text).toContain('[DONE]');
  });

  test('an analyzer that is gone closes the gate', async () => {
    const arrived = stack.model.arrived.length;
    const { promise: gone, resolve: isGone } = Promise.withResolvers<void>();
    stack.model.answer = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(delta('I met Ann Lee. She saw '));
      await gone;
      response.end(delta('Bob. And so on.') + DONE);
    };
    const call = await open(stack, saying('Who?', { stream: true }));
    await call.saw('I met <PERSON>. ');
    analyzer.kill();
    await once(analyzer, 'exit');
    isGone();
    const stream = await call.done;
    expect(stream.text).toContain('gate_failed');
    expect(stream.text).not.toMatch(/Bob|\[DONE\]/);
    const request = await say(saying('Where is Bob?'));
    expect(request.status).toBeGreaterThanOrEqual(500);
    expect(stack.model.arrived.length).toBe(arrived + 1);
  });
});
