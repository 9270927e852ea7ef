/** attacks.md, "SAML": signatures. Made from messages that are taken as they are; each is refused, for its own reason. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificate, startWorld, type World } from '../support/saml-world.ts';
import { sign, writeAssertion, writeResponse } from '../support/saml-xml.ts';
import { matching, misfit, refusals } from './support/saml-refusals.ts';
import { naiveVerdict, wrappings } from './support/wrapping.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
const { changed, inNameId, refuseAll, signedAfter } = refusals(() => world);

describe('what the attacks are made from is taken', () => {
  test.each(['assertion', 'both'] as const)('signed: %s', async (signed) => {
    expect(await world.finish(world.response({}, signed))).toMatchObject({ ok: true, caller: { subject: 'u-4711' } });
  });
  test('an assertion for the token endpoint', async () => {
    const assertion = Buffer.from(world.bearer()).toString('base64url');
    expect(await world.provider.bearer(assertion)).toMatchObject({ ok: true, caller: { subject: 'u-4711' } });
  });
});

describe('signature wrapping', () => {
  test.each(wrappings)('%s', async (_name, wrap) => {
    const message = wrap(world);
    expect(message).toContain('>admin<');
    expect(naiveVerdict(message, world.signer.cert)).toBe(true);
    expect(await world.finish(message)).toEqual(
      matching('token_invalid', /^there is more than one (Response|Assertion)$/),
    );
  });
  refuseAll([
    [
      'another assertion that calls itself otherwise',
      () => changed('<saml:Assertion', '<x:Assertion xmlns:x="urn:x"/><saml:Assertion'),
      'token_invalid',
      'there is more than one Assertion',
    ],
    [
      'the parts of another assertion beside the signed one',
      () =>
        changed('</samlp:Response>', '<saml:Subject><saml:NameID>admin</saml:NameID></saml:Subject></samlp:Response>'),
      'token_invalid',
      'there is more than one Subject',
    ],
    [
      'an encrypted assertion beside the signed one',
      () => changed('</samlp:Response>', '<saml:EncryptedAssertion/></samlp:Response>'),
      'token_invalid',
      'there is more than one assertion',
    ],
    [
      'an element that nobody knows',
      () => changed('</samlp:Response>', '<samlp:Extensions/></samlp:Response>'),
      'token_invalid',
      'Response holds an element that is not understood',
    ],
    [
      'the assertion inside another element',
      () => changed(/<saml:Assertion .*<\/saml:Assertion>/s, '<samlp:Extensions>$&</samlp:Extensions>'),
      'token_invalid',
      'Response holds an element that is not understood',
    ],
  ]);
});

let fixed = '';
beforeAll(() => {
  fixed = world.response();
});

describe('no signature, or not of what counts', () => {
  const signature = /<ds:Signature .*?<\/ds:Signature>/s;
  refuseAll([
    ['signature removed', () => changed(signature, ''), 'token_invalid', 'the assertion is not signed'],
    [
      'signature removed from both',
      () => world.response({}, 'both').replace(signature, '').replace(signature, ''),
      'token_invalid',
      'the assertion is not signed',
    ],
    [
      'signature empty',
      () => changed(/<ds:SignatureValue>[^<]*</, '<ds:SignatureValue><'),
      'token_invalid',
      'SignatureValue is not base64, or empty',
    ],
    [
      'no SignatureValue',
      () => changed(/<ds:SignatureValue>.*<\/ds:SignatureValue>/s, ''),
      'token_invalid',
      /^Signature does not hold/,
    ],
    [
      'no SignedInfo',
      () => changed(/<ds:SignedInfo>.*<\/ds:SignedInfo>/s, ''),
      'token_invalid',
      /^Signature does not hold/,
    ],
    [
      'an element called Signature',
      () => changed(signature, '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>'),
      'token_invalid',
      /^Signature does not hold/,
    ],
    [
      'an unsigned assertion in a signed response',
      () => world.response({}, 'response'),
      'token_invalid',
      'the assertion is not signed',
    ],
    ['the person changed', () => inNameId('admin'), 'token_invalid', misfit],
    ['a group added', () => changed('>staff<', '>admins<'), 'token_invalid', misfit],
    [
      'the assertion good, the response signed by another',
      () => {
        const facts = world.facts();
        const inner = sign(writeAssertion(facts), facts.assertionId, world.signer);
        return sign(writeResponse(facts, inner), facts.responseId, makeCertificate('rsa'));
      },
      'token_invalid',
      misfit,
    ],
    [
      'the response changed that was signed',
      () => changed('<samlp:Status>', '<samlp:Status ID="more">', world.response({}, 'both')),
      'token_invalid',
      misfit,
    ],
    [
      'two SignedInfo',
      () => changed(/<ds:SignedInfo>.*?<\/ds:SignedInfo>/s, '$&$&'),
      'token_invalid',
      /^Signature does not hold/,
    ],
    ['two signatures', () => changed(signature, '$&$&'), 'token_invalid', 'an element has more than one signature'],
    [
      'a signature somewhere else',
      () =>
        changed(signature, '', changed('</saml:Subject>', `${signature.exec(world.response())?.[0]}</saml:Subject>`)),
      'token_invalid',
      'there is a signature where none belongs',
    ],
    [
      'two references',
      () => changed(/<ds:Reference .*?<\/ds:Reference>/s, '$&$&'),
      'token_invalid',
      /^SignedInfo does not hold/,
    ],
    [
      'URI=""',
      () => changed(/ URI="#[^"]*"/, ' URI=""'),
      'token_invalid',
      'the signature refers to the whole document, not to an ID',
    ],
    [
      'no URI',
      () => changed(/ URI="#[^"]*"/, ''),
      'token_invalid',
      'the signature refers to the whole document, not to an ID',
    ],
    [
      'an XPointer',
      () => changed(/ URI="#([^"]*)"/, ` URI="#xpointer(id('$1'))"`),
      'token_invalid',
      'the signature refers to another element than the one it is in',
    ],
    [
      'the URI of the response',
      () => changed(/ URI="#[^"]*"/, ` URI="#${/ID="(_[^"]*)"/.exec(world.response())?.[1]}"`),
      'token_invalid',
      'the signature refers to another element than the one it is in',
    ],
    [
      'an Object in the signature',
      () => changed('</ds:Signature>', '<ds:Object/></ds:Signature>'),
      'token_invalid',
      /^Signature does not hold/,
    ],
    [
      'duplicate IDs',
      () =>
        changed('<samlp:Status>', `<samlp:Status ID="${/<saml:Assertion [^>]*ID="([^"]*)"/.exec(fixed)?.[1]}">`, fixed),
      'token_malformed',
      /^an ID is there twice/,
    ],
    [
      'duplicate IDs in another spelling and namespace',
      () =>
        changed(
          '<samlp:Status>',
          `<samlp:Status xmlns:w="urn:w" w:Id="${/<saml:Assertion [^>]*ID="([^"]*)"/.exec(fixed)?.[1]}">`,
          fixed,
        ),
      'token_malformed',
      /^an ID is there twice/,
    ],
  ]);
});

describe('algorithms', () => {
  const sha1 = 'http://www.w3.org/2000/09/xmldsig#';
  const noSha1 = 'the signature algorithm is not RSA or ECDSA with SHA-256, SHA-384 or SHA-512';
  const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';
  const transforms = 'the transforms are not enveloped-signature and exclusive canonicalization';
  const hmac = (algorithm: string) => () => signedAfter((xml) => xml, {}, { key: world.signer.cert, algorithm });
  refuseAll([
    ['SHA-1', () => signedAfter((xml) => xml, {}, { algorithm: `${sha1}rsa-sha1` }), 'token_invalid', noSha1],
    [
      'SHA-1 as digest',
      () => signedAfter((xml) => xml, {}, { digest: `${sha1}sha1` }),
      'token_invalid',
      'the digest is not SHA-256, SHA-384 or SHA-512',
    ],
    ['HMAC confusion: HMAC-SHA1 with the certificate', hmac(`${sha1}hmac-sha1`), 'token_invalid', noSha1],
    [
      'HMAC confusion: HMAC-SHA256 with the certificate',
      hmac('http://www.w3.org/2001/04/xmldsig-more#hmac-sha256'),
      'token_invalid',
      noSha1,
    ],
    ['an algorithm of another key', () => changed('#rsa-sha256', '#ecdsa-sha256'), 'token_invalid', misfit],
    [
      'no algorithm',
      () => changed(/<ds:SignatureMethod [^>]*>/, '<ds:SignatureMethod/>'),
      'token_invalid',
      'the signature has a parameter that is not understood',
    ],
    [
      'a parameter of the algorithm',
      () =>
        changed(
          /(<ds:SignatureMethod [^>]*)\/>/,
          '$1><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>',
        ),
      'token_invalid',
      'the signature has a parameter that is not understood',
    ],
    [
      'XSLT transform',
      () =>
        changed(
          /<ds:Transform [^>]*exc-c14n#"\/>/,
          '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform"/></ds:Transform>',
        ),
      'token_invalid',
      'the signature has a parameter that is not understood',
    ],
    [
      'XSLT transform without a stylesheet',
      () => changed(/(<ds:Transform Algorithm=")[^"]*exc-c14n#/, '$1http://www.w3.org/TR/1999/REC-xslt-19991116'),
      'token_invalid',
      transforms,
    ],
    [
      'XPath transform',
      () => changed(/(<ds:Transform Algorithm=")[^"]*exc-c14n#/, '$1http://www.w3.org/TR/1999/REC-xpath-19991116'),
      'token_invalid',
      transforms,
    ],
    [
      'a third transform',
      () => changed(/<ds:Transform [^>]*enveloped-signature"\/>/, '$&$&'),
      'token_invalid',
      transforms,
    ],
    [
      'no canonicalization',
      () => signedAfter((xml) => xml, {}, { transforms: [enveloped] }),
      'token_invalid',
      transforms,
    ],
    [
      'canonicalization with comments',
      () =>
        signedAfter(
          (xml) => xml,
          {},
          { transforms: [enveloped, 'http://www.w3.org/2001/10/xml-exc-c14n#WithComments'] },
        ),
      'token_invalid',
      transforms,
    ],
    [
      'SignedInfo canonicalized with comments',
      () => changed(/(<ds:CanonicalizationMethod Algorithm="[^"]*)"/, '$1WithComments"'),
      'token_invalid',
      'the canonicalization is not exclusive without comments',
    ],
    [
      "attacker's certificate in KeyInfo",
      () => {
        const message = signedAfter((xml) => xml.replace('>u-4711<', '>admin<'), {}, makeCertificate('rsa'));
        expect(message).toContain('<ds:X509Certificate>');
        return message;
      },
      'token_invalid',
      misfit,
    ],
    [
      "attacker's ECDSA certificate in KeyInfo",
      () => signedAfter((xml) => xml, {}, makeCertificate('ec')),
      'token_invalid',
      misfit,
    ],
  ]);

  test.each([
    ['RSA with SHA-384', 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha384'],
    ['RSA with SHA-512', 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512'],
    ['RSA-PSS with SHA-256', 'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1'],
  ])('%s is taken', async (_name, algorithm) => {
    expect(await world.finish(signedAfter((xml) => xml, {}, { algorithm }))).toMatchObject({ ok: true });
  });
});
