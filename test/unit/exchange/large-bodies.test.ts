import { describe, expect, it } from 'vitest';
import { LargeBodies, type Leave } from '../../../src/exchange/large-bodies.ts';
import { Abandoned } from '../../../src/exchange/pace.ts';

const options = { freeBytes: 100, most: 2, mostWaiting: 2 };

describe('places for large bodies', () => {
  it('does not count small bodies', () => {
    const places = new LargeBodies(options);
    for (let i = 0; i < 100; i++) expect(places.enter(100)).toBeTypeOf('function');
    expect(places.inWork).toBe(0);
  });

  it('lets so many in, makes so many wait in their order, and refuses the rest', async () => {
    const places = new LargeBodies(options);
    const first = places.enter(101) as Leave;
    const second = places.enter(101) as Leave;
    const order: string[] = [];
    const third = Promise.resolve(places.enter(101)).then((leave) => {
      order.push('third');
      return leave!;
    });
    const fourth = Promise.resolve(places.enter(101)).then((leave) => {
      order.push('fourth');
      return leave!;
    });
    expect([places.inWork, places.waiting]).toEqual([2, 2]);
    expect(places.enter(101)).toBeUndefined();
    expect(places.enter(5)).toBeTypeOf('function');
    first();
    first();
    const leaveThird = await third;
    expect(order).toEqual(['third']);
    expect(places.inWork).toBe(2);
    second();
    const leaveFourth = await fourth;
    leaveThird();
    leaveFourth();
    expect([places.inWork, places.waiting]).toEqual([0, 0]);
  });

  it('gives no place to a body that nobody waits for, and makes room by it', async () => {
    const places = new LargeBodies(options);
    const leaves = [places.enter(101) as Leave, places.enter(101) as Leave];
    let gone = false;
    const abandoned = [1, 2].map(() => expect(places.enter(101, () => gone)).rejects.toBeInstanceOf(Abandoned));
    expect(places.enter(101)).toBeUndefined();
    gone = true;
    const late = places.enter(101);
    await Promise.all(abandoned);
    expect(places.waiting).toBe(1);
    for (const leave of leaves) leave();
    ((await late) as Leave)();
    expect([places.inWork, places.waiting]).toEqual([0, 0]);
  });
});
