/** attacks.md, "SAML": documents that two parsers could read differently, or that cost more than they should. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acs, makeCertificate, requestId, startWorld, type World } from '../support/saml-world.ts';
import { sign, toBase64, writeAssertion, writeResponse } from '../support/saml-xml.ts';
import { misfit, nameId, refusal, refusals } from './support/saml-refusals.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
const { changed, inNameId, refuseAll, signedAfter } = refusals(() => world);

describe('XML that parsers read differently', () => {
  const doctype = (body: string) => () => `<!DOCTYPE r [${body}]>${world.response()}`;
  const laughs = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('');
  const isDoctype = /^there is a DOCTYPE/;
  const isReference = /^there is a reference that is not to a plain character/;
  const isComment = /^there is a comment/;
  const isOdd = /^there is a character that parsers read differently/;
  const digestComment = () => changed(/<ds:DigestValue>(.{4})/, '<ds:DigestValue>$1<!---->');
  refuseAll([
    ['DOCTYPE', doctype(''), 'token_malformed', isDoctype],
    [
      'XXE',
      () => `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>${inNameId('&x;')}`,
      'token_malformed',
      isDoctype,
    ],
    [
      'XXE by parameter entity',
      doctype('<!ENTITY % x SYSTEM "http://127.0.0.1:9/x">%x;'),
      'token_malformed',
      isDoctype,
    ],
    [
      'billion laughs',
      () => `<!DOCTYPE r [<!ENTITY l0 "ha">${laughs}]>${inNameId('&l9;')}`,
      'token_malformed',
      isDoctype,
    ],
    ['an entity that nobody declared', () => inNameId('&x;'), 'token_malformed', isReference],
    ['an entity of HTML', () => inNameId('u&nbsp;'), 'token_malformed', isReference],
    ['a bare ampersand', () => inNameId('u&4711'), 'token_malformed', isReference],
    ['a reference to NUL', () => inNameId('u&#0;'), 'token_malformed', isReference],
    ['a reference to half a character', () => inNameId('u&#xd800;'), 'token_malformed', isReference],
    [
      'a processing instruction',
      () => inNameId('u-<?x y?>4711'),
      'token_malformed',
      /^there is a processing instruction/,
    ],
    ['a CDATA section', () => inNameId('<![CDATA[u-4711]]>'), 'token_malformed', /^there is a CDATA section/],
    ['comment in NameID (CVE-2025-54419)', () => inNameId('u-4711<!-- -->'), 'token_malformed', isComment],
    ['comment in a group (CVE-2025-54369)', () => changed('>staff<', '>st<!-- -->aff<'), 'token_malformed', isComment],
    ['comment in DigestValue', digestComment, 'token_malformed', isComment],
    ['comment in SignatureValue', () => changed('<ds:SignatureValue>', '$&<!-- -->'), 'token_malformed', isComment],
    ['comment before the document', () => `<!-- -->${world.response()}`, 'token_malformed', isComment],
    ['a lone CR (CVE-2025-25292)', () => inNameId('u-4711\r'), 'token_malformed', isOdd],
    ['a CR by reference', () => inNameId('u-4711&#13;'), 'token_invalid', misfit],
    ['a line end of XML 1.1', () => inNameId('u-4711\u0085'), 'token_malformed', isOdd],
    ['a line separator', () => inNameId('u-4711\u2028'), 'token_malformed', isOdd],
    ['a byte order mark', () => `\ufeff${world.response()}`, 'token_malformed', isOdd],
    ['a control character', () => inNameId('u-4711\u0001'), 'token_malformed', isOdd],
    [
      'namespaces by DOCTYPE (CVE-2025-25291)',
      doctype('<!ATTLIST ds:Signature xmlns:ds CDATA #FIXED "http://www.w3.org/2000/09/xmldsig#">'),
      'token_malformed',
      isDoctype,
    ],
    [
      'a prefix that is bound to something else (CVE-2025-25292)',
      () =>
        changed('<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"', '<ds:Signature xmlns:ds="urn:other"'),
      'token_invalid',
      'there is a signature where none belongs',
    ],
    [
      'a namespace with white space',
      () => changed('xmlns:ds="http://www.w3.org/2000/09/xmldsig#"', 'xmlns:ds=" http://www.w3.org/2000/09/xmldsig#"'),
      'token_invalid',
      'there is a signature where none belongs',
    ],
    [
      'a prefix that is not declared',
      () => changed('<saml:NameID', '<x:a/><saml:NameID'),
      'token_malformed',
      /^a prefix is not declared/,
    ],
    [
      'a prefix declared twice',
      () => changed('<saml:Subject>', '<saml:Subject xmlns:a="urn:a" xmlns:a="urn:b">'),
      'token_malformed',
      /^a namespace is declared twice/,
    ],
    [
      'a prefix declared away',
      () => changed('<saml:Subject>', '<saml:Subject xmlns:saml="">'),
      'token_malformed',
      /^a prefix is declared for no namespace/,
    ],
    [
      'the prefix xml for something else',
      () => changed('<saml:Subject>', '<saml:Subject xmlns:xml="urn:a">'),
      'token_malformed',
      /^a reserved namespace is declared/,
    ],
    [
      'the prefix xmlns declared',
      () => changed('<saml:Subject>', '<saml:Subject xmlns:xmlns="urn:a">'),
      'token_malformed',
      /^a reserved namespace is declared/,
    ],
    [
      'an attribute twice',
      () => changed('<saml:Subject>', '<saml:Subject a="1" a="2">'),
      'token_malformed',
      /^an attribute is there twice/,
    ],
    [
      'an attribute twice by two prefixes',
      () => changed('<saml:Subject>', '<saml:Subject xmlns:p="urn:a" xmlns:q="urn:a" p:a="1" q:a="2">'),
      'token_malformed',
      /^an attribute is there twice/,
    ],
    [
      'an attribute without quotes',
      () => changed('Version="2.0"', 'Version=2.0'),
      'token_malformed',
      /^a tag is not plain XML/,
    ],
    [
      '< in an attribute',
      () => changed('Version="2.0"', 'Version="2.0" a="<"'),
      'token_malformed',
      /^a tag is not plain XML/,
    ],
    [
      'text between elements',
      () => changed('<saml:Subject>', '<saml:Subject>admin'),
      'token_malformed',
      /^there is text between elements/,
    ],
    [']]> in a text', () => inNameId('u]]>'), 'token_malformed', /^there is \]\]> in a text/],
    [
      'a second document',
      () => world.response() + world.response(),
      'token_malformed',
      /^there is a second document element/,
    ],
    ['text behind the document', () => `${world.response()}x`, 'token_malformed', /^there is text outside/],
    ['half a document', () => world.response().slice(0, 900), 'token_malformed', /./],
    [
      'an end tag of another',
      () => changed('</saml:NameID>', '</saml:NameId>'),
      'token_malformed',
      /^an end tag does not fit/,
    ],
    [
      'nesting of 15,000',
      () => `${'<a>'.repeat(15_000)}${'</a>'.repeat(15_000)}`,
      'token_malformed',
      /^it is nested deeper than 64/,
    ],
    [
      'more than 5000 elements',
      () => changed('</saml:AttributeStatement>', `${'<saml:AttributeValue/>'.repeat(5000)}$&`),
      'token_malformed',
      /^there are too many elements/,
    ],
    [
      'more than 64 attributes',
      () => changed('<saml:Subject>', `<saml:Subject${Array.from({ length: 65 }, (_, i) => ` a${i}=""`).join('')}>`),
      'token_malformed',
      /^an element has too many attributes/,
    ],
    [
      'a namespace that canonical XML would repeat in every element',
      () => changed('<saml:Subject>', `<saml:Subject xmlns:a="${'a'.repeat(257)}">`),
      'token_malformed',
      /^a namespace is too long/,
    ],
    [
      'more than 100 namespaces',
      () => {
        const declared = (from: number) => Array.from({ length: 50 }, (_, i) => ` xmlns:n${from + i}="urn:n"`).join('');
        return changed('<saml:Subject>', `<saml:Subject${declared(0)}><a${declared(50)}/>`);
      },
      'token_malformed',
      /^there are too many namespaces/,
    ],
    [
      'another encoding declared',
      () => `<?xml version="1.0" encoding="UTF-7"?>${world.response()}`,
      'token_malformed',
      /^there is a processing instruction/,
    ],
    ['UTF-16', () => Buffer.from(world.response(), 'utf16le'), 'token_malformed', isOdd],
    [
      'bytes that are not UTF-8',
      () => Buffer.from(inNameId('u\u00e9'), 'latin1'),
      'token_malformed',
      'it is not UTF-8',
    ],
    [
      'an overlong NUL',
      () => Buffer.concat([Buffer.from('<a>'), Buffer.from([0xc0, 0x80]), Buffer.from('</a>')]),
      'token_malformed',
      'it is not UTF-8',
    ],
    ['more than maxBytes', () => `<a>${'x'.repeat(131_072)}</a>`, 'token_malformed', 'it is longer than 131072 bytes'],
    ['10 MB', () => 'x'.repeat(10_000_000), 'token_malformed', 'it is longer than 131072 bytes'],
    ['nothing', () => '', 'token_malformed', 'it is not base64'],
    [
      'an assertion instead of a response',
      () => world.bearer({ recipient: acs, inResponseTo: requestId }),
      'token_malformed',
      'it is not a SAML response',
    ],
    [
      'a logout response',
      () => changed(/samlp:Response/g, 'samlp:LogoutResponse'),
      'token_malformed',
      'it is not a SAML response',
    ],
  ]);

  test('line ends that XML takes for one are read as one', async () => {
    const message = signedAfter((xml) => xml.replace('<saml:Subject>', '<saml:Subject>\n')).replaceAll('\n', '\r\n');
    expect(message).toContain('\r\n');
    expect(await world.finish(message)).toMatchObject({ ok: true, caller: { subject: 'u-4711' } });
  });

  test.each([
    ['white space inside', (text: string) => `${text.slice(0, 40)} ${text.slice(40)}`],
    ['a percent sign', (text: string) => `%20${text}`],
    ['base64url', (text: string) => text.replaceAll('+', '-').replaceAll('/', '_').replace(/^.{8}/, 'PHNhb_-_')],
    // "IA==" is a space, and so is "IB==" to who does not look.
    ['bits after the end', (text: string) => text.replace(/A==$/, 'B==')],
    ['padding inside', (text: string) => `PA==${text}`],
  ])('base64 with %s is refused', async (_name, edit) => {
    const message = world.response();
    const padded = toBase64(message.padEnd(message.length + 3 - ((message.length + 2) % 3), ' '));
    expect(padded).toMatch(/IA==$/);
    const answer = await world.provider.finish(edit(padded), requestId);
    expect(answer).toEqual(refusal('token_malformed', 'it is not base64'));
  });
});

describe('XPath confusion (CVE-2024-45409)', () => {
  /** The person changed, and the digest that would fit now, in a place where the first DigestValue of the document is found. */
  const smuggled = (around: (digest: string) => string) => () => {
    const facts = world.facts();
    const signed = sign(writeAssertion(facts), facts.assertionId, world.signer);
    const other = sign(writeAssertion({ ...facts, nameId: 'admin' }), facts.assertionId, makeCertificate('rsa'));
    const digest = /<ds:DigestValue>.*?<\/ds:DigestValue>/.exec(other)?.[0] ?? '';
    const detail = `<samlp:StatusDetail xmlns:ds="http://www.w3.org/2000/09/xmldsig#">${around(digest)}</samlp:StatusDetail>`;
    const message = writeResponse(facts, changed(nameId, '>admin<', signed));
    return changed('</samlp:Status>', `${detail}</samlp:Status>`, message);
  };
  refuseAll([
    ['a digest of the changed assertion, in StatusDetail', smuggled((digest) => digest), 'token_invalid', misfit],
    [
      'a reference with it, in StatusDetail',
      smuggled((digest) => `<ds:Reference URI="#_a">${digest}</ds:Reference>`),
      'token_invalid',
      misfit,
    ],
    [
      'a signature with it, in StatusDetail',
      smuggled((digest) => `<ds:Signature><ds:SignedInfo>${digest}</ds:SignedInfo></ds:Signature>`),
      'token_invalid',
      'there is a signature where none belongs',
    ],
    [
      'two DigestValue',
      () => changed(/<ds:DigestValue>.*?<\/ds:DigestValue>/, '$&$&'),
      'token_invalid',
      'Reference does not hold what it must, each once and in order',
    ],
    [
      'an ID that is an XPath',
      () => {
        const message = world.response();
        const id = /<saml:Assertion [^>]*ID="([^"]*)"/.exec(message)?.[1] ?? '';
        const xpath = "a' or '1'='1";
        return changed(` ID="${id}"`, ` ID="${xpath}"`, changed(`URI="#${id}"`, `URI="#${xpath}"`, message));
      },
      'token_invalid',
      'the signed element has no proper ID',
    ],
  ]);
});

