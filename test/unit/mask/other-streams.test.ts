import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { anthropicMessages } from '../../../src/exchange/anthropic-messages.ts';
import { bedrockConverse } from '../../../src/exchange/bedrock-converse.ts';
import type { Format } from '../../../src/exchange/format.ts';
import { gemini } from '../../../src/exchange/gemini.ts';
import type { Framing } from '../../../src/exchange/media.ts';
import { ollamaChat, ollamaGenerate } from '../../../src/exchange/ollama.ts';
import { deliver, eventsOf, maskText } from './bodies.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8');

type Json = Record<string, unknown>;
type Texts = Map<string, string>;

const add = (texts: Texts, key: string, text: unknown): void => {
  if (typeof text === 'string') texts.set(key, (texts.get(key) ?? '') + text);
};

/** The texts of a stream as the SDK of its API puts them together. */
function anthropicTexts(stream: string): Texts {
  const texts: Texts = new Map();
  for (const { index, delta } of eventsOf(stream))
    for (const field of ['text', 'thinking', 'partial_json'])
      add(texts, `${String(index)}.${field}`, (delta as Json | undefined)?.[field]);
  return texts;
}

function geminiTexts(events: readonly Json[]): Texts {
  const texts: Texts = new Map();
  for (const { candidates } of events)
    for (const { index, content } of candidates as { index: number; content: { parts: Json[] } }[])
      for (const { text, thought } of content.parts)
        add(texts, `${index}.${thought === true ? 'thought' : 'text'}`, text);
  return texts;
}

const linesOf = (stream: string): Json[] =>
  stream
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Json);

function ollamaTexts(stream: string): Texts {
  const texts: Texts = new Map();
  for (const { message, response } of linesOf(stream)) {
    add(texts, 'content', (message as Json | undefined)?.['content']);
    add(texts, 'thinking', (message as Json | undefined)?.['thinking']);
    add(texts, 'response', response);
  }
  return texts;
}

interface Case {
  readonly format: Format;
  readonly framing: Framing;
  readonly stream: string;
  readonly texts: (stream: string) => Texts;
  readonly usage: object;
  /** What is in the terminal chunk; undefined: the end of the body is the end. */
  readonly terminal: string | undefined;
}

const cases: readonly [name: string, Case][] = [
  [
    'Anthropic',
    {
      format: anthropicMessages,
      framing: 'sse',
      stream: fixture('anthropic-messages/thinking-text-tools.sse'),
      texts: anthropicTexts,
      usage: { inputTokens: 32, outputTokens: 89 },
      terminal: 'message_stop',
    },
  ],
  [
    'Gemini',
    {
      format: gemini,
      framing: 'sse',
      stream: fixture('gemini/parts.sse'),
      texts: (stream) => geminiTexts(eventsOf(stream)),
      usage: { inputTokens: 4, outputTokens: 70 },
      terminal: undefined,
    },
  ],
  [
    'Ollama chat',
    {
      format: ollamaChat,
      framing: 'ndjson',
      stream: fixture('ollama-chat/stream.ndjson'),
      texts: ollamaTexts,
      usage: { inputTokens: 26, outputTokens: 282 },
      terminal: '"done":true',
    },
  ],
  [
    'Ollama generate',
    {
      format: ollamaGenerate,
      framing: 'ndjson',
      stream: fixture('ollama-generate/stream.ndjson'),
      texts: ollamaTexts,
      usage: { inputTokens: 26, outputTokens: 282 },
      terminal: '"done":true',
    },
  ],
];

const secrets = /jane\.doe|4111[ -]|415|555-0132|10\.0\.0\.17/;

