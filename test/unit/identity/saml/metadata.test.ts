import { describe, expect, test } from 'vitest';
import { examineMetadata } from '../../../../src/identity/saml/examine.ts';
import { idpEntityId, makeCertificate, metadataOf } from '../../../support/saml-world.ts';

const read = (text: string) => examineMetadata({ kind: 'metadata', text, entityId: idpEntityId });
const rsa = makeCertificate('rsa');
const ec = makeCertificate('ec');
const good = metadataOf([rsa.cert]);
const entity = good.replace(/^<\?xml[^>]*\?>\n/, '');
const group = (content: string, more = ''): string =>
  `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"${more}>${content}</EntitiesDescriptor>`;
const other = metadataOf([ec.cert], { entityId: 'https://other.test' }).replace(/^<\?xml[^>]*\?>\n/, '');

describe('metadata of an IdP', () => {
  test('says its certificates and where its sign-in is', () => {
    expect(read(good)).toEqual({
      ok: true,
      idp: { certificates: [rsa.cert], ssoUrl: 'https://idp.corp.test/sso', validUntilMs: undefined },
    });
  });

  const taken: readonly (readonly [string, string, object])[] = [
    ['of two keys (rotation)', metadataOf([rsa.cert, ec.cert]), { certificates: [rsa.cert, ec.cert] }],
    ['with the same key twice', metadataOf([rsa.cert, rsa.cert]), { certificates: [rsa.cert] }],
    ['with a key for everything', good.replace(' use="signing"', ''), { certificates: [rsa.cert] }],
    ['with a byte order mark', `\ufeff${good}`, { certificates: [rsa.cert] }],
    [
      'with comments between elements',
      good.replace('<IDPSSO', '<!-- of 2026 --><IDPSSO'),
      { certificates: [rsa.cert] },
    ],
    ['with CRLF', good.replaceAll('\n', '\r\n'), { certificates: [rsa.cert] }],
    ['among those of others', group(other + entity), { certificates: [rsa.cert] }],
    ['in a group of a group', group(group(other) + group(entity)), { certificates: [rsa.cert] }],
    [
      'that ends',
      metadataOf([rsa.cert], { more: ' validUntil="2026-02-01T00:00:00Z"' }),
      { validUntilMs: Date.UTC(2026, 1, 1) },
    ],
    [
      'whose group ends before it',
      group(
        metadataOf([rsa.cert], { more: ' validUntil="2026-02-01T00:00:00Z"' }).replace(/^<\?xml[^>]*\?>\n/, ''),
        ' validUntil="2026-01-01T00:00:00Z"',
      ),
      { validUntilMs: Date.UTC(2026, 0, 1) },
    ],
    [
      'on this machine without TLS',
      metadataOf([rsa.cert], { sso: 'http://127.0.0.1:1/sso' }),
      { ssoUrl: 'http://127.0.0.1:1/sso' },
    ],
  ];
  test.each(taken)('%s is read', (_name, text, idp) => {
    expect(read(text)).toMatchObject({ ok: true, idp });
  });

  const weak = `-----BEGIN CERTIFICATE-----\n${'AAAA'.repeat(20)}\n-----END CERTIFICATE-----`;
  const role = /<IDPSSODescriptor.*<\/IDPSSODescriptor>/s;
  const refused: readonly (readonly [string, string, string | RegExp])[] = [
    [
      'of another entity',
      metadataOf([rsa.cert], { entityId: 'https://other.test' }),
      'the metadata does not have entityId',
    ],
    [
      'of an entity with a slash more',
      metadataOf([rsa.cert], { entityId: `${idpEntityId}/` }),
      'the metadata does not have entityId',
    ],
    ['that has it twice', group(entity + entity), 'the metadata has entityId twice'],
    [
      'of a service provider',
      good.replaceAll('IDPSSODescriptor', 'SPSSODescriptor'),
      /^the metadata does not have one IDPSSODescriptor/,
    ],
    [
      'of SAML 1.1',
      good.replace('urn:oasis:names:tc:SAML:2.0:protocol', 'urn:oasis:names:tc:SAML:1.1:protocol'),
      /^the metadata does not have one IDPSSODescriptor/,
    ],
    ['with two roles', good.replace(role, '$&$&'), /^the metadata does not have one IDPSSODescriptor/],
    ['without a certificate', metadataOf([]), 'the metadata has no signing certificate'],
    [
      'with a key for encryption only',
      good.replace('use="signing"', 'use="encryption"'),
      'the metadata has no signing certificate',
    ],
    ['with a certificate that is none', metadataOf([weak]), 'a signing certificate of the metadata cannot be read'],
    [
      'with eleven certificates',
      metadataOf(Array.from({ length: 11 }, () => makeCertificate('ec').cert)),
      'the metadata has more than 10 signing certificates',
    ],
    [
      'without HTTP-Redirect',
      good.replace('HTTP-Redirect', 'SOAP'),
      'the metadata has no SingleSignOnService with the HTTP-Redirect binding',
    ],
    [
      'with a sign-in without TLS',
      metadataOf([rsa.cert], { sso: 'http://idp.corp.test/sso' }),
      'the SingleSignOnService of the metadata is not an https URL',
    ],
    [
      'with a sign-in that is a script',
      metadataOf([rsa.cert], { sso: 'javascript:alert(1)' }),
      'the SingleSignOnService of the metadata is not an https URL',
    ],
    ['with a DOCTYPE', good.replace('<EntityDescriptor', '<!DOCTYPE x><EntityDescriptor'), /^there is a DOCTYPE/],
    [
      'with a comment in the certificate',
      good.replace('<ds:X509Certificate>', '$&<!-- -->'),
      /^there is a comment inside a text/,
    ],
    [
      'with a date that is none',
      metadataOf([rsa.cert], { more: ' validUntil="soon"' }),
      'validUntil is not a date in UTC',
    ],
    ['that is HTML', '<html><br></html>', /./],
    ['that is nothing', '', /^the document ends too early/],
  ];
  test.each(refused)('%s is refused', (_name, text, detail) => {
    expect(read(text)).toEqual({
      ok: false,
      detail: typeof detail === 'string' ? detail : expect.stringMatching(detail),
    });
  });
});
