/** attacks.md, "SAML": well signed, but for another, at another time, or for the second time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSamlProvider } from '../../src/identity/saml/provider.ts';
import { openSqliteState } from '../../src/state/sqlite.ts';
import { acs, audience, requestId, startMs, startWorld, tokenEndpoint, type World } from '../support/saml-world.ts';
import { type MessageFacts, sign, toBase64, writeAssertion, writeResponse } from '../support/saml-xml.ts';
import { refusal, refusals } from './support/saml-refusals.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
const { changed, refuseAll, signedAfter } = refusals(() => world);

describe('meant for another, or another time', () => {
  const minuteMs = 60_000;
  const at = (offsetMs: number): Partial<MessageFacts> => ({ nowMs: startMs + offsetMs });
  const edit = (from: string | RegExp, to: string) => () =>
    signedAfter((xml) => {
      const after = xml.replace(from, to);
      if (after === xml) throw new Error(`there is no ${from} in the assertion`);
      return after;
    });
  const noCondition = 'the assertion has a condition that is not understood';
  refuseAll([
    [
      'expired',
      () => world.response(at(-331_000)),
      'token_expired',
      'IssueInstant of the response is longer ago than maxAgeSeconds',
    ],
    [
      'assertion expired in a new response',
      () =>
        changed(
          /(<samlp:Response .*?IssueInstant=")[^"]*/s,
          `$1${new Date(startMs).toISOString()}`,
          world.response(at(-331_000)),
        ),
      'token_expired',
      'NotOnOrAfter of the conditions is in the past',
    ],
    [
      'older than maxAgeSeconds, whatever NotOnOrAfter says',
      edit(/(<saml:Assertion [^>]*IssueInstant=")[^"]*/, `$1${new Date(startMs - 331_000).toISOString()}`),
      'token_expired',
      'IssueInstant is longer ago than maxAgeSeconds',
    ],
    [
      'confirmation expired',
      edit(/(<saml:SubjectConfirmationData [^>]*NotOnOrAfter=")[^"]*/, `$1${new Date(startMs - 30_000).toISOString()}`),
      'token_expired',
      'NotOnOrAfter of the confirmation is in the past',
    ],
    [
      'session over',
      () => world.response({ sessionEndsAtMs: startMs - 30_000 }),
      'token_expired',
      'SessionNotOnOrAfter is in the past',
    ],
    [
      'not yet valid',
      () => world.response(at(minuteMs)),
      'token_not_yet_valid',
      'IssueInstant of the response is in the future',
    ],
    [
      'NotBefore in the future',
      edit(/(<saml:Conditions NotBefore=")[^"]*/, `$1${new Date(startMs + 31_000).toISOString()}`),
      'token_not_yet_valid',
      'NotBefore of the conditions is in the future',
    ],
    [
      'issued in the future',
      edit(/(<saml:Assertion [^>]*IssueInstant=")[^"]*/, `$1${new Date(startMs + 31_000).toISOString()}`),
      'token_not_yet_valid',
      'IssueInstant is in the future',
    ],
    [
      'logged in in the future',
      edit(/(AuthnInstant=")[^"]*/, `$1${new Date(startMs + 31_000).toISOString()}`),
      'token_not_yet_valid',
      'AuthnInstant is in the future',
    ],
    [
      'a date in another time zone',
      edit(/(<saml:Conditions NotBefore=")[^"]*/, '$12026-01-15T12:00:00+01:00'),
      'token_invalid',
      'NotBefore is not a date in UTC',
    ],
    [
      'a date that is none',
      edit(/(<saml:Conditions [^>]*NotOnOrAfter=")[^"]*/, '$12026-02-31T12:00:00Z'),
      'token_invalid',
      'NotOnOrAfter is not a date in UTC',
    ],
    [
      'no NotOnOrAfter',
      edit(/(<saml:Conditions [^>]*) NotOnOrAfter="[^"]*"/, '$1'),
      'token_invalid',
      'NotOnOrAfter is missing',
    ],
    [
      'no Conditions',
      edit(/<saml:Conditions .*<\/saml:Conditions>/s, ''),
      'token_invalid',
      'the assertion has no Conditions',
    ],
    [
      'audience of another',
      () => world.response({ audience: 'https://other.test' }),
      'audience_wrong',
      'Audience does not name this gateway',
    ],
    [
      'audience that begins like ours',
      () => world.response({ audience: `${audience}.evil.test` }),
      'audience_wrong',
      'Audience does not name this gateway',
    ],
    [
      'no audience',
      edit(/<saml:AudienceRestriction>.*<\/saml:AudienceRestriction>/s, ''),
      'audience_wrong',
      'the assertion has no AudienceRestriction',
    ],
    [
      'a second audience restriction without us',
      edit(
        '</saml:Conditions>',
        '<saml:AudienceRestriction><saml:Audience>https://other.test</saml:Audience></saml:AudienceRestriction></saml:Conditions>',
      ),
      'audience_wrong',
      'Audience does not name this gateway',
    ],
    [
      'the token endpoint as audience of a sign-in',
      () => world.response({ audience: tokenEndpoint }),
      'audience_wrong',
      'Audience does not name this gateway',
    ],
    [
      'Recipient of another',
      () => world.response({ recipient: 'https://other.test/acs', destination: acs }),
      'audience_wrong',
      'Recipient is missing or not the address that it was sent to',
    ],
    [
      'no Recipient',
      edit(/ Recipient="[^"]*"/, ''),
      'audience_wrong',
      'Recipient is missing or not the address that it was sent to',
    ],
    [
      'Destination of another',
      () => world.response({ destination: 'https://other.test/acs' }),
      'audience_wrong',
      'Destination is missing or not the address that it was sent to',
    ],
    [
      'no Destination',
      () => world.response({ destination: '' }),
      'audience_wrong',
      'Destination is missing or not the address that it was sent to',
    ],
    [
      'Issuer of another',
      () => world.response({ issuer: 'https://other.test' }),
      'issuer_unknown',
      'Issuer of the response is missing or not entityId',
    ],
    [
      'Issuer of another in the assertion',
      edit(/<saml:Issuer>[^<]*/, '<saml:Issuer>https://other.test'),
      'issuer_unknown',
      'Issuer of the assertion is not entityId',
    ],
    [
      'Issuer with a slash more',
      edit('</saml:Issuer>', '/</saml:Issuer>'),
      'issuer_unknown',
      'Issuer of the assertion is not entityId',
    ],
    [
      'IdP-initiated: no InResponseTo',
      () => world.response({ inResponseTo: '' }),
      'token_invalid',
      'InResponseTo of the response is missing or not the request',
    ],
    [
      'in response to another request',
      () => world.response({ inResponseTo: '_request-2' }),
      'token_invalid',
      'InResponseTo of the response is missing or not the request',
    ],
    [
      'an assertion for another request in a response to ours',
      edit(/ InResponseTo="[^"]*"/, ' InResponseTo="_request-2"'),
      'token_invalid',
      'InResponseTo of the confirmation is missing or not the request',
    ],
    [
      'an unsolicited assertion in a response to ours',
      edit(/ InResponseTo="[^"]*"/, ''),
      'token_invalid',
      'InResponseTo of the confirmation is missing or not the request',
    ],
    [
      'a bearer confirmation with NotBefore',
      edit(
        '<saml:SubjectConfirmationData',
        `<saml:SubjectConfirmationData NotBefore="${new Date(startMs).toISOString()}"`,
      ),
      'token_invalid',
      'a bearer confirmation has NotBefore',
    ],
    [
      'a confirmation without an end',
      edit(/(<saml:SubjectConfirmationData [^>]*) NotOnOrAfter="[^"]*"/, '$1'),
      'token_invalid',
      'NotOnOrAfter of the confirmation is missing',
    ],
    ['holder of key', edit('cm:bearer', 'cm:holder-of-key'), 'token_invalid', 'there is no bearer confirmation'],
    [
      'no login',
      edit(/<saml:AuthnStatement .*<\/saml:AuthnStatement>/s, ''),
      'token_invalid',
      'there is no AuthnStatement',
    ],
    [
      'ProxyRestriction',
      edit('</saml:Conditions>', '<saml:ProxyRestriction Count="0"/></saml:Conditions>'),
      'token_invalid',
      noCondition,
    ],
    [
      'an unknown condition',
      edit('</saml:Conditions>', '<saml:Condition/></saml:Conditions>'),
      'token_invalid',
      noCondition,
    ],
    [
      'an encrypted NameID',
      edit(/<saml:NameID .*?<\/saml:NameID>/s, '<saml:EncryptedID/>'),
      'token_invalid',
      'the NameID is encrypted by itself; encrypt the whole assertion',
    ],
    [
      'an encrypted attribute',
      edit('</saml:AttributeStatement>', '<saml:EncryptedAttribute/></saml:AttributeStatement>'),
      'token_invalid',
      'an attribute is encrypted by itself, or not understood',
    ],
    ['SAML 1.1', edit('Version="2.0"', 'Version="1.1"'), 'token_invalid', 'the assertion is not SAML 2.0'],
    [
      'a status that is no success',
      () => world.response({ status: 'urn:oasis:names:tc:SAML:2.0:status:Requester' }),
      'token_invalid',
      'the identity provider answered Requester',
    ],
    [
      'no status',
      () => changed(/<samlp:Status>.*<\/samlp:Status>/s, ''),
      'token_invalid',
      'the response has no status',
    ],
  ]);

  test('IdP-initiated: without a request of ours nothing is read at all', async () => {
    const answer = await world.provider.finish(toBase64(world.response({ inResponseTo: '' })), '');
    expect(answer).toEqual(refusal('token_invalid', 'there was no request: sign-in begins here, not at the IdP'));
  });

  test.each([
    ['issued', { nowMs: startMs - 325_000 }],
    ['to come', { nowMs: startMs + 29_000 }],
  ])('a clock that differs by the leeway is borne (%s)', async (_name, given) => {
    expect(await world.finish(world.response(given))).toMatchObject({ ok: true });
  });

  test('OneTimeUse is understood', async () => {
    const message = signedAfter((xml) => xml.replace('</saml:Conditions>', '<saml:OneTimeUse/></saml:Conditions>'));
    expect(await world.finish(message)).toMatchObject({ ok: true });
  });
});

