import { describe, expect, test } from 'vitest';
import { asResponse, canReadAgain, readAgain } from '../../../../src/identity/saml/second-reading.ts';
import { acs, audience, idpEntityId, makeCertificate, startMs } from '../../../support/saml-world.ts';
import { factsFor, rsaSha256, sha256, sign, writeAssertion, writeResponse } from '../../../support/saml-xml.ts';

const signer = makeCertificate('rsa');
const facts = factsFor({ issuer: idpEntityId, recipient: acs, audience, nowMs: startMs });
const assertion = sign(writeAssertion(facts), facts.assertionId, signer);

describe('the second reading', () => {
  test('finds the assertion of a response, whatever its dates', async () => {
    const found = await readAgain(writeResponse(facts, assertion), [signer.cert]);
    expect(found).toContain(`ID="${facts.assertionId}"`);
    expect(found).toContain('>u-4711<');
  });

  test('finds an assertion that stands alone', async () => {
    const found = await readAgain(asResponse(`<?xml version="1.0"?>${assertion}`), [signer.cert]);
    expect(found).toContain(`ID="${facts.assertionId}"`);
  });

  test.each([
    ['that was changed', writeResponse(facts, assertion.replace('u-4711', 'admin')), [signer.cert]],
    ['that is signed by another', writeResponse(facts, assertion), [makeCertificate('rsa').cert]],
    ['that is not signed', writeResponse(facts), [signer.cert]],
    ['that is not there', writeResponse(facts, ''), [signer.cert]],
  ])('finds none %s', async (_name, xml, certificates) => {
    expect(await readAgain(xml, certificates)).toBeUndefined();
  });

  test('is for what node-saml can verify', () => {
    expect(canReadAgain([rsaSha256, sha256])).toBe(true);
    expect(canReadAgain([rsaSha256.replace('rsa', 'ecdsa'), sha256])).toBe(false);
    expect(canReadAgain([rsaSha256, 'http://www.w3.org/2001/04/xmldsig-more#sha384'])).toBe(false);
  });
});
