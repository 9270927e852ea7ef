import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/record/canonical.ts';
import { type CommitMark, commitOf, type Frame, FrameBuffer, parseFrame, recordOf } from '../../../src/record/codec.ts';
import type { AdminEvent } from '../../../src/record/events.ts';
import { chunk, request } from './events.ts';

const salt = Buffer.from('0123456789abcdef', 'hex');

function frames(bytes: Buffer, base = 0): Frame[] {
  const all: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const frame = parseFrame(bytes, at, base);
    if (frame === 'bad' || 'short' in frame) throw new Error(`no frame at ${at}`);
    all.push(frame);
    at = frame.end - base;
  }
  return all;
}

function admin(session: string, subject: string): AdminEvent {
  return { type: 'admin', session, at: 1.5, action: 'show', reader: 'r', subject };
}

describe('canonical JSON', () => {
  it.each([
    [{ b: 1, a: { d: [], c: null } }, '{"a":{"c":null,"d":[]},"b":1}'],
    [{ a: undefined, b: [1, 'x'] }, '{"b":[1,"x"]}'],
    [
      { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, ö: 7 },
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    ],
    [[56, 4.5, 2e-3, 1e30, 1e-27, -0], '[56,4.5,0.002,1e+30,1e-27,0]'],
    ['€$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'],
    ['\ud800', '"\\ud800"'],
    [{ n: Number.NaN, i: Number.POSITIVE_INFINITY }, '{"i":null,"n":null}'],
  ])('writes %j as RFC 8785 does', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('agrees with JSON.parse for any JSON value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary', maxDepth: 3 }), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('refuses what has no JSON form', () => {
    expect(() => canonicalJson({ a: 1n })).toThrow(TypeError);
    expect(() => canonicalJson({ a: () => 1 })).toThrow(TypeError);
  });
});

describe('frames', () => {
  it('give back any event and any bytes, with the leaf hash of the event', () => {
    const records = fc.array(
      fc.oneof(
        fc.record({ session: fc.string({ unit: 'binary', maxLength: 40 }), subject: fc.string({ unit: 'binary' }) }),
        fc.record({ session: fc.string({ maxLength: 40 }), bytes: fc.uint8Array({ maxLength: 300 }), seq: fc.nat() }),
      ),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(records, (inputs) => {
        const buffer = new FrameBuffer(1 << 20);
        inputs.forEach((input, leaf) => {
          if ('bytes' in input)
            buffer.content({ ...chunk(0, input.seq, ''), session: input.session, bytes: input.bytes });
          else buffer.event(leaf, admin(input.session, input.subject));
        });
        const read = frames(buffer.take(0, salt, 0));
        expect(read).toHaveLength(inputs.length + 1);
        inputs.forEach((input, leaf) => {
          const record = recordOf(read[leaf]!, 'w');
          if ('bytes' in input)
            expect(record).toMatchObject({ kind: 'content', seq: input.seq, bytes: Buffer.from(input.bytes) });
          else if (record?.kind === 'event') {
            const body = canonicalJson(admin(input.session, input.subject));
            expect(record.body.toString()).toBe(Buffer.from(body).toString());
            expect(record.hash).toEqual(createHash('sha256').update(Buffer.of(0)).update(record.body).digest());
            expect(record).toMatchObject({
              leaf,
              at: 1.5,
              type: 'admin',
              session: Buffer.from(input.session).toString(),
            });
          } else throw new Error('not an event');
        });
      }),
    );
  });

  it('do not survive a change of any single bit', () => {
    const buffer = new FrameBuffer(1 << 20);
    buffer.event(1, request(1));
    const bytes = Buffer.from(buffer.take(0, salt, 0));
    const first = frames(bytes)[0]!;
    for (let bit = 0; bit < first.end * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const frame = parseFrame(changed, 0, 0);
      expect(frame === 'bad' || 'short' in frame).toBe(true);
    }
  });

  it('are not found in zeros, nor beyond the largest length', () => {
    expect(parseFrame(Buffer.alloc(100), 0, 0)).toBe('bad');
    expect(parseFrame(Buffer.alloc(100, 0xff), 0, 0)).toBe('bad');
    expect(parseFrame(Buffer.alloc(5), 0, 0)).toEqual({ short: 12 });
  });

  it('carry the synced offset in a commit mark that holds for its own place and segment only', () => {
    const buffer = new FrameBuffer(1 << 20);
    buffer.event(0, request(1));
    const base = 5_000_000_000;
    const mark = frames(buffer.take(base, salt, 4_999_999_000), base).at(-1)!;
    expect(commitOf(mark, salt)).toEqual<CommitMark>({ offset: mark.offset, synced: 4_999_999_000 });
    expect(commitOf(mark, Buffer.alloc(8))).toBeUndefined();
    expect(commitOf({ ...mark, offset: mark.offset + 1 }, salt)).toBeUndefined();
  });

  it('take no more than the bound, but always one record', () => {
    const buffer = new FrameBuffer(1000);
    buffer.content(chunk(1, 0, 'x'.repeat(5000)));
    expect(() => buffer.content(chunk(1, 1, 'y'))).toThrow(expect.objectContaining({ code: 'journal_overloaded' }));
    expect(buffer.take(0, salt, 0).length).toBeGreaterThan(5000);
    buffer.content(chunk(1, 1, 'y'));
    expect(buffer.length).toBeGreaterThan(0);
  });
});
