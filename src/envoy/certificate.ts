/** Who a client certificate names, and who Envoy's mTLS peer is. */
import { X509Certificate } from 'node:crypto';
import type { CheckRequest } from './wire.ts';

/** Names of one kind among the subject alternative names, as Node prints them: it quotes and escapes what has a comma in it. */
export function alternativeNames(subjectAltName: string | undefined, kind: 'URI' | 'DNS'): string[] {
  const prefix = `${kind}:`;
  return (subjectAltName ?? '')
    .split(', ')
    .flatMap((one) => (one.startsWith(prefix) ? [one.slice(prefix.length)] : []));
}

/** SPIFFE-ID section 2: trust domain of at most 255 characters, path of segments that are not `.` or `..`. */
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.\.?(\/|$))[A-Za-z0-9._-]+)*$/;
const MAX_SPIFFE_LENGTH = 2048;

export const isSpiffeId = (text: string): boolean => text.length <= MAX_SPIFFE_LENGTH && SPIFFE.test(text);

/** Certificates whose names are kept; a connection sends the same one with each request. */
const KEPT = 1_000;

/**
 * The SPIFFE id of the peer that Envoy has verified, empty when there is none. `source.principal` alone does not do: Envoy
 * takes it from a DNS name where the certificate has no URI, and the first of several URIs. So it must be the one URI of
 * the certificate beside it (X.509-SVID section 2: exactly one), or there is no peer.
 */
export function createPeerReader(): (check: Pick<CheckRequest, 'sourcePrincipal' | 'sourceCertificate'>) => string {
  const known = new Map<string, readonly string[]>();
  const urisOf = (certificate: string): readonly string[] => {
    const before = known.get(certificate);
    if (before !== undefined) return before;
    const uris = readUris(certificate);
    if (known.size >= KEPT) known.clear();
    known.set(certificate, uris);
    return uris;
  };
  return ({ sourcePrincipal, sourceCertificate }) => {
    if (sourceCertificate === '' || !isSpiffeId(sourcePrincipal)) return '';
    const uris = urisOf(sourceCertificate);
    return uris.length === 1 && uris[0] === sourcePrincipal ? sourcePrincipal : '';
  };
}

/** URIs of a URL-encoded PEM certificate; none when it cannot be read. */
function readUris(certificate: string): readonly string[] {
  try {
    return alternativeNames(new X509Certificate(decodeURIComponent(certificate)).subjectAltName, 'URI');
  } catch {
    return [];
  }
}
