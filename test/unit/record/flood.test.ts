import { describe, expect, it } from 'vitest';
import type { RefusedEvent } from '../../../src/record/events.ts';
import { addressOf, Flood } from '../../../src/record/flood.ts';
import { openJournal } from '../../../src/record/journal.ts';
import { folder, http, journalOptions, records, refused, startMs } from './events.ts';

const options = { perSecond: 5, windowMs: 10_000, maxAddresses: 100 };

function from(clientAddress: string, changes: Partial<RefusedEvent> = {}): RefusedEvent {
  return refused(0, { http: { ...http, clientAddress }, ...changes });
}

describe('the flood control', () => {
  it('records the first few a second one by one and counts the rest of that address together', () => {
    const flood = new Flood(options);
    const admitted = Array.from({ length: 1000 }, () => flood.admit(from('192.0.2.7'), false)).filter(Boolean);
    expect(admitted).toHaveLength(5);
    expect(flood.admit(from('192.0.2.8'), false)).toBe(true);
    const drained = flood.drain(startMs + 500);
    expect(drained.map((event) => [event.count, event.code, addressOf(event)])).toEqual([
      [995, 'token_missing', '192.0.2.7'],
    ]);
    expect(flood.counted).toBe(0);
    expect(flood.drain(startMs + 600)).toEqual([]);
  });

  it('refills with time', () => {
    const flood = new Flood(options);
    for (let n = 0; n < 10; n++) flood.admit(from('192.0.2.7'), false);
    expect(flood.admit(from('192.0.2.7', { at: startMs + 400 }), false)).toBe(true);
    expect(flood.admit(from('192.0.2.7', { at: startMs + 1400 }), false)).toBe(true);
  });

  it('is not reset by a clock that jumps back', () => {
    const flood = new Flood(options);
    for (let n = 0; n < 10; n++) flood.admit(from('192.0.2.7'), false);
    expect(flood.admit(from('192.0.2.7', { at: startMs - 3_600_000 }), false)).toBe(false);
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::9', true],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:3:3:4:5:6', false],
    ['2001:db8::1', '2001:db8:0:0:ffff::', true],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
    ['192.0.2.1', '192.0.2.2', false],
  ])('takes %s and %s for one address: %s', (one, other, same) => {
    const flood = new Flood({ ...options, perSecond: 1 });
    expect(flood.admit(from(one), false)).toBe(true);
    expect(flood.admit(from(other), false)).toBe(!same);
  });

  it('tells only so many addresses apart', () => {
    const flood = new Flood({ ...options, maxAddresses: 3 });
    for (let n = 0; n < 50; n++) for (let i = 0; i < 8; i++) flood.admit(from(`192.0.2.${n}`), false);
    const drained = flood.drain(startMs);
    expect(drained).toHaveLength(4);
    expect(drained.find((event) => addressOf(event) === '*')?.count).toBe(47 * 8 - 5);
  });

  it('counts by code alone once the share of the journal is used up', () => {
    const flood = new Flood(options);
    for (let n = 0; n < 50; n++)
      expect(flood.admit(from(`192.0.2.${n}`, { code: n % 2 ? 'a' : 'b' }), true)).toBe(false);
    expect(flood.drain(startMs).map(({ code, count }) => [code, count])).toEqual([
      ['b', 25],
      ['a', 25],
    ]);
  });
});

describe('a flood of refusals in the journal', () => {
  it('stays within its share, and every refusal is counted', async () => {
    const dir = folder();
    const maxBytes = 1024 * 1024;
    const { refusals } = journalOptions(dir);
    const journal = await openJournal(journalOptions(dir, { maxBytes, refusals: { ...refusals, maxShare: 0.05 } }));
    const total = 20_000;
    for (let n = 0; n < total; n++) journal.event(from(`198.51.${n >> 8}.${n & 255}`, { at: startMs + n }));
    expect(journal.state).toBe('open');
    expect(journal.gauges().bytes).toBeLessThan(0.06 * maxBytes);
    await journal.close();
    let counted = 0;
    for (const record of await records(dir))
      if (record.kind === 'event') counted += (JSON.parse(record.body.toString()) as RefusedEvent).count;
    expect(counted).toBe(total);
  });
});
