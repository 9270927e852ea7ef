import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { formatById } from '../../../src/exchange/formats.ts';
import { deliver, eventsOf, maskText } from './bodies.ts';

const secrets = /maria\.lind|qvist@|jane\.doe|4111|415\) 555|DE89|10\.0\.0/;

const streams = [
  'openai-completions/text.sse',
  'openai-responses/text.sse',
  'openai-responses/tool-calls.sse',
  'openai-responses/llama-cpp.sse',
  'openai-responses/failed.sse',
  'tgi/eos.sse',
  'tgi/length.sse',
] as const;
const bodies = ['openai-completions/body.json', 'openai-responses/body.json', 'tgi/body.json'] as const;

const read = (name: string): Buffer => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));
const formatOf = (name: string) => formatById(name.split('/')[0]!)!;
const masked = (name: string, framing: 'sse' | 'json', cuts: readonly number[] = []) =>
  deliver(read(name), framing, cuts, { format: formatOf(name) });

/** A text of a stream by what a client tells it apart with. */
const places: Readonly<Record<string, (event: Record<string, unknown>) => readonly (readonly [string, unknown])[]>> = {
  'openai-completions': (event) =>
    (event['choices'] as { index: number; text?: string }[]).map(({ index, text }) => [`${index}`, text] as const),
  'openai-responses': ({ type, output_index, item_id, content_index, delta, note }) =>
    [...(typeof delta === 'object' && delta !== null ? Object.entries(delta) : [['', delta ?? note] as const])].map(
      ([name, text]) => [`${type}/${output_index ?? item_id}/${content_index}/${name}`, text] as const,
    ),
  tgi: ({ token }) => {
    const { special, text } = token as { special: boolean; text: string };
    return special ? [] : [['', text]];
  },
};

/** The pieces of each text put together; `complete`: the strings of all other places, by event and path. */
function textsOf(name: string, stream: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const event of eventsOf(stream))
    for (const [place, text] of places[name.split('/')[0]!]!(event))
      if (typeof text === 'string') texts.set(place, (texts.get(place) ?? '') + text);
  return texts;
}

describe('a stream of the OpenAI family', () => {
  it.each(streams)('lets nothing of %s out in clear, in no event and in no text put together', async (name) => {
    const { text, findings } = await masked(name, 'sse');
    expect(read(name).toString()).toMatch(secrets);
    expect(text).not.toMatch(secrets);
    expect([...textsOf(name, text).values()].join('\n')).not.toMatch(secrets);
    expect(findings['email_address']).toBeGreaterThan(0);
  });

  it.each(streams)('delivers in %s each text in pieces as it would be masked whole', async (name) => {
    const after = textsOf(name, (await masked(name, 'sse')).text);
    for (const [place, text] of textsOf(name, read(name).toString())) {
      if (!/arguments/.test(place)) expect(after.get(place), place).toBe(maskText(text));
      else expect(() => JSON.parse(after.get(place)!)).not.toThrow();
    }
  });

  it.each(streams)('delivers the same bytes of %s wherever the transport cuts it', async (name) => {
    const whole = (await masked(name, 'sse')).text;
    for (let cut = 1; cut < read(name).length; cut += 97)
      expect((await masked(name, 'sse', [cut, cut + 13])).text).toBe(whole);
  });

  it.each(streams)('passes %s byte for byte, with its end and usage, where nothing is masked', async (name) => {
    const options = { format: formatOf(name), textMaskers: undefined };
    const plain = await deliver(read(name), 'sse', [], options);
    expect(plain.text).toBe(read(name).toString());
    expect(plain.usage).toEqual((await masked(name, 'sse')).usage);
  });

  it.each([
    ['openai-completions/text.sse', { inputTokens: 5, outputTokens: 40 }],
    ['openai-responses/text.sse', { inputTokens: 36, outputTokens: 87 }],
    ['openai-responses/llama-cpp.sse', { inputTokens: 3, outputTokens: 5 }],
    ['tgi/eos.sse', { inputTokens: 4, outputTokens: 27 }],
  ] as const)('reads the usage of %s', async (name, usage) => {
    expect((await masked(name, 'sse')).usage).toMatchObject(usage);
  });

  it.each([
    ['openai-completions', (text: string) => ({ choices: [{ index: 0, text, finish_reason: null }] })],
    [
      'openai-responses',
      (delta: string) => ({ type: 'response.output_text.delta', output_index: 0, content_index: 0, delta }),
    ],
    ['openai-responses', (delta: string) => ({ type: 'response.audio.transcript.delta', delta })],
    [
      'tgi',
      (text: string) => ({ index: 1, token: { id: 1, text, logprob: -1, special: false }, generated_text: null }),
    ],
  ] as const)('hides in %s a secret that is cut anywhere', async (id, event) => {
    const secret = 'Card 4111 1111 1111 1111, mail maria.lindqvist@example.org.';
    for (let cut = 0; cut <= secret.length; cut++) {
      const stream = [secret.slice(0, cut), secret.slice(cut)].map(
        (text) => `data: ${JSON.stringify(event(text))}\n\n`,
      );
      const { text } = await deliver(stream.join(''), 'sse', [], { format: formatById(id)! });
      expect([...textsOf(`${id}/`, text).values()]).toEqual([maskText(secret)]);
    }
  });

  it.each(streams)('says where %s is over, delivers what is held before, and nothing after it', async (name) => {
    const more = Buffer.concat([read(name), Buffer.from('data: {"note":"more"}\n\n')]);
    const { chunks, text } = await deliver(more, 'sse', [more.length - 23], { format: formatOf(name) });
    expect(chunks[0]!.terminal).toBe(true);
    expect(text).not.toContain('more');
    expect(text).toBe((await masked(name, 'sse')).text);
  });
});

