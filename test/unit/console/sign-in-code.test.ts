import { describe, expect, it } from 'vitest';
import { signInCode } from '../../../src/console/oauth/sign-in-code.ts';

describe('the code that page and terminal show', () => {
  it('is the same for the same challenge, and another for another', () => {
    const codes = Array.from({ length: 1000 }, (_, n) => signInCode(String(n)));
    expect(new Set(codes).size).toBe(1000);
    expect(signInCode('7')).toBe(codes[7]);
  });

  it('has no characters that look alike, and each of the others somewhere', () => {
    const seen = new Set<string>();
    for (let n = 0; n < 1000; n++) {
      const code = signInCode(`challenge ${n}`);
      expect(code).toMatch(/^[2-9A-HJKMNP-TV-Z]{4}-[2-9A-HJKMNP-TV-Z]{4}$/);
      for (const character of code.replace('-', '')) seen.add(character);
    }
    expect(seen.size).toBe(30);
  });
});
