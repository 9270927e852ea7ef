/** What an assertion says (SAML core §2), read from signed bytes. What is not understood is refused, not skipped. */
import { bearerMethod, ds, nameIdFormats, saml } from './names.ts';
import { invalid } from './refused.ts';
import { childrenOf, walk, type XmlElement } from './xml.ts';

export interface Assertion {
  readonly id: string;
  readonly issuer: string;
  readonly issuedAtMs: number;
  readonly nameId: { readonly value: string; readonly format: string } | undefined;
  /** The bearer confirmations; others are not ours to confirm. */
  readonly confirmations: readonly Confirmation[];
  readonly notBeforeMs: number;
  readonly notOnOrAfterMs: number;
  /** Of each AudienceRestriction: one of its audiences must be ours. */
  readonly audiences: readonly (readonly string[])[];
  readonly logins: readonly { readonly atMs: number; readonly sessionEndsAtMs: number | undefined }[];
  /** By name, with values that are plain text; empty ones left out. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
  /** Names of attributes with a value that is not plain text (encrypted, or with elements inside): what they say is not known. */
  readonly unread: readonly string[];
}

export interface Confirmation {
  readonly recipient: string | undefined;
  readonly inResponseTo: string | undefined;
  readonly notOnOrAfterMs: number | undefined;
  readonly hasNotBefore: boolean;
}

const dateShape = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,12})?Z$/;

/** SAML core §1.3.3: xs:dateTime in UTC. @returns epoch milliseconds; undefined: there is none. */
export function dateOf(element: XmlElement, name: string): number | undefined {
  const text = element.attributes.get(name);
  if (text === undefined) return undefined;
  const parsed = dateShape.test(text) ? Date.parse(text.replace(/(\.\d{3})\d*Z$/, '$1Z')) : Number.NaN;
  // Date.parse takes the 31st of every month.
  if (Number.isNaN(parsed) || new Date(parsed).toISOString().slice(0, 19) !== text.slice(0, 19))
    throw invalid(`${name} is not a date in UTC`);
  return parsed;
}

function requiredDate(element: XmlElement, name: string): number {
  const date = dateOf(element, name);
  if (date === undefined) throw invalid(`${name} is missing`);
  return date;
}

/** Only the elements that are named, each at most as often as it says (0: any number). */
function only(parent: XmlElement, allowed: Readonly<Record<string, number>>): void {
  const counts = new Map<string, number>();
  for (const child of parent.children) {
    const name = child.namespace === saml ? child.local : child.namespace === ds ? `ds:${child.local}` : '';
    const most = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
    if (most === undefined) throw invalid(`${parent.local} holds an element that is not understood`);
    const count = (counts.get(name) ?? 0) + 1;
    if (most > 0 && count > most) throw invalid(`${parent.local} holds ${name} more than once`);
    counts.set(name, count);
  }
}

const issuerOf = (element: XmlElement): string | undefined => {
  const [issuer] = childrenOf(element, saml, 'Issuer');
  const format = issuer?.attributes.get('Format');
  if (format !== undefined && format !== 'urn:oasis:names:tc:SAML:2.0:nameid-format:entity')
    throw invalid('Issuer is not an entity');
  return issuer?.text.trim();
};

export { issuerOf };

/** @throws Refused for what is not understood. */
export function readAssertion(assertion: XmlElement): Assertion {
  if (assertion.namespace !== saml || assertion.local !== 'Assertion')
    throw invalid('the signed bytes are no assertion');
  if (assertion.attributes.get('Version') !== '2.0') throw invalid('the assertion is not SAML 2.0');
  only(assertion, {
    Issuer: 1,
    'ds:Signature': 1,
    Subject: 1,
    Conditions: 1,
    AuthnStatement: 0,
    AttributeStatement: 0,
  });
  const [subject] = childrenOf(assertion, saml, 'Subject');
  const [conditions] = childrenOf(assertion, saml, 'Conditions');
  if (subject === undefined) throw invalid('the assertion has no Subject');
  if (conditions === undefined) throw invalid('the assertion has no Conditions');
  return {
    id: assertion.attributes.get('ID') ?? '',
    issuer: issuerOf(assertion) ?? '',
    issuedAtMs: requiredDate(assertion, 'IssueInstant'),
    ...readSubject(subject),
    ...readConditions(conditions),
    logins: childrenOf(assertion, saml, 'AuthnStatement').map((statement) => ({
      atMs: requiredDate(statement, 'AuthnInstant'),
      sessionEndsAtMs: dateOf(statement, 'SessionNotOnOrAfter'),
    })),
    ...readAttributes(childrenOf(assertion, saml, 'AttributeStatement')),
  };
}