describe.each(cases)('masking a stream of %s', (_name, { format, framing, stream, texts, usage, terminal }) => {
  it('delivers each text as it would be masked whole', async () => {
    const { text } = await deliver(stream, framing, [], { format });
    const before = texts(stream);
    const after = texts(text);
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [key, clear] of before) {
      expect(after.get(key), key).not.toBe(clear);
      if (key.endsWith('partial_json')) expect(() => JSON.parse(after.get(key)!)).not.toThrow();
      else expect(after.get(key), key).toBe(maskText(clear));
    }
    expect(text).not.toMatch(secrets);
    expect([...after.values()].join('\n')).not.toMatch(secrets);
  });

  it('delivers the same bytes wherever the transport cuts it', async () => {
    const whole = await deliver(stream, framing, [], { format });
    for (let cut = 1; cut < stream.length; cut += 13) {
      const two = await deliver(stream, framing, [cut], { format });
      if (two.text !== whole.text) expect(two.text, `cut at ${cut}`).toBe(whole.text);
    }
    expect((await deliver(stream, framing, [...Buffer.from(stream).keys()], { format })).text).toBe(whole.text);
  });

  it('passes it byte for byte where nothing is to be masked, and finds its usage', async () => {
    const plain = await deliver(stream, framing, [7, 100, 500], { format, textMaskers: undefined });
    expect(plain.text).toBe(stream);
    expect(plain.usage).toMatchObject(usage);
    expect((await deliver(stream, framing, [], { format })).usage).toEqual(plain.usage);
  });

  it('finds its end, holds nothing beyond it, and drops what follows', async () => {
    const after = terminal === undefined ? '' : stream;
    const { chunks, text } = await deliver(stream + after, framing, [stream.length], { format });
    const ends = chunks.map((chunk) => chunk.terminal);
    if (terminal === undefined) {
      expect(ends).toEqual([false, false, true]);
      return;
    }
    expect(ends).toEqual([true, false, false]);
    expect(chunks[0]!.bytes.toString()).toContain(terminal);
    expect(text).toBe((await deliver(stream, framing, [], { format })).text);
  });

  it('refuses a text that goes on after its end', async () => {
    const again = framing === 'ndjson' ? '{"done":1}\n[]' : `${stream.slice(0, stream.indexOf('event: message_stop'))}`;
    if (framing === 'ndjson')
      await expect(deliver(again, framing, [], { format })).rejects.toThrow('not a JSON object');
    else if (format === anthropicMessages) {
      const late = `event: content_block_delta\ndata: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}\n\n`;
      await expect(deliver(again + late, framing, [], { format })).rejects.toThrow('goes on after its end');
    } else
      await expect(
        deliver(`${stream}data: {"candidates":[{"content":{"parts":[{"text":"x"}]},"index":0}]}\n\n`, framing, [], {
          format,
        }),
      ).rejects.toThrow('goes on after its end');
  });
});

