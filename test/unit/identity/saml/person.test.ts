import { describe, expect, test } from 'vitest';
import { samlProvider } from '../../../../src/identity/config/saml.ts';
import { readAssertion } from '../../../../src/identity/saml/assertion.ts';
import { personOf } from '../../../../src/identity/saml/person.ts';
import { readXml } from '../../../../src/identity/saml/xml.ts';
import { acs, audience, idpEntityId, startMs } from '../../../support/saml-world.ts';
import { factsFor, type MessageFacts, writeAssertion } from '../../../support/saml-xml.ts';

const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';

function person(
  given: Partial<MessageFacts> = {},
  config: Readonly<Record<string, unknown>> = {},
  edit: (xml: string) => string = (xml) => xml,
) {
  const facts = factsFor({ issuer: idpEntityId, recipient: acs, audience, nowMs: startMs, ...given });
  const assertion = readAssertion(readXml(edit(writeAssertion(facts)), { comments: 'refused' }));
  const section = samlProvider.parse({
    name: 'corp',
    entityId: idpEntityId,
    idp: { metadataFile: 'idp.xml' },
    ...config,
  });
  return personOf(assertion, section, (name, subject, groups) => `${name}/${subject}/${groups.join()}`, startMs);
}

describe('the subject', () => {
  const known: readonly (readonly [string, Partial<MessageFacts>, object, string])[] = [
    ['a persistent NameID', {}, {}, 'u-4711'],
    ['an e-mail address', { nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress' }, {}, 'u-4711'],
    ['an unspecified NameID', { nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified' }, {}, 'u-4711'],
    ['an attribute, where it is asked for', { attributes: { uid: ['7'] } }, { subjectAttribute: 'uid' }, '7'],
    [
      'an attribute beside a transient NameID',
      { nameIdFormat: transient, attributes: { uid: ['7'] } },
      { subjectAttribute: 'uid' },
      '7',
    ],
    ['a NameID with & and <', { nameId: 'a&b<c>' }, {}, 'a&b<c>'],
    ['a NameID of other letters', { nameId: 'Zoë Müller 王' }, {}, 'Zoë Müller 王'],
  ];
  test.each(known)('is %s', (_name, given, config, subject) => {
    expect(person(given, { ...config })).toMatchObject({ subject, provider: 'corp', kind: 'person' });
  });

  const notOne = 'subjectAttribute is missing, or not one short plain text';
  const notPlain = 'the NameID is empty, too long, or not plain text';
  const refused: readonly (readonly [string, Partial<MessageFacts>, object, string])[] = [
    [
      'a transient NameID',
      { nameIdFormat: transient },
      {},
      'the NameID is transient: have the IdP send a persistent one, or set subjectAttribute',
    ],
    [
      'a NameID of another format',
      { nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName' },
      {},
      'the NameID is not persistent, an e-mail address or unspecified: set subjectAttribute',
    ],
    ['an empty NameID', { nameId: '' }, {}, notPlain],
    ['a NameID with a line feed', { nameId: 'a\nb' }, {}, notPlain],
    ['a NameID of 2000 characters', { nameId: 'a'.repeat(2000) }, {}, notPlain],
    ['an attribute that is not there', {}, { subjectAttribute: 'uid' }, notOne],
    ['an attribute with two values', { attributes: { uid: ['7', '8'] } }, { subjectAttribute: 'uid' }, notOne],
    ['an empty attribute', { attributes: { uid: [''] } }, { subjectAttribute: 'uid' }, notOne],
  ];
  test.each(refused)('is not %s', (_name, given, config, detail) => {
    expect(person(given, { ...config })).toEqual({ ok: false, reason: 'token_invalid', detail });
  });

  test('is not an assertion without NameID', () => {
    expect(person({}, {}, (xml) => xml.replace(/<saml:NameID .*?<\/saml:NameID>/s, ''))).toMatchObject({
      detail: 'there is no NameID, and no subjectAttribute in the config',
    });
  });

  test('is not a NameID with a carriage return by reference', () => {
    expect(person({}, {}, (xml) => xml.replace('>u-4711<', '>u-4711&#13;<'))).toMatchObject({ detail: notPlain });
  });
});

describe('groups', () => {
  const groups = ['g-1', 'g-2'];
  const mapped: readonly (readonly [string, object, readonly string[]])[] = [
    ['as they are', {}, ['g-1', 'g-2']],
    ['with a prefix', { prefix: 'corp:' }, ['corp:g-1', 'corp:g-2']],
    ['renamed', { rename: { 'g-1': 'ml-eng' }, prefix: 'corp:' }, ['ml-eng', 'corp:g-2']],
    ['only those that are renamed', { rename: { 'g-1': 'ml-eng' }, onlyRenamed: true }, ['ml-eng']],
    ['two that become one', { rename: { 'g-1': 'x', 'g-2': 'x' } }, ['x']],
    ['of several attributes', { groupsAttributes: ['groups', 'roles'] }, ['g-1', 'g-2', 'admin']],
    ['of an attribute that is not there', { groupsAttributes: ['other'] }, []],
  ];
  test.each(mapped)('come %s', (_name, config, expected) => {
    const found = person({ attributes: { groups, roles: ['admin', 'g-1'] } }, { ...config });
    expect(found).toMatchObject({ groups: expected, team: `corp/u-4711/${expected.join()}` });
  });

  const unavailable: readonly (readonly [string, Parameters<typeof person>])[] = [
    [
      'that Entra ID left out',
      [{ attributes: { 'http://schemas.microsoft.com/claims/groups.link': ['https://graph'] } }],
    ],
    ['over 1000', [{ attributes: { groups: Array.from({ length: 1001 }, (_, i) => `g${i}`) } }]],
    ['with a control character', [{ attributes: { groups: ['a\tb'] } }]],
    ['with an element inside', [{}, {}, (xml) => xml.replace('>staff<', '><saml:NameID>staff</saml:NameID><')]],
  ];
  test.each(unavailable)('%s are not available', (_name, args) => {
    expect(person(...args)).toMatchObject({ ok: false, reason: 'groups_unavailable' });
  });
});

describe('claims', () => {
  test('are the attributes: one value a string, several a list, none an empty list', () => {
    const attributes = { one: ['1'], two: ['1', '2'], none: [] };
    expect(person({ attributes })).toMatchObject({ claims: { one: '1', two: ['1', '2'], none: [] } });
  });

  test('with odd names do nothing to other objects', () => {
    const attributes = Object.fromEntries(['__proto__', 'constructor'].map((name) => [name, ['x']]));
    const found = person({ attributes });
    if ('ok' in found) throw new Error(found.detail);
    expect(Object.keys(found.claims)).toEqual(['__proto__', 'constructor', 'nameIdFormat']);
    expect(Object.getPrototypeOf(found.claims)).toBe(Object.prototype);
  });

  test('cannot pass for the format of the NameID', () => {
    expect(person({ attributes: { nameIdFormat: ['forged'] } })).toMatchObject({
      claims: { nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' },
    });
  });

  test('an e-mail address that is not plain text is none', () => {
    expect(person({ attributes: { email: ['a\nb@corp.test'] } })).toMatchObject({ email: undefined });
  });
});
