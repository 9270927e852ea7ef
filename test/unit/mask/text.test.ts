import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectors } from '../../../src/detect/registry.ts';
import { scan } from '../../../src/detect/scan.ts';
import { createTextMaskers } from '../../../src/mask/text.ts';

const automaton = compileAutomaton(detectors);
const maskers = createTextMaskers(automaton);

function mask(pieces: readonly string[]): { readonly text: string; readonly findings: readonly string[] } {
  const findings: string[] = [];
  const masker = maskers((detector) => findings.push(detector));
  const text = pieces.map((piece) => masker.push(piece)).join('') + masker.end();
  return { text, findings };
}

describe('the text masker', () => {
  it('replaces each match by its detector and tells of it once', () => {
    expect(mask(['Write to jane@example.com or joe@example.org, card 4111 1111 1111 1111.'])).toEqual({
      text: 'Write to <EMAIL_ADDRESS> or <EMAIL_ADDRESS>, card <CREDIT_CARD>.',
      findings: ['email_address', 'email_address', 'credit_card'],
    });
  });

  it.each(
    detectors.flatMap(({ id, examples, context }) =>
      examples.map((example) => ({ id, example, word: context?.words[0] ?? '' })),
    ),
  )('masks $id split at every position: $example', ({ id, example, word }) => {
    const whole = `It is ${word} ${example} and that was it`;
    for (let at = 0; at <= whole.length; at++)
      expect(mask([whole.slice(0, at), whole.slice(at)])).toEqual({
        text: `It is ${word} <${id.toUpperCase()}> and that was it`,
        findings: [id],
      });
    expect(mask([...whole]).text).toBe(`It is ${word} <${id.toUpperCase()}> and that was it`);
  });

  it('takes one long delta like many short ones, and a listener may push to another channel', () => {
    const long = 'Write to jane@example.com, card 4111 1111 1111 1111. '.repeat(2000);
    const other = maskers(() => {});
    let out = '';
    const masker = maskers(() => {
      out += other.push('joe@example.org ');
    });
    expect(masker.push(long) + masker.end()).toBe('Write to <EMAIL_ADDRESS>, card <CREDIT_CARD>. '.repeat(2000));
    expect(out + other.end()).toBe('<EMAIL_ADDRESS> '.repeat(4000));
  });

  it('masks matches that touch each other or the ends of the text', () => {
    expect(mask(['4111111111111111,jane@example.com;10.1.2.3']).text).toBe(
      '<CREDIT_CARD>,<EMAIL_ADDRESS>;<IP_ADDRESS>',
    );
    expect(mask(['a@b.io', 'a@b.io']).text).toBe(mask(['a@b.ioa@b.io']).text);
    expect(mask([...'jane@example.com']).text).toBe('<EMAIL_ADDRESS>');
  });

  it('leaves the text alone where nothing matches, byte for byte', () => {
    const text = 'naïve 😀 \ud83d ❤️ \u200b café\u0301 \u0000 … 1.2.3 ½';
    expect(mask([...text]).text).toBe(text);
    expect(mask([text]).text).toBe(text);
  });

  it('puts a surrogate pair together that was cut apart', () => {
    const masker = maskers(() => {});
    expect(masker.push('ok! \ud83d')).toBe('ok! ');
    expect(masker.held).toBe(1);
    expect(masker.push('\ude00!')).toBe('😀!');
    expect(masker.push('\ud83d')).toBe('');
    expect(masker.end()).toBe('\ud83d');
  });

  it('can be ended twice, and not pushed to afterwards', () => {
    const masker = maskers(() => {});
    expect(masker.push('jane')).toBe('');
    expect(masker.end()).toBe('jane');
    expect(masker.end()).toBe('');
    expect(() => masker.push('x')).toThrow('after its end');
  });
});

describe('a failure while masking', () => {
  const throwing = {
    id: 'x',
    categories: ['pii'] as const,
    pattern: 'ab?',
    validate: () => {
      throw new Error('boom');
    },
    doc: '',
    examples: [],
    source: '',
  };

  it('in a validator is heard, and nothing goes out any more', () => {
    const masker = createTextMaskers(compileAutomaton([throwing]))(() => {});
    expect(() => masker.push('abc')).toThrow('boom');
    expect(() => masker.push('c')).toThrow('failure');
    expect(masker.end()).toBe('');
  });

  it('in the listener is heard, and nothing goes out any more', () => {
    const masker = maskers(() => {
      throw new Error('stop');
    });
    expect(() => masker.push('jane@example.com and more')).toThrow('stop');
    expect(() => masker.push('c')).toThrow('failure');
    expect(masker.end()).toBe('');
  });
});

