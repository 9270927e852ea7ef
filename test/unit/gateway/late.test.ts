import { describe, expect, it } from 'vitest';
import { LateWork } from '../../../src/gateway/late.ts';

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

describe('work after the answer', () => {
  it('begins only once the answer has gone, and the end of its session waits for it', async () => {
    const late = new LateWork({ failed: () => {} });
    const order: string[] = [];
    const begin = late.plan('s', 10, async () => void order.push('work'));
    if (begin === false || begin === undefined) throw new Error('refused');
    await new Promise((turn) => setImmediate(turn));
    expect(order).toEqual([]);
    order.push('answer');
    begin();
    order.push('sent');
    await late.pending('s');
    expect(order).toEqual(['answer', 'sent', 'work']);
    await late.idle();
    expect(late.pending('s')).toBeUndefined();
  });

  it('that fails fails whoever waits for the session, then and later, until the session is over', async () => {
    const failures: string[] = [];
    const late = new LateWork({ failed: (session, error) => failures.push(`${session}: ${String(error)}`) });
    const begin = late.plan('s', 10, () => Promise.reject(new Error('disk')));
    if (begin) begin();
    await expect(late.pending('s')).rejects.toThrow('disk');
    await late.idle();
    expect(failures).toEqual(['s: Error: disk']);
    await expect(late.pending('s')).rejects.toThrow('disk');
    late.forget('s');
    expect(late.pending('s')).toBeUndefined();
  });

  it('is bounded, in number and in bytes; one body is taken however large it is', async () => {
    const { open, opened } = gate();
    const few = new LateWork({ most: 2, failed: () => {} });
    for (const session of ['a', 'b']) {
      const begin = few.plan(session, 1, () => opened);
      if (begin) begin();
    }
    expect(few.plan('c', 1, () => opened)).toBe(false);
    const small = new LateWork({ mostBytes: 100, failed: () => {} });
    const begin = small.plan('a', 1_000, () => opened);
    if (begin) begin();
    expect(small.plan('b', 1, () => opened)).toBe(false);
    open();
    await Promise.all([few.idle(), small.idle()]);
    expect(small.plan('b', 1, () => opened)).not.toBe(false);
  });
});
