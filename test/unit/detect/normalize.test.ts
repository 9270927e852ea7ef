import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalize, normalizedSlices } from '../../../src/detect/normalize.ts';

describe('normalize', () => {
  it.each([
    ['BOMB', 'bomb'],
    ['Ｂｏｍｂ', 'bomb'],
    ['b\u200bo\u00adm\u2060b\ufeff', 'bomb'],
    ['b\u0000omb', 'bomb'],
    ['𝗯𝗼𝗺𝗯', 'bomb'],
    ['a\tb\r\nc\u0085d', 'a\tb\r\nc\u0085d'],
    ['Straße', 'strasse'],
    ['STRASSE', 'strasse'],
    ['STRAẞE', 'strasse'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφοσ'],
    ['σίσυφος', 'σίσυφοσ'],
    ['\u212Aelvin', 'kelvin'],
    ['ﬁle', 'file'],
    ['Cafe\u0301', 'café'],
    ['ｶﾞ', 'ガ'],
    ['각', '각'],
    ['४१११', '४१११'],
    ['', ''],
    ['\ud800x', '\ud800x'],
  ])('%j is %j', (text, normal) => {
    expect(normalize(text)).toBe(normal);
  });

  it('leaves alone what is normal already, for every code point there is', () => {
    const changed: string[] = [];
    for (let point = 0; point < 0x110000; point++) {
      const once = normalize(`a${String.fromCodePoint(point)}b`);
      if (normalize(once) !== once) changed.push(point.toString(16));
    }
    expect(changed).toEqual([]);
  });
});

describe('normalizedSlices', () => {
  it.each([
    ['prose', 'The Quick Brown Fox. '],
    ['accents apart', 'e\u0301\u0323'],
    ['Hangul in letters', '\u1112\u1161\u11ab'],
    ['half-width kana', 'ｶﾞﾊﾟ'],
    ['Thai', 'กำ'],
    ['surrogate pairs', '𝗯𝗼𝗺𝗯'],
    ['Greek words', 'ΣΊΣΥΦΟΣ '],
  ])('are the whole of a long text of %s', (_, part) => {
    const text = part.repeat(Math.ceil(30_000 / part.length));
    for (const shifted of [text, `x${text}`, `xy${text}`]) {
      const slices = [...normalizedSlices(shifted)];
      expect(slices.length).toBeGreaterThan(4);
      expect(slices.join('')).toBe(normalize(shifted));
    }
  });

  it('are the whole wherever a slice ends', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
        (before, after) => {
          const text = `${'a'.repeat(4096 - before.length)}${before}${after}b`;
          expect([...normalizedSlices(text)].join('')).toBe(normalize(text));
        },
      ),
      { numRuns: 3000 },
    );
  });
});
