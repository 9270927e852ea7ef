import { describe, expect, it } from 'vitest';
import { deliver, eventsOf, fixture, maskText, textsOf } from './bodies.ts';

const streams = [
  'openai-text.sse',
  'vllm-reasoning.sse',
  'interleaved-choices.sse',
  'tool-calls.sse',
  'refusal.sse',
  'logprobs.sse',
  'crlf.sse',
  'unknown-fields.sse',
];
interface Skeleton {
  readonly id?: unknown;
  readonly choices: readonly { readonly fields: readonly string[] }[];
}

const secrets = /jane\.doe|4111|DE89|415 555|10\.0\.0\.17/;

const event = (delta: unknown, more: object = {}, index = 0) =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index, delta, finish_reason: null, ...more }] })}\n\n`;
const content = (text: string) => event({ content: text });
const finish = event({}, { finish_reason: 'stop' });
const done = 'data: [DONE]\n\n';

const masked = async (stream: string) => (await deliver(stream, 'sse')).text;

/** The tool-call arguments of a fixture, each string and number masked by itself. */
function maskJson(text: string): unknown {
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return maskText(value);
    if (typeof value === 'number') return maskText(String(value)) === String(value) ? value : maskText(String(value));
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [maskText(name), walk(inner)]));
  };
  return walk(JSON.parse(text));
}

describe('masking a stream', () => {
  it.each(streams)('lets nothing of %s out in clear', async (name) => {
    const { text, findings } = await deliver(fixture(name), 'sse');
    expect(fixture(name).toString()).not.toBe(text);
    expect(text).not.toMatch(secrets);
    expect([...textsOf(text).values()].join('\n')).not.toMatch(secrets);
    expect(Object.keys(findings).length).toBeGreaterThan(0);
  });

  it.each(streams)('delivers in %s each text as it would be masked whole', async (name) => {
    const before = textsOf(fixture(name).toString());
    const after = textsOf((await deliver(fixture(name), 'sse')).text);
    for (const [path, text] of before) {
      if (path.includes('logprobs')) continue;
      if (path.endsWith('.arguments')) expect(JSON.parse(after.get(path)!)).toEqual(maskJson(text));
      else expect(after.get(path), path).toBe(maskText(text));
    }
  });

  it.each(streams)('keeps in %s everything else: ids, order, reasons, usage', async (name) => {
    const skeleton = (stream: string): Skeleton[] =>
      eventsOf(stream).map(({ choices, provider: _1, trace: _2, ...rest }) => ({
        ...rest,
        choices: (choices as Record<string, unknown>[]).map(({ delta, logprobs: _3, token_ids: _4, ...choice }) => ({
          ...choice,
          extra: undefined,
          fields: Object.keys(delta as object),
        })),
      }));
    const before = skeleton(fixture(name).toString());
    const after = skeleton((await deliver(fixture(name), 'sse')).text);
    // What is new are carriers only: each repeats the header, and has one choice with one field and no reason.
    let i = 0;
    for (const event of after) {
      if (JSON.stringify(event) === JSON.stringify(before[i])) {
        i++;
        continue;
      }
      expect(event).toMatchObject({ id: before[0]!.id, object: 'chat.completion.chunk' });
      for (const choice of event.choices)
        expect(choice).toMatchObject({ finish_reason: null, fields: [expect.anything()] });
    }
    expect(i).toBe(before.length);
  });

  it.each(streams)('delivers the same bytes of %s wherever the transport cuts it', async (name) => {
    const body = fixture(name);
    const whole = await deliver(body, 'sse');
    for (let cut = 1; cut < body.length; cut += cut < 1200 ? 1 : 17) {
      const two = await deliver(body, 'sse', [cut]);
      if (two.text !== whole.text) expect(two.text, `cut at ${cut}`).toBe(whole.text);
    }
    const each = await deliver(body, 'sse', [...body.keys()]);
    expect(each.text).toBe(whole.text);
    expect(each.findings).toEqual(whole.findings);
  });

  it.each(streams)(
    'passes %s byte for byte where nothing is to be masked, and finds its end and usage',
    async (name) => {
      const body = fixture(name);
      for (const cuts of [[], [...body.keys()], [7, 100, 101, 102, 500]]) {
        const out = await deliver(body, 'sse', cuts, { textMaskers: undefined });
        expect(out.text).toBe(body.toString());
        expect(out.chunks.filter((chunk) => chunk.terminal)).toHaveLength(1);
        expect(out.chunks.find((chunk) => chunk.terminal)!.bytes.toString()).toContain('[DONE]');
        expect(out.findings).toEqual({});
      }
      expect((await deliver(body, 'sse', [], { textMaskers: undefined })).usage).toEqual(
        (await deliver(body, 'sse')).usage,
      );
    },
  );

  it('reads the usage that the model reports at the end', async () => {
    expect((await deliver(fixture('openai-text.sse'), 'sse')).usage).toEqual({
      inputTokens: 19,
      outputTokens: 42,
      textBytes: 114,
    });
    expect((await deliver(fixture('refusal.sse'), 'sse')).usage).toEqual({
      inputTokens: undefined,
      outputTokens: undefined,
      textBytes: 33,
    });
  });

  it.each([
    ['English', 'word'],
    ['French', 'été'],
    ['Chinese', '漢字'],
    ['emoji', '🦊'],
  ])('counts the bytes of %s as it comes, whichever way an event is read', async (_, piece) => {
    const body = content(piece).repeat(20) + content(piece.repeat(50_000)) + finish + done;
    const textBytes = Buffer.byteLength(piece) * 50_020;
    for (const options of [{}, { textMaskers: undefined }])
      expect((await deliver(body, 'sse', [500, 501, 900], options)).usage).toMatchObject({ textBytes });
  });

  it('marks the chunk with [DONE] as terminal, and no other', async () => {
    const body = content('hello') + finish + done;
    const cuts = [content('hello').length, (content('hello') + finish).length];
    expect((await deliver(body, 'sse', cuts)).chunks.map((chunk) => chunk.terminal)).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect((await deliver(content('hello'), 'sse')).chunks.map((chunk) => chunk.terminal)).toEqual([false, true]);
  });

  it('removes token alternatives', async () => {
    const { text } = await deliver(fixture('logprobs.sse'), 'sse');
    for (const { choices } of eventsOf(text))
      for (const choice of choices as Record<string, unknown>[]) {
        expect(choice['logprobs'] ?? null).toBeNull();
        expect(choice['token_ids'] ?? null).toBeNull();
      }
  });

  it('sends what it held with the next piece of the same text, or before the event that ends it', async () => {
    const out = eventsOf(
      await masked(content('mail jane') + event({ refusal: 'x' }) + content(' now') + content(' 41') + finish + done),
    );
    expect(out.map(({ choices }) => (choices as { delta: unknown; finish_reason: unknown }[])[0])).toEqual([
      { index: 0, delta: { content: 'mail ' }, finish_reason: null },
      { index: 0, delta: { refusal: '' }, finish_reason: null },
      { index: 0, delta: { content: 'jane ' }, finish_reason: null },
      { index: 0, delta: { content: 'now ' }, finish_reason: null },
      { index: 0, delta: { content: '41' }, finish_reason: null },
      { index: 0, delta: { refusal: 'x' }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: 'stop' },
    ]);
  });
});
