import { describe, expect, it } from 'vitest';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { deliver, eventsOf, masker, textsOf } from './bodies.ts';

const json = (delta: unknown, more: object = {}, index = 0) =>
  JSON.stringify({ id: 'c', model: 'm', choices: [{ index, delta, finish_reason: null, ...more }] });
const event = (delta: unknown, more: object = {}, index = 0) => `data: ${json(delta, more, index)}\n\n`;
const content = (text: string, index = 0) => event({ content: text }, {}, index);
const stop = (index = 0) => event({}, { finish_reason: 'stop' }, index);
const done = 'data: [DONE]\n\n';
const mail = 'jane.doe@example.com';

const masked = async (stream: string | Buffer) => (await deliver(stream, 'sse')).text;
const contentOf = (stream: string, index = 0) => textsOf(stream).get(`choices[${index}].delta.content`);

/** Both with and without masking: what cannot be read strictly is refused. */
async function expectRefused(stream: string | Buffer): Promise<void> {
  await expect(deliver(stream, 'sse')).rejects.toThrow(UnreadableBody);
  await expect(deliver(stream, 'sse', [], { textMaskers: undefined })).rejects.toThrow(UnreadableBody);
}

describe('framing that hides text', () => {
  it.each(['\n', '\r', '\r\n'])('reads events that end in %j', async (eol) => {
    const stream = (content('to jane.d') + content('oe@example.com!') + stop() + done).replaceAll('\n', eol);
    const out = await masked(stream);
    expect(contentOf(out)).toBe('to <EMAIL_ADDRESS>!');
    expect(out.endsWith(`data: [DONE]${eol}${eol}`)).toBe(true);
    expect(out.split(eol).join('')).not.toMatch(/[\r\n]/);
    const each = await deliver(stream, 'sse', [...stream].keys().toArray());
    expect(each.text).toBe(out);
  });

  it('reads lines of one event that end differently', async () => {
    const out = await masked(
      `data: ${json({ content: mail })}\r\r\ndata: ${json({ content: ` ${mail}` })}\n\rdata: [DONE]\n\n`,
    );
    expect(contentOf(out)).toBe('<EMAIL_ADDRESS> <EMAIL_ADDRESS>');
  });

  it('reads data over several lines, and keeps its lines', async () => {
    const out = await masked(
      `data: {"choices":[{"index":0,\ndata: "delta":{"content":"${mail}"},\ndata:"finish_reason":"stop"}]}\n\n`,
    );
    expect(out).toBe(
      'data: {"choices":[{"index":0,\ndata: "delta":{"content":"<EMAIL_ADDRESS>"},\ndata:"finish_reason":"stop"}]}\n\n',
    );
  });

  it('masks comments, event names and ids', async () => {
    const out = await masked(`: ${mail}\nevent: ${mail}\nid: ${mail}\nretry: 4111111111111111\ndata: {}\n\n`);
    expect(out).toBe(
      ': <EMAIL_ADDRESS>\nevent: <EMAIL_ADDRESS>\nid: <EMAIL_ADDRESS>\nretry: <CREDIT_CARD>\ndata: {}\n\n',
    );
  });

  it('passes a byte order mark at the beginning, and refuses it elsewhere', async () => {
    const stream = `\ufeff${content(`${mail} `)}${done}`;
    expect(await masked(stream)).toBe(`\ufeff${content('<EMAIL_ADDRESS> ')}${done}`);
    expect((await deliver(stream, 'sse', [1, 2, 3, 4])).text).toBe(await masked(stream));
    await expectRefused(`${content('a')}\ufeff${content(mail)}`);
    await expectRefused(`data: \ufeff${json({ content: mail })}\n\n`);
  });

  it('refuses lines that are no field of an event stream', async () => {
    await expectRefused(`${json({ content: '\\u0034111' })}\n\n`);
    await expectRefused(`Data: ${json({ content: mail })}\n\n`);
    await expectRefused(` data: ${json({ content: mail })}\n\n`);
    await expectRefused('hello\n\n');
  });

  it('reads the last event when its blank line is missing', async () => {
    for (const end of ['', '\n', '\r']) {
      const out = await masked(`${content('mail jane')}data: ${json({ content: '.doe@example.com now' })}${end}`);
      expect(contentOf(out)).toBe('mail <EMAIL_ADDRESS> now');
      expect(out.endsWith(`}]}${end}`)).toBe(true);
      expect(contentOf(await masked(`${content('mail jane')}data: [DONE]${end}`))).toBe('mail jane');
      expect(contentOf(await masked(`${content('mail jane')}: bye${end}`))).toBe('mail jane');
    }
  });

  it('delivers at the end of the body what is held', async () => {
    expect(contentOf(await masked(content('mail jane')))).toBe('mail jane');
    expect(contentOf(await masked(content(`mail ${mail}`)))).toBe('mail <EMAIL_ADDRESS>');
    expect((await deliver('', 'sse')).text).toBe('');
    expect((await deliver('\n\n: x\n\n', 'sse')).text).toBe('\n\n: x\n\n');
  });

  it('refuses a last event that is cut', async () => {
    await expectRefused(`${content('a')}data: {"choices":[{"index":0,"delta":{"content":"4111 1111`);
  });

  it('drops everything after [DONE]', async () => {
    const head = content('hello ') + done;
    for (const after of [content(mail), `${mail}`, '\n', '\n\n', ': x\n\n', done, '{"a":']) {
      expect(await masked(head + after)).toBe(head);
      expect((await deliver(head + after, 'sse', [head.length])).text).toBe(head);
      expect((await deliver(head + after, 'sse', [], { textMaskers: undefined })).text).toBe(head);
    }
    const crlf = head.replaceAll('\n', '\r\n');
    for (const cut of [crlf.length - 1, crlf.length - 2, crlf.length])
      expect((await deliver(`${crlf}data: ${mail}`, 'sse', [cut])).text).toBe(crlf);
    expect(await masked(`${content('hello ')}data:  [DONE] \n\n${content(mail)}`)).toBe(
      `${content('hello ')}data:  [DONE] \n\n`,
    );
  });

  it('refuses [DONE] with something behind it', async () => {
    await expectRefused(`data: [DONE] ${mail}\n\n`);
    await expectRefused(`data: [DONE]\ndata: x\n\n`);
  });

  it('bounds an event, however it arrives', async () => {
    const limit = { maxEventBytes: 1000 };
    const fits = content(' '.repeat(1000 - content('').length));
    expect(fits.length).toBe(1000);
    const long = content(' '.repeat(1001 - content('').length));
    for (const cuts of [[], [10, 500], [...Array(1001).keys()]]) {
      expect((await deliver(fits + fits, 'sse', cuts, limit)).text).toBe(fits + fits);
      await expect(deliver(long, 'sse', cuts, limit)).rejects.toThrow('longer than 1000 bytes');
      await expect(deliver(fits + long, 'sse', cuts, limit)).rejects.toThrow('longer than 1000 bytes');
      await expect(deliver('data: '.padEnd(2000, 'x'), 'sse', cuts, limit)).rejects.toThrow('longer than 1000 bytes');
    }
    await expect(deliver(Buffer.alloc(10 * 1024 * 1024, 'x'), 'sse')).rejects.toThrow(UnreadableBody);
  });

  it.each([
    ['a cut character', [0xe2, 0x82]],
    ['a stray byte', [0xff]],
    ['an encoded surrogate', [0xed, 0xa0, 0xbd]],
    ['an overlong form', [0xc1, 0xa1]],
  ])('refuses bytes that are not UTF-8: %s', async (_name, bytes) => {
    const [before, after] = content('ab#').split('#') as [string, string];
    await expectRefused(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]));
    await expectRefused(Buffer.concat([Buffer.from(content('a')), Buffer.from(`: ${bytes}`), Buffer.from(bytes)]));
  });
});

