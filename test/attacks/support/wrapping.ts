/**
 * XML signature wrapping (Somorovsky et al., "On Breaking SAML", 2012; numbers as in SAML Raider): a signed element moves to where
 * its signature is still good, and another one takes its place. `SignedXml` of xml-crypto, asked naively, finds each of them
 * well signed: what refuses them is the rules.
 */

import { DOMParser } from '@xmldom/xmldom';
import { SignedXml } from 'xml-crypto';
import type { World } from '../../support/saml-world.ts';

const signaturePattern = /<ds:Signature .*?<\/ds:Signature>/s;
const assertionPattern = /<saml:Assertion .*<\/saml:Assertion>/s;

const part = (xml: string, pattern: RegExp): string => {
  const found = pattern.exec(xml)?.[0];
  if (found === undefined) throw new Error('the message does not have what the attack is about');
  return found;
};

/** The administrator, in place of whom the IdP has signed. */
const forge = (xml: string): string =>
  xml.replace(/ID="_[^"]*"/, 'ID="_evil"').replace(/(<saml:NameID [^>]*>)[^<]*/, '$1admin');

const into = (signature: string, content: string): string =>
  signature.replace('</ds:Signature>', `<ds:Object>${content}</ds:Object></ds:Signature>`);

type Wrap = (world: World) => string;

/** Of a response that is signed itself, and holds an assertion that is not. */
const ofResponse =
  (build: (signature: string, original: string) => (evil: string) => string): Wrap =>
  (world) => {
    const xml = world.response({}, 'response');
    const signature = part(xml, signaturePattern);
    const original = xml.replace(signature, '');
    const evil = original
      .replace(/ID="_[^"]*"/, 'ID="_evil-response"')
      .replace(
        /ID="_[^"]*"( Version="2.0" IssueInstant="[^"]*"><saml:Issuer>[^<]*<\/saml:Issuer><saml:Subject>)/,
        'ID="_evil"$1',
      )
      .replace(/(<saml:NameID [^>]*>)[^<]*/, '$1admin');
    return build(signature, original)(evil);
  };

/** Of a response with a signed assertion. */
const ofAssertion =
  (
    build: (parts: { xml: string; assertion: string; signature: string; original: string; evil: string }) => string,
  ): Wrap =>
  (world) => {
    const xml = world.response();
    const assertion = part(xml, assertionPattern);
    const signature = part(assertion, signaturePattern);
    const original = assertion.replace(signature, '');
    return build({ xml, assertion, signature, original, evil: forge(original) });
  };

const afterIssuer = (element: string, what: string): string =>
  element.replace('</saml:Issuer>', `</saml:Issuer>${what}`);

export const wrappings: readonly (readonly [name: string, wrap: Wrap])[] = [
  [
    'XSW 1: the signed response inside the signature of another',
    ofResponse((s, original) => (evil) => afterIssuer(evil, into(s, original))),
  ],
  [
    'XSW 2: the signed response beside its signature in another',
    ofResponse((s, original) => (evil) => afterIssuer(evil, original + s)),
  ],
  [
    'XSW 3: another assertion before the signed one',
    ofAssertion(({ xml, assertion, evil }) => xml.replace(assertion, evil + assertion)),
  ],
  [
    'XSW 4: the signed assertion inside another',
    ofAssertion(({ xml, assertion, evil }) =>
      xml.replace(assertion, evil.replace('</saml:Assertion>', `${assertion}</saml:Assertion>`)),
    ),
  ],
  [
    'XSW 5: the signature moved into another assertion, the signed one behind it',
    ofAssertion(({ xml, assertion, signature, original, evil }) =>
      xml.replace(assertion, afterIssuer(evil, signature) + original),
    ),
  ],
  [
    'XSW 6: the signature moved into another assertion, the signed one inside it',
    ofAssertion(({ xml, assertion, signature, original, evil }) =>
      xml.replace(assertion, afterIssuer(evil, signature.replace('</ds:Signature>', `${original}</ds:Signature>`))),
    ),
  ],
  [
    'XSW 7: another assertion in Extensions',
    ofAssertion(({ xml, assertion, evil }) =>
      xml.replace(assertion, `<samlp:Extensions>${evil}</samlp:Extensions>${assertion}`),
    ),
  ],
  [
    'XSW 8: the signed assertion as an Object of the signature of another',
    ofAssertion(({ xml, assertion, signature, original, evil }) =>
      xml.replace(assertion, afterIssuer(evil, into(signature, original))),
    ),
  ],
];

/** What somebody finds who looks for a signature, and asks xml-crypto whether it is good. */
export function naiveVerdict(xml: string, cert: string): boolean {
  const document = new DOMParser().parseFromString(xml, 'text/xml');
  const [signature] = Array.from(document.getElementsByTagNameNS('http://www.w3.org/2000/09/xmldsig#', 'Signature'));
  if (signature === undefined) return false;
  const signed = new SignedXml({ publicCert: cert });
  signed.loadSignature(signature);
  return signed.checkSignature(xml);
}