describe('what the text masker holds back', () => {
  const held = (pieces: readonly string[]) => {
    const masker = maskers(() => {});
    const out = pieces.map((piece) => masker.push(piece)).join('');
    return { out, held: masker.held };
  };

  it.each([
    ['nothing after a space', 'Hello there ', 'Hello there ', 0],
    ['a word that could be the beginning of an address', 'Hello there', 'Hello ', 5],
    ['nothing of a word that has become too long', 'a'.repeat(600), 'a'.repeat(600), 0],
    ['a number that could go on', 'Card 4111 1111', 'Card ', 9],
    ['a number with a wrong check digit, until it ends', 'Card 4111111111111112', 'Card ', 16],
    ['nothing once it has ended', 'Card 4111111111111112 ', 'Card 4111111111111112 ', 0],
    ['invisible characters only inside of what could match', 'ok! \u200b\u200b', 'ok! \u200b\u200b', 0],
    ['nothing of half a surrogate pair whose other half did not come', 'a \ud83d b ', 'a \ud83d b ', 0],
    ['dashes that could open a key', 'a ----', 'a ', 4],
  ])('is %s', (_, text, out, length) => {
    expect(held([text])).toEqual({ out, held: length });
    expect(held([...text])).toEqual({ out, held: length });
  });

  it('is nothing of a conclusive secret: masked at once, swallowed to its end', () => {
    const token = detectors.find(({ id }) => id === 'jwt')!.examples[0]!;
    expect(held([`Bearer ${token.slice(0, 40)}`])).toEqual({ out: 'Bearer <JWT>', held: 0 });
    expect(held([`Bearer ${token}`])).toEqual({ out: 'Bearer <JWT>', held: 0 });
    expect(held([`Bearer ${token}`, '.'])).toEqual({ out: 'Bearer <JWT>', held: 1 });
    expect(held([`Bearer ${token}`, '.', ' '])).toEqual({ out: 'Bearer <JWT>. ', held: 0 });
    expect(held([`Bearer ${token}`, 'x'.repeat(100_000)])).toEqual({ out: 'Bearer <JWT>', held: 0 });
    expect(held([`-----BEGIN RSA PRIVATE KEY-----`]).out).toBe('');
    expect(held([`-----BEGIN RSA PRIVATE KEY-----`, '\n'])).toEqual({ out: '<PRIVATE_KEY>', held: 0 });
    // In a sentence there is no key behind it.
    expect(held([`-----BEGIN RSA PRIVATE KEY-----`, '` is how it begins']).out).toContain('is how it');
    expect(
      held([`-----BEGIN RSA PRIVATE KEY-----`, '\nMII and all that follows '.repeat(1000), '-----END RSA']),
    ).toEqual({
      out: '<PRIVATE_KEY>',
      held: 0,
    });
  });

  it('is bounded, however many invisible characters come', () => {
    const masker = maskers(() => {});
    let out = '';
    let most = 0;
    for (let i = 0; i < 2000; i++) {
      out += masker.push(`${i % 500 === 0 ? '4' : ''}\u200b\u200b\u0301\u{e0041}`);
      most = Math.max(most, masker.held);
    }
    out += masker.end();
    expect(most).toBeLessThan(65 * 5);
    expect(out.replace(/[^4]/g, '')).toBe('4444');
    expect(out.isWellFormed()).toBe(true);
  });

  it('does not let invisible characters in numbers hide what they stand in', () => {
    const hidden = [...'4111111111111111'].join('\u200b'.repeat(500));
    expect(mask([`Card ${hidden} ok`]).text).toBe('Card <CREDIT_CARD> ok');
    expect(mask([...`Card ${hidden} ok`]).text).toBe('Card <CREDIT_CARD> ok');
    expect(scan(automaton, hidden)).toEqual([{ detector: 'credit_card', start: 0, end: hidden.length }]);
  });
});

describe('many channels', () => {
  it('share one automaton without mixing', () => {
    const channels = Array.from({ length: 2000 }, (_, i) => {
      const found: string[] = [];
      return {
        masker: maskers((detector) => found.push(detector)),
        text: `user${i}@example.com #${i} `,
        out: '',
        found,
      };
    });
    for (let at = 0; at < 40; at++)
      for (const channel of channels) channel.out += channel.masker.push(channel.text[at] ?? '');
    for (const [i, channel] of channels.entries()) {
      expect(channel.out + channel.masker.end()).toBe(`<EMAIL_ADDRESS> #${i} `);
      expect(channel.found).toEqual(['email_address']);
    }
  });
});
