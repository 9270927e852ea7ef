import { describe, expect, it } from 'vitest';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { deliver, fixture } from './bodies.ts';

const mail = 'jane.doe@example.com';

describe('masking a JSON body', () => {
  it('masks every text, keeps ids and numbers, and stays byte for byte elsewhere', async () => {
    const body = fixture('body.json').toString();
    const { text, findings, usage, chunks } = await deliver(body, 'json');
    expect(text).not.toMatch(/jane\.doe|4111|10\.0\.0\.17/);
    const expected = body
      .replaceAll(mail, '<EMAIL_ADDRESS>')
      .replaceAll('\\"card\\": 4111111111111111', '\\"card\\": \\"<CREDIT_CARD>\\"')
      .replaceAll('\\\\u0034111 1111 1111 1111', '<CREDIT_CARD>')
      .replaceAll('4111 1111 1111 1111', '<CREDIT_CARD>')
      .replaceAll('10.0.0.17', '<IP_ADDRESS>')
      .replace('"number": 4111111111111111', '"number": "<CREDIT_CARD>"')
      .replace(/"logprobs": \{[^}]*\}\s*\]\s*\}/, '"logprobs": null');
    expect(text).toBe(expected);
    expect(findings).toEqual({ email_address: 3, credit_card: 4, ip_address: 1 });
    expect(usage).toEqual({ inputTokens: 9, outputTokens: 12, textBytes: 180 });
    expect(chunks.map((chunk) => chunk.terminal)).toEqual([false, true]);
  });

  it('delivers nothing before its end, and the same for every cut', async () => {
    const body = fixture('body.json');
    const whole = await deliver(body, 'json');
    for (let cut = 1; cut < body.length; cut++) expect((await deliver(body, 'json', [cut])).text).toBe(whole.text);
    expect(whole.chunks[0]!.bytes).toHaveLength(0);
  });

  it('passes a body byte for byte where nothing is found or nothing is to be masked', async () => {
    const clean = '{ "id" : "x", "choices" : [ {"message":{"content":"Gr\\u00fc\\u00dfe \\/"}} ] }\r\n';
    expect((await deliver(clean, 'json')).text).toBe(clean);
    const out = await deliver(fixture('body.json'), 'json', [], { textMaskers: undefined });
    expect(out.text).toBe(fixture('body.json').toString());
    expect(out.usage).toEqual({ inputTokens: 9, outputTokens: 12, textBytes: 180 });
    expect((await deliver('', 'json')).text).toBe('');
  });

  it('masks a request by the table of requests', async () => {
    const request = {
      model: mail,
      messages: [{ role: 'user', content: mail, tool_calls: [{ function: { arguments: `{"a":"${mail}"}` } }] }],
      user: mail,
    };
    const { text } = await deliver(JSON.stringify(request), 'json', [], { direction: 'request' });
    expect(text).toBe(JSON.stringify(request).replaceAll(mail, '<EMAIL_ADDRESS>'));
  });

  it('masks the error bodies of models', async () => {
    expect((await deliver(`{"object":"error","message":"no ${mail}","code":404}`, 'json')).text).toBe(
      '{"object":"error","message":"no <EMAIL_ADDRESS>","code":404}',
    );
    expect((await deliver(`{"detail":[{"loc":["body"],"input":"${mail}"}]}`, 'json')).text).toContain(
      '<EMAIL_ADDRESS>',
    );
    expect((await deliver(`"${mail}"`, 'json')).text).toBe('"<EMAIL_ADDRESS>"');
  });

  it.each(['data: {}\n\n', '{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":1}{"a":1}', '\ufeff{}', '{"a":', 'plain'])(
    'refuses %j',
    async (body) => {
      await expect(deliver(body, 'json')).rejects.toThrow(UnreadableBody);
      await expect(deliver(body, 'json', [], { textMaskers: undefined })).rejects.toThrow(UnreadableBody);
    },
  );

  it('bounds the body, and refuses what is not UTF-8', async () => {
    const body = JSON.stringify({ a: 'x'.repeat(100) });
    expect((await deliver(body, 'json', [50], { maxJsonBytes: body.length })).text).toBe(body);
    await expect(deliver(body, 'json', [50], { maxJsonBytes: body.length - 1 })).rejects.toThrow(
      'a JSON body is longer than',
    );
    await expect(deliver(Buffer.from([0x22, 0xff, 0x22]), 'json')).rejects.toThrow('not valid UTF-8');
  });

  it('masks a body of megabytes in slices, with the same result', async () => {
    const parts = Array.from({ length: 20_000 }, (_, i) => ({ id: i, text: `é ${i} to ${mail}, \n"quoted"` }));
    const body = JSON.stringify({
      choices: [{ message: { content: `${'long text é😀 '.repeat(20_000)}${mail}` } }],
      parts,
    });
    const { text, findings } = await deliver(body, 'json');
    expect(text).toBe(body.replaceAll(mail, '<EMAIL_ADDRESS>'));
    expect(findings).toEqual({ email_address: 20_001 });
  });
});

