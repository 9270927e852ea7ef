/** Responses as well-known IdPs write them: prefixes, order of attributes, formats of dates, white space, signatures. */
import { afterEach, describe, expect, test } from 'vitest';
import { acs, audience, idpEntityId, requestId, startMs, startWorld, type World } from '../../../support/saml-world.ts';
import { iso, type Signing, sign } from '../../../support/saml-xml.ts';

let world: World | undefined;
afterEach(() => world?.close());

const now = iso(startMs);
const soon = iso(startMs + 300_000);
const unsignedInfo = 'xmlns="urn:oasis:names:tc:SAML:2.0:assertion"';

/** .NET: no prefixes, seven digits of a second, claims with URIs for names; the assertion signed. */
const entra = `<samlp:Response ID="_r1" Version="2.0" IssueInstant="${now}" Destination="${acs}" InResponseTo="${requestId}" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><Issuer ${unsignedInfo}>${idpEntityId}</Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><Assertion ID="_a1" IssueInstant="${now}" Version="2.0" ${unsignedInfo}><Issuer>${idpEntityId}</Issuer><Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">x1Y+/=</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${soon}" Recipient="${acs}"/></SubjectConfirmation></Subject><Conditions NotBefore="${now.replace('.000Z', '.0000000Z')}" NotOnOrAfter="${soon}"><AudienceRestriction><Audience>${audience}</Audience></AudienceRestriction></Conditions><AttributeStatement><Attribute Name="http://schemas.microsoft.com/identity/claims/objectidentifier"><AttributeValue>8a1c</AttributeValue></Attribute><Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"><AttributeValue>ada@corp.test</AttributeValue></Attribute><Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"><AttributeValue>g-1</AttributeValue><AttributeValue>g-2</AttributeValue></Attribute></AttributeStatement><AuthnStatement AuthnInstant="${now}" SessionIndex="_a1"><AuthnContext><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</AuthnContextClassRef></AuthnContext></AuthnStatement></Assertion></samlp:Response>`;

/** OpenSAML: `saml2p`, an XML declaration, InclusiveNamespaces, both signed. */
const okta = `<?xml version="1.0" encoding="UTF-8"?><saml2p:Response Destination="${acs}" ID="id1" InResponseTo="${requestId}" IssueInstant="${now}" Version="2.0" xmlns:saml2p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:xs="http://www.w3.org/2001/XMLSchema"><saml2:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity" xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion">${idpEntityId}</saml2:Issuer><saml2p:Status xmlns:saml2p="urn:oasis:names:tc:SAML:2.0:protocol"><saml2p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></saml2p:Status><saml2:Assertion ID="id2" IssueInstant="${now}" Version="2.0" xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema"><saml2:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity" xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion">${idpEntityId}</saml2:Issuer><saml2:Subject xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"><saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">ada@corp.test</saml2:NameID><saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml2:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${soon}" Recipient="${acs}"/></saml2:SubjectConfirmation></saml2:Subject><saml2:Conditions NotBefore="${now}" NotOnOrAfter="${soon}" xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"><saml2:AudienceRestriction><saml2:Audience>${audience}</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions><saml2:AuthnStatement AuthnInstant="${now}" SessionIndex="${requestId}" xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"><saml2:AuthnContext><saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement><saml2:AttributeStatement xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"><saml2:Attribute Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">ada@corp.test</saml2:AttributeValue></saml2:Attribute><saml2:Attribute Name="groups"><saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g-1</saml2:AttributeValue><saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g-2</saml2:AttributeValue></saml2:Attribute></saml2:AttributeStatement></saml2:Assertion></saml2p:Response>`;

/** One Attribute a role, all of one name; SessionNotOnOrAfter; written over several lines. */
const keycloak = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Destination="${acs}" ID="ID_1" InResponseTo="${requestId}" IssueInstant="${now}" Version="2.0">
  <saml:Issuer>${idpEntityId}</saml:Issuer>
  <samlp:Status>
    <samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>
  </samlp:Status>
  <saml:Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="ID_2" IssueInstant="${now}" Version="2.0">
    <saml:Issuer>${idpEntityId}</saml:Issuer>
    <saml:Subject>
      <saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">ada</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <saml:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${soon}" Recipient="${acs}"/>
      </saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="${now}" NotOnOrAfter="${soon}">
      <saml:AudienceRestriction>
        <saml:Audience>${audience}</saml:Audience>
      </saml:AudienceRestriction>
      <saml:OneTimeUse/>
    </saml:Conditions>
    <saml:AuthnStatement AuthnInstant="${now}" SessionIndex="s::1" SessionNotOnOrAfter="${iso(startMs + 36_000_000)}">
      <saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified</saml:AuthnContextClassRef></saml:AuthnContext>
    </saml:AuthnStatement>
    <saml:AttributeStatement>
      <saml:Attribute FriendlyName="email" Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">ada@corp.test</saml:AttributeValue></saml:Attribute>
      <saml:Attribute Name="Role"><saml:AttributeValue>g-1</saml:AttributeValue></saml:Attribute>
      <saml:Attribute Name="Role"><saml:AttributeValue>g-2</saml:AttributeValue></saml:Attribute>
      <saml:Attribute Name="empty"><saml:AttributeValue/></saml:Attribute>
    </saml:AttributeStatement>
  </saml:Assertion>
</samlp:Response>`;

const schemas = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';
const shapes: readonly (readonly [string, string, readonly string[], Partial<Signing>, object, object])[] = [
  [
    'Entra ID',
    entra,
    ['_a1'],
    { prefix: '' },
    {
      subjectAttribute: 'http://schemas.microsoft.com/identity/claims/objectidentifier',
      emailAttribute: `${schemas}/emailaddress`,
      groupsAttributes: ['http://schemas.microsoft.com/ws/2008/06/identity/claims/groups'],
    },
    { subject: '8a1c', expiresAtMs: startMs + 3_600_000 },
  ],
  ['Okta', okta, ['id2', 'id1'], { inclusive: ['xs'] }, {}, { subject: 'ada@corp.test' }],
  [
    'Keycloak',
    keycloak,
    ['ID_2', 'ID_1'],
    { prefix: 'dsig' },
    { groupsAttributes: ['Role'] },
    { subject: 'ada', expiresAtMs: startMs + 36_030_000 },
  ],
];

describe('a response', () => {
  test.each(shapes)('as %s writes it leads to the person', async (_name, message, ids, how, config, caller) => {
    world = await startWorld({ config: config as Record<string, unknown> });
    const { signer } = world;
    const signed = ids.reduce((xml, id) => sign(xml, id, { ...signer, ...how }), message);
    expect(await world.finish(signed)).toMatchObject({
      ok: true,
      caller: { ...caller, email: 'ada@corp.test', groups: ['g-1', 'g-2'] },
    });
  });
});
