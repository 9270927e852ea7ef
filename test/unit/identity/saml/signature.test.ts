import { createHash, createPublicKey } from 'node:crypto';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { readSignature, verifySignature } from '../../../../src/identity/saml/signature.ts';
import { messageOptions, readXml } from '../../../../src/identity/saml/xml.ts';
import { makeCertificate, startMs } from '../../../support/saml-world.ts';
import { factsFor, sign, writeAssertion } from '../../../support/saml-xml.ts';

// Counts the digests; what they are stays as it is.
vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>();
  return { ...real, createHash: vi.fn(real.createHash) };
});

const signer = makeCertificate('ec');
const stranger = makeCertificate('ec');
const keyOf = (cert: string) => createPublicKey(cert);
const said = factsFor({ issuer: 'idp', recipient: 'acs', audience: 'us', nowMs: startMs });
const xml = sign(writeAssertion(said), said.assertionId, signer);

function factsOf(text: string) {
  const facts = readSignature(readXml(text, messageOptions));
  if (facts === undefined) throw new Error('it is not signed');
  return facts;
}

describe('a signature', () => {
  beforeEach(() => void vi.mocked(createHash).mockClear());

  test('that no key fits costs no digest of what it is over', () => {
    expect(verifySignature(xml, factsOf(xml), [keyOf(stranger.cert)])).toBeUndefined();
    expect(createHash).not.toHaveBeenCalled();
  });

  test('of SignedInfo alone proves nothing: the digest must fit, too', () => {
    const changed = xml.replace('>u-4711<', '>admin<');
    expect(verifySignature(changed, factsOf(changed), [keyOf(signer.cert)])).toBeUndefined();
    expect(createHash).toHaveBeenCalledOnce();
  });

  test('that one of the keys fits says which', () => {
    const keys = [stranger.cert, signer.cert].map(keyOf);
    expect(verifySignature(xml, factsOf(xml), keys)).toMatchObject({ keyIndex: 1 });
  });
});
