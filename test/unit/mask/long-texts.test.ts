import { describe, expect, it } from 'vitest';
import { deliver, textsOf } from './bodies.ts';

const mail = 'jane.doe@example.com';
const label = '<EMAIL_ADDRESS>';
const event = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const end = `${event({}, 'stop')}data: [DONE]\n\n`;
/** Text in which the secret, a pair of surrogates or an escape comes at every offset of a step. */
const text = (times: number) => `${`one "two" ${mail} 😀\n`.repeat(times)}${mail} bye`;

describe('an event of hundreds of kilobytes', () => {
  const long = text(12_000);

  it('is masked as a small one is, wherever the transport cuts it', async () => {
    const stream = event({ content: long }) + end;
    const bytes = Buffer.from(stream);
    const whole = await deliver(bytes, 'sse');
    expect(textsOf(whole.text).get('choices[0].delta.content')).toBe(long.replaceAll(mail, label));
    expect(whole.findings).toEqual({ email_address: 12_001 });
    for (const cuts of [[1], [64 * 1024, 128 * 1024 + 1, 300_000], [bytes.length - 1]])
      expect((await deliver(bytes, 'sse', cuts)).text).toBe(whole.text);
  });

  it('stays byte for byte where nothing is found, escapes of any spelling included', async () => {
    const stream = `${event({ content: 'plain 😀 "text" '.repeat(12_000) }).replaceAll('text', 't\\u0065xt')}${end}`;
    expect((await deliver(stream, 'sse')).text).toBe(stream);
    expect((await deliver(stream, 'sse', [], { textMaskers: undefined })).text).toBe(stream);
  });

  it('goes on with a text that an earlier event began', async () => {
    const cut = long.length - 10;
    const stream = event({ content: long.slice(0, cut) }) + event({ content: long.slice(cut) }) + end;
    expect(textsOf((await deliver(stream, 'sse')).text).get('choices[0].delta.content')).toBe(
      long.replaceAll(mail, label),
    );
  });

  it('has its tool arguments masked inside of their JSON', async () => {
    const call = (args: string) => ({ tool_calls: [{ index: 0, function: { arguments: args } }] });
    const stream = event(call(JSON.stringify({ long, n: 1 }))) + end;
    expect((await deliver(stream, 'sse')).text).toBe(stream.replaceAll(mail, label));
  });
});

describe('a JSON body with a long text', () => {
  const body = (message: object) => JSON.stringify({ choices: [{ index: 0, message }] });

  it.each([
    ['content', (long: string) => body({ content: long })],
    ['tool arguments', (long: string) => body({ tool_calls: [{ function: { arguments: JSON.stringify({ long }) } }] })],
  ])('is masked with its escapes kept: %s', async (_, make) => {
    const whole = make(text(20_000));
    expect((await deliver(whole, 'json')).text).toBe(whole.replaceAll(mail, label));
  });

  it('stays byte for byte where nothing is found, escapes of any spelling included', async () => {
    const whole = body({ content: 'plain 😀 "text" \n1-1-'.repeat(12_000) }).replaceAll('text', 't\\u0065xt');
    expect((await deliver(whole, 'json')).text).toBe(whole);
  });

  it('has encoded media left alone, and masked where it is not only that', async () => {
    const data = `${'iVBORw0KGgo/'.repeat(20_000)}`;
    const clean = body({ audio: { data } });
    expect((await deliver(clean, 'json')).text).toBe(clean);
    const hidden = body({ audio: { data: `${data} ${mail}` } });
    expect((await deliver(hidden, 'json')).text).toBe(hidden.replace(mail, label));
    const streamed = event({ audio: { data } }) + event({ audio: { data: `${data} ${mail}` } }) + end;
    expect((await deliver(streamed, 'sse')).text).toBe(streamed.replace(mail, label));
  });
});

describe('plain text with long lines', () => {
  it('is masked, and refused when a line behind them is one of an event stream', async () => {
    const long = `${'many words '.repeat(3000)}${mail}`;
    const body = `${long}\r${long}\n${long}`;
    expect((await deliver(body, 'text', [100])).text).toBe(body.replaceAll(mail, label));
    for (const eol of ['\n', '\r', '\r\n'])
      await expect(deliver(`${long}${eol}data: x`, 'text')).rejects.toThrow('lines of an event stream');
    expect((await deliver(`${long} data: x`, 'text')).text).toBe(`${long.replaceAll(mail, label)} data: x`);
  });
});
