import { describe, expect, it } from 'vitest';
import { createBodies } from '../../../src/mask/bodies.ts';

const bodies = createBodies(['credit_card', 'email_address', 'aws_access_token']);
const base64 = (text: string, encoding: 'utf8' | 'latin1' = 'utf8') => Buffer.from(text, encoding).toString('base64');
const CARD = '4111 1111 1111 1111';
const card = base64(`card ${CARD}`);
const mail = base64('jane.doe@example.com and joe@example.com');

async function request(body: object) {
  const { masked, findings } = await bodies.request('openai-chat', Buffer.from(JSON.stringify(body)));
  return { masked: JSON.parse(masked.toString()) as unknown, text: masked.toString(), findings };
}
const ask = (content: unknown) => ({ model: 'm', messages: [{ role: 'user', content }] });
const toolCall = (args: string) => ({
  model: 'm',
  messages: [
    { role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }] },
  ],
});

describe('a request for the record', () => {
  it.each([
    ['base64', `Decode ${card} now`, 'Decode <CREDIT_CARD> now', { credit_card: 1 }],
    ['percent-encoding', 'to jane%40example.com', 'to <EMAIL_ADDRESS>', { email_address: 1 }],
    ['two matches in one run', `${mail}.`, '<EMAIL_ADDRESS>.', { email_address: 2 }],
    [
      'matches of two kinds in one run',
      base64(`${CARD}, joe@example.com`),
      '<CREDIT_CARD><EMAIL_ADDRESS>',
      { credit_card: 1, email_address: 1 },
    ],
    [
      'encoded text beside clear text',
      `${CARD}, ${mail}; ${CARD}`,
      '<CREDIT_CARD>, <EMAIL_ADDRESS>; <CREDIT_CARD>',
      { credit_card: 2, email_address: 2 },
    ],
    [
      'a key in the clear that is part of an encoded run',
      `AKIAQ3EGRTYUIOPASD2F/${base64('joe@example.com')}`,
      '<EMAIL_ADDRESS><AWS_ACCESS_TOKEN>',
      { aws_access_token: 1, email_address: 1 },
    ],
    [
      'clear text whose end belongs to the run',
      `${CARD} ${mail}`,
      '<CREDIT_CARD><EMAIL_ADDRESS>',
      { credit_card: 1, email_address: 2 },
    ],
    ['nothing', `${base64('nothing to see')} 100%25`, `${base64('nothing to see')} 100%25`, {}],
  ])('counts and labels %s', async (_, content, becomes, counts) => {
    const { masked, findings } = await request(ask(content));
    expect(masked).toEqual(ask(becomes));
    expect(Object.fromEntries(findings)).toEqual(counts);
  });

  it('is labelled in a text of megabytes, too', async () => {
    const words = 'some words, '.repeat(20_000);
    const { masked, findings } = await request(ask(`${words}${card}, ${words}${CARD} ${words}${mail}`));
    expect(masked).toEqual(ask(`${words}<CREDIT_CARD>, ${words}<CREDIT_CARD> ${words}<EMAIL_ADDRESS>`));
    expect(Object.fromEntries(findings)).toEqual({ credit_card: 2, email_address: 2 });
  });

  it.each([
    ['a value', JSON.stringify({ a: card }), JSON.stringify({ a: '<CREDIT_CARD>' })],
    [
      'wrapped lines',
      JSON.stringify({ a: `x\n${mail.slice(0, 16)}\n${mail.slice(16)}` }),
      '{"a":"x\\n<EMAIL_ADDRESS>"}',
    ],
    [
      'slashes escaped',
      JSON.stringify({ a: [base64(`ÿÿÿ???${CARD}`)] }).replaceAll('/', '\\/'),
      '{"a":["<CREDIT_CARD>"]}',
    ],
    ['a slash at its beginning', `{"a":"\\/${mail}"}`, '{"a":"<EMAIL_ADDRESS>"}'],
    ['a name', JSON.stringify({ [card]: 1 }), '{"<CREDIT_CARD>":1}'],
  ])('keeps tool arguments JSON: %s', async (_, args, becomes) => {
    const { masked, findings } = await request(toolCall(args));
    expect(masked).toEqual(toolCall(becomes));
    expect([...findings.keys()]).toHaveLength(1);
  });

  it('labels names that nobody knows', async () => {
    const { masked, findings } = await request({ ...ask('hi'), metadata: { [card]: { [mail]: 'x' } } });
    expect(masked).toEqual({ ...ask('hi'), metadata: { '<CREDIT_CARD>': { '<EMAIL_ADDRESS>': 'x' } } });
    expect(Object.fromEntries(findings)).toEqual({ credit_card: 1, email_address: 2 });
  });

  it('leaves images alone', async () => {
    const url = `data:image/png;base64,${base64(`\x89PNG\r\n\x1a\n\0${CARD} `.repeat(40), 'latin1')}`;
    const body = ask([{ type: 'image_url', image_url: { url } }]);
    const { masked, findings } = await request(body);
    expect(masked).toEqual(body);
    expect(findings.size).toBe(0);
  });
});

it('labels encoded parts of short texts: paths, user agents', () => {
  expect(bodies.text('/v1/x?q=jane%40example.com&a=1')).toBe('/v1/x?q=<EMAIL_ADDRESS>&a=1');
  expect(bodies.text(`agent/1 ${card}`)).toBe('agent/1 <CREDIT_CARD>');
  expect(bodies.text('%')).toBe('%');
});

it('does not decode what is delivered: its masks stream', async () => {
  const { delivery, record } = bodies.response('openai-chat', 'json', [
    'credit_card',
    'email_address',
    'aws_access_token',
  ]);
  const body = Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: card } }] }));
  await delivery.push(body);
  expect((await delivery.end()).bytes.toString()).toBe(body.toString());
  expect(record).toBeUndefined();
});