describe('JSON that hides text', () => {
  it.each([
    ['a name used twice', '{"choices":[],"a":1,"a":2}'],
    ['a name used twice in escapes', '{"choices":[{"index":0,"delta":{"content":"x","cont\\u0065nt":"y"}}]}'],
    ['a lone surrogate', '{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}'],
    ['NaN', '{"a":NaN}'],
    ['trailing junk', '{"a":1} x'],
    ['a comment', '{"a":1/**/}'],
    ['single quotes', "{'a':1}"],
    ['a raw control character', '{"a":"\u0001"}'],
    ['deep nesting', `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`],
    ['an array', '["jane"]'],
    ['a string', '"jane"'],
    ['two texts', '{"a":1}{"b":2}'],
  ])('refuses %s', async (_name, text) => {
    await expectRefused(`data: ${text}\n\n`);
    // Also after an event of nearly the same shape was read.
    await expectRefused(`${content('a')}${content('b')}data: ${text}\n\n`);
  });

  it('does not take for known what only looks like it', async () => {
    const [head, tail] = content('#').split('#') as [string, string];
    const known = content('a') + content('b');
    for (const inside of ['\u0001', '\\x', '\\ud83d', '\\u00', '\\', '"', 'x","content":"y'])
      await expectRefused(known + head + inside + tail);
    for (const inside of ['\\n', '\\"', '\\u0041', '\\ud83d\\ude00', '😀', '', '\\\\'])
      expect(contentOf(await masked(known + head + inside + tail + stop() + done))).toBe(
        `ab${JSON.parse(`"${inside}"`)}`,
      );
  });

  it('reads escapes', async () => {
    const escaped = [...mail].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    const out = await masked(`data: {"choices":[{"index":0,"delta":{"content":"${escaped} "}}]}\n\n`);
    expect(contentOf(out)).toBe('<EMAIL_ADDRESS> ');
  });

  it('masks data that is not JSON, and a match across two of them', async () => {
    expect(await masked(`data: write to ${mail}\n\n`)).toBe('data: write to <EMAIL_ADDRESS>\n\n');
    expect(await masked(`data: jane.doe\n\ndata: @example.com\n\n`)).toBe('data: jane.doe\n\ndata: <MASKED>\n\n');
  });
});

