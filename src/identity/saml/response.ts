/** The envelope: one `Response` with one assertion, plain or encrypted (SAML core §3.3.3, profiles §4.1.4.2). */
import { issuerOf } from './assertion.ts';
import type { Rules } from './check.ts';
import { ds, saml, samlp, statusSuccess } from './names.ts';
import { invalid, malformed, Refused } from './refused.ts';
import { childrenOf, walk, type XmlElement } from './xml.ts';

/** Elements that may be there once and nowhere else: what signature wrapping needs two of. By name in any namespace. */
const single = ['Response', 'Assertion', 'EncryptedAssertion', 'Conditions', 'Subject'];

/** Refuses a message in which something is there twice, or where it does not belong (XSW). */
export function refuseCopies(root: XmlElement): void {
  const counts = new Map<string, number>();
  for (const element of walk(root)) counts.set(element.local, (counts.get(element.local) ?? 0) + 1);
  for (const name of single) if ((counts.get(name) ?? 0) > 1) throw invalid(`there is more than one ${name}`);
  if ((counts.get('Assertion') ?? 0) + (counts.get('EncryptedAssertion') ?? 0) > 1)
    throw invalid('there is more than one assertion');
}

/** The assertion, plain or encrypted. What the response says of itself is held against the rules with `checkResponse`. */
export function assertionOf(response: XmlElement): XmlElement {
  if (response.namespace !== samlp || response.local !== 'Response') throw malformed('it is not a SAML response');
  if (response.attributes.get('Version') !== '2.0') throw invalid('the response is not SAML 2.0');
  for (const child of response.children) {
    const known =
      (child.namespace === saml && ['Issuer', 'Assertion', 'EncryptedAssertion'].includes(child.local)) ||
      (child.namespace === samlp && child.local === 'Status') ||
      (child.namespace === ds && child.local === 'Signature');
    if (!known) throw invalid('Response holds an element that is not understood');
  }
  refuseFailure(response);
  const [assertion] = [...childrenOf(response, saml, 'Assertion'), ...childrenOf(response, saml, 'EncryptedAssertion')];
  if (assertion === undefined) throw invalid('there is no assertion in the response');
  return assertion;
}

/** The IdP says no, or did not understand: its status codes, of which only known characters are repeated. */
function refuseFailure(response: XmlElement): void {
  const [status] = childrenOf(response, samlp, 'Status');
  const codes = [...(status === undefined ? [] : walk(status))]
    .filter((e) => e.namespace === samlp && e.local === 'StatusCode')
    .map((e) => e.attributes.get('Value') ?? '');
  if (childrenOf(response, samlp, 'Status').length !== 1 || codes.length === 0)
    throw invalid('the response has no status');
  if (codes[0] === statusSuccess) return;
  const short = codes.map((code) =>
    code
      .replace(/^.*:/, '')
      .replace(/[^A-Za-z0-9]/g, '')
      .slice(0, 40),
  );
  throw invalid(`the identity provider answered ${short.slice(0, 3).join(', ')}`);
}

/** Destination, InResponseTo and Issuer of the response, and its own age. Signed or not: the assertion says them again, signed. */
export function checkResponse(response: XmlElement, rules: Rules, issuedAtMs: number): void {
  if (issuerOf(response) !== rules.entityId)
    throw new Refused('issuer_unknown', 'Issuer of the response is missing or not entityId');
  if (response.attributes.get('Destination') !== rules.recipient)
    throw new Refused('audience_wrong', 'Destination is missing or not the address that it was sent to');
  if (rules.requestId === undefined || response.attributes.get('InResponseTo') !== rules.requestId)
    throw invalid('InResponseTo of the response is missing or not the request');
  if (issuedAtMs > rules.nowMs + rules.leewayMs)
    throw new Refused('token_not_yet_valid', 'IssueInstant of the response is in the future');
  if (rules.nowMs > issuedAtMs + rules.maxAgeMs + rules.leewayMs)
    throw new Refused('token_expired', 'IssueInstant of the response is longer ago than maxAgeSeconds');
}
