import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anthropicMessages } from '../../src/exchange/anthropic-messages.ts';
import { bedrockConverse } from '../../src/exchange/bedrock-converse.ts';
import type { Format } from '../../src/exchange/format.ts';
import { gemini } from '../../src/exchange/gemini.ts';
import { mcp } from '../../src/exchange/mcp.ts';
import { ollamaChat as ollama } from '../../src/exchange/ollama.ts';
import { openaiChat } from '../../src/exchange/openai-chat.ts';
import { openaiResponses } from '../../src/exchange/openai-responses.ts';
import { UnreadableBody } from '../../src/exchange/unreadable.ts';
import { deliver } from '../unit/mask/bodies.ts';

/** Strings from this length on come in pieces. */
const maxString = 2048;

const words = fc.constantFrom(
  ...[
    'jane.doe@example.com',
    '@',
    'jane.d',
    'oe@example.com',
    ' ',
    '4111 1111 1111 1111',
    '4111',
    ' 1111 ',
    '10.0.0.17',
  ],
  ...['\n', '"', '\\', '😀', 'é', '\u200b', 'word', ',', 'AKIAIOSFODNN7EXAMPLE', '{"a":', '[1,', 'true'],
);
const short = fc.array(words, { maxLength: 8 }).map((parts) => parts.join(''));
const long = fc
  .record({ before: short, fill: fc.constantFrom('a b ', '😀 ', 'x"', '\\n', '\n'), times: fc.nat(3000), after: short })
  .map(({ before, fill, times, after }) => before + fill.repeat(times) + after);
const text = fc.oneof({ weight: 5, arbitrary: short }, { weight: 1, arbitrary: long });
/** What begins like media and goes on as something else is refused: see the unit test. */
const media = fc.oneof(
  short,
  fc.nat(2000).map((times) => 'iVBOR'.repeat(times)),
);
const json = fc.oneof(
  text,
  fc
    .dictionary(short, fc.oneof(text, fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })))
    .map((value) => JSON.stringify(value)),
);
const number = fc.oneof(fc.integer(), fc.constantFrom(4111111111111111, 1.5e3, 0, 1_790_000_000));
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null));
/** Whatever a server may add: names of any kind, too. */
const anything = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('value'), { maxLength: 4 }), tie('object')),
  object: fc.dictionary(
    fc.oneof(short, fc.constantFrom('type', 'index', 'logprobs', 'text', 'thought')),
    tie('value'),
    { maxKeys: 4 },
  ),
}));
const some = (shape: Record<string, fc.Arbitrary<unknown>>) => fc.record(shape, { requiredKeys: [] });

const chat = some({
  ...{ id: short, created: number, model: short, mood: anything.value },
  choices: fc.array(
    some({
      index: fc.nat(3),
      message: some({
        ...{ role: short, content: fc.oneof(text, anything.value), refusal: text, mood: anything.value },
        tool_calls: fc.array(some({ id: short, function: some({ name: short, arguments: json }) }), {
          maxLength: 3,
        }),
        audio: some({ data: media }),
      }),
      ...{ logprobs: anything.value, finish_reason: short },
    }),
    { maxLength: 3 },
  ),
  usage: some({ prompt_tokens: number, completion_tokens: number }),
});
const anthropicItems = fc.array(
  some({ type: fc.constantFrom('text', 'tool_use'), text, thinking: text, input: anything.object }),
  { maxLength: 5 },
);
const bedrockItems = fc.array(
  some({
    ...{ text, toolUse: some({ toolUseId: short, input: anything.object }) },
    citationsContent: some({ content: fc.array(some({ text }), { maxLength: 2 }) }),
    reasoningContent: some({ reasoningText: some({ text }) }),
  }),
  { maxLength: 5 },
);
/** Members of an object come in any order. */
const part = fc
  .record({
    text: short,
    thought: fc.constantFrom(true, false, undefined),
    last: fc.boolean(),
    inlineData: fc.option(some({ data: media })),
  })
  .map(({ text: said, thought, last, inlineData }) => ({
    ...(last ? {} : { thought }),
    text: said,
    ...(inlineData === null ? {} : { inlineData }),
    ...(last && thought !== undefined && JSON.stringify(inlineData).length < 1000 ? { thought } : {}),
  }));