describe('replay', () => {
  const used = refusal('token_invalid', 'the assertion has been used before');

  test('an assertion is good once', async () => {
    const message = world.response();
    expect(await world.finish(message)).toMatchObject({ ok: true });
    expect(await world.finish(message)).toEqual(used);
  });

  test('of twenty at once exactly one is taken', async () => {
    const message = world.response();
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.finish(message)));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(1);
    expect(answers.filter((answer) => !answer.ok)).toEqual(Array(19).fill(used));
  });

  test('an assertion in another response is the same assertion', async () => {
    const facts = world.facts();
    const assertion = sign(writeAssertion(facts), facts.assertionId, world.signer);
    expect(await world.finish(writeResponse(facts, assertion))).toMatchObject({ ok: true });
    expect(await world.finish(writeResponse({ ...facts, responseId: '_other' }, assertion))).toEqual(used);
  });

  test('a second replica that shares the state refuses it, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'saml-'));
    const open = () => openSqliteState({ file: join(folder, 'control.db'), busyTimeoutMs: 1000, now: world.parts.now });
    const states = [open(), open()] as const;
    const [one, two] = await Promise.all(
      states.map((state) => createSamlProvider(world.config, { ...world.parts, state })),
    );
    const message = toBase64(world.response());
    expect(await one?.finish(message, requestId)).toMatchObject({ ok: true });
    expect(await two?.finish(message, requestId)).toEqual(used);
    await Promise.all(states.map((state) => state.close()));
    rmSync(folder, { recursive: true });
  });

  test('an assertion for the token endpoint is good once, too', async () => {
    const assertion = Buffer.from(world.bearer()).toString('base64url');
    expect(await world.provider.bearer(assertion)).toMatchObject({ ok: true });
    expect(await world.provider.bearer(assertion)).toEqual(used);
  });

  test('where nobody can be asked whether it was used, nothing is answered', async () => {
    const down = new Error('state is down');
    const state = { ...world.parts.state, putIfAbsent: () => Promise.reject(down) };
    const provider = await createSamlProvider(world.config, { ...world.parts, state });
    await expect(provider.finish(toBase64(world.response()), requestId)).rejects.toBe(down);
  });
});
