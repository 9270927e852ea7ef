/** attacks.md, "SAML": an assertion is good once, at whichever replica. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSamlProvider } from '../../src/identity/saml/provider.ts';
import { openSqliteState } from '../../src/state/sqlite.ts';
import { requestId, startMs, startWorld, type World } from '../support/saml-world.ts';
import { sign, toBase64, writeAssertion, writeResponse } from '../support/saml-xml.ts';
import { refusal } from './support/saml-refusals.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

describe('replay', () => {
  const used = refusal('token_invalid', 'the assertion has been used before');

  test('an assertion is good once', async () => {
    const message = world.response();
    expect(await world.finish(message)).toMatchObject({ ok: true });
    expect(await world.finish(message)).toEqual(used);
  });

  test('of twenty at once exactly one is taken', async () => {
    const message = world.response();
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.finish(message)));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(1);
    expect(answers.filter((answer) => !answer.ok)).toEqual(Array(19).fill(used));
  });

  test('an assertion in another response is the same assertion', async () => {
    const facts = world.facts();
    const assertion = sign(writeAssertion(facts), facts.assertionId, world.signer);
    expect(await world.finish(writeResponse(facts, assertion))).toMatchObject({ ok: true });
    expect(await world.finish(writeResponse({ ...facts, responseId: '_other' }, assertion))).toEqual(used);
  });

  test('a second replica that shares the state refuses it, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'saml-'));
    const open = () => openSqliteState({ file: join(folder, 'control.db'), busyTimeoutMs: 1000, now: world.parts.now });
    const states = [open(), open()] as const;
    const [one, two] = await Promise.all(
      states.map((state) => createSamlProvider(world.config, { ...world.parts, state })),
    );
    const message = toBase64(world.response());
    expect(await one?.finish(message, requestId)).toMatchObject({ ok: true });
    expect(await two?.finish(message, requestId)).toEqual(used);
    await Promise.all(states.map((state) => state.close()));
    rmSync(folder, { recursive: true });
  });

  test('an assertion for the token endpoint is good once, too', async () => {
    const assertion = Buffer.from(world.bearer()).toString('base64url');
    expect(await world.provider.bearer(assertion)).toMatchObject({ ok: true });
    expect(await world.provider.bearer(assertion)).toEqual(used);
  });

  test('an assertion that grew too old while it waited is refused, and need not be remembered', async () => {
    const late = 331_000;
    let waitedMs = 0;
    const examiner = {
      ...world.parts.examiner,
      examine: async (...args: Parameters<typeof world.parts.examiner.examine>) => {
        const answer = await world.parts.examiner.examine(...args);
        waitedMs = late;
        return answer;
      },
    };
    const provider = await createSamlProvider(world.config, {
      ...world.parts,
      examiner,
      now: () => startMs + waitedMs,
    });
    const answer = await provider.finish(toBase64(world.response()), requestId);
    expect(answer).toEqual(refusal('token_expired', 'NotOnOrAfter of the conditions is in the past'));
  });

  test('where nobody can be asked whether it was used, nothing is answered', async () => {
    const down = new Error('state is down');
    const state = { ...world.parts.state, putIfAbsent: () => Promise.reject(down) };
    const provider = await createSamlProvider(world.config, { ...world.parts, state });
    await expect(provider.finish(toBase64(world.response()), requestId)).rejects.toBe(down);
  });
});
