import { describe, expect, it } from 'vitest';
import { detectors } from '../../../src/detect/registry.ts';
import { anthropicMessages } from '../../../src/exchange/anthropic-messages.ts';
import { bedrockConverse } from '../../../src/exchange/bedrock-converse.ts';
import { gemini } from '../../../src/exchange/gemini.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { ToolCalls } from '../../../src/exchange/tool-calls.ts';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import type { BodyMaskerOptions } from '../../../src/mask/body.ts';
import { Findings } from '../../../src/mask/findings.ts';
import { FlowingJson } from '../../../src/mask/json-flow.ts';
import { UsageReader } from '../../../src/mask/usage.ts';
import { deliver, masker, textMaskers } from './bodies.ts';

const mail = 'jane.doe@example.com';
const label = '<EMAIL_ADDRESS>';
/** Strings from this length on come in pieces. */
const maxString = 2048;
const flows = (options: Partial<BodyMaskerOptions> = {}) => ({
  maxJsonBytes: 0,
  flow: { begun: false, maxString },
  ...options,
});
const flowing = (body: string | Buffer, cuts: readonly number[] = [], options: Partial<BodyMaskerOptions> = {}) =>
  deliver(body, 'json', cuts, flows(options));
const chat = (message: object, more: object = {}) => JSON.stringify({ choices: [{ index: 0, message }], ...more });
const words = 'some words of an answer, '.repeat(400);

describe('a JSON body that is masked as it comes', () => {
  it('is kept up to its limit, and leaves from there on', async () => {
    const one = masker('json', { maxJsonBytes: 5_000, flow: { begun: false, maxString } });
    const body = chat({ content: `${mail} ${words}` });
    expect((await one.push(Buffer.from(body.slice(0, 5_000)))).bytes).toHaveLength(0);
    const { bytes, terminal } = await one.push(Buffer.from(body.slice(5_000, 7_000)));
    expect(bytes.toString()).toContain(label);
    expect(terminal).toBe(false);
    const rest = (await one.push(Buffer.from(body.slice(7_000)))).bytes;
    const last = await one.end();
    expect(last.terminal).toBe(true);
    expect(Buffer.concat([bytes, rest, last.bytes]).toString()).toBe(body.replace(mail, label));
  });

  it('is the same for every cut: in a string, an escape, a number, a literal, a character', async () => {
    const body = Buffer.from(
      `{"choices":[{"message":{"content":"\\u00e9 😀 \\ud83d\\ude00 ${words}${mail}","n":[-1.5e+3,4111111111111111,true,null]},"logprobs":{"a":[1,{"b":"${words}"}]}}]} \n`,
    );
    const { text, findings } = await flowing(body);
    expect(text).toBe(
      `{"choices":[{"message":{"content":"é 😀 😀 ${words}${label}","n":[-1.5e+3,"<CREDIT_CARD>",true,null]},"logprobs":null}]} \n`,
    );
    expect(findings).toEqual({ email_address: 1, credit_card: 1 });
    for (let cut = 1; cut < body.length; cut += 31)
      expect((await flowing(body, [cut, cut + 1, cut + 3])).text).toBe(text);
    expect((await flowing(body, [...body.keys()])).text).toBe(text);
    expect((await flowing(body, [9], { textMaskers: undefined })).text).toBe(body.toString());
  });

  it('has its tool arguments, names and numbers masked, and media left alone', async () => {
    const data = 'iVBORw0KGgo/'.repeat(1_000);
    const body = chat({
      tool_calls: [{ function: { arguments: JSON.stringify({ to: mail, words, card: 4111111111111111 }) } }],
      audio: { data },
      [mail]: 1,
      [`${mail} `]: 2,
    });
    const whole = await deliver(body, 'json');
    expect((await flowing(body, [3_000, 9_000])).text).toBe(whole.text);
    expect(whole.text).toContain(data);
  });

  it('leaves a long member out without keeping it', async () => {
    const body = chat({ content: mail }, { prompt_logprobs: Array(20_000).fill({ token: mail }), usage: {} });
    const one = masker('json', flows());
    const { bytes } = await one.push(Buffer.from(body.slice(0, 300_000)));
    expect(bytes.toString()).toMatch(/"prompt_logprobs":$/);
    expect((await flowing(body)).text).toBe((await deliver(body, 'json')).text);
  });

  it.each<[string, string | Buffer]>([
    ['a name used twice', `{"a":"${words}","b":1,"\\u0061":2}`],
    ['nesting that is too deep', '['.repeat(65)],
    ['an escape that JSON does not know', `"${words}\\x"`],
    ['a lone surrogate', `"${words}\\ud83d"`],
    ['a control character in a string', `"${words}\n"`],
    ['something behind it', `{"a":"${words}"} {}`],
    ['a byte order mark', `\ufeff{"a":"${words}"}`],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.from(`"${words}`), Buffer.from([0xff, 0x22])])],
    ['a character that is cut off', Buffer.concat([Buffer.from(`"${words}`), Buffer.from([0xe2, 0x82])])],
    ['an end in a string', `{"a":"${words}`],
    ['an end in an object', `{"a":"${words}"`],
    ['a number that is too long', `[${'1'.repeat(2_000)}]`],
    ['a name that is too long', `{"${'n'.repeat(5_000)}":1}`],
    ['a name that never ends', `{"${'n'.repeat(500_000)}`],
    ['a number without digits', '[-]'],
    ['a literal that is none', '[nul]'],
    ['a comma too many', '[1,]'],
  ])('is refused as one that is kept: %s', async (_name, body) => {
    const { length } = Buffer.from(body);
    for (const textMasker of [textMaskers, undefined])
      for (const cuts of [[], [length - 1], [3_000, 5_000, 9_000]])
        await expect(flowing(body, cuts, { textMaskers: textMasker })).rejects.toThrow(UnreadableBody);
    await expect(deliver(body, 'json')).rejects.toThrow(UnreadableBody);
  });

  it('is refused where rules in force ask about tool calls, and not where they are on trial', async () => {
    const body = chat({ content: words });
    await expect(flowing(body, [], { calls: new ToolCalls(openaiChat.toolCalls!, true) })).rejects.toThrow(
      'rules ask about the tool calls',
    );
    expect((await flowing(body, [], { calls: new ToolCalls(openaiChat.toolCalls!, false) })).text).toBe(body);
  });

  it('is refused where media are something else behind their first characters', async () => {
    const body = chat({ audio: { data: `${'iVBORw0KGgo/'.repeat(1_000)} ${mail}` } });
    await expect(flowing(body)).rejects.toThrow('are something else');
    expect((await flowing(chat({ audio: { data: `${mail} ${words}` } }))).text).toContain(label);
  });
});

