import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';
import { type Bodies, createBodies } from '../../../src/mask/bodies.ts';
import type { BodyMasker } from '../../../src/mask/contract.ts';

const bodies: Bodies = createBodies(['credit_card']);
const CARD = '4111 1111 1111 1111';
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

async function run(masker: BodyMasker, ...chunks: Buffer[]) {
  const out: Buffer[] = [];
  for (const chunk of chunks) out.push((await masker.push(chunk)).bytes);
  const end = await masker.end();
  return { bytes: Buffer.concat([...out, end.bytes]), terminal: end.terminal };
}

describe('the answer of an opaque call', () => {
  it('that cannot be read passes byte for byte, and the record keeps its length and digest', async () => {
    const sound = Buffer.from([0, 1, 2, 0xff, 0xfe]);
    const { delivery, record } = bodies.response('opaque', 'opaque', []);
    expect(await run(delivery, sound.subarray(0, 2), sound.subarray(2))).toEqual({ bytes: sound, terminal: true });
    const kept = await run(record!, sound.subarray(0, 2), sound.subarray(2));
    expect(JSON.parse(kept.bytes.toString())).toEqual({ opaque: { bytes: 5, sha256: sha256(sound) } });
    expect(delivery.findings.size).toBe(0);
  });

  it('that cannot be read is never delivered where something is to be masked', () => {
    expect(() => bodies.response('opaque', 'opaque', ['credit_card'])).toThrow(UnreadableBody);
  });

  it.each<[string, 'json' | 'sse' | 'ndjson' | 'text', string, string]>([
    [
      'JSON',
      'json',
      `{"any":{"where":["${CARD}"]},"n":4111111111111111}`,
      '{"any":{"where":["<CREDIT_CARD>"]},"n":"<CREDIT_CARD>"}',
    ],
    ['text', 'text', `paid with ${CARD}.`, 'paid with <CREDIT_CARD>.'],
    ['NDJSON', 'ndjson', `{"a":"${CARD}"}\n{"a":"x"}\n`, '{"a":"<CREDIT_CARD>"}\n{"a":"x"}\n'],
  ])('in %s is masked, wherever it is', async (_what, framing, body, expected) => {
    const { delivery } = bodies.response('opaque', framing, ['credit_card']);
    const masked = (await run(delivery, Buffer.from(body))).bytes.toString();
    expect(masked.replaceAll(/<[^>]*>|\[[A-Z_]+\]/g, '<CREDIT_CARD>')).toBe(expected);
  });

  it.each([
    ['a character each', [...CARD]],
    ['two halves', ['4111 1111', ' 1111 1111 and more']],
    ['a whole one, and more behind it', [CARD, 'x']],
    ['a whole one, and more before it', ['x', CARD]],
  ])('in events is masked by itself and across them: %s', async (_what, pieces) => {
    const { delivery } = bodies.response('opaque', 'sse', ['credit_card']);
    const events = pieces.map((piece) => `data: {"piece":"${piece}"}\n\n`).join('');
    const { bytes } = await run(delivery, Buffer.from(`${events}data: [DONE]\n\n`));
    const said = [...bytes.toString().matchAll(/"piece":"([^"]*)"/g)].map(([, text]) => text);
    expect(said.join('')).not.toContain(CARD);
    expect(said).toHaveLength(pieces.length);
    expect(bytes.toString()).toMatch(/data: \[DONE\]\n\n$/);
  });
});

describe('what the record keeps of an opaque request', () => {
  it('is its length, its digest, and its text, masked', async () => {
    const body = Buffer.from(`card=${CARD}`);
    const { masked, findings } = await bodies.opaqueRequest(body, `card\n${CARD} "\ud83d\ude00"`);
    const { opaque } = JSON.parse(masked.toString());
    expect(opaque).toMatchObject({ bytes: body.length, sha256: sha256(body) });
    expect(opaque.text).toMatch(/^card\n.* "😀"$/su);
    expect(opaque.text).not.toContain('4111');
    expect(findings).toEqual(new Map([['credit_card', 1]]));
  });

  it('is no text where there is none', async () => {
    const { masked } = await bodies.opaqueRequest(Buffer.from([1]), '');
    expect(JSON.parse(masked.toString())).toEqual({ opaque: { bytes: 1, sha256: sha256(Buffer.from([1])) } });
  });

  it('of megabytes is kept whole', async () => {
    const text = '😀"\n'.repeat(300_000);
    const { masked } = await bodies.opaqueRequest(Buffer.alloc(3_000_000), text);
    expect(JSON.parse(masked.toString()).opaque).toMatchObject({ bytes: 3_000_000, text });
  });
});

describe('an answer without a body', () => {
  it('ends with nothing, and one byte of it is too much', async () => {
    const { delivery, record } = bodies.response('mcp', 'none', ['credit_card']);
    expect(record).toBeUndefined();
    expect(await run(delivery, Buffer.alloc(0))).toEqual({ bytes: Buffer.alloc(0), terminal: true });
    expect(() => delivery.push(Buffer.from('x'))).toThrow(UnreadableBody);
  });
});
