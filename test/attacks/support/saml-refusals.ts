import { expect, test } from 'vitest';
import type { IdentityRefusal } from '../../../src/identity/caller.ts';
import type { World } from '../../support/saml-world.ts';
import { type MessageFacts, type Signing, sign, writeAssertion, writeResponse } from '../../support/saml-xml.ts';

type Reason = IdentityRefusal['reason'];

/** A message, and why it is refused: a text is the whole detail. */
export type Case = readonly [name: string, message: () => string | Buffer, reason: Reason, detail: string | RegExp];

export const refusal = (reason: Reason, detail: string): IdentityRefusal => ({ ok: false, reason, detail });
export const matching = (reason: Reason, detail: string | RegExp): IdentityRefusal =>
  refusal(reason, typeof detail === 'string' ? detail : expect.stringMatching(detail));

export const misfit = 'the signature does not fit the element and a certificate of the metadata';
/** As a message of the test world has it. */
export const nameId = '>u-4711<';

export interface Refusals {
  /** A message whose assertion was changed before it was signed: a mistake of the IdP, or meant for another. */
  signedAfter(edit: (assertion: string) => string, given?: Partial<MessageFacts>, how?: Partial<Signing>): string;
  /** A message that was changed after it was signed. */
  changed(from: string | RegExp, to: string, message?: string): string;
  inNameId(content: string): string;
  /** A test a case. */
  refuseAll(cases: readonly Case[]): void;
}

export function refusals(world: () => World): Refusals {
  const changed: Refusals['changed'] = (from, to, message = world().response()) => {
    const after = message.replace(from, to);
    if (after === message) throw new Error(`there is no ${from} in the message`);
    return after;
  };
  return {
    changed,
    signedAfter(edit, given = {}, how = {}) {
      const facts = world().facts(given);
      const assertion = edit(writeAssertion(facts));
      return writeResponse(facts, sign(assertion, facts.assertionId, { ...world().signer, ...how }));
    },
    inNameId: (content) => changed(nameId, `>${content}<`),
    refuseAll: (cases) =>
      test.each(cases)('%s', async (_name, message, reason, detail) => {
        expect(await world().finish(message())).toEqual(matching(reason, detail));
      }),
  };
}
