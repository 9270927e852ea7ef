import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { idpEntityId, startMs, startWorld, type World } from '../../../support/saml-world.ts';
import { persistent } from '../../../support/saml-xml.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

const base64url = (xml: string): string => Buffer.from(xml).toString('base64url');
const hourMs = 3_600_000;

describe('who an assertion speaks of', () => {
  test.each(['assertion', 'both'] as const)('is known where the %s is signed', async (signed) => {
    const facts = world.facts();
    expect(await world.finish(world.response(facts, signed))).toEqual({
      ok: true,
      caller: {
        provider: 'corp',
        issuer: idpEntityId,
        subject: 'u-4711',
        kind: 'person',
        email: 'ada@corp.test',
        groups: ['ml-eng', 'staff'],
        team: 'ml-platform',
        claims: { email: 'ada@corp.test', groups: ['ml-eng', 'staff'], nameIdFormat: persistent },
        proof: 'saml',
        tokenId: facts.assertionId,
        issuedAtMs: startMs,
        expiresAtMs: startMs + hourMs,
      },
    });
  });

  test('is known by an assertion for the token endpoint', async () => {
    const answer = await world.provider.bearer(base64url(world.bearer()));
    expect(answer).toMatchObject({
      ok: true,
      caller: { subject: 'u-4711', proof: 'saml', groups: ['ml-eng', 'staff'] },
    });
  });

  test('lasts as long as the session at the IdP', async () => {
    const answer = await world.finish(world.response({ sessionEndsAtMs: startMs + 600_000 }));
    expect(answer).toMatchObject({ ok: true, caller: { expiresAtMs: startMs + 630_000 } });
  });
});
