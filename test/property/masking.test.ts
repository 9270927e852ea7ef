import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deliver, maskText, textsOf } from '../unit/mask/bodies.ts';

/** Texts that are nearly, or wholly, something to mask, next to each other and to other things. */
const words = fc.constantFrom(
  ...[
    'jane.doe@example.com',
    '@',
    '.com',
    'jane',
    ' ',
    '4111 1111 1111 1111',
    '4111111111111111',
    '4111',
    '1111',
    '-',
    '10.0.0.17',
  ],
  ...[
    'DE89 3704 0044 0532 0130 00',
    '+1 415 555 0132',
    '\n',
    '"',
    '\\',
    '😀',
    'é',
    '\u200b',
    '４１１１',
    'word',
    'AKIAIOSFODNN7EXAMPLE',
    '536221234',
    ',',
  ],
);
const text = fc.array(words, { maxLength: 14 }).map((parts) => parts.join(''));
const field = fc.constantFrom('content', 'refusal', 'reasoning_content', 'mood', 'ssn');
/** Only a name that the format does not know stands before its text. */
const beforeOf = (path: string): string => /\.(mood|ssn)$/.exec(path)?.[1]?.concat(': ') ?? '';

interface Part {
  readonly choice: number;
  readonly field: string;
  readonly text: string;
}

/** Some texts of some choices, each cut into pieces at arbitrary units, and the pieces of different texts interleaved. */
const stream = fc
  .array(fc.record({ choice: fc.nat(2), field, text, cuts: fc.array(fc.nat(40), { maxLength: 8 }) }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((texts) => {
    const queues = texts.map(({ choice, field: name, text: whole, cuts }) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
      // A cut between the halves of a pair would be two lone surrogates, which no event may hold.
      const pieces = places.slice(1).map((to, i) => whole.slice(places[i], to));
      return pieces.every((piece) => piece.isWellFormed())
        ? pieces.map((piece): Part => ({ choice, field: name, text: piece }))
        : [{ choice, field: name, text: whole }];
    });
    const count = queues.reduce((sum, queue) => sum + queue.length, 0);
    return fc.array(fc.nat(), { minLength: count, maxLength: count }).map((picks) => {
      const left = queues.map((queue) => [...queue]);
      return picks.map((pick) => {
        const open = left.filter((queue) => queue.length > 0);
        return open[pick % open.length]!.shift()!;
      });
    });
  });

function render(parts: readonly Part[], eol: string, ending: 'finish' | 'done' | 'none', ascii: boolean): string {
  const event = (choice: object) => {
    const json = JSON.stringify({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [choice],
    });
    const data = ascii
      ? json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      : json;
    return `data: ${data}${eol}${eol}`;
  };
  let body = parts
    .map(({ choice, field: name, text: piece }) =>
      event({ index: choice, delta: { [name]: piece }, finish_reason: null }),
    )
    .join('');
  if (ending === 'finish') for (const index of [0, 1, 2]) body += event({ index, delta: {}, finish_reason: 'stop' });
  if (ending !== 'none') body += `data: [DONE]${eol}${eol}`;
  return body;
}

const shape = {
  eol: fc.constantFrom('\n', '\r\n', '\r'),
  ending: fc.constantFrom('finish', 'done', 'none'),
  ascii: fc.boolean(),
} as const;

describe('masking a stream', () => {
  it('gives each text as it would be masked whole, however it was cut into events', async () => {
    await fc.assert(
      fc.asyncProperty(stream, fc.record(shape), async (parts, { eol, ending, ascii }) => {
        const body = render(parts, eol, ending, ascii);
        const out = await deliver(body, 'sse');
        const after = textsOf(out.text);
        const before = textsOf(body);
        for (const [path, whole] of before) expect(after.get(path), path).toBe(maskText(whole, beforeOf(path)));
        expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
      }),
      { numRuns: 600 },
    );
  });

  it('gives the same bytes, findings and end, however the transport was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        stream,
        fc.record(shape),
        fc.array(fc.nat(4000), { maxLength: 30 }),
        async (parts, { eol, ending, ascii }, cuts) => {
          const body = render(parts, eol, ending, ascii);
          const whole = await deliver(body, 'sse');
          const cut = await deliver(body, 'sse', cuts);
          expect(cut.text).toBe(whole.text);
          expect(cut.findings).toEqual(whole.findings);
          const passed = await deliver(body, 'sse', cuts, { textMaskers: undefined });
          expect(passed.text).toBe(body);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('is not changed by masking what was masked', async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (parts) => {
        const once = (await deliver(render(parts, '\n', 'finish', false), 'sse')).text;
        const twice = await deliver(once, 'sse');
        expect(textsOf(twice.text)).toEqual(
          new Map([...textsOf(once)].map(([path, whole]) => [path, maskText(whole, beforeOf(path))])),
        );
      }),
      { numRuns: 200 },
    );
  });
});
