import { afterEach, describe, expect, test } from 'vitest';
import type { MessageJob } from '../../../../src/identity/saml/examine.ts';
import { createExaminer, type Examiner, type ExaminerOptions } from '../../../../src/identity/saml/examiner.ts';
import {
  acs,
  audience,
  idpEntityId,
  makeCertificate,
  metadataOf,
  requestId,
  startMs,
} from '../../../support/saml-world.ts';
import { factsFor, sign, toBase64, writeAssertion, writeResponse } from '../../../support/saml-xml.ts';

const signer = makeCertificate('rsa');
let examiner: Examiner;
const start = (options?: ExaminerOptions) => {
  examiner = createExaminer(options);
  return examiner;
};
afterEach(() => examiner.close());

function jobOf(groups: number): MessageJob {
  const facts = factsFor({
    issuer: idpEntityId,
    recipient: acs,
    audience,
    nowMs: startMs,
    inResponseTo: requestId,
    attributes: { groups: Array.from({ length: groups }, (_, i) => `a group with a longer name ${i}`) },
  });
  const assertion = sign(writeAssertion(facts), facts.assertionId, signer);
  return {
    kind: 'response',
    encoded: toBase64(sign(writeResponse(facts, assertion), facts.responseId, signer)),
    maxBytes: 131_072,
    certificates: [signer.cert],
    decryptionKey: undefined,
    rules: {
      entityId: idpEntityId,
      audiences: [audience],
      recipient: acs,
      requestId,
      maxAgeMs: 300_000,
      leewayMs: 30_000,
      nowMs: startMs,
    },
  };
}

describe('the thread that reads XML', () => {
  test('reads one message after the other', async () => {
    const { examine } = start();
    const answers = await Promise.all([1, 2, 3].map((groups) => examine(jobOf(groups))));
    expect(answers.map((a) => (a.ok ? a.assertion.attributes.get('groups')?.length : a.detail))).toEqual([1, 2, 3]);
  });

  test('holds nobody up: while it reads 100 KB, the event loop turns', async () => {
    const job = jobOf(1000);
    expect(job.encoded.length).toBeGreaterThan(120_000);
    const { examine } = start();
    await examine(jobOf(1));
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    const answer = await examine(job);
    clearInterval(counting);
    expect(answer).toMatchObject({ ok: true });
    // Read here, it would be none: it takes a hundred milliseconds and more at once.
    expect(turns).toBeGreaterThan(10);
  });

  test('refuses what too many wait for', async () => {
    const { examine } = start({ maxWaiting: 2 });
    const answers = await Promise.all([1, 1, 1, 1, 1].map((groups) => examine(jobOf(groups))));
    expect(answers.map((answer) => (answer.ok ? 'read' : answer.reason))).toEqual([
      'read',
      'read',
      'read',
      'state_unavailable',
      'state_unavailable',
    ]);
  });

  test('is ended when it takes too long, and started again', async () => {
    const { examine, readMetadata } = start({ timeoutMs: 1 });
    expect(await examine(jobOf(1))).toEqual({
      ok: false,
      reason: 'token_invalid',
      detail: 'the message could not be examined',
    });
    expect(await readMetadata({ kind: 'metadata', text: '', entityId: '' })).toMatchObject({ ok: false });
  });

  test('lets nobody wait behind another kind: a sign-in comes after one assertion, not after all of them', async () => {
    const { examine } = start();
    const order: string[] = [];
    const ask = (kind: MessageJob['kind']) => examine({ ...jobOf(1), kind }).then(() => order.push(kind));
    await Promise.all([...Array.from({ length: 6 }, () => ask('assertion')), ask('response')]);
    expect(order.indexOf('response')).toBeLessThan(2);
  });

  test('takes a sign-in while as many assertions wait as may', async () => {
    const { examine } = start({ maxWaiting: 1 });
    const assertion = { ...jobOf(1), kind: 'assertion' } as const;
    const answers = await Promise.all([assertion, assertion, assertion, jobOf(1)].map((job) => examine(job)));
    expect(answers.map((answer) => (answer.ok ? 'read' : answer.reason))).toEqual([
      'token_malformed',
      'token_malformed',
      'state_unavailable',
      'read',
    ]);
  });

  test('does not read what nobody waits for any more', async () => {
    const { examine } = start({ maxWaitMs: 20 });
    const answers = await Promise.all([1, 1].map((groups) => examine(jobOf(groups))));
    expect(answers[1]).toMatchObject({ ok: false, reason: 'state_unavailable' });
  });

  test('survives what makes no sense', async () => {
    const { examine, readMetadata } = start();
    const broken = { ...jobOf(1), certificates: ['not a certificate'] };
    expect(await examine(broken)).toMatchObject({ ok: false, detail: 'the message could not be examined' });
    const metadata = { kind: 'metadata', text: metadataOf([signer.cert]), entityId: idpEntityId } as const;
    expect(await readMetadata(metadata)).toMatchObject({ ok: true });
  });

  test('refuses everything once it is closed', async () => {
    const { examine, close } = start();
    const waiting = examine(jobOf(1));
    await close();
    expect(await waiting).toMatchObject({ ok: false, reason: 'state_unavailable' });
    expect(await examine(jobOf(1))).toMatchObject({ ok: false, reason: 'state_unavailable' });
  });
});