describe('masking lines of JSON', () => {
  const line = (content: string, more: object = {}) =>
    `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, ...more })}\n`;
  const contents = (text: string) =>
    text
      .split('\n')
      .filter((l) => l.trim() !== '')
      .map((l) => JSON.parse(l).message?.content ?? '')
      .join('');

  it('masks a text across lines, for every cut', async () => {
    const body = line('mail jane.d') + line('oe@example.com') + line(' né') + line('', { done: true });
    const whole = await deliver(body, 'ndjson');
    expect(contents(whole.text)).toBe('mail <EMAIL_ADDRESS> né');
    const bytes = Buffer.from(body);
    for (let cut = 1; cut < bytes.length; cut++) expect((await deliver(bytes, 'ndjson', [cut])).text).toBe(whole.text);
    expect(whole.chunks.at(-1)!.terminal).toBe(true);
    expect((await deliver(body, 'ndjson', [20], { textMaskers: undefined })).text).toBe(body);
  });

  it('reads a last line without a newline, and blank lines', async () => {
    expect(contents((await deliver(`${line('mail jane')}\r\n${line('.doe@example.com').trim()}`, 'ndjson')).text)).toBe(
      'mail <EMAIL_ADDRESS>',
    );
    expect(contents((await deliver(line('mail jane'), 'ndjson')).text)).toBe('mail jane');
  });

  it('refuses lines that are not JSON objects, and lines that are too long', async () => {
    for (const body of ['hello\n', '{"a":1} {"b":2}\n', '["a"]\n', '{"a":1,"a":2}\n', '{"a":'])
      await expect(deliver(body, 'ndjson')).rejects.toThrow(UnreadableBody);
    for (const cuts of [[], [10]])
      await expect(deliver(line('x'.repeat(200)) + line('y'), 'ndjson', cuts, { maxEventBytes: 100 })).rejects.toThrow(
        'longer than 100 bytes',
      );
    await expect(deliver('x'.repeat(200), 'ndjson', [10], { maxEventBytes: 100 })).rejects.toThrow(
      'longer than 100 bytes',
    );
  });
});

describe('masking plain text', () => {
  it('masks it as it flows, for every cut', async () => {
    const body = Buffer.from(`é 😀 upstream of ${mail} failed\n`);
    const whole = await deliver(body, 'text');
    expect(whole.text).toBe('é 😀 upstream of <EMAIL_ADDRESS> failed\n');
    for (let cut = 0; cut <= body.length; cut++) expect((await deliver(body, 'text', [cut])).text).toBe(whole.text);
    expect((await deliver(body, 'text', [...body.keys()])).text).toBe(whole.text);
    expect((await deliver(body, 'text', [9], { textMaskers: undefined })).text).toBe(body.toString());
    expect((await deliver('  \n', 'text', [1])).text).toBe('  \n');
  });

  it('reads as JSON what begins like JSON', async () => {
    const body = Buffer.from(` \n{"detail":"\\u006aane.doe@example.com"}`);
    for (let cut = 0; cut <= body.length; cut++)
      expect((await deliver(body, 'text', [cut])).text).toBe(' \n{"detail":"<EMAIL_ADDRESS>"}');
    await expect(deliver('{not json', 'text')).rejects.toThrow(UnreadableBody);
    for (const [body, expected] of [
      [' ["\\u006aane.doe\\u0040example.com"]\n', ' ["<EMAIL_ADDRESS>"]\n'],
      ['"\\u006aane.doe@example.com"', '"<EMAIL_ADDRESS>"'],
      [`[{"a":"${mail}"}, 4111111111111111]`, '[{"a":"<EMAIL_ADDRESS>"}, "<CREDIT_CARD>"]'],
    ] as const)
      for (let cut = 0; cut <= body.length; cut++)
        expect(await deliver(body, 'text', [cut])).toMatchObject({ text: expected });
  });

  it('masks as text what only begins like a JSON array or string', async () => {
    for (const [body, expected] of [
      [`[error] C:\\Users\\jane: ${mail}\n`, '[error] C:\\Users\\jane: <EMAIL_ADDRESS>\n'],
      [`"${mail}" is unknown`, '"<EMAIL_ADDRESS>" is unknown'],
      [`["${mail}",]`, '["<EMAIL_ADDRESS>",]'],
    ] as const)
      for (const cuts of [[], [1], [...Array(body.length).keys()]])
        expect(await deliver(body, 'text', cuts)).toMatchObject({ text: expected, findings: { email_address: 1 } });
    expect((await deliver('[a\\u0040b', 'text', [], { textMaskers: undefined })).text).toBe('[a\\u0040b');
    await expect(deliver('[a]\ndata: {"a":1}\n\n', 'text')).rejects.toThrow('lines of an event stream');
    await expect(deliver(`[${'x'.repeat(100)}`, 'text', [50], { maxJsonBytes: 100 })).rejects.toThrow(UnreadableBody);
    await expect(deliver(`[\\${'x'.repeat(300_000)}`, 'text')).rejects.toThrow('is longer than');
  });

  it.each([
    '["jane.doe\\u0040example.com",]',
    '"jane.doe\\x40example.com',
    '["jane.doe\\100example.com"',
    "['jane.doe@exam\\\nple.com']".replace("['", '["'),
    '["4111\\u{20}1111\\u{20}1111 1111"] // x',
    '["jane.doe\\@example\\.com"],',
    '\ufeff["jane.doe\\u0040example.com"]',
    '[1,1e999,"jane.doe\\u0040example.com"]',
  ])('refuses almost JSON that hides a match in its escapes: %j', async (body) => {
    await expect(deliver(body, 'text')).rejects.toThrow('hides a match in its escapes');
  });

  it('refuses text in which a client could find events', async () => {
    for (const body of ['data: {"a":1}\n\n', 'hello\n\ndata: {"a":1}\n\n', 'hello\rdata:x', '\ufeffdata:x'])
      for (const cuts of [[], [...Array(body.length).keys()]])
        await expect(deliver(body, 'text', cuts)).rejects.toThrow('lines of an event stream');
    expect((await deliver('my data: none', 'text')).text).toBe('my data: none');
  });

  it('refuses bytes that are not UTF-8', async () => {
    await expect(deliver(Buffer.from([0x61, 0xff]), 'text')).rejects.toThrow(UnreadableBody);
    await expect(deliver(Buffer.from([0x61, 0xe2, 0x82]), 'text')).rejects.toThrow('ends inside a character');
  });
});
