import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { encodedRuns } from '../../../src/detect/encoded.ts';
import { detectors } from '../../../src/detect/registry.ts';

const automaton = compileAutomaton(detectors);

function run(text: string | readonly string[]) {
  const work = encodedRuns(automaton, text);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
const found = (text: string) => run(text).map(({ start, end, detectors: ids }) => [text.slice(start, end), ...ids]);
const base64 = (text: string, as: BufferEncoding = 'utf8') => Buffer.from(text, as).toString('base64');
const percent = (text: string) => [...Buffer.from(text)].map((b) => `%${b.toString(16).padStart(2, '0')}`).join('');

const CARD = '4111 1111 1111 1111';
const card = base64(`my card: ${CARD}`);
const mail = base64('write to jane.doe@example.com', 'utf8');

describe('base64', () => {
  it.each([
    ['alone', card, card],
    ['in a sentence', `Decode ${card}, please.`, card],
    ['without padding', `${card.replace(/=+$/, '')}.`, card.replace(/=+$/, '')],
    ['in quotes', `{"a":"${card}"}`, card],
    ['as a data URL', `data:text/plain;base64,${card}`, card],
    ['with a zero-width space in it', `${card.slice(0, 9)}\u200b${card.slice(9)}`, undefined],
    [
      'in full-width characters',
      [...card].map((c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0)).join(''),
      undefined,
    ],
    ['in groups of four', card.match(/.{1,4}/g)!.join(' '), undefined],
    ['wrapped after 20', `${card.slice(0, 20)}\r\n\t${card.slice(20)}`, undefined],
    ['wrapped with the escape of a newline', `"${card.slice(0, 20)}\\n${card.slice(20)}"`, undefined],
    ['behind the escape of a newline', `"a\\n${card}"`, card],
    ['behind a Unicode escape', `"a\\u00e9${card}"`, card],
    ['with slashes escaped', `"${base64('???>>> 4111111111111111').replaceAll('/', '\\/')}"`, undefined],
    ['behind a letter, which shifts it', `x${card}`, `x${card}`],
    ['behind two', `xy${card}`, `xy${card}`],
    ['behind three', `xyz${card}`, `xyz${card}`],
    ['behind a word of four letters', `card ${card} here`, card],
    ['behind bytes that are no text', base64(`\xff\xfe\x80${CARD}\xff`, 'latin1'), undefined],
    ['in UTF-16', base64(`card ${CARD}`, 'utf16le'), undefined],
    ['between umlauts', base64(`Größe ${CARD} Übergröße`), undefined],
    ['for URLs', Buffer.from(`\u{1F600}>>>???${CARD}`).toString('base64url'), undefined],
    ['twice', base64(card), base64(card)],
    ['of percent-encoded text', base64(percent(CARD)), undefined],
  ])('%s is found', (_, text, part) => {
    const runs = found(text);
    expect(runs).toHaveLength(1);
    const [where, ...ids] = runs[0]!;
    expect(ids).toEqual(['credit_card']);
    expect(where).toBe(part ?? text.replace(/^"|"$/g, ''));
  });

  it('is found in each of its runs, and each match is counted', () => {
    expect(found(`${card} and, ${mail}; ${base64('10.1.2.3 and 10.1.2.4')}`)).toEqual([
      [card, 'credit_card'],
      [mail, 'email_address'],
      [base64('10.1.2.3 and 10.1.2.4'), 'ip_address', 'ip_address'],
    ]);
  });

  it('is not decoded three deep', () => {
    expect(found(base64(base64(card)))).toEqual([]);
  });

  it('of a private key is replaced whole, line by line', () => {
    const pem = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(20)}-----END PRIVATE KEY-----`;
    const text = base64(pem)
      .match(/.{1,76}/g)!
      .join('\n');
    expect(found(`${text}\n\nThat was it.`)).toEqual([[text, 'private_key']]);
  });
});

describe('percent-encoding', () => {
  it.each([
    ['one character', '4111 1111 1111 111%31', '4111 1111 1111 111%31', 'credit_card'],
    ['the spaces', '4111%201111%201111%201111', '4111%201111%201111%201111', 'credit_card'],
    ['everything', percent(CARD), percent(CARD), 'credit_card'],
    ['an at sign', 'jane.doe%40example.com', 'jane.doe%40example.com', 'email_address'],
    ['what is before it', 'x%20536-22-1234', '536-22-1234', 'us_ssn'],
    ['in a query', 'https://a.example/?card=4111%2D1111%2D1111%2D1111&x=1', '4111%2D1111%2D1111%2D1111', 'credit_card'],
    [
      'full-width digits in UTF-8',
      percent('４１１１ 1111 1111 1111'),
      percent('４１１１ 1111 1111 1111'),
      'credit_card',
    ],
    ['twice', percent(percent(CARD)), percent(percent(CARD)), 'credit_card'],
    ['beside bytes that are no UTF-8', `%ff%e2%82${CARD.replace('4', '%34')}`, CARD.replace('4', '%34'), 'credit_card'],
    ['base64 in it', `a%20${card.replaceAll('=', '%3D')}%0a`, undefined, 'credit_card'],
  ])('of %s is read', (_, text, part, id) => {
    const runs = found(text);
    expect(runs.map((each) => each.slice(1))).toEqual([[id]]);
    if (part !== undefined) expect(runs[0]![0]).toBe(part);
  });

  it.each([
    ['what is in the clear', 'email=jane@example.com&a=%20b'],
    ['what is in the clear with the escape', 'to jane%20x@example.com'],
    ['no escape', '100% 4111 1111 1111 1112, 5%zz'],
    ['an escape far from a match', `%20${'word '.repeat(3)}jane@example.com`],
  ])('%s is not counted twice', (_, text) => {
    expect(found(text)).toEqual([]);
  });

  it('is found whole beside base64 that takes its digits for its own', () => {
    const text = `%34${CARD.slice(1)} ${card}`;
    expect(found(text)).toEqual([[text, 'credit_card', 'credit_card']]);
  });

  it('is read in a region between two others', () => {
    const filler = 'lorem ipsum dolor sit amet '.repeat(60);
    const text = `a%20b ${filler}jane%40example.com ${filler}%41`;
    expect(found(text)).toEqual([['jane%40example.com', 'email_address']]);
  });
});

describe('what is not encoded text', () => {
  const noise = (length: number, seed: string) =>
    Buffer.concat(
      Array.from({ length: Math.ceil(length / 32) }, (_, i) => createHash('sha256').update(`${seed}${i}`).digest()),
    );

  it.each([
    ['hashes', Array.from({ length: 500 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex')).join(' ')],
    ['hashes in base64', Array.from({ length: 500 }, (_, i) => noise(32, `${i}`).toString('base64url')).join('\n')],
    [
      'UUIDs',
      Array.from({ length: 500 }, (_, i) =>
        noise(16, `u${i}`)
          .toString('hex')
          .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'),
      ).join(', '),
    ],
    ['random bytes', noise(1 << 20, 'bytes').toString('base64')],
    ['long words', 'Donaudampfschifffahrtsgesellschaftskapitän internationalizationAndLocalization '.repeat(500)],
    ['paths', 'src/detect/encoded.ts node_modules/undici/lib/dispatcher/agent.js '.repeat(500)],
    [
      'a JWT, which is found as it is',
      `${base64('{"alg":"HS256","typ":"JWT"}')}.${base64('{"sub":"1"}')}.${'x'.repeat(43)}`,
    ],
    ['digits', '4111111111111111 '.repeat(1000)],
    ['base64 of prose', base64('The quick brown fox jumps over the lazy dog. '.repeat(1000))],
    ['dashes', '-'.repeat(10_000)],
    ['nothing', ''],
  ])('gives nothing: %s', (_, text) => {
    expect(found(text)).toEqual([]);
  });

  it.each(
    (
      JSON.parse(
        readFileSync(new URL('../../fixtures/detectors/hard-negatives.json', import.meta.url), 'utf8'),
      ) as string[]
    ).map((text) => ({ text })),
  )('gives nothing in $text, as it is or encoded', ({ text }) => {
    expect(found(text)).toEqual([]);
    expect(found(base64(text))).toEqual([]);
    expect(found(percent(text))).toEqual([]);
  });
});

describe('long texts', () => {
  it('are read the same whatever pieces they come in', () => {
    const text = `x ${'word '.repeat(5000)}${card}, %34${CARD.slice(1)}; ${base64(`${'text '.repeat(40_000)}${CARD} ${'more '.repeat(9)}`)}`;
    const whole = run(text);
    expect(whole.map(({ detectors: ids }) => ids)).toEqual([['credit_card'], ['credit_card'], ['credit_card']]);
    for (const length of [7, 4096, 70_000]) {
      const pieces = Array.from({ length: Math.ceil(text.length / length) }, (_, i) =>
        text.slice(i * length, (i + 1) * length),
      );
      expect(run(pieces)).toEqual(whole);
    }
  });

  it('are read in steps', () => {
    for (const text of [
      'word '.repeat(50_000),
      base64('word '.repeat(50_000)),
      percent('word '.repeat(10_000)),
      'getUserName/getUserName '.repeat(5000),
    ]) {
      const work = encodedRuns(automaton, text);
      let steps = 0;
      while (!work.next().done) steps++;
      expect(steps).toBeGreaterThan(text.length / 20_000);
    }
  });
});

describe('escapes of HTML and of source code', () => {
  const each = (write: (point: number) => string) => (text: string) =>
    [...text].map((c) => write(c.codePointAt(0)!)).join('');
  const decimal = each((point) => `&#${point};`);
  const hex = each((point) => `&#x${point.toString(16)};`);
  const backslash = each((point) => `\\x${point.toString(16).padStart(2, '0')}`);
  const unicode = each((point) => `\\u${point.toString(16).padStart(4, '0')}`);

  it.each([
    ['decimal references', decimal(CARD), 'credit_card'],
    ['hexadecimal references', hex(CARD), 'credit_card'],
    ['capitals and zeros', CARD.replaceAll('1', '&#X000031;'), 'credit_card'],
    ['references without semicolons', 'jane.doe&#64example.com', 'email_address'],
    ['references by name', 'jane&period;doe&commat;example&period;com', 'email_address'],
    ['one reference', 'jane.doe&#64;example.com', 'email_address'],
    ['backslashes and two digits', backslash(CARD), 'credit_card'],
    ['backslashes and four digits', unicode('jane.doe@example.com'), 'email_address'],
    ['several kinds', 'jane&#46;doe%40example\\u002ecom', 'email_address'],
    ['references of references', decimal('&#52;111 1111 1111 1111'), 'credit_card'],
    ['percent-encoded references', percent(hex('10.1.2.3')), 'ip_address'],
    ['references in base64', base64(`to ${hex('jane.doe@example.com')}`), 'email_address'],
  ])('%s are read', (_, text, id) => {
    expect(found(`say ${text} ok`)).toEqual([[text, id]]);
  });

  it.each([
    'a &amp; b &lt;c&gt; &nosuch; &toString; &#; &#x; &#1114112; C:\\xyz \\u12 \\x4',
    'jane.doe@example.com &#32; ok',
    `${'&'.repeat(3000)}${'&#'.repeat(3000)}${'\\'.repeat(3000)}`,
  ])('nothing is found in %s', (text) => {
    expect(found(text)).toEqual([]);
  });
});
