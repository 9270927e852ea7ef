/** What we say to the IdP: our metadata, and the request that begins a sign-in. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { SAML } from '@node-saml/node-saml';
import { contentCiphers } from './decrypt.ts';
import { ds, httpPost, md, nameIdFormats, samlp, xenc } from './names.ts';

export interface ServiceProvider {
  /** Our `entityID`. */
  readonly entityId: string;
  /** Our assertion consumer service. */
  readonly acs: string;
  /** PEM; undefined: we decrypt nothing. */
  readonly encryptionCertificate: string | undefined;
}

const xmlText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** SAML metadata §2.4.4. Requests are not signed: they say nothing that an IdP would have to believe. */
export function writeMetadata(sp: ServiceProvider): string {
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<md:EntityDescriptor xmlns:md="${md}" xmlns:ds="${ds}" entityID="${xmlText(sp.entityId)}">`,
    `  <md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="${samlp}">`,
  ];
  if (sp.encryptionCertificate !== undefined) {
    const certificate = new X509Certificate(sp.encryptionCertificate).raw.toString('base64');
    lines.push(
      '    <md:KeyDescriptor use="encryption">',
      `      <ds:KeyInfo><ds:X509Data><ds:X509Certificate>${certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`,
      ...[...contentCiphers.keys(), `${xenc}rsa-oaep-mgf1p`].map(
        (algorithm) => `      <md:EncryptionMethod Algorithm="${algorithm}"/>`,
      ),
      '    </md:KeyDescriptor>',
    );
  }
  lines.push(
    `    <md:NameIDFormat>${nameIdFormats.persistent}</md:NameIDFormat>`,
    `    <md:NameIDFormat>${nameIdFormats.emailAddress}</md:NameIDFormat>`,
    `    <md:AssertionConsumerService Binding="${httpPost}" Location="${xmlText(sp.acs)}" index="0" isDefault="true"/>`,
    '  </md:SPSSODescriptor>',
    '</md:EntityDescriptor>',
    '',
  );
  return lines.join('\n');
}

/**
 * AuthnRequest by HTTP-Redirect (bindings §3.4). It asks for no format of NameID and no kind of login: an IdP refuses what it is
 * not set up for, and whoever set it up has chosen.
 */
export async function writeRequest(
  sp: ServiceProvider,
  ssoUrl: string,
  relayState: string,
): Promise<{ readonly url: string; readonly requestId: string }> {
  // An ID must not begin with a digit (core §1.3.4 asks for 128 random bits).
  const requestId = `_${randomBytes(20).toString('hex')}`;
  const writer = new SAML({
    entryPoint: ssoUrl,
    callbackUrl: sp.acs,
    issuer: sp.entityId,
    idpCert: 'AAAA',
    identifierFormat: null,
    disableRequestedAuthnContext: true,
    generateUniqueId: () => requestId,
  });
  return { url: await writer.getAuthorizeUrlAsync(relayState, undefined, {}), requestId };
}