function readSubject(subject: XmlElement): Pick<Assertion, 'nameId' | 'confirmations'> {
  if (childrenOf(subject, saml, 'EncryptedID').length > 0)
    throw invalid('the NameID is encrypted by itself; encrypt the whole assertion');
  only(subject, { NameID: 1, SubjectConfirmation: 0 });
  const [nameId] = childrenOf(subject, saml, 'NameID');
  if (nameId !== undefined && nameId.children.length > 0) throw invalid('NameID holds an element');
  return {
    nameId: nameId && { value: nameId.text, format: nameId.attributes.get('Format') ?? nameIdFormats.unspecified },
    confirmations: childrenOf(subject, saml, 'SubjectConfirmation')
      .filter((confirmation) => confirmation.attributes.get('Method') === bearerMethod)
      .map(readConfirmation),
  };
}

function readConfirmation(confirmation: XmlElement): Confirmation {
  only(confirmation, { SubjectConfirmationData: 1, NameID: 1 });
  const [data] = childrenOf(confirmation, saml, 'SubjectConfirmationData');
  if (data === undefined) throw invalid('a bearer confirmation has no SubjectConfirmationData');
  return {
    recipient: data.attributes.get('Recipient'),
    inResponseTo: data.attributes.get('InResponseTo'),
    notOnOrAfterMs: dateOf(data, 'NotOnOrAfter'),
    hasNotBefore: data.attributes.has('NotBefore'),
  };
}

/** OneTimeUse is what we do anyway. ProxyRestriction and conditions of others are not understood (§2.5.1: then invalid). */
function readConditions(conditions: XmlElement): Pick<Assertion, 'notBeforeMs' | 'notOnOrAfterMs' | 'audiences'> {
  const known = new Set(['AudienceRestriction', 'OneTimeUse']);
  if (conditions.children.some((child) => child.namespace !== saml || !known.has(child.local)))
    throw invalid('the assertion has a condition that is not understood');
  return {
    notBeforeMs: requiredDate(conditions, 'NotBefore'),
    notOnOrAfterMs: requiredDate(conditions, 'NotOnOrAfter'),
    audiences: childrenOf(conditions, saml, 'AudienceRestriction').map((restriction) => {
      only(restriction, { Audience: 0 });
      return restriction.children.map((audience) => audience.text.trim());
    }),
  };
}

function readAttributes(statements: readonly XmlElement[]): Pick<Assertion, 'attributes' | 'unread'> {
  const attributes = new Map<string, readonly string[]>();
  const unread: string[] = [];
  for (const attribute of statements.flatMap((statement) => statement.children)) {
    const name = attribute.attributes.get('Name');
    if (attribute.namespace !== saml || attribute.local !== 'Attribute')
      throw invalid('an attribute is encrypted by itself, or not understood');
    if (name === undefined || name === '') throw invalid('an attribute has no name');
    only(attribute, { AttributeValue: 0 });
    if ([...walk(attribute)].some((e) => e !== attribute && e.local !== 'AttributeValue')) unread.push(name);
    const values = attribute.children.map((value) => value.text).filter((text) => text !== '');
    // Keycloak writes one attribute a role, all of the same name.
    attributes.set(name, [...(attributes.get(name) ?? []), ...values]);
  }
  return { attributes, unread };
}
