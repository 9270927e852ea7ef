/** Metadata of the IdP (SAML metadata §2): keys and the address of its single sign-on. */
import { X509Certificate } from 'node:crypto';
import { isSafeUrl } from '../config/values.ts';
import { dateOf } from './assertion.ts';
import { ds, httpRedirect, md, samlp } from './names.ts';
import { invalid } from './refused.ts';
import { childrenOf, normalizeLineEnds, readXml, type XmlElement } from './xml.ts';

export interface IdpMetadata {
  /** Signing certificates, PEM. Their dates do not count: metadata says which are good (metadata interoperability §2.6.1). */
  readonly certificates: readonly string[];
  /** Single sign-on, HTTP-Redirect binding. */
  readonly ssoUrl: string;
  /** Epoch milliseconds from which on it says nothing any more; undefined: not said. */
  readonly validUntilMs: number | undefined;
}

const maxCertificates = 10;
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/**
 * Metadata is believed for where it comes from (a file, or https); a signature on it is not looked at.
 *
 * @throws XmlProblem, Refused
 */
export function readIdpMetadata(text: string, entityId: string): IdpMetadata {
  const root = readXml(normalizeLineEnds(text.replace(/^\ufeff/, '')), { comments: 'skipped' });
  const path = pathTo(root, entityId);
  const entity = path.at(-1);
  if (entity === undefined) throw invalid('the metadata does not have entityId');
  const roles = childrenOf(entity, md, 'IDPSSODescriptor').filter((role) =>
    (role.attributes.get('protocolSupportEnumeration') ?? '').split(' ').includes(samlp),
  );
  const [role] = roles;
  if (role === undefined || roles.length > 1)
    throw invalid('the metadata does not have one IDPSSODescriptor for SAML 2.0');
  const ends = [...path, role].map((e) => dateOf(e, 'validUntil')).filter((end) => end !== undefined);
  return {
    certificates: certificatesOf(role),
    ssoUrl: ssoOf(role),
    validUntilMs: ends.length === 0 ? undefined : Math.min(...ends),
  };
}

/** From the document to the entity: an `EntityDescriptor`, or one among the many of an `EntitiesDescriptor`. */
function pathTo(element: XmlElement, entityId: string): readonly XmlElement[] {
  if (element.namespace !== md) return [];
  if (element.local === 'EntityDescriptor') return element.attributes.get('entityID') === entityId ? [element] : [];
  if (element.local !== 'EntitiesDescriptor') return [];
  const found = element.children.map((child) => pathTo(child, entityId)).filter((path) => path.length > 0);
  if (found.length > 1) throw invalid('the metadata has entityId twice');
  return found[0] === undefined ? [] : [element, ...found[0]];
}

function certificatesOf(role: XmlElement): readonly string[] {
  const signing = childrenOf(role, md, 'KeyDescriptor').filter(
    (key) => (key.attributes.get('use') ?? 'signing') === 'signing',
  );
  const texts = signing
    .flatMap((key) => childrenOf(key, ds, 'KeyInfo'))
    .flatMap((info) => childrenOf(info, ds, 'X509Data'))
    .flatMap((data) => childrenOf(data, ds, 'X509Certificate'))
    .map((certificate) => certificate.text.replace(/[ \t\r\n]/g, ''));
  const certificates = [...new Set(texts)].map(pemOf);
  if (certificates.length === 0) throw invalid('the metadata has no signing certificate');
  if (certificates.length > maxCertificates)
    throw invalid(`the metadata has more than ${maxCertificates} signing certificates`);
  return certificates;
}

function pemOf(base64: string): string {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    throw invalid('a signing certificate of the metadata cannot be read');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  const isStrong =
    (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048) ||
    (type === 'ec' && curves.has(details?.namedCurve ?? ''));
  if (!isStrong) throw invalid('a signing key of the metadata is neither RSA of 2048 bits nor of a NIST curve');
  return certificate.toString();
}

function ssoOf(role: XmlElement): string {
  const service = childrenOf(role, md, 'SingleSignOnService').find((s) => s.attributes.get('Binding') === httpRedirect);
  const location = service?.attributes.get('Location');
  if (location === undefined) throw invalid('the metadata has no SingleSignOnService with the HTTP-Redirect binding');
  if (!isSafeUrl(location)) throw invalid('the SingleSignOnService of the metadata is not an https URL');
  return location;
}
