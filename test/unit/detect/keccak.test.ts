import { describe, expect, it } from 'vitest';
import { keccak256 } from '../../../src/detect/keccak.ts';

describe('Keccak-256', () => {
  it.each([
    ['', 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'],
    ['abc', '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45'],
  ])('of %j is what Ethereum takes it to be', (text, hash) => {
    expect(keccak256(Buffer.from(text))).toBe(hash);
  });

  it('takes no more than one block', () => {
    expect(keccak256(new Uint8Array(135))).toHaveLength(64);
    expect(() => keccak256(new Uint8Array(136))).toThrow(RangeError);
  });
});
