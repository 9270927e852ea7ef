/** SAML messages for tests, written and signed by hand: what the library of the test IdP would never write included. */
import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  publicEncrypt,
  randomBytes,
  sign as signBytes,
  X509Certificate,
} from 'node:crypto';
import { SignedXml } from 'xml-crypto';

export interface MessageFacts {
  readonly responseId: string;
  readonly assertionId: string;
  readonly issuer: string;
  readonly destination: string;
  readonly recipient: string;
  readonly audience: string;
  /** Empty: none. */
  readonly inResponseTo: string;
  /** Epoch milliseconds. */
  readonly nowMs: number;
  readonly nameId: string;
  readonly nameIdFormat: string;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly status: string;
  readonly sessionEndsAtMs: number | undefined;
}

export const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
const newId = (): string => `_${randomBytes(16).toString('hex')}`;
export const iso = (ms: number): string => new Date(ms).toISOString();

/** Somebody who has just logged in, as most IdPs say it: good for five minutes. */
export function factsFor(
  given: Partial<MessageFacts> & Pick<MessageFacts, 'issuer' | 'recipient' | 'audience' | 'nowMs'>,
): MessageFacts {
  return {
    responseId: newId(),
    assertionId: newId(),
    destination: given.recipient,
    inResponseTo: '',
    nameId: 'u-4711',
    nameIdFormat: persistent,
    attributes: { email: ['ada@corp.test'], groups: ['ml-eng', 'staff'] },
    status: 'urn:oasis:names:tc:SAML:2.0:status:Success',
    sessionEndsAtMs: undefined,
    ...given,
  };
}

const xmlText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const attribute = (name: string, value: string): string => (value === '' ? '' : ` ${name}="${xmlText(value)}"`);

