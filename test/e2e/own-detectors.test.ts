/** Detectors of the configuration, through Envoy: patterns, words, exact values by keyed hash. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canonicalValue, ValueHasher, valuesHeader } from '../../src/detect/keyed-hash.ts';
import { ask, chat, codeOf } from './support/ask.ts';
import { type Stack, startStack } from './support/stack.ts';
import { DONE, delta } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: no-projects-in, when: '"project" in request.findings', then: deny}
    - {name: all-may, then: allow}
    - {name: ours, then: mask, detect: [customer_number, project, finance], operators: {customer_number: {type: mask, keepLast: 2}}}
`;

let stack: Stack;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-own-'));
  const key = randomBytes(32).toString('hex');
  const hasher = new ValueHasher(Buffer.from(key));
  writeFileSync(join(folder, 'values.key'), key);
  writeFileSync(
    join(folder, 'canaries'),
    [valuesHeader(hasher), hasher.line(canonicalValue('Blue-Heron-77'))].join('\n'),
  );
  const detectors = [
    { id: 'customer_number', pattern: String.raw`\bC-\d{8}\b`, context: { words: ['customer', 'kunde*'] } },
    { id: 'project', words: ['Falcon', 'Silent Tide'] },
    {
      id: 'canary',
      categories: ['finance'],
      values: { file: join(folder, 'canaries'), keyFile: join(folder, 'values.key') },
    },
  ];
  stack = await startStack({ policies: { 'test.yaml': POLICY }, config: { detectors } });
});
afterAll(async () => {
  await stack?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('mask a stream, however it is cut, by id and by category, each with its operator', async () => {
  const said = 'Kundennummer C-20240017 (not C-20240018xyz) runs falcon and silent\ntide; ｂｌｕｅ-heron-77 too. ';
  const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: await stack.token('jane'), maxRetries: 0 });
  for (const length of [1, 5, 200]) {
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < said.length; at += length) response.write(delta(said.slice(at, at + length)));
      response.end(delta('', 'stop') + DONE);
    };
    let text = '';
    const messages = [{ role: 'user' as const, content: 'hi' }];
    for await (const { choices } of await client.chat.completions.create({ model: 'demo', stream: true, messages }))
      text += choices[0]?.delta.content ?? '';
    expect(text).toBe('Kundennummer *-******17 (not C-20240018xyz) runs <PROJECT> and <PROJECT>; <CANARY> too. ');
  }
});

test('are findings of a request, and the record does not say what was found', async () => {
  const before = stack.model.arrived.length;
  const response = await ask(stack, { ...chat, messages: [{ role: 'user', content: 'Tell me of Ｆalcon' }] });
  expect({ status: response.status, code: await codeOf(response) }).toEqual({ status: 403, code: 'policy_denied' });
  expect(stack.model.arrived.length).toBe(before);
  expect(JSON.stringify(await stack.journal())).not.toMatch(/Tell me of Ｆalcon/);
});
