/** A SAML provider of the gateway, and an identity provider that signs for it: the world of a test. */

import { samlProvider } from '../../src/identity/config/saml.ts';
import type { SamlConfig } from '../../src/identity/config.ts';
import { createHttp } from '../../src/identity/http.ts';
import { createExaminer, type Examiner } from '../../src/identity/saml/examiner.ts';
import { createSamlProvider } from '../../src/identity/saml/provider.ts';
import type { SamlParts, SamlProvider } from '../../src/identity/saml/saml.ts';
import { createMemoryState } from '../../src/state/memory.ts';
import { type Certificate, createAuthority } from '../e2e/support/certificates.ts';
import { factsFor, type MessageFacts, sign, toBase64, writeAssertion, writeResponse } from './saml-xml.ts';

export const idpEntityId = 'https://idp.corp.test/saml';
export const publicUrl = 'https://gateway.corp.test';
export const tokenEndpoint = `${publicUrl}/oauth/token`;
export const acs = `${publicUrl}/saml/corp/acs`;
export const audience = `${publicUrl}/saml/corp/metadata`;
export const requestId = '_request-1';
export const startMs = Date.UTC(2026, 0, 15, 12, 0, 0);

const certificates = createAuthority('Test CA');
export const makeCertificate = (type: 'rsa' | 'ec'): Certificate => certificates.issue('idp.corp.test', {}, type);

export function metadataOf(
  certs: readonly string[],
  { entityId = idpEntityId, sso = 'https://idp.corp.test/sso', more = '' } = {},
): string {
  const keys = certs.map((pem) => {
    const body = pem.replace(/-----[A-Z ]+-----/g, '').trim();
    return `<KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="${entityId}"${more}>
  <IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    ${keys.join('\n    ')}
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${sso}/post"/>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${sso}"/>
  </IDPSSODescriptor>
</EntityDescriptor>`;
}

export interface World {
  readonly config: SamlConfig;
  readonly parts: SamlParts;
  readonly provider: SamlProvider;
  /** Of the IdP. */
  readonly signer: Certificate;
  /** Files by path; may be changed. */
  readonly files: Map<string, string>;
  readonly clock: { nowMs: number };
  /** What the IdP would say now, in answer to `requestId`. */
  facts(given?: Partial<MessageFacts>): MessageFacts;
  /** A response with a signed assertion (and signed itself, if asked), as XML. */
  response(given?: Partial<MessageFacts>, signed?: 'assertion' | 'response' | 'both'): string;
  /** A signed assertion for the token endpoint, as XML. */
  bearer(given?: Partial<MessageFacts>): string;
  finish(xml: string | Buffer): ReturnType<SamlProvider['finish']>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly parts?: Partial<SamlParts>;
  readonly signer?: Certificate;
}

const rsa = makeCertificate('rsa');

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const signer = options.signer ?? rsa;
  const files = new Map([['idp.xml', metadataOf([signer.cert])], ...Object.entries(options.files ?? {})]);
  const clock = { nowMs: startMs };
  const config: SamlConfig = samlProvider.parse({
    name: 'corp',
    entityId: idpEntityId,
    idp: { metadataFile: 'idp.xml' },
    ...options.config,
  });
  const examiner: Examiner = createExaminer();
  const now = () => clock.nowMs;
  const parts: SamlParts = {
    publicUrl,
    tokenEndpoint,
    examiner,
    now,
    state: createMemoryState({ now }),
    http: createHttp({ trustedHosts: ['127.0.0.1'] }),
    readFile: async (path) => {
      const text = files.get(path);
      if (text === undefined) throw Object.assign(new Error(`there is no ${path}`), { code: 'ENOENT' });
      return text;
    },
    teamOf: (_provider, _subject, groups) => (groups.includes('ml-eng') ? 'ml-platform' : undefined),
    ...options.parts,
  };
  const provider = await createSamlProvider(config, parts);
  const facts = (given: Partial<MessageFacts> = {}) =>
    factsFor({ issuer: idpEntityId, recipient: acs, audience, nowMs: clock.nowMs, inResponseTo: requestId, ...given });
  return {
    config,
    parts,
    provider,
    signer,
    files,
    clock,
    facts,
    response(given, signed = 'assertion') {
      const all = facts(given);
      const inner = signed === 'response' ? writeAssertion(all) : sign(writeAssertion(all), all.assertionId, signer);
      const xml = writeResponse(all, inner);
      return signed === 'assertion' ? xml : sign(xml, all.responseId, signer);
    },
    bearer(given) {
      const all = facts({ recipient: tokenEndpoint, inResponseTo: '', ...given });
      return sign(writeAssertion(all), all.assertionId, signer);
    },
    finish: (xml) => provider.finish(toBase64(xml), requestId),
    close: () => examiner.close(),
  };
}
