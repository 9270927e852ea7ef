import { inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  acs,
  audience,
  idpEntityId,
  makeCertificate,
  metadataOf,
  requestId,
  startMs,
  startWorld,
  type World,
} from '../../../support/saml-world.ts';
import { persistent } from '../../../support/saml-xml.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

const base64url = (xml: string): string => Buffer.from(xml).toString('base64url');
const hourMs = 3_600_000;

describe('who an assertion speaks of', () => {
  test.each(['assertion', 'both'] as const)('is known where the %s is signed', async (signed) => {
    const facts = world.facts();
    expect(await world.finish(world.response(facts, signed))).toEqual({
      ok: true,
      caller: {
        provider: 'corp',
        issuer: idpEntityId,
        subject: 'u-4711',
        kind: 'person',
        email: 'ada@corp.test',
        groups: ['ml-eng', 'staff'],
        team: 'ml-platform',
        claims: { email: 'ada@corp.test', groups: ['ml-eng', 'staff'], nameIdFormat: persistent },
        proof: 'saml',
        tokenId: facts.assertionId,
        issuedAtMs: startMs,
        expiresAtMs: startMs + hourMs,
      },
    });
  });

  test('is known by an assertion for the token endpoint', async () => {
    const answer = await world.provider.bearer(base64url(world.bearer()));
    expect(answer).toMatchObject({
      ok: true,
      caller: { subject: 'u-4711', proof: 'saml', groups: ['ml-eng', 'staff'] },
    });
  });

  test('lasts as long as the session at the IdP', async () => {
    const answer = await world.finish(world.response({ sessionEndsAtMs: startMs + 600_000 }));
    expect(answer).toMatchObject({ ok: true, caller: { expiresAtMs: startMs + 630_000 } });
  });
});

describe('a sign-in', () => {
  test('begins with a request that says who asks, and where the answer goes', async () => {
    const begun = await world.provider.begin('state&=1');
    if ('ok' in begun) throw new Error(begun.detail);
    const url = new URL(begun.url);
    expect(url.origin + url.pathname).toBe('https://idp.corp.test/sso');
    expect(url.searchParams.get('RelayState')).toBe('state&=1');
    const xml = inflateRawSync(Buffer.from(url.searchParams.get('SAMLRequest') ?? '', 'base64')).toString('utf8');
    expect(xml).toContain(` ID="${begun.requestId}"`);
    expect(xml).toContain(` AssertionConsumerServiceURL="${acs}"`);
    expect(xml).toContain(' Destination="https://idp.corp.test/sso"');
    expect(xml).toContain(`>${audience}</saml:Issuer>`);
    expect(xml).not.toMatch(/RequestedAuthnContext|NameIDPolicy[^>]*Format/);
  });

  test('has an ID of its own each time, with 160 random bits', async () => {
    const begun = await Promise.all(Array.from({ length: 20 }, () => world.provider.begin('')));
    const ids = begun.map((answer) => ('ok' in answer ? '' : answer.requestId));
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^_[0-9a-f]{40}$/);
  });

  test('keeps the parameters that the IdP has in its address', async () => {
    const sso = 'https://idp.corp.test/sso?tenant=7&amp;SAMLRequest=old';
    const other = await startWorld({ files: { 'idp.xml': metadataOf([world.signer.cert], { sso }) } });
    const begun = await other.provider.begin('s');
    await other.close();
    if ('ok' in begun) throw new Error(begun.detail);
    const { searchParams } = new URL(begun.url);
    expect(searchParams.get('tenant')).toBe('7');
    expect(searchParams.getAll('SAMLRequest')).toHaveLength(1);
    expect(searchParams.get('SAMLRequest')).not.toBe('old');
  });
});

describe('while the metadata is gone', () => {
  test('nothing begins and nothing is taken, and the next good file heals it', async () => {
    const other = await startWorld();
    const good = other.files.get('idp.xml') ?? '';
    const message = other.response();
    other.files.set('idp.xml', 'damaged');
    expect(await other.provider.begin('s')).toMatchObject({ ok: false });
    expect(await other.finish(message)).toMatchObject({ ok: false, reason: 'keys_unavailable' });
    other.files.set('idp.xml', good);
    expect(await other.finish(message)).toMatchObject({ ok: true });
    await other.close();
  });

  test('a key that was withdrawn is good for nothing any more', async () => {
    const other = await startWorld();
    const message = other.response();
    other.files.set('idp.xml', metadataOf([makeCertificate('rsa').cert]));
    expect(await other.finish(message)).toMatchObject({ ok: false, reason: 'token_invalid' });
    await other.close();
  });
});

describe('a provider', () => {
  const key = makeCertificate('rsa');
  const files = {
    'key.pem': key.key,
    'cert.pem': key.cert,
    'other.pem': makeCertificate('rsa').cert,
    'ec.pem': makeCertificate('ec').key,
  };
  const withKeys = (decryptionKeyFile: string, decryptionCertFile: string) => ({
    decryptionKeyFile,
    decryptionCertFile,
  });
  const bad: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    [
      'whose metadata file is not there',
      { idp: { metadataFile: 'none.xml' } },
      /^the metadata file cannot be read \(ENOENT\)$/,
    ],
    ['whose metadata is of another', { entityId: 'urn:other' }, /^the metadata does not have entityId/],
    [
      'whose key is not that of the certificate',
      withKeys('key.pem', 'other.pem'),
      /is not the RSA key of decryptionCertFile/,
    ],
    ['whose key is not RSA', withKeys('ec.pem', 'cert.pem'), /is not the RSA key of decryptionCertFile/],
    ['whose key is no key', withKeys('cert.pem', 'cert.pem'), /^it is not PEM/],
    ['whose key is not there', withKeys('none.pem', 'cert.pem'), /^it cannot be read \(ENOENT\)$/],
  ];
  test.each(bad)('%s is not made', async (_name, config, message) => {
    await expect(startWorld({ config, files })).rejects.toThrow(message);
  });

  test('publishes its certificate for encryption, and what it takes', async () => {
    const other = await startWorld({ config: withKeys('key.pem', 'cert.pem'), files });
    const metadata = other.provider.metadata();
    await other.close();
    expect(metadata).toContain(` entityID="${audience}"`);
    expect(metadata).toContain(` Location="${acs}"`);
    expect(metadata).toContain('AuthnRequestsSigned="false" WantAssertionsSigned="true"');
    expect(metadata).toMatch(/KeyDescriptor use="encryption">\s*<ds:KeyInfo>.*MII/);
    expect(metadata).not.toMatch(/rsa-1_5|tripledes/);
    expect(world.provider.metadata()).not.toContain('KeyDescriptor');
  });

  test('has the name that the config gives it', async () => {
    const other = await startWorld({ config: { audience: 'urn:gate:"1"&2' } });
    expect(other.provider.metadata()).toContain('entityID="urn:gate:&quot;1&quot;&amp;2"');
    expect(await other.finish(other.response({ audience: 'urn:gate:"1"&2' }))).toMatchObject({ ok: true });
    expect(await other.provider.finish('', requestId)).toMatchObject({ ok: false });
    await other.close();
  });
});
