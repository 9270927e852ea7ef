import { expect, it } from 'vitest';
import { choosesFormat } from '../../../src/console/sql-text.ts';

it.each([
  'SELECT 1 FORMAT JSON',
  "SELECT 'it''s \\' x' FORMAT Null;",
  'SELECT 1 /* a */ FORMAT /* b */ TSV # c',
  'SELECT 1 FORMAT JSON SETTINGS a = 1, b = 2',
  "SELECT 1 into\toutfile 'x'",
])('sees that a query chooses the form of its answer: %s', (query) => expect(choosesFormat(query)).toBe(true));

it.each([
  'SELECT 1',
  'SELECT format FROM sessions WHERE format IS NOT NULL',
  'SELECT CASE WHEN 1 THEN format END',
  'SELECT "format x"',
  'SELECT 1 /* FORMAT JSON',
  "SELECT 'x FORMAT JSON",
  'SELECT formatReadableSize(1)',
])('leaves a query alone that does not: %s', (query) => expect(choosesFormat(query)).toBe(false));

it.each(['/*', "'", '`', '\\', '" ', 'FORMAT x '])('reads 100,000 characters of %j in no time', (piece) => {
  const startedAt = performance.now();
  choosesFormat(piece.repeat(100_000 / piece.length));
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});
