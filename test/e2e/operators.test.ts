/** What a match becomes, through Envoy: each operator in answers, and pseudonyms there and back. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/commands/cli.ts';
import { decryptCommand } from '../../src/commands/decrypt.ts';
import { open } from './support/ask.ts';
import { eventually, type Stack, startStack } from './support/stack.ts';
import { answerJson, DONE, delta, type Handler } from './support/upstream.ts';

/** Sam's answers are masked, each detector by another operator; Jane's requests have pseudonyms in them. */
const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: all-may, then: allow}
    - name: answers
      when: '"contractors" in caller.groups'
      then: mask
      detect: [email_address, credit_card, us_ssn, ip_address, iban_code, private_key]
      operators:
        email_address: hash
        credit_card: {type: mask, keepLast: 4, with: "#"}
        us_ssn: redact
        ip_address: encrypt
        private_key: hash
    - name: requests
      when: '!("contractors" in caller.groups)'
      then: mask
      on: request
      detect: [email_address, credit_card, private_key]
      operator: pseudonym
    - {name: no-numbers, when: '!("contractors" in caller.groups) && "us_ssn" in response.findings', on: response, then: stop}
    - {name: no-rm, on: response, when: 'toolCall.name == "rm"', then: stop}
    - {name: no-cards-back, when: '!("contractors" in caller.groups)', then: mask, detect: [credit_card]}
`;
const MARIA = 'maria.lindqvist@example.org';
const JOE = 'joe@example.com';
const CARD = '4111 1111 1111 1111';
const PEM = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA'.repeat(8)}\n-----END RSA PRIVATE KEY-----`;
const SAID = `Write to ${MARIA}, ${JOE}, ${MARIA}; card ${CARD}, SSN 219-09-9999, from 203.0.113.42, DE89 3704 0044 0532 0130 00, ${PEM}.`;

let stack: Stack;
let jane: OpenAI;
let sam: OpenAI;
beforeAll(async () => {
  stack = await startStack({ policies: { 'test.yaml': POLICY } });
  const through = async (who: 'jane' | 'sam') =>
    new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: await stack.token(who), maxRetries: 0 });
  jane = await through('jane');
  sam = await through('sam');
});
afterAll(() => stack.close());

const asking = (content: string) => ({ model: 'demo', messages: [{ role: 'user' as const, content }] });
const events =
  (all: readonly string[]): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(all.join(''));
  };
const inPieces = (text: string, length: number): string[] =>
  Array.from({ length: Math.ceil(text.length / length) }, (_, at) => delta(text.slice(at * length, (at + 1) * length)));

async function streamed(client: OpenAI, content: string) {
  const { data, response } = await client.chat.completions.create({ ...asking(content), stream: true }).withResponse();
  let text = '';
  let args = '';
  for await (const { choices } of data)
    for (const choice of choices) {
      text += choice.delta.content ?? '';
      for (const call of choice.delta.tool_calls ?? []) args += call.function?.arguments ?? '';
    }
  return { text, args, session: response.headers.get('x-sallyport-session') ?? '' };
}

/** The end of a session, and what the journal has of its answer. */
async function recordOf(session: string) {
  const end = await eventually(
    async () =>
      (await stack.journal()).find(
        (line) => line.kind === 'event' && line.event.type === 'end' && line.event.session === session,
      ),
    'the end of the session',
  );
  const lines = await stack.journal();
  const kept = lines.flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === 'response' ? [line.text] : [],
  );
  const decision = lines.find(
    (line) => line.kind === 'event' && line.event.type === 'decision' && line.event.session === session,
  );
  return { end: end.kind === 'event' ? end.event : {}, decision, answer: kept.join(''), all: JSON.stringify(lines) };
}

