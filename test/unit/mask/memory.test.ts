import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { detectors } from '../../../src/detect/registry.ts';
import { type AsksToolCalls, createBodies, type ResponseBody } from '../../../src/mask/bodies.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const everything = detectors.map(({ id }) => id);
const event = (delta: object): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_790_000_000, model: 'demo', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`;
const call = (index: number, args: string) =>
  event({ tool_calls: [{ index, id: `c${index}`, type: 'function', function: { name: 'f', arguments: args } }] });
const words = 'This is an answer of a few words, with a number 4111 1111 and jane.doe'.split(' ');

/** Texts of several kinds in pieces, each with something held, and half an event. */
const pieces = [
  event({ role: 'assistant', content: '' }),
  ...words.map((word) => event({ reasoning_content: ` ${word}` })),
  ...words.map((word) => event({ content: ` ${word}` })),
  call(0, '{"to":"jane.doe@exa'),
  call(1, '{"card":"4111 '),
  'data: {"choices":[{"index":0,"delta":{"content":"half an ev',
];

async function feed({ delivery, record }: ResponseBody, long: string): Promise<void> {
  for (const piece of long === '' ? pieces : [long.slice(0, 70_000), long.slice(70_000) + pieces.at(-1)]) {
    const { bytes } = await delivery.push(Buffer.from(piece));
    await record?.push(bytes);
  }
}

/** Bytes of heap and buffers that a live stream keeps. */
async function bytesEach(mask: readonly string[], asks: AsksToolCalls = 'none', long = ''): Promise<number> {
  const bodies = createBodies(everything);
  const open = () => bodies.response('openai-chat', 'sse', mask, { asks });
  await feed(open(), long);
  const streams: ResponseBody[] = [];
  const used = () => {
    collect();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const count = 300;
  for (let i = 0; i < count; i++) {
    const one = open();
    await feed(one, long);
    streams.push(one);
  }
  return (used() - before) / streams.length;
}

describe('a live stream of server-sent events', () => {
  it.each<[string, () => Promise<number>]>([
    ['that is masked', () => bytesEach(everything)],
    ['that is masked for the record again', () => bytesEach(['email_address'])],
    ['that is masked for the record only', () => bytesEach([])],
    ['whose tool calls rules are asked about', () => bytesEach(everything, 'enforce')],
    [
      'whose chunks are long',
      () => bytesEach(everything, 'none', `${event({ content: 'word ' }).repeat(500)}${pieces.slice(0, -1).join('')}`),
    ],
    ['whose texts are longer', () => bytesEach(everything, 'none', event({ content: 'a piece of this ' }).repeat(500))],
    ['after an event of 100 KB', () => bytesEach(everything, 'none', event({ content: 'word '.repeat(20_000) }))],
  ])(
    '%s keeps 64 KB at most',
    async (_name, measured) => {
      expect(await measured()).toBeLessThan(64 * 1024);
    },
    60_000,
  );
});