describe('canonicalization that costs more than it should', () => {
  const prefixes = (count: number) => Array.from({ length: count }, (_, n) => `p${n}`);
  const inclusive = (count: number) => signedAfter((xml) => xml, {}, { inclusive: prefixes(count) });
  const declarations = '<a xmlns:b="c"/>'.repeat(2500);
  refuseAll([
    ['a PrefixList of 17 names', () => inclusive(17), 'token_invalid', /more than 16 prefixes/],
    [
      'a PrefixList of 25,000 names',
      () => changed('PrefixList="p0"', `PrefixList="${'p '.repeat(25_000)}"`, inclusive(1)),
      'token_invalid',
      /more than 16 prefixes/,
    ],
    [
      'a PrefixList with something in it',
      () => changed(/(<(?:ec:)?InclusiveNamespaces [^>]*?)\/>/, '$1 more="x"/>', inclusive(1)),
      'token_invalid',
      /a parameter that is not understood/,
    ],
    [
      'namespaces declared 2,500 times',
      () => changed('</saml:Assertion>', `${declarations}$&`),
      'token_malformed',
      /^namespaces are declared too often/,
    ],
  ]);

  test('a PrefixList of 16 names is taken', async () => {
    expect(await world.finish(inclusive(16))).toMatchObject({ ok: true });
  });

  test('a thousand groups that each declare two namespaces are taken', async () => {
    const groups = Array.from({ length: 1000 }, (_, n) => `g${n}`);
    const again = ' xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
    const big = await startWorld({ config: { maxBytes: 1_000_000 } });
    const facts = big.facts({ attributes: { groups } });
    const xml = writeAssertion(facts).replaceAll('<saml:AttributeValue', `<saml:AttributeValue${again}`);
    const message = writeResponse(facts, sign(xml, facts.assertionId, big.signer));
    expect(await big.finish(message)).toMatchObject({ ok: true });
    await big.close();
  });
});