describe('an answer', () => {
  test('has of each detector what its operator makes of it, in JSON and in a stream of any pieces', async () => {
    stack.model.answer = answerJson(SAID);
    const whole = (await sam.chat.completions.create(asking('hi'))).choices[0]!.message.content!;
    expect(whole).toMatch(
      /^Write to (<EMAIL_ADDRESS:[0-9a-f]{16}>), (<EMAIL_ADDRESS:[0-9a-f]{16}>), \1; card #### #### #### 1111, SSN , from <IP_ADDRESS:enc:v1:[\w-]+>, <IBAN_CODE>, <PRIVATE_KEY:[0-9a-f]{16}>\.$/,
    );
    for (const length of [1, 7, 40]) {
      stack.model.answer = events([...inPieces(SAID, length), delta('', 'stop'), DONE]);
      const { text, session } = await streamed(sam, 'hi');
      expect(text).toBe(whole);
      const { end, decision } = await recordOf(session);
      expect(end).toMatchObject({ masked: { email_address: 3, credit_card: 1, us_ssn: 1, private_key: 1 } });
      expect(decision).toMatchObject({
        event: {
          operators: { request: {}, response: { credit_card: 'mask', us_ssn: 'redact', ip_address: 'encrypt' } },
        },
      });
    }
  });

  test('is decrypted with the key that the gateway made', async () => {
    stack.model.answer = answerJson('from 203.0.113.42.');
    const text = (await sam.chat.completions.create(asking('hi'))).choices[0]!.message.content!;
    expect(statSync(join(stack.config.stateDir, 'masking.key')).mode & 0o777).toBe(0o600);
    let stdout = '';
    const io = {
      stdin: Readable.from([text]),
      stdout: { write: (more: string) => (stdout += more) },
      stderr: process.stderr,
      env: {},
      user: 'ann',
    };
    expect(await runCli([decryptCommand], ['decrypt', '--config', stack.config.file], io, '0')).toBe(0);
    expect(stdout).toBe('from 203.0.113.42.');
  });

  test('has valid arguments of tools', async () => {
    const args = JSON.stringify({ to: MARIA, card: 4111111111111111, ssn: '219-09-9999', key: PEM });
    const call = (piece: string) =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'demo', choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: piece } }] }, finish_reason: null }] })}\n\n`;
    stack.model.answer = events([...args.match(/.{1,5}/gs)!.map(call), delta('', 'tool_calls'), DONE]);
    expect(JSON.parse((await streamed(sam, 'hi')).args)).toEqual({
      to: expect.stringMatching(/^<EMAIL_ADDRESS:[0-9a-f]{16}>$/),
      card: '############1111',
      ssn: '',
      key: expect.stringMatching(/^<PRIVATE_KEY:[0-9a-f]{16}>$/),
    });
  });
});

describe('a pseudonym', () => {
  const sent = () =>
    (JSON.parse(stack.model.arrived.at(-1)!.body.toString()) as ReturnType<typeof asking>).messages[0]!.content;

  test('stands for a value before the model, and is put back in the stream', async () => {
    const answer =
      'To <EMAIL_ADDRESS_3>, then <EMAIL_ADDRESS_1>; <EMAIL_ADDRESS_9>, <EMAIL_ADDRESS_2> or <CREDIT_CARD_1>. <EMAIL_';
    stack.model.answer = events([...inPieces(answer, 3), delta('', 'stop'), DONE]);
    const got = await streamed(jane, `${MARIA} ${JOE} ${MARIA}, ${CARD}, and <EMAIL_ADDRESS_2>`);
    expect(sent()).toBe(
      '<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_3> <EMAIL_ADDRESS_1>, <CREDIT_CARD_1>, and <EMAIL_ADDRESS_2>',
    );
    // The answer is masked for cards, and the caller wrote a token of its own: neither is put back.
    expect(got.text).toBe(`To ${JOE}, then ${MARIA}; <EMAIL_ADDRESS_9>, <EMAIL_ADDRESS_2> or <CREDIT_CARD_1>. <EMAIL_`);
    const { end, answer: kept, all } = await recordOf(got.session);
    expect(end).toMatchObject({ maskedRequest: { email_address: 3, credit_card: 1 }, restored: { email_address: 2 } });
    expect(kept).toContain('EMAIL_ADDRESS_3>');
    expect(all).not.toContain(JOE);
    expect(all).not.toContain(MARIA);
  });

  test('is put back in arguments of tools, and in JSON', async () => {
    const args = (text: string) => ({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'demo',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: text,
            tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: JSON.stringify({ text }) } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
    });
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(args('mail <EMAIL_ADDRESS_1> the <PRIVATE_KEY_1>')));
    };
    const { choices } = await jane.chat.completions.create(asking(`${MARIA}: ${PEM} `));
    expect(sent()).toBe('<EMAIL_ADDRESS_1>: <PRIVATE_KEY_1> ');
    const { content, tool_calls: calls } = choices[0]!.message;
    expect(content).toBe(`mail ${MARIA} the ${PEM}`);
    const [call] = calls as [OpenAI.ChatCompletionMessageFunctionToolCall];
    expect(JSON.parse(call.function.arguments)).toEqual({ text: content });
  });

  test('is put back in what a stream had before a rule ended it', async () => {
    let goOn = (): void => {};
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(inPieces('To <EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_1>; <EMAIL', 9).join(''));
      goOn = () => response.end([delta('_ADDRESS_1>: 219-09-9999, and so on'), delta('', 'stop'), DONE].join(''));
    };
    const call = await open(stack, { ...asking(MARIA), stream: true }, 'jane');
    await call.saw(';');
    goOn();
    const got = await call.done;
    const said = [...got.text.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join('');
    expect(said).toBe(`To ${MARIA} and ${MARIA}; <EMAIL`);
    expect(got.text).toContain('response_stopped');
    const { end, all } = await recordOf(String(got.headers['x-sallyport-session']));
    expect(end).toMatchObject({ how: 'stopped', restored: { email_address: 2 } });
    expect(all).not.toContain(MARIA);
  });

  test('of one request says nothing in the answer to another', async () => {
    stack.model.answer = answerJson('mail <EMAIL_ADDRESS_1>');
    await jane.chat.completions.create(asking(MARIA));
    const { choices } = await jane.chat.completions.create(asking('hi'));
    expect(choices[0]!.message.content).toBe('mail <EMAIL_ADDRESS_1>');
  });
});
