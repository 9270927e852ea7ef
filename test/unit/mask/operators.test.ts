import { describe, expect, it, test } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import type { Operator, Operators } from '../../../src/detect/operator.ts';
import { detectors } from '../../../src/detect/registry.ts';
import { ArgumentsMasker } from '../../../src/mask/arguments.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import { Findings } from '../../../src/mask/findings.ts';
import { becomes, decryptText, deriveMaskingKeys, KEPT_LENGTH } from '../../../src/mask/operators.ts';
import { createTextMaskers } from '../../../src/mask/text.ts';

const keys = deriveMaskingKeys(Buffer.alloc(32, 7));
const otherKeys = deriveMaskingKeys(Buffer.alloc(32, 8));
const automaton = compileAutomaton(detectors);
const mask4: Operator = { type: 'mask', keepLast: 4, with: '*' };
const maskersWith = (operator: Operator, withKeys = keys) =>
  createTextMaskers(automaton, (id) => becomes(id, operator, withKeys));

function masked(text: string | readonly string[], operator: Operator, withKeys = keys): string {
  const masker = maskersWith(operator, withKeys)(() => {});
  return (
    [text]
      .flat()
      .map((piece) => masker.push(piece))
      .join('') + masker.end()
  );
}

const CARD = '4111 1111 1111 1111';
const PEM = (length: number) =>
  `-----BEGIN RSA PRIVATE KEY-----\n${'MIIE'.repeat(length / 4)}\n-----END RSA PRIVATE KEY-----`;

describe('an operator', () => {
  test.each<[Operator, string, string]>([
    [{ type: 'replace' }, `pay ${CARD}.`, 'pay <CREDIT_CARD>.'],
    [{ type: 'redact' }, `pay ${CARD}.`, 'pay .'],
    [{ type: 'pseudonym' }, `pay ${CARD}.`, 'pay <CREDIT_CARD>.'],
    [mask4, `pay ${CARD}.`, 'pay **** **** **** 1111.'],
    [mask4, 'to jane@example.com!', 'to ****@*******.com!'],
    [{ type: 'mask', keepLast: 2, with: '#' }, `pay ${CARD}.`, 'pay #### #### #### ##11.'],
    [{ type: 'mask', keepLast: 64, with: 'x' }, 'at 10.1.2.3 ', 'at xx.x.x.3 '],
    [{ type: 'mask', keepLast: 0, with: '*' }, 'at a@b.io ', 'at *@*.** '],
    [mask4, `pay ${[...'4111111111111111'].join('\u200b')}.`, 'pay ************1111.'],
  ])('%j of %j', (operator, text, expected) => {
    expect(masked(text, operator)).toBe(expected);
    expect(masked([...text], operator)).toBe(expected);
  });

  it('mask never keeps more than a quarter of a short value', () => {
    for (const { id, examples, context } of detectors)
      for (const example of examples) {
        const before = `${context?.words[0]?.replace('*', '') ?? 'It is'} `;
        const out = masked(`${before}${example} and`, mask4);
        const kept = [...out.slice(before.length, -4)].filter((character) => /[\p{L}\p{N}]/u.test(character)).length;
        const all = [...example].filter((character) => /[\p{L}\p{N}]/u.test(character)).length;
        expect(kept, `${id}: ${out}`).toBeLessThanOrEqual(Math.min(4, Math.floor(all / 4)));
      }
  });

  it('hash tells equal values, however they are written, and only these', () => {
    const hash = { type: 'hash' } as const;
    const out = masked(`jane@example.com joe@example.com jane@example.com ｊａｎｅ@example.com`, hash);
    const all = out.split(' ');
    expect(all[0]).toMatch(/^<EMAIL_ADDRESS:[0-9a-f]{16}>$/);
    expect([all[2], all[3]]).toEqual([all[0], all[0]]);
    expect(all[1]).not.toBe(all[0]);
    expect(masked('jane@example.com', hash, otherKeys)).not.toBe(all[0]);
    expect(masked(['4111 1111', ' 1111 1111'], hash)).toBe(masked(CARD, hash));
  });

  it('encrypt gives the text back to who has the key, and to nobody else', () => {
    const text = `Write to jane@example.com, "${CARD}" ${PEM(400)} ü.`;
    const out = masked(text, { type: 'encrypt' });
    expect(out).toMatch(
      /^Write to <EMAIL_ADDRESS:enc:v1:[\w-]+>, "<CREDIT_CARD:enc:v1:[\w-]+>" <PRIVATE_KEY:enc:v1:[\w-]+> ü\.$/,
    );
    expect(masked([...text], { type: 'encrypt' })).toBe(out);
    expect(decryptText(out, [otherKeys, keys])).toEqual({ text, opened: 3, unopened: 0 });
    expect(decryptText(out, [otherKeys])).toEqual({ text: out, opened: 0, unopened: 3 });
    // A value is what its detector says it is.
    const moved = out.replace('<EMAIL_ADDRESS:', '<PHONE_NUMBER:');
    expect(decryptText(moved, [keys])).toMatchObject({ opened: 2, unopened: 1 });
  });

  it.each(['mask', 'encrypt'] as const)('%s replaces a secret that is too long to be kept', (type) => {
    const operator: Operator = type === 'mask' ? mask4 : { type };
    const long = PEM(KEPT_LENGTH);
    expect(masked(`a ${long} b`, operator)).toBe('a <PRIVATE_KEY> b');
    expect(masked([...`a ${long} b`], operator)).toBe('a <PRIVATE_KEY> b');
    expect(masked(`a ${PEM(KEPT_LENGTH - 200)} b`, operator)).not.toContain('<PRIVATE_KEY>');
  });

  it('hash reads a secret of any length, and tells apart what differs at its end', () => {
    const hash = { type: 'hash' } as const;
    const long = PEM(100_000);
    const out = masked(long, hash);
    expect(out).toMatch(/^<PRIVATE_KEY:[0-9a-f]{16}>$/);
    expect(masked([long.slice(0, 9), long.slice(9, 70_001), long.slice(70_001)], hash)).toBe(out);
    expect(masked(long.replace(/MIIE\n/, 'MIIF\n'), hash)).not.toBe(out);
  });

  it('ends what the text ends in', () => {
    const open = PEM(40).slice(0, 50);
    expect(masked(open, { type: 'hash' })).toMatch(/^<PRIVATE_KEY:[0-9a-f]{16}>$/);
    expect(decryptText(masked([open.slice(0, 40), open.slice(40)], { type: 'encrypt' }), [keys]).text).toBe(open);
  });

  it('works on matches that touch each other', () => {
    expect(masked(`${CARD},jane@example.com;10.1.2.3`, { type: 'redact' })).toBe(',;');
    expect(masked(`${CARD},jane@example.com;10.1.2.3`, mask4)).toBe('**** **** **** 1111,****@*******.com;**.*.*.3');
  });

  it.each(['hash', 'encrypt'] as const)('%s without a key fails, and lets nothing through', (type) => {
    expect(() =>
      createTextMaskers(automaton, (id) => becomes(id, { type }, undefined))(() => {}).push('a@b.io '),
    ).toThrow('masking key');
  });
});

