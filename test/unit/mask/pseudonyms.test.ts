import { describe, expect, it, test } from 'vitest';
import type { Operators } from '../../../src/detect/operator.ts';
import type { Framing } from '../../../src/exchange/media.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import { deriveMaskingKeys } from '../../../src/mask/operators.ts';
import { Pseudonyms } from '../../../src/mask/pseudonyms.ts';

const ids = ['credit_card', 'email_address', 'private_key'];
const bodies = createBodies(ids, { keys: deriveMaskingKeys(Buffer.alloc(32, 7)) });
const operators: Operators = {
  credit_card: { type: 'mask', keepLast: 4, with: '*' },
  email_address: { type: 'pseudonym' },
  private_key: { type: 'pseudonym' },
};
const PEM = (length: number) => `-----BEGIN RSA PRIVATE KEY-----\n${'M'.repeat(length)}\n-----END RSA PRIVATE KEY-----`;

async function asked(...contents: readonly string[]) {
  const body = JSON.stringify({ messages: contents.map((content) => ({ role: 'user', content })) });
  const { masked, pseudonyms, findings } = await bodies.maskedRequest('openai-chat', Buffer.from(body), ids, operators);
  const { messages } = JSON.parse(masked.toString()) as { messages: { content: string }[] };
  return { said: messages.map(({ content }) => content), pseudonyms: pseudonyms!, findings };
}

async function answered(
  text: string,
  pseudonyms: Pseudonyms,
  { mask = [] as readonly string[], framing = 'text' as Framing, cut = 5 } = {},
) {
  const { delivery, record, restoring } = bodies.response('openai-chat', framing, mask, { pseudonyms });
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  const kept: Buffer[] = [];
  const leave = async (masked: Buffer, last: boolean) => {
    kept.push(masked);
    out.push(restoring === undefined ? masked : await restoring.push(masked, last));
  };
  for (let at = 0; at < bytes.length; at += cut)
    await leave((await delivery.push(bytes.subarray(at, at + cut))).bytes, false);
  await leave((await delivery.end()).bytes, true);
  const counts = restoring && Object.fromEntries(restoring.counts);
  return { text: Buffer.concat(out).toString(), kept: Buffer.concat(kept).toString(), record, counts };
}

describe('in a request', () => {
  test('values are numbered by kind, in the order in which they come', async () => {
    const { said, findings } = await asked('b@b.io a@a.io b@b.io', '4111 1111 1111 1111 a@a.io', `${PEM(8)} c@c.io`);
    expect(said).toEqual([
      '<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2> <EMAIL_ADDRESS_1>',
      '**** **** **** 1111 <EMAIL_ADDRESS_2>',
      '<PRIVATE_KEY_1> <EMAIL_ADDRESS_3>',
    ]);
    expect(Object.fromEntries(findings)).toEqual({ email_address: 5, credit_card: 1, private_key: 1 });
  });

  test('what is written like a token already stands for nothing', async () => {
    const { said, pseudonyms } = await asked('a@a.io b@b.io', 'I have <EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_03>');
    expect(said[0]).toBe('<EMAIL_ADDRESS_2> <EMAIL_ADDRESS_3>');
    expect((await answered('<EMAIL_ADDRESS_1>', pseudonyms)).text).toBe('<EMAIL_ADDRESS_1>');
  });

  test('however it is escaped', async () => {
    const body = '{"messages":[{"role":"user","content":"a@a.io \\u003cEMAIL\\u005fADDRESS_1>"}]}';
    const { masked } = await bodies.maskedRequest('openai-chat', Buffer.from(body), ids, operators);
    expect(masked.toString()).toContain('<EMAIL_ADDRESS_2>');
  });

  test('a secret that is too long, and an encoded one, are replaced', async () => {
    const hidden = Buffer.from('write to maria.lindqvist@example.org').toString('base64');
    expect((await asked(`key ${PEM(9000)} and`, `mail (${hidden})`)).said).toEqual([
      'key <PRIVATE_KEY> and',
      'mail (<EMAIL_ADDRESS>)',
    ]);
  });
});

describe('in its answer', () => {
  it('has the values where the tokens were; the record has the tokens', async () => {
    const { pseudonyms } = await asked('a@a.io b@b.io');
    const text = 'to <EMAIL_ADDRESS_2> <EMAIL_ADDRESS_1><EMAIL_ADDRESS_1> <EMAIL_ADDRESS_12> <<EMAIL_ADDRESS_1 ';
    const got = await answered(text, pseudonyms);
    expect(got.text).toBe('to b@b.io a@a.ioa@a.io <EMAIL_ADDRESS_12> <<EMAIL_ADDRESS_1 ');
    expect(got.kept).toBe(text);
    expect(got.record).toBeDefined();
    expect(got.counts).toEqual({ email_address: 3 });
  });

  it('masks what the model says, and not what is put back, unless it is masked for that kind', async () => {
    const { pseudonyms } = await asked('a@a.io');
    const text = '4111 1111 1111 1111 for <EMAIL_ADDRESS_1>, c@c.io';
    const card = await answered(text, pseudonyms, { mask: ['credit_card'] });
    expect(card.text).toBe('<CREDIT_CARD> for a@a.io, c@c.io');
    const both = await answered(text, pseudonyms, { mask: ['credit_card', 'email_address'] });
    expect(both.text).toBe('<CREDIT_CARD> for <EMAIL_ADDRESS_1>, <EMAIL_ADDRESS>');
    expect(both.counts).toBeUndefined();
  });

  it('does not put a value that ends lines where it would end one of the stream', async () => {
    const { pseudonyms } = await asked(PEM(8));
    const text = ': <PRIVATE_KEY_1>\n\nid: <PRIVATE_KEY_1>\ndata: <PRIVATE_KEY_1>\n\n';
    expect((await answered(text, pseudonyms, { framing: 'sse' })).text).toBe(text);
  });

  it('holds back what may become a token, and no more', () => {
    const pseudonyms = new Pseudonyms(new Set());
    pseudonyms.tokenOf('email_address', 'a@a.io');
    const masker = pseudonyms.backFor([])!.maskers(() => {});
    const steps = ['a <EMA', 'IL', 'S <EMAIL_ADDRESS_1', '2 <EMAIL_ADDRESS_1', '> <', 'b> <'];
    expect(steps.map((step) => [masker.push(step), masker.held])).toEqual([
      ['a ', 4],
      ['', 6],
      ['<EMAILS ', 16],
      ['<EMAIL_ADDRESS_12 ', 16],
      ['a@a.io ', 1],
      ['<b> ', 1],
    ]);
    expect(masker.end()).toBe('<');
  });

  it('that breaks off ends with what was held back', async () => {
    const { pseudonyms } = await asked('a@a.io');
    const { restoring } = bodies.response('openai-chat', 'sse', [], { pseudonyms });
    const event = (content: string) =>
      Buffer.from(`data: {"choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`);
    const first = await restoring!.push(event('to <EMAIL_ADDRESS_1> <EMAIL'), false);
    expect(first.toString()).toBe(event('to a@a.io ').toString());
    const rest = await restoring!.cutOff(event('_ADDRESS_1> <EMAIL_'));
    expect([...rest.toString().matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join('')).toBe(
      'a@a.io <EMAIL_',
    );
  });

  it('of nothing that was masked is left as it is', () => {
    const empty = new Pseudonyms(new Set());
    expect(bodies.response('openai-chat', 'text', [], { pseudonyms: empty }).restoring).toBeUndefined();
  });
});