describe('texts in several strings of a body that is masked as it comes', () => {
  const texts = (json: string) => (JSON.parse(json) as { content: object[] }).content;

  it('are masked across them; what the last one holds is in an item of its own', async () => {
    const body = { content: ['to jane.d', 'oe@example.com', ' or jane'].map((text) => ({ type: 'text', text })) };
    const { text, findings } = await flowing(JSON.stringify(body), [], { format: anthropicMessages });
    expect(texts(text)).toEqual(['to ', '', `${label} or `, 'jane'].map((one) => ({ type: 'text', text: one })));
    expect(findings).toEqual({ email_address: 1 });
  });

  it('are so in arrays within', async () => {
    const cited = (text: string) => ({ citationsContent: { content: [{ text }] } });
    const body = { output: { message: { content: [cited('to jane.d'), cited('oe@example.com')] } } };
    const { text } = await flowing(JSON.stringify(body), [], { format: bedrockConverse });
    expect(JSON.parse(text)).toEqual({
      output: { message: { content: [cited('to '), cited(''), cited(label)] } },
    });
  });

  it('are told apart by what an item says behind its text, unless that is too late', async () => {
    const answer = (...parts: string[]) => `{"candidates":[{"content":{"parts":[${parts.join()}]}}]}`;
    const body = answer('{"text":"to jane.d"}', '{"text":"well, ","thought":true}', '{"text":"oe@example.com now"}');
    const parts = (JSON.parse((await flowing(body, [70], { format: gemini })).text) as never)['candidates'][0][
      'content'
    ];
    expect(parts['parts']).toEqual([
      { text: 'to ' },
      { text: 'well, ', thought: true },
      { text: `${label} ` },
      { text: 'now' },
    ]);
    const late = answer(`{"text":"a","inlineData":{"data":"${'iVBORw0KGgo/'.repeat(1_000)}"},"thought":true}`);
    for (const cuts of [[], [100], [3_000, 9_000]])
      await expect(flowing(late, cuts, { format: gemini })).rejects.toThrow('of which text it is part');
    const image = late.replace('"text":"a",', '');
    expect((await flowing(image, [], { format: gemini })).text).toBe(image);
  });

  it('does not put together what the table does not name, nor lets a match across appear', async () => {
    const body = { content: ['one', 'pay 4111 1111 ', '1111 1111', 'two'].map((mood) => ({ type: 'x', mood })) };
    const { text } = await flowing(JSON.stringify(body), [], { format: anthropicMessages });
    expect(texts(text)).toEqual(['one', 'pay 4111 1111 ', '<MASKED>', 'two'].map((mood) => ({ type: 'x', mood })));
  });
});

