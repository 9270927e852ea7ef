import { describe, expect, test } from 'vitest';
import { windowEnd } from '../../../src/limits/windows.ts';
import { day, minute } from './charges.ts';

describe('windows', () => {
  test.each([
    ['a second', 1000, '2026-11-18T12:00:00.999Z', '2026-11-18T12:00:01.000Z'],
    ['a minute', minute, '2026-11-18T12:00:00.000Z', '2026-11-18T12:01:00.000Z'],
    ['six hours', 6 * 60 * minute, '2026-11-18T17:59:59.999Z', '2026-11-18T18:00:00.000Z'],
    ['a day', day, '2026-11-18T23:59:59.999Z', '2026-11-19T00:00:00.000Z'],
    ['a day with a leap day after it', day, '2028-02-28T12:00:00.000Z', '2028-02-29T00:00:00.000Z'],
    ['a week, on a Wednesday', 7 * day, '2026-11-18T12:00:00.000Z', '2026-11-23T00:00:00.000Z'],
    ['a week, at its very end', 7 * day, '2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00.000Z'],
    ['a week, on a Monday', 7 * day, '2026-11-23T00:00:00.000Z', '2026-11-30T00:00:00.000Z'],
  ])('of %s end in UTC', (_, windowMs, now, end) => {
    expect(new Date(windowEnd(windowMs, Date.parse(now))).toISOString()).toBe(end);
  });
});