describe('arguments of a tool stay JSON', () => {
  const json = `{"to": "a\\"b jane@example.com\\n", "jane@example.com": [4111111111111111, "${CARD}"], "key": "${PEM(80).replaceAll('\n', '\\n')}"}`;
  test.each<[Operator]>([
    [{ type: 'redact' }],
    [{ type: 'hash' }],
    [{ type: 'encrypt' }],
    [mask4],
    [{ type: 'replace' }],
  ])('%j', (operator) => {
    const through = (pieces: readonly string[]) => {
      const masker = new ArgumentsMasker(new Findings(maskersWith(operator)));
      return pieces.map((piece) => masker.push(piece)).join('') + masker.end();
    };
    const out = through([json]);
    expect(through([...json])).toBe(out);
    const value = JSON.parse(out) as Record<string, unknown>;
    const one = (text: string) => masked(text, operator);
    const values = Object.values(value);
    expect(values[0]).toBe(`a"b ${one('jane@example.com')}\n`);
    expect(Object.keys(value)[1]).toBe(one('jane@example.com'));
    expect(values[1]).toEqual([one('4111111111111111'), one(CARD)]);
    expect(values[2]).toBe(one(PEM(80)));
  });
});

describe('bodies', () => {
  const operators: Operators = { credit_card: mask4, email_address: { type: 'hash' } };
  const ids = ['credit_card', 'email_address', 'us_ssn'];
  const bodies = createBodies(ids, { keys });
  const answer = JSON.stringify({ choices: [{ message: { content: `${CARD}, jane@example.com, 219-09-9999` } }] });
  const contentOf = (body: Buffer) =>
    (JSON.parse(body.toString()) as { choices: [{ message: { content: string } }] }).choices[0].message.content;

  it('have the operators of their plan, each by itself', async () => {
    const contents: string[] = [];
    for (const some of [operators, undefined, operators, { us_ssn: { type: 'redact' } } as const]) {
      const { delivery } = bodies.response('openai-chat', 'json', ids, { operators: some });
      await delivery.push(Buffer.from(answer));
      contents.push(contentOf((await delivery.end()).bytes));
    }
    const hashed = masked('jane@example.com', { type: 'hash' });
    const first = `**** **** **** 1111, ${hashed}, <US_SSN>`;
    const plain = '<CREDIT_CARD>, <EMAIL_ADDRESS>, <US_SSN>';
    expect(contents).toEqual([first, plain, first, '<CREDIT_CARD>, <EMAIL_ADDRESS>, ']);
  });

  it('are looked at again for the record, unless all of it is replaced', () => {
    expect(bodies.response('openai-chat', 'json', ids).record).toBeUndefined();
    expect(bodies.response('openai-chat', 'json', ids, { operators }).record).toBeDefined();
    expect(bodies.response('openai-chat', 'json', ids, { operators: { jwt: mask4 } }).record).toBeUndefined();
  });

  it('of requests too; an encoded part becomes the names of what is in it', async () => {
    const hidden = Buffer.from('write to maria.lindqvist@example.org').toString('base64');
    const request = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: `${CARD}: (${hidden})` }] }));
    const { masked: out, findings } = await bodies.maskedRequest('openai-chat', request, ids, operators);
    expect(out.toString()).toContain('**** **** **** 1111: (<EMAIL_ADDRESS>)');
    expect(Object.fromEntries(findings)).toEqual({ credit_card: 1, email_address: 1 });
  });

  it('take an operator that this build does not know for a replacement', async () => {
    const unknown = { credit_card: { type: 'tokenize' } } as unknown as Operators;
    const { delivery } = bodies.response('openai-chat', 'json', ids, { operators: unknown });
    await delivery.push(Buffer.from(answer));
    expect(contentOf((await delivery.end()).bytes)).toContain('<CREDIT_CARD>');
  });
});