describe('a body of the OpenAI family', () => {
  it.each(bodies)('is masked in every text of %s', async (name) => {
    const { text, usage } = await masked(name, 'json');
    expect(read(name).toString()).toMatch(secrets);
    expect(text).not.toMatch(secrets);
    expect(() => JSON.parse(text)).not.toThrow();
    expect(usage.outputTokens).toBeGreaterThan(0);
  });

  it('keeps embeddings as they are, whatever their digits look like', async () => {
    const name = 'openai-embeddings/body.json';
    expect((await masked(name, 'json')).text).toBe(read(name).toString());
    expect((await masked(name, 'json')).usage.inputTokens).toBe(5);
  });

  it.each([
    ['a number that is no component', '{"data":[{"embedding":[4111111111111111]}]}'],
    ['a text in a vector', '{"data":[{"embedding":["maria.lindqvist@example.org"]}]}'],
    ['a text in place of one', '{"data":[{"embedding":"maria.lindqvist@example.org"}]}'],
    ['a text beside it', '{"data":[{"note":"4111 1111 1111 1111"}]}'],
  ])('masks in an embeddings answer %s', async (_what, body) => {
    const { text } = await deliver(body, 'json', [], { format: formatById('openai-embeddings')! });
    expect(text).not.toMatch(secrets);
  });
});

describe('the token alternatives of TGI', () => {
  it('are gone: they are the text again', async () => {
    const { text } = await masked('tgi/length.sse', 'sse');
    for (const { token, top_tokens } of eventsOf(text) as { token: object; top_tokens?: unknown }[]) {
      expect(token).toMatchObject({ id: null, logprob: null });
      expect(top_tokens ?? null).toBeNull();
    }
    const body = JSON.parse((await masked('tgi/body.json', 'json')).text) as { details: object };
    expect(body.details).toMatchObject({ prefill: null, tokens: null, best_of_sequences: [{ tokens: null }] });
  });

  it('leave what was held in an ordinary token where the last one is special', async () => {
    const last = eventsOf((await masked('tgi/eos.sse', 'sse')).text).slice(-2);
    expect(last).toMatchObject([
      { token: { special: false, text: expect.stringContaining('<CREDIT_CARD>') }, generated_text: null },
      { token: { special: true, text: '</s>' }, generated_text: expect.stringContaining('<EMAIL_ADDRESS>') },
    ]);
  });
});

describe('events of a Responses stream', () => {
  const format = formatById('openai-responses')!;
  const send = async (...events: readonly Record<string, unknown>[]) =>
    (
      await deliver(events.map((e) => `event: ${e['type']}\ndata: ${JSON.stringify(e)}\n\n`).join(''), 'sse', [], {
        format,
      })
    ).text;
  const delta = (text: string, more: object = {}) => ({
    type: 'response.output_text.delta',
    output_index: 0,
    content_index: 0,
    delta: text,
    ...more,
  });

  it('carry what was held before the event that says the text is done, under its name', async () => {
    const text = await send(delta('card 4111 1111'), {
      ...delta(''),
      type: 'response.output_text.done',
      text: 'card 4111 1111',
    });
    expect(text).toBe(
      [
        'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"card "}',
        'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"4111 1111"}',
        'event: response.output_text.done\ndata: {"type":"response.output_text.done","output_index":0,"content_index":0,"delta":"","text":"card 4111 1111"}',
        '',
      ].join('\n\n'),
    );
  });

  it('keep the texts of parallel items apart', async () => {
    const text = await send(
      delta('4111 1111 '),
      delta('hello', { output_index: 1 }),
      delta('1111 1111', {}),
      delta(' world', { output_index: 1 }),
      { type: 'response.completed', response: {} },
    );
    const texts = textsOf('openai-responses/', text);
    expect([...texts.values()]).toEqual(['<CREDIT_CARD>', 'hello world']);
  });

  it('are not over because a user calls his metadata so', async () => {
    const created = { type: 'response.created', response: { metadata: { type: 'response.completed' } } };
    expect(textsOf('openai-responses/', await send(created, delta('on and on')))).toEqual(
      new Map([['response.output_text.delta/0/0/', 'on and on']]),
    );
  });

  it('end every text with an error, whose words are masked', async () => {
    const text = await send(delta('card 4111 1111'), {
      type: 'error',
      code: 'x',
      message: 'for jane.doe@example.com',
      param: null,
    });
    expect(eventsOf(text).map((event) => event['delta'] ?? event['message'])).toEqual([
      'card ',
      '4111 1111',
      'for <EMAIL_ADDRESS>',
    ]);
  });

  it('may not go on after they are done', async () => {
    await expect(send(delta('a'), { ...delta(''), type: 'response.output_text.done' }, delta('b'))).rejects.toThrow(
      'goes on after its end',
    );
  });

  it('are read by the SDK, with the masked answer in the end', async () => {
    const client = (body: string) =>
      new OpenAI({
        apiKey: 'none',
        baseURL: 'http://model.test/v1',
        maxRetries: 0,
        fetch: async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
      });
    for (const name of ['openai-responses/text.sse', 'openai-responses/tool-calls.sse']) {
      const final = (body: string) => client(body).responses.stream({ model: 'demo', input: 'hi' }).finalResponse();
      const before = await final(read(name).toString());
      const after = await final((await masked(name, 'sse')).text);
      expect(after.output_text).toBe(maskText(before.output_text));
      expect(after.output.map(({ type, id }) => [type, id])).toEqual(before.output.map(({ type, id }) => [type, id]));
      for (const item of after.output) if (item.type === 'function_call') JSON.parse(item.arguments);
      expect(JSON.stringify(after)).not.toMatch(secrets);
    }
  });
});