describe('a body that is masked as it comes and breaks', () => {
  const error = { json: '{"error":{"code":502}}', words: '[x] y' };

  it('ends with what was read well and was held, and an error with which it is no JSON text', async () => {
    for (const [rest, saved] of [
      ['\\q', `${words}jane`],
      ['"}}],"a":1,"a":2}', `${words}jane"}}],"a":1,`],
    ] as const) {
      const one = masker('json', flows());
      const first = (await one.push(Buffer.from(chat({ content: `${words}jane` }).slice(0, -5)))).bytes;
      await expect((async () => one.push(Buffer.from(rest + ' '.repeat(2_000))))()).rejects.toThrow(UnreadableBody);
      const got = first.toString() + (await one.salvage()).toString();
      expect(got).toBe(`{"choices":[{"index":0,"message":{"content":"${saved}`);
      const closed = got + one.closing(error, true)!.toString();
      expect(closed.endsWith(`\n${error.json}\n`)).toBe(true);
      expect(() => JSON.parse(closed)).toThrow();
    }
    expect(masker('json', flows()).closing(error, false)!.toString()).toBe(error.json);
  });
});

it('keeps 256 KiB at most of a body of any length', async () => {
  const one = new FlowingJson(openaiChat.responseText, new Findings(textMaskers), new UsageReader());
  const piece = Buffer.from(`${`{"text":"${'word '.repeat(50)}${mail}","n":12} ,`.repeat(200)}`);
  const long = Buffer.from('a long \\"text\\" of words, '.repeat(2_000));
  let most = 0;
  const push = async (chunk: Buffer) => {
    await one.push(chunk);
    most = Math.max(most, one.held);
  };
  await push(Buffer.from('{"choices":['));
  for (let i = 0; i < 60; i++) await push(piece);
  await push(Buffer.from(`{"message":{"content":"${mail} `));
  for (let i = 0; i < 60; i++) await push(long);
  await push(Buffer.from(`${mail}"},"logprobs":["`));
  for (let i = 0; i < 60; i++) await push(long);
  await push(Buffer.from(`"]}],${' '.repeat(1_000_000)}"data":[`));
  for (let i = 0; i < 60; i++) await push(piece);
  await push(Buffer.from('1]}'));
  expect((await one.end()).bytes.toString()).toContain('1]}');
  expect(most).toBeLessThan(128 * 1024);
});

it('is masked for the record as it leaves, too', async () => {
  const options = { maxJsonBytes: 64 * 1024, beyondJson: 'stream' } as const;
  const bodies = createBodies(
    detectors.map(({ id }) => id),
    options,
  );
  const { delivery, record } = bodies.response('openai-chat', 'json', ['email_address']);
  const body = chat({ content: `${mail} 4111 1111 1111 1111 ${words.repeat(20)}` });
  const delivered: Buffer[] = [];
  const recorded: Buffer[] = [];
  for (let at = 0; at < body.length; at += 16_384) {
    const { bytes } = await delivery.push(Buffer.from(body.slice(at, at + 16_384)));
    delivered.push(bytes);
    recorded.push((await record!.push(bytes)).bytes);
    const behind = Buffer.concat(delivered).length - Buffer.concat(recorded).length;
    expect(behind).toBeLessThan(34 * 1024);
  }
  const { bytes } = await delivery.end();
  recorded.push((await record!.push(bytes)).bytes, (await record!.end()).bytes);
  expect(Buffer.concat([...delivered, bytes]).toString()).toBe(body.replace(mail, label));
  const expected = body.replace(mail, label).replace('4111 1111 1111 1111', '<CREDIT_CARD>');
  expect(Buffer.concat(recorded).toString()).toBe(expected);
});