/** Namespaces `saml` and `xs` are declared here: it can stand alone. */
export function writeAssertion(facts: MessageFacts): string {
  const until = iso(facts.nowMs + 300_000);
  const attributes = Object.entries(facts.attributes).map(
    ([name, values]) =>
      `<saml:Attribute Name="${xmlText(name)}">${values
        .map((value) => `<saml:AttributeValue xsi:type="xs:string">${xmlText(value)}</saml:AttributeValue>`)
        .join('')}</saml:Attribute>`,
  );
  const session = facts.sessionEndsAtMs === undefined ? '' : iso(facts.sessionEndsAtMs);
  return [
    '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema"',
    ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="${facts.assertionId}" Version="2.0" IssueInstant="${iso(facts.nowMs)}">`,
    `<saml:Issuer>${xmlText(facts.issuer)}</saml:Issuer>`,
    `<saml:Subject><saml:NameID Format="${facts.nameIdFormat}">${xmlText(facts.nameId)}</saml:NameID>`,
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">',
    `<saml:SubjectConfirmationData${attribute('InResponseTo', facts.inResponseTo)} NotOnOrAfter="${until}" Recipient="${xmlText(facts.recipient)}"/>`,
    '</saml:SubjectConfirmation></saml:Subject>',
    `<saml:Conditions NotBefore="${iso(facts.nowMs - 5000)}" NotOnOrAfter="${until}"><saml:AudienceRestriction>`,
    `<saml:Audience>${xmlText(facts.audience)}</saml:Audience></saml:AudienceRestriction></saml:Conditions>`,
    `<saml:AuthnStatement AuthnInstant="${iso(facts.nowMs - 60_000)}" SessionIndex="s1"${attribute('SessionNotOnOrAfter', session)}>`,
    '<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified',
    '</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>',
    attributes.length === 0 ? '' : `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`,
    '</saml:Assertion>',
  ].join('');
}

export function writeResponse(facts: MessageFacts, assertion = writeAssertion(facts)): string {
  return [
    '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"',
    ` ID="${facts.responseId}" Version="2.0" IssueInstant="${iso(facts.nowMs)}"`,
    `${attribute('Destination', facts.destination)}${attribute('InResponseTo', facts.inResponseTo)}>`,
    `<saml:Issuer>${xmlText(facts.issuer)}</saml:Issuer>`,
    `<samlp:Status><samlp:StatusCode Value="${facts.status}"/></samlp:Status>`,
    `${assertion}</samlp:Response>`,
  ].join('');
}

export interface Signing {
  /** PEM. */
  readonly key: string;
  /** PEM, for KeyInfo. */
  readonly cert?: string;
  /** URI of RFC 9231. Default: RSA or ECDSA with SHA-256, as the key is. */
  readonly algorithm?: string;
  /** URI. Default SHA-256. */
  readonly digest?: string;
  readonly transforms?: readonly string[];
  /** Of the signature's elements; empty: none. Default `ds`. */
  readonly prefix?: string;
  /** InclusiveNamespaces, as OpenSAML writes them. */
  readonly inclusive?: readonly string[];
}

const more = 'http://www.w3.org/2001/04/xmldsig-more#';
export const rsaSha256 = `${more}rsa-sha256`;
export const sha256 = 'http://www.w3.org/2001/04/xmlenc#sha256';
const hashOf = (uri: string): string => /sha(1|256|384|512)/.exec(uri)?.[0] ?? 'sha256';

/** xml-crypto writes InclusiveNamespaces into each transform, OpenSAML only where it means something. */
const stray = /<InclusiveNamespaces [^>]*enveloped-signature"[^>]*>(<\/InclusiveNamespaces>)?/g;

/** Signs the element with that ID, enveloped, right behind its Issuer. */
export function sign(xml: string, id: string, { key, cert, ...signing }: Signing): string {
  const algorithm =
    signing.algorithm ?? (createPublicKey(key).asymmetricKeyType === 'ec' ? `${more}ecdsa-sha256` : rsaSha256);
  const digest = signing.digest ?? sha256;
  const signer = new SignedXml({
    privateKey: key,
    ...(cert === undefined ? {} : { publicCert: cert }),
    signatureAlgorithm: algorithm,
    canonicalizationAlgorithm: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  });
  signer.SignatureAlgorithms[algorithm] = class {
    getAlgorithmName = () => algorithm;
    verifySignature = (): never => {
      throw new Error('it only signs');
    };
    getSignature = (text: unknown): string =>
      signWith(algorithm, key, Buffer.from(String(text).replace(stray, ''))).toString('base64');
  };
  signer.HashAlgorithms[digest] = class {
    getAlgorithmName = () => digest;
    getHash = (text: string) => createHash(hashOf(digest)).update(text).digest('base64');
  };
  const at = `//*[@ID='${id}']`;
  signer.addReference({
    xpath: at,
    digestAlgorithm: digest,
    inclusiveNamespacesPrefixList: [...(signing.inclusive ?? [])],
    transforms: [
      ...(signing.transforms ?? [
        'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
        'http://www.w3.org/2001/10/xml-exc-c14n#',
      ]),
    ],
  });
  signer.computeSignature(xml, {
    prefix: signing.prefix ?? 'ds',
    location: { reference: `${at}/*[local-name(.)='Issuer']`, action: 'after' },
  });
  return signer.getSignedXml().replace(stray, '');
}

function signWith(algorithm: string, key: string, data: Buffer): Buffer {
  const hash = hashOf(algorithm);
  if (algorithm.includes('hmac')) return createHmac(hash, key).update(data).digest();
  if (algorithm.includes('ecdsa')) return signBytes(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  if (!algorithm.includes('MGF1')) return signBytes(hash, data, key);
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return signBytes(hash, data, { key, padding, saltLength });
}

export interface Encryption {
  /** PEM of the recipient. */
  readonly cert: string;
  /** Default `aes256-gcm`. */
  readonly content?: 'aes256-gcm' | 'aes128-gcm' | 'aes256-cbc' | 'tripledes-cbc';
  /** Default `rsa-oaep-mgf1p`; `rsa-oaep` is with SHA-256 throughout. */
  readonly wrap?: 'rsa-oaep-mgf1p' | 'rsa-oaep' | 'rsa-1_5';
}

/** XML Encryption of an assertion, its key inside. */
export function encrypt(
  assertion: string,
  { cert, content = 'aes256-gcm', wrap = 'rsa-oaep-mgf1p' }: Encryption,
): string {
  const plain = Buffer.from(assertion);
  const { publicKey } = new X509Certificate(cert);
  const ciphers = { 'aes256-gcm': 32, 'aes128-gcm': 16, 'aes256-cbc': 32, 'tripledes-cbc': 24 } as const;
  const key = randomBytes(ciphers[content]);
  const padding = wrap === 'rsa-1_5' ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_OAEP_PADDING;
  const oaepHash = wrap === 'rsa-oaep' ? 'sha256' : 'sha1';
  const wrapped = publicEncrypt({ key: publicKey, padding, ...(wrap === 'rsa-1_5' ? {} : { oaepHash }) }, key);
  const space = (name: string) =>
    name.endsWith('gcm') || name === 'rsa-oaep'
      ? 'http://www.w3.org/2009/xmlenc11#'
      : 'http://www.w3.org/2001/04/xmlenc#';
  const hashes =
    wrap === 'rsa-oaep'
      ? `<ds:DigestMethod Algorithm="${sha256}"/><xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>`
      : '';
  const value = (bytes: Buffer) =>
    `<xenc:CipherData><xenc:CipherValue>${bytes.toString('base64')}</xenc:CipherValue></xenc:CipherData>`;
  return [
    '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">',
    '<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element">',
    `<xenc:EncryptionMethod Algorithm="${space(content)}${content}"/>`,
    '<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>',
    `<xenc:EncryptionMethod Algorithm="${space(wrap)}${wrap}">${hashes}</xenc:EncryptionMethod>${value(wrapped)}</xenc:EncryptedKey></ds:KeyInfo>`,
    `${value(seal(content, key, plain))}</xenc:EncryptedData></saml:EncryptedAssertion>`,
  ].join('');
}

function seal(content: string, key: Buffer, plain: Buffer): Buffer {
  if (content.endsWith('gcm')) {
    const iv = randomBytes(12);
    const cipher = createCipheriv(content === 'aes256-gcm' ? 'aes-256-gcm' : 'aes-128-gcm', key, iv);
    return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }
  const isAes = content.startsWith('aes');
  const iv = randomBytes(isAes ? 16 : 8);
  const cipher = createCipheriv(isAes ? 'aes-256-cbc' : 'des-ede3-cbc', key, iv);
  return Buffer.concat([iv, cipher.update(plain), cipher.final()]);
}

export const toBase64 = (xml: string | Buffer): string => Buffer.from(xml).toString('base64');