describe('events of Anthropic', () => {
  const options = { format: anthropicMessages };
  const event = (data: Json, name = data['type']) => `event: ${String(name)}\ndata: ${JSON.stringify(data)}\n\n`;
  const delta = (index: number, fields: Json) => event({ type: 'content_block_delta', index, delta: fields });
  const text = (index: number, piece: string) => delta(index, { type: 'text_delta', text: piece });
  const stop = (index: number) => event({ type: 'content_block_stop', index });

  it('carries what a block still held in a named event before the end of the block', async () => {
    const { text: out } = await deliver(
      text(0, 'call jane') + stop(0) + event({ type: 'message_stop' }),
      'sse',
      [],
      options,
    );
    expect(out).toBe(text(0, 'call ') + text(0, 'jane') + stop(0) + event({ type: 'message_stop' }));
  });

  it('keeps the text with which a block begins together with what follows', async () => {
    const start = event({
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'text', text: 'to jane.doe@' },
    });
    const { text: out } = await deliver(start + text(0, 'example.com now') + stop(0), 'sse', [], options);
    expect(out).not.toContain('jane.doe');
    expect(out).not.toContain('example.com');
    expect(out).toContain('<EMAIL_ADDRESS>');
  });

  it('keeps blocks that come interleaved apart', async () => {
    const stream =
      text(0, 'jane.doe@') + text(1, '4111 1111 ') + text(0, 'example.com') + text(1, '1111 1111') + stop(0) + stop(1);
    const { text: out } = await deliver(stream, 'sse', [], options);
    const texts = anthropicTexts(out);
    expect(texts.get('0.text')).toBe('<EMAIL_ADDRESS>');
    expect(texts.get('1.text')).toBe('<CREDIT_CARD>');
  });

  it('ends all that is held before an error, and masks its message', async () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'ask jane.doe@example.com' } };
    const { text: out } = await deliver(text(0, 'jane') + event(error), 'sse', [], options);
    expect(out).toBe(
      text(0, '') + text(0, 'jane') + event({ ...error, error: { ...error.error, message: 'ask <EMAIL_ADDRESS>' } }),
    );
  });

  it.each([
    ['fields of the message', event({ type: 'message_start', message: { id: 'm', note: 'jane.doe@example.com' } })],
    ['fields of an event', event({ type: 'surprise', note: 'jane.doe@example.com' })],
    ['its last event', event({ type: 'message_stop', note: 'jane.doe@example.com' })],
    [
      'a block',
      event({ type: 'content_block_start', index: 0, content_block: { type: 'x', url: 'jane.doe@example.com' } }),
    ],
    ['a citation', delta(0, { type: 'citations_delta', citation: { cited_text: 'jane.doe@example.com' } })],
    ['the name of an event', event({ type: 'x' }, 'jane.doe@example.com')],
    ['a signature', delta(0, { type: 'signature_delta', signature: 'jane.doe@example.com' })],
    [
      'unknown deltas',
      delta(0, { type: 'y_delta', y: 'jane.doe@' }) + delta(0, { type: 'y_delta', y: 'example.com' }) + stop(0),
    ],
  ])('masks %s', async (_what, stream) => {
    const { text: out, findings } = await deliver(stream, 'sse', [], options);
    expect(out).not.toMatch(/jane|example/);
    expect(findings).toEqual({ email_address: 1 });
  });

  it('finds the end whatever else the last event says, but not in a text', async () => {
    const last = `data: {"amazon-bedrock-invocationMetrics":{"inputTokenCount":9},"type":"message_stop"}\n\n`;
    const said = text(0, '{"type":"message_stop"}') + stop(0);
    const { chunks } = await deliver(said + last, 'sse', [said.length], options);
    expect(chunks.map(({ terminal }) => terminal)).toEqual([false, true, false]);
  });
});

describe('events of Anthropic in other framings', () => {
  it('carry what was held in events with the line ends of the stream', async () => {
    const stream =
      'event: content_block_delta\r\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"jane"}}\r\n\r\n' +
      'event: content_block_stop\r\ndata: {"type":"content_block_stop","index":0}\r\n\r\n';
    const { text } = await deliver(stream, 'sse', [], { format: anthropicMessages });
    expect(text.match(/event: content_block_delta\r\ndata: \{[^\r\n]*\}\r\n\r\n/g)).toHaveLength(2);
    expect(text).not.toMatch(/[^\r]\n/);
  });
});

describe('lines of Ollama', () => {
  it('end with an error, whose words are masked', async () => {
    const line = (content: string) =>
      `{"model":"m","message":{"role":"assistant","content":"${content}"},"done":false}\n`;
    const stream = `${line('mail jane')}{"error":"ask jane.doe@example.com"}\n`;
    const { text } = await deliver(stream, 'ndjson', [], { format: ollamaChat });
    expect(text).toBe(
      `${line('mail ')}{"model":"m","message":{"role":"assistant","content":"jane"},"done":false}\n{"error":"ask <EMAIL_ADDRESS>"}\n`,
    );
  });
});

