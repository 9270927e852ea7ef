/**
 * node-saml reads the message, too, and must come to the same assertion. Two readings that differ are how signatures are got
 * round (CVE-2025-25291, CVE-2025-54419, CVE-2024-45409). Its checks of dates, audience and request are off: it has its own
 * clock and no say in our reasons; `checkAssertion` has done them all.
 */
import { type CacheProvider, SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import { samlp } from './names.ts';

const noCache: CacheProvider = {
  saveAsync: async () => null,
  getAsync: async () => null,
  removeAsync: async () => null,
};

/** Algorithms that node-saml verifies; ECDSA and SHA-384 it does not. */
const readable = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
  'http://www.w3.org/2001/04/xmlenc#sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512',
]);

export const canReadAgain = (algorithms: readonly string[]): boolean => algorithms.every((uri) => readable.has(uri));

/** node-saml takes responses only. */
export const asResponse = (assertion: string): string =>
  `<samlp:Response xmlns:samlp="${samlp}" Version="2.0">${assertion.replace(/^<\?xml[^>]*\?>/, '')}</samlp:Response>`;

/**
 * @param certificates PEM, those whose keys have verified.
 * @returns the assertion that it verified, as XML; undefined when it refuses.
 */
export async function readAgain(response: string, certificates: readonly string[]): Promise<string | undefined> {
  const reader = new SAML({
    callbackUrl: 'https://not.used/',
    issuer: 'not used',
    idpCert: [...certificates],
    wantAssertionsSigned: true,
    wantAuthnResponseSigned: false,
    audience: false,
    acceptedClockSkewMs: -1,
    validateInResponseTo: ValidateInResponseTo.never,
    cacheProvider: noCache,
  });
  try {
    const { profile } = await reader.validatePostResponseAsync({
      SAMLResponse: Buffer.from(response, 'utf8').toString('base64'),
    });
    return profile?.getAssertionXml?.();
  } catch {
    return undefined;
  }
}
