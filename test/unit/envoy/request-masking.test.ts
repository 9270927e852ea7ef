import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../src/checkpoint/stages.ts';
import { RequestMasking } from '../../../src/envoy/request-masking.ts';
import { createBodies } from '../../../src/mask/bodies.ts';

const plan: Plan = {
  session: 's1',
  format: 'openai-chat',
  stream: false,
  mask: [],
  cluster: 'model_demo_1',
  requestId: 'r1',
  issuedAtMs: 0,
  revision: 'sha256:0',
  request: { writer: 'w', leaf: 7 },
  reservations: [],
  maskRequest: ['email_address'],
  tokens: 1,
  opaque: false,
  watched: false,
};
const bodies = createBodies(['phone_number']);
const masking = (changes: Partial<Plan> = {}) =>
  new RequestMasking({ ...plan, ...changes }, ({ format, maskRequest }, body) =>
    bodies.maskedRequest(format, body, maskRequest),
  );
const body = (content: string) => Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }));

describe('a request is masked', () => {
  test('with the detectors of the plan, not with those of the record', async () => {
    const one = masking();
    const [, sent] = (await one.answer(body('a@b.co or +1 202 555 0132'))) as readonly [Buffer, Buffer];
    expect(sent.toString()).toContain('<EMAIL_ADDRESS> or +1 202 555 0132');
    expect(one.masked).toEqual(new Map([['email_address', 1]]));
    expect([one.refusal('model_demo_1'), one.refusal('model_other_1'), one.refusal(undefined)]).toEqual([
      undefined,
      'other_cluster',
      'other_cluster',
    ]);
  });

  test('before a model may answer it', async () => {
    const one = masking();
    expect(one.refusal('model_demo_1')).toBe('unmasked');
    await expect(one.answer(Buffer.from('{"a":1,"a":2}'))).rejects.toMatchObject({ name: 'UnreadableBody' });
    expect(one.refusal('model_demo_1')).toBe('unmasked');
  });

  test('whole: of one that comes in pieces nothing is sent', async () => {
    const one = masking();
    await one.answer(body('hi'));
    await expect(one.answer(body('a@b.co'))).rejects.toThrow('in pieces');
  });

  test.each([{ maskRequest: ['no_such_detector'] }, { format: 'no-such-format' }])(
    'by what this build knows, or not at all: %j',
    async (changes) => {
      const one = masking(changes);
      await expect(one.answer(body('a@b.co'))).rejects.toThrow('is not known here');
      expect(one.masked).toBeUndefined();
    },
  );
});