describe('events of Gemini', () => {
  const event = (parts: readonly Json[], more: Json = {}) =>
    `data: ${JSON.stringify({ candidates: [{ content: { parts, role: 'model' }, index: 0, ...more }] })}\n\n`;

  it('takes the parts of one event for one text, and thoughts for another', async () => {
    const stream =
      event([{ text: 'mail jane.doe@' }, { text: 'exam' }]) +
      event([{ text: 'number 4111 1111 ', thought: true }, { text: 'ple.com' }]) +
      event([{ thought: true, text: '1111 1111' }, { text: ' now' }], { finishReason: 'STOP' });
    const { text } = await deliver(stream, 'sse', [], { format: gemini });
    const texts = geminiTexts(eventsOf(text));
    expect(texts.get('0.text')).toBe('mail <EMAIL_ADDRESS> now');
    expect(texts.get('0.thought')).toBe('number <CREDIT_CARD>');
  });

  it('carries at the end what is held of thoughts as a thought', async () => {
    const stream = event([{ text: 'ask jane', thought: true }]) + event([{ text: 'hi' }], { finishReason: 'STOP' });
    const { text } = await deliver(stream, 'sse', [], { format: gemini });
    expect(geminiTexts(eventsOf(text))).toEqual(
      new Map([
        ['0.thought', 'ask jane'],
        ['0.text', 'hi'],
      ]),
    );
  });
});

describe('masking a JSON body', () => {
  it.each([
    ['anthropic-messages/body.json', anthropicMessages, { inputTokens: 32, outputTokens: 89 }],
    ['gemini/body.json', gemini, { inputTokens: 4, outputTokens: 30 }],
    ['gemini/array.json', gemini, { inputTokens: 4, outputTokens: 70 }],
    ['bedrock-converse/body.json', bedrockConverse, { inputTokens: 35, outputTokens: 628 }],
  ] as const)('lets nothing of %s out, also where a client puts texts together', async (name, format, usage) => {
    const body = fixture(name);
    const out = await deliver(body, 'json', [100], { format });
    expect(out.usage).toMatchObject(usage);
    const joined: string[] = [];
    JSON.parse(out.text, (key, value: unknown) => {
      if (key === 'text' && typeof value === 'string') joined.push(value);
      return value;
    });
    expect(joined.join('')).not.toMatch(/jane\.doe@example|4111 1111 1111 1111|10\.0\.0\.17/);
    expect(out.text).not.toMatch(/jane\.doe@example|4111[ -]1111[ -]1111|10\.0\.0\.17/);
    expect(Object.keys(out.findings)).toContain('email_address');
    const plain = await deliver(body, 'json', [100], { format, textMaskers: undefined });
    expect(plain.text).toBe(body);
  });

  it('refuses more texts in one body than it keeps', async () => {
    const candidates = Array.from({ length: 1025 }, (_, index) => ({ index, content: { parts: [{ text: 'x' }] } }));
    await expect(deliver(JSON.stringify({ candidates }), 'json', [], { format: gemini })).rejects.toThrow(
      'more than 1024 texts in one body',
    );
  });

  it('removes token ids and token alternatives', async () => {
    const lines = linesOf(
      (await deliver(fixture('ollama-generate/stream.ndjson'), 'ndjson', [], { format: ollamaGenerate })).text,
    );
    expect(lines.at(-1)).toMatchObject({ done: true, context: null, eval_count: 282 });
    const body = JSON.parse((await deliver(fixture('gemini/body.json'), 'json', [], { format: gemini })).text);
    expect(body.candidates[0].avgLogprobs).toBeNull();
  });

  it('leaves signatures and ids as they are', async () => {
    for (const [name, format] of [
      ['anthropic-messages/body.json', anthropicMessages],
      ['bedrock-converse/body.json', bedrockConverse],
    ] as const) {
      const { text } = await deliver(fixture(name), 'json', [], { format });
      expect(text).toContain('EqQBCgIYAhIM1gbcDa9GJwZA2b3h'.repeat(12));
      expect(text).toMatch(/toolu_01T1x1fJ34qAmk2tNTrN7Up6|tooluse_kZJMlvQmRJ6eAyJE5GIl7Q/);
    }
  });
});
