import { expect, it } from 'vitest';
import { carrierAt } from '../../../src/exchange/carrier.ts';

it('puts a text in its place, behind empty items, and the header before it', () => {
  const path = ['parts', { item: 2, indexed: false }, 'text'];
  expect(carrierAt('"id":"a"', path, 'held')).toBe('{"id":"a","parts":[{},{},{"text":"held"}]}');
  expect(carrierAt('', path.slice(1), 'held')).toBe('[{},{},{"text":"held"}]');
});