describe('texts in unusual places', () => {
  it('tells choices apart by their index, not by their place', async () => {
    const both = (a: string, b: string) =>
      `data: ${JSON.stringify({
        choices: [
          { index: 1, delta: { content: a } },
          { delta: { content: b }, index: 0 },
        ],
      })}\n\n`;
    const one = (index: number, text: string) =>
      `data: ${JSON.stringify({ choices: [{ delta: { content: text }, index }] })}\n\n`;
    const out = await masked(both('4111 1111 ', 'jane.doe') + one(0, '@example.com.') + one(1, '1111 1111.') + done);
    expect(contentOf(out, 0)).toBe('<EMAIL_ADDRESS>.');
    expect(contentOf(out, 1)).toBe('<CREDIT_CARD>.');
  });

  it('masks a text of which two pieces are in one event', async () => {
    const twice = `data: ${JSON.stringify({ choices: ['jane.doe@exa', 'mple.com.'].map((content) => ({ index: 0, delta: { content } })) })}\n\n`;
    expect(contentOf(await masked(twice + done))).toBe('<EMAIL_ADDRESS>.');
  });

  it('masks the texts of events and fields that it has never heard of', async () => {
    const stream =
      `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"jane.doe@exam"}\n\n` +
      `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"ple.com "}\n\n`;
    const out = eventsOf(await masked(stream));
    expect(out.map((e) => e['delta']).join('')).toBe('<EMAIL_ADDRESS> ');
    expect(out.every((e) => e['type'] === 'response.output_text.delta')).toBe(true);
  });

  it('masks numbers as quoted strings, and names', async () => {
    const [out] = eventsOf(
      await masked(`data: {"n":4111111111111111,"m":42,"f":-1.5,"${mail}":{"x@y.com":1,"z@y.com":2}}\n\n`),
    );
    expect(out).toEqual({
      n: '<CREDIT_CARD>',
      m: 42,
      f: -1.5,
      '<EMAIL_ADDRESS>': { '<EMAIL_ADDRESS>': 1, '<EMAIL_ADDRESS> (2)': 2 },
    });
  });

  it('masks ids and models that are longer than any id', async () => {
    const [out] = eventsOf(
      await masked(`data: ${JSON.stringify({ id: `${'x '.repeat(300)}${mail}`, model: 'm' })}\n\n`),
    );
    expect(out!['id']).toContain('<EMAIL_ADDRESS>');
  });

  it('masks function names, whole and in pieces', async () => {
    const call = (name: string) =>
      event({ tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name } }] });
    expect(await masked(call(mail))).toContain('"name":"<EMAIL_ADDRESS>"');
    expect(await masked(call('get_weather') + call('get_weather'))).toBe(call('get_weather') + call('get_weather'));
    expect(await masked(call('jane.doe') + call('@example.com'))).not.toContain('@example');
  });

  it('masks an error in the stream, after all that was held', async () => {
    const error = `data: {"error":{"message":"no ${mail}","type":"server_error","param":null,"code":500}}\n\n`;
    const out = eventsOf(await masked(content('mail jane') + error));
    expect(out).toHaveLength(3);
    expect(out[1]).toMatchObject({ choices: [{ delta: { content: 'jane' } }] });
    expect(out[2]).toEqual({ error: { message: 'no <EMAIL_ADDRESS>', type: 'server_error', param: null, code: 500 } });
  });

  it('refuses a text that goes on after its end', async () => {
    await expect(deliver(content('4111 1111 ') + stop() + content('1111 1111'), 'sse')).rejects.toThrow(
      'goes on after its end',
    );
    await expect(deliver(stop() + event({ reasoning_content: 'x' }), 'sse')).rejects.toThrow('goes on after its end');
    expect(contentOf(await masked(content('a') + stop() + content('') + content('b', 1) + done))).toBe('a');
  });

  it('keeps both halves of a character in one event', async () => {
    const out = await masked(content('😀 jane') + content('😀@example.com 😀') + stop() + done);
    for (const { choices } of eventsOf(out)) expect(JSON.stringify(choices)).not.toMatch(/\\ud[89a-f]/i);
    expect(contentOf(out)).toContain('😀 jane😀');
  });

  it('bounds the texts of one stream', async () => {
    const one = masker('sse');
    const flood = async () => {
      for (let i = 0; i < 2000; i++) await one.push(Buffer.from(content('jane', i)));
    };
    await expect(flood()).rejects.toThrow('more than 1024 texts');
  });

  it('lets the event loop turn while it masks one event of a megabyte', async () => {
    const long = content(`${'word 4111 '.repeat(95_000)}`);
    let turns = 0;
    let masking = true;
    const turn = () => {
      turns++;
      if (masking) setImmediate(turn);
    };
    setImmediate(turn);
    const out = await deliver(long, 'sse');
    masking = false;
    expect(contentOf(out.text)?.length).toBe(950_000);
    expect(turns).toBeGreaterThan(3);
  });
});
