import { describe, expect, it } from 'vitest';
import { readRequest } from '../../../src/exchange/formats.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { Abandoned } from '../../../src/exchange/pace.ts';
import { createBodies } from '../../../src/mask/bodies.ts';

const media = { contentType: 'application/json', contentEncoding: undefined };
const body = Buffer.from(
  JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: '4-'.repeat(1_000_000) }] }),
);

/** Says yes from the `asked`th question on, and counts the questions. */
function cancelledAfter(most: number) {
  const asked = { times: 0 };
  return { asked, cancelled: () => ++asked.times > most };
}

describe('requests that nobody waits for', () => {
  it('are not read to their end', async () => {
    const { asked, cancelled } = cancelledAfter(1);
    await expect(async () =>
      readRequest({ format: openaiChat, endpoint: { operation: 'chat' } }, media, body, cancelled),
    ).rejects.toBeInstanceOf(Abandoned);
    expect(asked.times).toBe(2);
  });

  it('are not masked to their end', async () => {
    const { asked, cancelled } = cancelledAfter(2);
    await expect(async () =>
      createBodies(['credit_card']).request('openai-chat', body, cancelled),
    ).rejects.toBeInstanceOf(Abandoned);
    expect(asked.times).toBe(3);
  });

  it('are read and masked where somebody still waits', async () => {
    const small = Buffer.from(JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello.' }] }));
    expect(
      (await readRequest({ format: openaiChat, endpoint: { operation: 'chat' } }, media, small, () => false)).ok,
    ).toBe(true);
    expect((await createBodies(['credit_card']).request('openai-chat', small, () => false)).masked).toEqual(small);
  });
});
