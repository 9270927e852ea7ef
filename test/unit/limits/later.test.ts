import { describe, expect, test, vi } from 'vitest';
import { Later } from '../../../src/limits/later.ts';

describe('what is tried again later', () => {
  const open = (options: Partial<{ most: number; attempts: number }> = {}) => {
    let givenUp = 0;
    const later = new Later({ pauseMs: 1, most: 10, attempts: 5, givenUp: () => givenUp++, ...options });
    return { later, givenUp: () => givenUp };
  };
  const failing = (times: number, done: string[], name: string) => {
    let left = times;
    return async () => {
      if (left-- > 0) throw new Error('not now');
      done.push(name);
    };
  };

  test('is done in time, each piece once, and one that fails does not hold up the others', async () => {
    const { later, givenUp } = open();
    const done: string[] = [];
    later.add(failing(3, done, 'slow'));
    later.add(failing(0, done, 'a'));
    later.add(failing(0, done, 'b'));
    await vi.waitFor(() => expect(done.toSorted()).toEqual(['a', 'b', 'slow']));
    await later.close();
    expect(givenUp()).toBe(0);
  });

  test('is given up after so many attempts', async () => {
    const { later, givenUp } = open({ attempts: 3 });
    const work = vi.fn(async () => Promise.reject(new Error('never')));
    later.add(work);
    await vi.waitFor(() => expect(givenUp()).toBe(1));
    expect(work).toHaveBeenCalledTimes(3);
    await later.close();
    expect(givenUp()).toBe(1);
  });

  test('is given up at once beyond the bound, and after the end', async () => {
    const { later, givenUp } = open({ most: 2 });
    const done: string[] = [];
    for (let i = 0; i < 5; i++) later.add(failing(0, done, String(i)));
    expect(givenUp()).toBe(3);
    await later.close();
    expect(done).toEqual(['0', '1']);
    later.add(failing(0, done, 'late'));
    expect([givenUp(), done.length]).toEqual([4, 2]);
  });

  test('is waited for at the end, where it is just being tried, and counted if it fails', async () => {
    const { later, givenUp } = open();
    const begun = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    later.add(() => {
      begun.resolve();
      return answer.promise;
    });
    await begun.promise;
    const closed = later.close();
    answer.reject(new Error('not now'));
    await closed;
    expect(givenUp()).toBe(1);
  });

  test('is tried once more at the end, and what fails then is given up', async () => {
    const { later, givenUp } = open();
    const done: string[] = [];
    later.add(failing(9, done, 'never'));
    later.add(failing(9, done, 'nor this'));
    await later.close();
    expect([givenUp(), done]).toEqual([2, []]);
  });
});
