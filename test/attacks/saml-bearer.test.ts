/** attacks.md, "SAML": assertions for the token endpoint, and encrypted ones. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSamlProvider } from '../../src/identity/saml/provider.ts';
import { acs, makeCertificate, startMs, startWorld, tokenEndpoint, type World } from '../support/saml-world.ts';
import { encrypt, sign, toBase64, writeAssertion, writeResponse } from '../support/saml-xml.ts';
import { type Case, matching, misfit, nameId, refusal } from './support/saml-refusals.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
describe('assertions for the token endpoint (RFC 7522)', () => {
  const bearer = (xml: string) => world.provider.bearer(Buffer.from(xml).toString('base64url'));
  const cases: readonly Case[] = [
    [
      'for a sign-in',
      () => world.bearer({ recipient: acs }),
      'audience_wrong',
      'Recipient is missing or not the address that it was sent to',
    ],
    [
      'for another audience',
      () => world.bearer({ audience: 'https://other.test' }),
      'audience_wrong',
      'Audience does not name this gateway',
    ],
    [
      'of another issuer',
      () => world.bearer({ issuer: 'https://other.test' }),
      'issuer_unknown',
      'Issuer of the assertion is not entityId',
    ],
    [
      'that is old',
      () => world.bearer({ nowMs: startMs - 331_000 }),
      'token_expired',
      'NotOnOrAfter of the conditions is in the past',
    ],
    [
      'without a signature',
      () => world.bearer().replace(/<ds:Signature .*<\/ds:Signature>/s, ''),
      'token_invalid',
      'the assertion is not signed',
    ],
    ['that was changed', () => world.bearer().replace(nameId, '>admin<'), 'token_invalid', misfit],
    ['in a response', () => world.response(), 'token_malformed', 'it is not a SAML assertion'],
    [
      'with another inside',
      () => world.bearer().replace('</saml:Assertion>', `${world.bearer()}</saml:Assertion>`),
      'token_invalid',
      'there is more than one Assertion',
    ],
    ['with a DOCTYPE', () => `<!DOCTYPE a>${world.bearer()}`, 'token_malformed', /^there is a DOCTYPE/],
  ];
  test.each(cases)('%s is refused', async (_name, message, reason, detail) => {
    expect(await bearer(String(message()))).toEqual(matching(reason, detail));
  });

  test('with the token endpoint as audience is taken', async () => {
    expect(await bearer(world.bearer({ audience: tokenEndpoint }))).toMatchObject({ ok: true });
  });

  test('in base64, not base64url, is refused', async () => {
    const text = toBase64(world.bearer({ attributes: { odd: ['\u00ff\u00fe>>>???'.repeat(9)] } }));
    expect(text).toMatch(/[+/]/);
    expect(await world.provider.bearer(text)).toEqual(refusal('token_malformed', 'it is not base64url'));
  });

  test('is refused where bearerAssertions is off', async () => {
    const provider = await createSamlProvider({ ...world.config, bearerAssertions: false }, world.parts);
    expect(await provider.bearer(Buffer.from(world.bearer()).toString('base64url'))).toEqual(
      refusal('token_invalid', 'bearerAssertions is off for this provider'),
    );
  });
});

describe('encrypted assertions', () => {
  const ours = makeCertificate('rsa');
  let sealed: World;
  beforeAll(async () => {
    sealed = await startWorld({
      config: { decryptionKeyFile: 'key.pem', decryptionCertFile: 'cert.pem' },
      files: { 'key.pem': ours.key, 'cert.pem': ours.cert },
    });
  });
  afterAll(() => sealed.close());

  type How = Omit<Parameters<typeof encrypt>[1], 'cert'> & {
    readonly response?: 'signed';
    readonly edit?: (assertion: string) => string;
    readonly unsigned?: true;
    readonly cert?: string;
  };
  const message = ({ response, edit = (xml) => xml, unsigned, cert = ours.cert, ...how }: How): string => {
    const facts = sealed.facts();
    const plain = writeAssertion(facts);
    const assertion = unsigned ? plain : sign(plain, facts.assertionId, sealed.signer);
    const xml = writeResponse(facts, encrypt(edit(assertion), { cert, ...how }));
    return response === 'signed' ? sign(xml, facts.responseId, sealed.signer) : xml;
  };

  const taken: readonly (readonly [string, How])[] = [
    ['AES-256-GCM', {}],
    ['AES-128-GCM', { content: 'aes128-gcm' }],
    ['AES-256-GCM in a signed response', { response: 'signed' }],
    ['RSA-OAEP with SHA-256', { wrap: 'rsa-oaep' }],
    ['AES-256-CBC in a signed response', { content: 'aes256-cbc', response: 'signed' }],
  ];
  test.each(taken)('%s is taken', async (_name, how) => {
    expect(await sealed.finish(message(how))).toMatchObject({ ok: true, caller: { subject: 'u-4711' } });
  });

  const undecipherable = 'the encrypted assertion cannot be decrypted';
  const refused: readonly (readonly [string, () => string, string])[] = [
    ['encrypted but unsigned', () => message({ unsigned: true }), 'the assertion is not signed'],
    [
      'encrypted but unsigned, in a signed response',
      () => message({ unsigned: true, response: 'signed' }),
      'the assertion is not signed',
    ],
    [
      'the person changed before it was encrypted',
      () => message({ edit: (xml) => xml.replace(nameId, '>admin<') }),
      misfit,
    ],
    ['two assertions inside', () => message({ edit: (xml) => xml + xml }), undecipherable],
    [
      'an assertion in an assertion',
      () =>
        message({
          edit: (xml) =>
            xml.replace('</saml:Assertion>', `${xml}</saml:Assertion>`).replace(/ID="([^"]*)"/, 'ID="$1x"'),
        }),
      'there is more than one Assertion',
    ],
    ['no assertion inside, but another element', () => message({ edit: () => '<a/>' }), undecipherable],
    ['a DOCTYPE inside', () => message({ edit: (xml) => `<!DOCTYPE x>${xml}` }), undecipherable],
    [
      'AES-CBC in a response that is not signed',
      () => message({ content: 'aes256-cbc' }),
      'the assertion is encrypted with AES-CBC, and the response is not signed',
    ],
    [
      'Triple DES',
      () => message({ content: 'tripledes-cbc', response: 'signed' }),
      'the assertion is not encrypted with AES-GCM or AES-CBC',
    ],
    [
      'RSA with PKCS #1 v1.5',
      () => message({ wrap: 'rsa-1_5' }),
      'the key of the encrypted assertion is not wrapped by RSA-OAEP',
    ],
    ['for another key', () => message({ cert: makeCertificate('rsa').cert }), undecipherable],
    [
      'cipher text changed',
      () =>
        message({}).replace(
          /(<xenc:CipherValue>[^<]{40})[^<]{4}([^<]*<\/xenc:CipherValue><\/xenc:CipherData><\/xenc:EncryptedData>)/,
          '$1AAAA$2',
        ),
      undecipherable,
    ],
    [
      'cipher text cut',
      () =>
        message({}).replace(
          /<xenc:CipherValue>[^<]*(<\/xenc:CipherValue><\/xenc:CipherData><\/xenc:EncryptedData>)/,
          '<xenc:CipherValue>AAAAAAAA$1',
        ),
      undecipherable,
    ],
    [
      'two keys',
      () => message({}).replace(/<xenc:EncryptedKey>.*<\/xenc:EncryptedKey>/s, '$&$&'),
      'the encrypted assertion does not have one key',
    ],
  ];
  test.each(refused)('%s is refused', async (_name, build, detail) => {
    expect(await sealed.finish(build())).toEqual(refusal('token_invalid', detail));
  });

  test('with no key of ours are refused', async () => {
    expect(await world.finish(message({}))).toEqual(
      refusal('token_invalid', 'the assertion is encrypted, and there is no decryptionKeyFile'),
    );
  });
});
