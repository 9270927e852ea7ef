import { describe, expect, it } from 'vitest';
import { gemini } from '../../../src/exchange/gemini.ts';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { deliver as delivered, masker } from './bodies.ts';

const item = (text: string, more: object = {}) =>
  JSON.stringify({ candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0, ...more }] });
const deliver = (body: string | Buffer, cuts: readonly number[] = [], options: object = {}) =>
  delivered(body, 'json', cuts, { format: gemini, ...options });
const textOf = (body: string): string =>
  (JSON.parse(body) as { candidates: { content?: { parts: { text: string }[] } }[] }[])
    .flatMap(({ candidates }) => candidates.flatMap(({ content }) => content?.parts ?? []))
    .map(({ text }) => text)
    .join('');
const mail = 'jane.doe@example.com';

describe('a JSON array that streams', () => {
  it('leaves item by item, the bracket at its end with the end of the body', async () => {
    const one = masker('json', { format: gemini });
    const push = async (text: string) => (await one.push(Buffer.from(text))).bytes.toString();
    expect(await push(' [')).toBe('');
    expect(await push(`${item('hello ')}\n`)).toBe(` [${item('hello ')}`);
    expect(await push(`,\n${item('you').slice(0, 20)}`)).toBe('');
    expect(await push(item('you').slice(20))).toBe(`\n,\n${item('')}`);
    expect(await push(' ]\n')).toBe(`,\n${item('you').replace('"role"', '"role"')}`);
    const last = await one.end();
    expect([last.bytes.toString(), last.terminal]).toEqual([' ]\n', true]);
  });

  it('comes out the same however the transport cuts it', async () => {
    const body = `[${item('wrïte to jane.doe@exa')}\r\n, ${item('mple.com "[{\\')},${item('} or 4111 1111 ')},${item('1111 1111', { finishReason: 'STOP' })}]`;
    const { text: whole, findings, usage } = await deliver(body);
    expect(textOf(whole)).toBe('wrïte to <EMAIL_ADDRESS> "[{\\} or <CREDIT_CARD>');
    expect(findings).toEqual({ email_address: 1, credit_card: 1 });
    expect(usage).toMatchObject({ inputTokens: undefined });
    const length = Buffer.byteLength(body);
    for (let at = 0; at <= length; at++) expect((await deliver(body, [at, at + 2])).text).toBe(whole);
    expect((await deliver(body, [...Array(length).keys()])).text).toBe(whole);
    expect((await deliver(body, [7], { textMaskers: undefined })).text).toBe(body);
  });

  it('carries what is held at its end in an item of its own', async () => {
    const { text } = await deliver(`[${item('ask jane')}]`);
    expect(textOf(text)).toBe('ask jane');
    expect(JSON.parse(text)).toHaveLength(2);
    expect((await deliver(`[${item(`ask ${mail}`)}]`)).text).toContain('<EMAIL_ADDRESS>');
  });

  it.each(['[]', ' [ ] ', '[\n]\n'])('may be empty: %j', async (body) => {
    expect((await deliver(body)).text).toBe(body);
    expect((await deliver(body, [1, 2])).text).toBe(body);
  });

  it.each([
    ['cut in an item', `[${item(mail).slice(0, -5)}`],
    ['cut behind an item', `[${item('a')}`],
    ['cut behind a comma', `[${item('a')},`],
    ['an item too few', `[${item('a')},]`],
    ['an item too few at first', `[,${item('a')}]`],
    ['two commas', `[${item('a')},,${item('b')}]`],
    ['no comma', `[${item('a')}${item('b')}]`],
    ['something behind it', `[${item('a')}] ${mail}`],
    ['another array behind it', `[${item('a')}][${item(mail)}]`],
    ['a text as an item', `["${mail}"]`],
    ['a number as an item', '[4111111111111111]'],
    ['null as an item', '[null]'],
    ['an array as an item', `[["${mail}"]]`],
    ['a bracket of the other kind', `[{"a":"${mail}"]]`],
    ['a name used twice', `[{"a":"x","a":"${mail}"}]`],
    ['a byte order mark', `\ufeff[${item(mail)}]`],
  ])('is refused: %s', async (_name, body) => {
    await expect(deliver(body)).rejects.toThrow(UnreadableBody);
    await expect(deliver(body, [...Array(body.length).keys()])).rejects.toThrow(UnreadableBody);
    await expect(deliver(body, [5], { textMaskers: undefined })).rejects.toThrow(UnreadableBody);
  });

  it('bounds an item, and the space between two', async () => {
    const options = { maxJsonBytes: 1000 };
    const fits = `[${item('x'.repeat(500))},${item('y'.repeat(500))},${item('z'.repeat(500))}]`;
    expect(textOf((await deliver(fits, [], options)).text)).toHaveLength(1500);
    await expect(deliver(`[${item('x'.repeat(1000))}`, [], options)).rejects.toThrow('longer than 1000 bytes');
    await expect(deliver(`[${item('x')}${' '.repeat(70_000)},`)).rejects.toThrow('too much white space');
  });

  it('is what any body is where it is no array', async () => {
    expect((await deliver(` ${item(`to ${mail}`)}`, [1])).text).toBe(` ${item('to <EMAIL_ADDRESS>')}`);
    expect((await deliver('')).text).toBe('');
    expect((await deliver('', [], { textMaskers: undefined })).text).toBe('');
    await expect(deliver('  ')).rejects.toThrow(UnreadableBody);
  });
});

describe('a body that is cut off by us', () => {
  const error = { json: '{"error":{"code":403}}', words: '[x] y' };

  it('is closed as the array that it is', async () => {
    for (const [text, begun, closed] of [
      ['[', false, '[{"error":{"code":403}}]'],
      [`[${item('hello ')}`, true, `[${item('hello ')},\n{"error":{"code":403}}]`],
      [`[${item('hello ')},{"candi`, true, `[${item('hello ')},\n{"error":{"code":403}}]`],
      [`[${item('hello ')}]`, true, `[${item('hello ')},\n{"error":{"code":403}}]`],
    ] as const) {
      const one = masker('json', { format: gemini });
      const { bytes } = await one.push(Buffer.from(text));
      expect(bytes.toString() + one.closing(error, begun)?.toString()).toBe(closed);
    }
  });

  it('keeps what was read well and what was held where it is unreadable', async () => {
    const one = masker('json', { format: gemini });
    await expect(async () => one.push(Buffer.from(`[${item('write to jane')},{"a":}]`))).rejects.toThrow(
      UnreadableBody,
    );
    const saved = (await one.salvage()).toString();
    expect(
      textOf(saved + one.closing(error, true)!.toString().replace('{"error":{"code":403}}', '{"candidates":[]}')),
    ).toBe('write to jane');
  });
});
