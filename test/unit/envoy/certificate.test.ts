import { expect, test } from 'vitest';
import { createPeerReader, isSpiffeId } from '../../../src/envoy/certificate.ts';
import { createAuthority, type Names } from '../../e2e/support/certificates.ts';

const ID = 'spiffe://cluster.local/ns/batch/sa/nightly';
const authority = createAuthority('Mesh CA');
const encoded = (names: Names): string => encodeURIComponent(authority.issue('nightly', names).cert);
const peerOf = createPeerReader();
const peer = (sourcePrincipal: string, sourceCertificate: string): string =>
  peerOf({ sourcePrincipal, sourceCertificate });

test('a peer is the one URI of its certificate, when that is a SPIFFE id', () => {
  const certificate = encoded({ uri: [ID], dns: ['nightly.batch.svc'] });
  expect(peer(ID, certificate)).toBe(ID);
  expect(peer(ID, certificate), 'the second time from memory').toBe(ID);
});

test.each<[string, string, string]>([
  ['without mTLS', '', ''],
  ['whose certificate is not shown', ID, ''],
  ['whose SPIFFE id is a DNS name', ID, encoded({ dns: [ID] })],
  ['whose certificate has several URIs, ours first', ID, encoded({ uri: [ID, 'spiffe://cluster.local/ns/a/sa/b'] })],
  ['whose certificate has the same URI twice', ID, encoded({ uri: [ID, ID] })],
  ['whose certificate says another URI than Envoy', ID, encoded({ uri: [`${ID}-2`] })],
  ['whose SPIFFE id hides in another name', ID, encoded({ dns: [`a, URI:${ID}`] })],
  ['whose SPIFFE id hides in another URI', ID, encoded({ uri: [`https://a, URI:${ID}`] })],
  ['whose URI is no SPIFFE id', 'https://example.com/nightly', encoded({ uri: ['https://example.com/nightly'] })],
  ['named by its subject', `CN=${ID}`, encoded({})],
  ['whose certificate is none', ID, '-----BEGIN%20CERTIFICATE-----%0Ax%0A-----END%20CERTIFICATE-----'],
  ['whose certificate is not URL-encoded', ID, '%'],
])('a peer %s is none', (_name, principal, certificate) => {
  expect(peer(principal, certificate)).toBe('');
});

test('certificates beyond a thousand are read again', () => {
  const reader = createPeerReader();
  const certificate = encoded({ uri: [ID] });
  for (let n = 0; n < 1_001; n++) expect(reader({ sourcePrincipal: ID, sourceCertificate: `${n}` })).toBe('');
  expect(reader({ sourcePrincipal: ID, sourceCertificate: certificate })).toBe(ID);
});

test.each(['spiffe://cluster.local', ID, 'spiffe://td.example_1-2/a.b/...'])('%s is a SPIFFE id', (id) => {
  expect(isSpiffeId(id)).toBe(true);
});

test.each([
  '',
  'spiffe://',
  'spiffe:///path',
  'SPIFFE://cluster.local/a',
  'spiffe://Cluster.local/a',
  'spiffe://cluster.local/',
  'spiffe://cluster.local//a',
  'spiffe://cluster.local/a/',
  'spiffe://cluster.local/./a',
  'spiffe://cluster.local/a/..',
  'spiffe://cluster.local/a%2fb',
  'spiffe://cluster.local:8080/a',
  'spiffe://user@cluster.local/a',
  'spiffe://cluster.local/a?b',
  'spiffe://cluster.local/a#b',
  'spiffe://cluster.local/ü',
  'spiffe://cluster.local/a\nb',
  'spiffe://cluster.local/a\n',
  `spiffe://${'a'.repeat(256)}`,
  `spiffe://cluster.local/${'a'.repeat(2_048)}`,
])('%j is no SPIFFE id', (id) => {
  expect(isSpiffeId(id)).toBe(false);
});
