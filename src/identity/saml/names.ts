/** Names of SAML 2.0, XML Signature and XML Encryption (their specifications' URIs). */

export const saml = 'urn:oasis:names:tc:SAML:2.0:assertion';
export const samlp = 'urn:oasis:names:tc:SAML:2.0:protocol';
export const md = 'urn:oasis:names:tc:SAML:2.0:metadata';
export const ds = 'http://www.w3.org/2000/09/xmldsig#';
export const xenc = 'http://www.w3.org/2001/04/xmlenc#';

export const bearerMethod = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
export const statusSuccess = 'urn:oasis:names:tc:SAML:2.0:status:Success';
export const httpRedirect = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
export const httpPost = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';

export const nameIdFormats = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  transient: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
  emailAddress: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
} as const;

export const exclusiveC14n = 'http://www.w3.org/2001/10/xml-exc-c14n#';
export const envelopedSignature = `${ds}enveloped-signature`;

export interface SignatureMethod {
  readonly keyType: 'rsa' | 'ec';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly pss: boolean;
}

const more = 'http://www.w3.org/2001/04/xmldsig-more#';
const more2007 = 'http://www.w3.org/2007/05/xmldsig-more#';

/** RFC 9231. SHA-1, DSA and HMAC are not here, so they are refused. */
export const signatureMethods: ReadonlyMap<string, SignatureMethod> = new Map(
  (['sha256', 'sha384', 'sha512'] as const).flatMap((hash): [string, SignatureMethod][] => [
    [`${more}rsa-${hash}`, { keyType: 'rsa', hash, pss: false }],
    [`${more2007}${hash}-rsa-MGF1`, { keyType: 'rsa', hash, pss: true }],
    [`${more}ecdsa-${hash}`, { keyType: 'ec', hash, pss: false }],
  ]),
);

/** Digests of signed elements, and their length in bytes. */
export const digestMethods: ReadonlyMap<string, { readonly hash: SignatureMethod['hash']; readonly bytes: number }> =
  new Map([
    [`${xenc}sha256`, { hash: 'sha256', bytes: 32 }],
    [`${more}sha384`, { hash: 'sha384', bytes: 48 }],
    [`${xenc}sha512`, { hash: 'sha512', bytes: 64 }],
  ]);
