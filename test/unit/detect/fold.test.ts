import { describe, expect, it } from 'vitest';
import { fold, SKIP, symbolOf } from '../../../src/detect/fold.ts';

describe('folding', () => {
  it.each([
    ['plain text stays', 'Jane <j@x.io>\t4111\r\n', 'Jane <j@x.io>\t4111\r\n'],
    ['full width', '４１１１＠Ａｂ．ｃ－', '4111@Ab.c-'],
    ['mathematical alphanumerics', '𝟜𝟏𝟭 𝐣𝖆𝓃𝚎', '411 jane'],
    ['digits of other scripts', '٤٥٦ ۴۵۶ ४५६ ๔๕๖ ᠔᠕᠖ 𑁪𑁫𑁬', '456 456 456 456 456 456'],
    ['circled, superscript and dressed digits', '①²₃⑷⒌🄅', '123454'],
    ['dashes', '1‐2‑3‒4–5—6−7﹣8', '1-2-3-4-5-6-7-8'],
    ['spaces', '1\u00a02\u20073\u202f4\u30005\u20286', '1 2 3 4 5\n6'],
    ['accents, composed or not', 'José Jose\u0301 Łódź Ångström', 'Jose Jose Lodz Angstrom'],
    ['lookalikes', 'раураl.соm АВЕ', 'paypal.com ABE'],
    ['dots of other scripts', '10。1．2｡3', '10.1.2.3'],
    [
      'zero width, soft hyphen, direction and combining marks',
      '4\u200b1\u00ad1\u202e1\u200d1\ufeff1\u03361\u{e0041}',
      '4111111',
    ],
    ['controls', '4\u00001\u00081\u007f1\u00851', '4111\n1'],
    ['variation selectors', '4\ufe0f\u20e3', '4'],
    ['everything else is one opaque character', 'ß日😀½', '¤¤¤¤'],
    ['a lone surrogate is opaque', '1\ud83d2', '1¤2'],
  ])('%s', (_, text, folded) => {
    expect(fold(text)).toBe(folded);
  });

  it('reads over the tag characters beyond the BMP, and over nothing else there', () => {
    const skipped: number[] = [];
    for (let point = 0x10000; point <= 0x10ffff; point += 37) if (symbolOf(point) === SKIP) skipped.push(point);
    expect(skipped.every((point) => point >= 0xe0000 && point <= 0xe0fff)).toBe(true);
    expect(symbolOf(0xe0041)).toBe(SKIP);
  });

  it('gives every decimal digit of Unicode its value', () => {
    for (let point = 128; point <= 0x1ffff; point++) {
      const char = String.fromCodePoint(point);
      if (!/^\p{Nd}$/u.test(char)) continue;
      const next = symbolOf(point);
      expect(next).toBeGreaterThanOrEqual(48);
      expect(next).toBeLessThanOrEqual(57);
      if (next < 57) expect(symbolOf(point + 1)).toBe(next + 1);
    }
  });
});
