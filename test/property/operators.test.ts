/** Operators: what comes out depends on the text alone, not on how it was cut. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../src/detect/automaton.ts';
import { leastRevealing, type Operator } from '../../src/detect/operator.ts';
import { detectors } from '../../src/detect/registry.ts';
import { ArgumentsMasker } from '../../src/mask/arguments.ts';
import type { TextMaskers } from '../../src/mask/contract.ts';
import { Findings } from '../../src/mask/findings.ts';
import { becomes, decryptText, deriveMaskingKeys } from '../../src/mask/operators.ts';
import { Pseudonyms } from '../../src/mask/pseudonyms.ts';
import { createTextMaskers } from '../../src/mask/text.ts';
import { deliver, textsOf } from '../unit/mask/bodies.ts';

const keys = deriveMaskingKeys(Buffer.alloc(32, 7));
const automaton = compileAutomaton(detectors);
const operator: fc.Arbitrary<Operator> = fc.oneof(
  fc.constantFrom<Operator>({ type: 'redact' }, { type: 'replace' }, { type: 'hash' }, { type: 'encrypt' }),
  fc.record({ type: fc.constant('mask' as const), keepLast: fc.nat(8), with: fc.constantFrom('*', '#', 'x') }),
);
const words = fc.constantFrom(
  ...['jane.doe@example.com', 'a@b.io', '@', '.com', 'jane', ' ', '4111 1111 1111 1111', '4111111111111111', '1111'],
  ...['10.0.0.17', 'DE89 3704 0044 0532 0130 00', '\n', '"', '\\', '😀', 'é', '\u200b', '４１１１', ',', '<', '>'],
  ...['-----BEGIN RSA PRIVATE KEY-----', 'MIIE', '-----END RSA PRIVATE KEY-----', 'AKIAIOSFODNN7EXAMPLE'],
  'x'.repeat(5000),
);
const text = fc.array(words, { maxLength: 16 }).map((parts) => parts.join(''));
const cuts = fc.array(fc.nat(200), { maxLength: 12 });

function piecesOf(whole: string, places: readonly number[]): string[] {
  const all = [0, ...places.map((place) => Math.min(place, whole.length)).sort((a, b) => a - b), whole.length];
  return all.slice(1).map((to, at) => whole.slice(all[at], to));
}

function through(maskers: TextMaskers, pieces: readonly string[]): string {
  const masker = maskers(() => {});
  return pieces.map((piece) => masker.push(piece)).join('') + masker.end();
}

const maskersOf = (one: Operator): TextMaskers => createTextMaskers(automaton, (id) => becomes(id, one, keys));

describe('an operator', () => {
  it('gives the same text for any cut', () => {
    fc.assert(
      fc.property(text, cuts, operator, (whole, places, one) => {
        const maskers = maskersOf(one);
        expect(through(maskers, piecesOf(whole, places))).toBe(through(maskers, [whole]));
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves arguments of a tool valid JSON, the same for any cut, and as the text would be', () => {
    fc.assert(
      fc.property(text, cuts, operator, fc.boolean(), (whole, places, one, ascii) => {
        const plain = JSON.stringify({ to: whole, n: 4111111111111111 });
        const json = ascii
          ? plain.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
          : plain;
        const args: TextMaskers = () => new ArgumentsMasker(new Findings(maskersOf(one)));
        const out = through(args, [json]);
        expect(through(args, piecesOf(json, places))).toBe(out);
        expect((JSON.parse(out) as { to: string }).to).toBe(through(maskersOf(one), [whole]));
      }),
      { numRuns: 500 },
    );
  });

  it('gives each text of a stream as it would be whole, however events and transport are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        cuts,
        fc.array(fc.nat(9000), { maxLength: 12 }),
        operator,
        async (whole, places, at, one) => {
          const event = (content: string) =>
            `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
          const pieces = piecesOf(whole, places);
          fc.pre(pieces.every((piece) => piece.isWellFormed()));
          const body = `${pieces.map(event).join('')}data: [DONE]\n\n`;
          const textMaskers = maskersOf(one);
          const out = await deliver(body, 'sse', [], { textMaskers });
          expect(textsOf(out.text).get('choices[0].delta.content')).toBe(through(textMaskers, [whole]));
          expect((await deliver(body, 'sse', at, { textMaskers })).text).toBe(out.text);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('encrypt is undone by its key', () => {
    fc.assert(
      fc.property(text, (whole) => {
        const out = through(maskersOf({ type: 'encrypt' }), [whole]);
        fc.pre(!out.includes('<PRIVATE_KEY>'));
        expect(decryptText(out, [keys])).toMatchObject({ text: whole, unopened: 0 });
      }),
      { numRuns: 500 },
    );
  });

  it('is the least revealing of any, in whatever order they are asked', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2]), fc.tuple(operator, operator, operator), (order, all) => {
        const least = (some: readonly Operator[]) => some.reduce(leastRevealing);
        expect(least(order.map((at) => all[at]!).concat(all))).toEqual(least(all));
      }),
    );
  });
});

describe('pseudonyms', () => {
  const request = fc.array(words, { minLength: 1, maxLength: 12 }).map((parts) => parts.join(' '));

  it('are put back as what the caller had sent, for any cut', () => {
    fc.assert(
      fc.property(request, cuts, (whole, places) => {
        const pseudonyms = new Pseudonyms(new Set());
        const seen = through(
          createTextMaskers(automaton, (id) => pseudonyms.becomes(id)),
          [whole],
        );
        const restored = pseudonyms.backFor([]);
        fc.pre(restored !== undefined && !seen.includes('<PRIVATE_KEY>'));
        expect(through(restored!.maskers, [seen])).toBe(whole);
        expect(through(restored!.maskers, piecesOf(seen, places))).toBe(whole);
        const args: TextMaskers = () => new ArgumentsMasker(new Findings(restored!.maskers));
        for (const json of [JSON.stringify([seen]), JSON.stringify([seen]).replaceAll('<', '\\u003c')]) {
          const out = through(args, piecesOf(json, places));
          expect(JSON.parse(out)).toEqual([whole]);
          expect(out).toBe(through(args, [json]));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are found in a stream of events, however events and transport are cut', async () => {
    const pseudonyms = new Pseudonyms(new Set(['<EMAIL_ADDRESS_1>']));
    const values = ['jane@example.com', 'a "quoted"\nvalue', 'joe@example.com'];
    const tokens = values.map((value) => pseudonyms.tokenOf('email_address', value));
    expect(tokens).toEqual(['<EMAIL_ADDRESS_2>', '<EMAIL_ADDRESS_3>', '<EMAIL_ADDRESS_4>']);
    const said = fc
      .array(fc.constantFrom(...tokens, '<EMAIL_ADDRESS_1>', '<EMAIL_ADDRESS_', '<', '2>', ' and ', '>', '<b>'))
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(said, cuts, fc.array(fc.nat(3000), { maxLength: 12 }), async (whole, places, transport) => {
        const event = (delta: object, finish: string | null = null) =>
          `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
        const body = [
          ...piecesOf(whole, places).map((content) => event({ content })),
          event({}, 'stop'),
          'data: [DONE]\n\n',
        ].join('');
        const { maskers } = pseudonyms.backFor([])!;
        const one = await deliver(body, 'sse', [], { textMaskers: maskers });
        const cut = await deliver(body, 'sse', transport, { textMaskers: maskers });
        expect(cut.text).toBe(one.text);
        const expected = tokens.reduce((out, token, at) => out.replaceAll(token, values[at]!), whole);
        expect(textsOf(one.text).get('choices[0].delta.content') ?? '').toBe(expected);
      }),
      { numRuns: 300 },
    );
  });
});