const documents: [string, Format, fc.Arbitrary<unknown>][] = [
  ['openai-chat', openaiChat, chat],
  ['anything', openaiChat, anything.value],
  [
    'openai-responses',
    openaiResponses,
    some({
      id: short,
      output: fc.array(
        some({
          type: short,
          content: fc.array(some({ type: short, text })),
          arguments: json,
        }),
        { maxLength: 3 },
      ),
    }),
  ],
  [
    'anthropic-messages',
    anthropicMessages,
    some({ id: short, role: short, content: anthropicItems, stop_reason: short }),
  ],
  [
    'bedrock-converse',
    bedrockConverse,
    some({
      output: some({ message: some({ content: bedrockItems }) }),
      mood: anything.value,
    }),
  ],
  [
    'gemini',
    gemini,
    some({
      candidates: fc.array(
        some({
          content: some({ parts: fc.array(part, { maxLength: 5 }), role: short }),
        }),
        { maxLength: 2 },
      ),
      mood: anything.value,
    }),
  ],
  [
    'ollama',
    ollama,
    some({
      message: some({ content: text, thinking: text, tool_calls: anything.value }),
      context: fc.array(number),
      done: fc.boolean(),
    }),
  ],
  ['mcp', mcp, some({ jsonrpc: fc.constant('2.0'), id: number, result: anything.value })],
];

/** Texts that clients put together, by where they are; and the rest of the document. */
function joinedOf(document: string, format: Format): unknown {
  const texts = new Map<string, string>();
  const value: unknown = JSON.parse(document);
  const add = (key: string, said: string): void => void texts.set(key, (texts.get(key) ?? '') + said);
  const take = (parts: unknown, key: string): unknown[] =>
    (Array.isArray(parts) ? parts : []).flatMap((one: Record<string, never>) => {
      const { text: said, thinking, citationsContent, reasoningContent, ...rest } = one;
      const aside = format === gemini && one['thought'] === true ? 'aside' : '';
      if (said !== undefined) add(`${key}${aside}.text`, said);
      if (thinking !== undefined && format === anthropicMessages) add(`${key}.thinking`, thinking);
      if (citationsContent !== undefined && format === bedrockConverse)
        for (const cited of (citationsContent as { content?: { text?: string }[] }).content ?? [])
          add(`${key}.cited`, cited.text ?? '');
      const reasoned = (reasoningContent as { reasoningText?: { text?: string } } | undefined)?.reasoningText?.text;
      if (reasoned !== undefined && format === bedrockConverse) add(`${key}.reasoned`, reasoned);
      const others = Object.keys(rest).filter((name) => !['type', 'thought'].includes(name));
      return others.length === 0 ? [] : [rest];
    });
  const object = value as Record<string, never>;
  if (format === anthropicMessages) object['content'] = take(object['content'], 'content') as never;
  const message = (object?.['output'] as { message?: Record<string, unknown> } | undefined)?.message;
  if (format === bedrockConverse && message !== undefined) message['content'] = take(message['content'], 'content');
  if (format === gemini)
    for (const [i, candidate] of ((object['candidates'] ?? []) as { content?: Record<string, unknown> }[]).entries())
      if (candidate.content !== undefined) candidate.content['parts'] = take(candidate.content['parts'], `${i}`);
  return { value, texts: [...texts].filter(([, said]) => said !== '') };
}

describe('a JSON body that is masked as it comes', () => {
  it.each(documents)('is what it would be if it were kept: %s', async (_name, format, documentOf) => {
    const cuts = fc.array(fc.nat(20_000), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(documentOf, cuts, fc.boolean(), async (document, at, spaced) => {
        const body = JSON.stringify(document, null, spaced ? 1 : 0);
        const kept = await deliver(body, 'json', [], { format }).catch((error: unknown) => {
          if (!(error instanceof UnreadableBody)) throw error;
          return undefined;
        });
        const flows = (places: readonly number[], masked = true) =>
          deliver(body, 'json', places, {
            format,
            maxJsonBytes: 0,
            flow: { begun: false, maxString },
            ...(masked ? {} : { textMaskers: undefined }),
          });
        if (kept === undefined) {
          await expect(flows(at)).rejects.toThrow(UnreadableBody);
          return;
        }
        const flowing = await flows(at);
        expect((await flows([])).text).toBe(flowing.text);
        expect(flowing.findings).toEqual(kept.findings);
        expect(flowing.usage).toEqual(kept.usage);
        if ([anthropicMessages, bedrockConverse, gemini].includes(format))
          expect(joinedOf(flowing.text, format)).toEqual(joinedOf(kept.text, format));
        else expect(flowing.text).toBe(kept.text);
        expect((await flows(at, false)).text).toBe(body);
      }),
      { numRuns: 150 },
    );
  });
});
