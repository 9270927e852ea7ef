/**
 * Signatures of SAML (core §5.4, XML Signature): held to the one shape that the specification asks for before a library sees
 * them, then verified by xml-crypto, the engine of node-saml, with our own list of algorithms and the IdP's keys alone.
 */
import { constants, createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { DOMParser } from '@xmldom/xmldom';
import { SignedXml } from 'xml-crypto';
import {
  digestMethods,
  ds,
  envelopedSignature,
  exclusiveC14n,
  type SignatureMethod,
  signatureMethods,
} from './names.ts';
import { invalid } from './refused.ts';
import { childrenOf, provenOptions, readXml, walk, type XmlElement } from './xml.ts';

/** An ID that a signature refers to (NCName, in ASCII). */
const idShape = /^[A-Za-z_][\w.-]{0,255}$/;
/** Canonicalization looks each of them up in each element. IdPs write one or two. */
const maxPrefixes = 16;
const maxPrefixListLength = 1024;
const base64Shape = /^[A-Za-z0-9+/]+={0,2}$/;

export interface SignatureFacts {
  /** ID of the signed element. */
  readonly id: string;
  /** URIs. */
  readonly method: string;
  readonly digest: string;
  /** Base64. */
  readonly value: string;
}

/** Signatures anywhere but directly below `Response` and `Assertion`, one each, have no business in a message. */
export function refuseStraySignatures(root: XmlElement, signed: readonly XmlElement[]): void {
  let expected = 0;
  for (const element of signed) {
    const count = childrenOf(element, ds, 'Signature').length;
    if (count > 1) throw invalid('an element has more than one signature');
    expected += count;
  }
  let found = 0;
  for (const element of walk(root)) if (element.local === 'Signature') found += 1;
  if (found !== expected) throw invalid('there is a signature where none belongs');
}

function exactly(parent: XmlElement, allowed: readonly string[], what: string): readonly XmlElement[] {
  const { children } = parent;
  const asWritten = children.map((child) => (child.namespace === ds ? child.local : '?')).join(' ');
  if (!allowed.includes(asWritten)) throw invalid(`${what} does not hold what it must, each once and in order`);
  return children;
}

function algorithmOf(element: XmlElement | undefined, mayHold: readonly string[] = []): string {
  const odd = element?.children.some((child) => child.namespace !== exclusiveC14n || !mayHold.includes(child.local));
  if (element === undefined || odd === true || element.attributes.size !== 1)
    throw invalid('the signature has a parameter that is not understood');
  if (element.children.length > 1) throw invalid('the signature has a parameter that is not understood');
  for (const child of element.children) checkPrefixes(child);
  return element.attributes.get('Algorithm') ?? '';
}

/** `InclusiveNamespaces` (Exclusive XML Canonicalization §3). */
function checkPrefixes(inclusive: XmlElement): void {
  const list = inclusive.attributes.get('PrefixList');
  if (list === undefined || inclusive.attributes.size !== 1 || inclusive.children.length > 0)
    throw invalid('the signature has a parameter that is not understood');
  if (list.length > maxPrefixListLength || list.trim().split(/\s+/).length > maxPrefixes)
    throw invalid(`the signature has more than ${maxPrefixes} prefixes in a PrefixList`);
}

/** The signature of `element` when it has one: what it says of itself, held to the rules. */
export function readSignature(element: XmlElement): SignatureFacts | undefined {
  const [signature] = childrenOf(element, ds, 'Signature');
  if (signature === undefined) return undefined;
  if (element.children.filter((child) => child.local !== 'Issuer')[0] !== signature)
    throw invalid('the signature is not where it belongs');
  const [signedInfo, signatureValue] = exactly(
    signature,
    ['SignedInfo SignatureValue', 'SignedInfo SignatureValue KeyInfo'],
    'Signature',
  );
  if (signedInfo === undefined || signatureValue === undefined) throw invalid('the signature is not complete');
  const [c14n, method, reference] = exactly(
    signedInfo,
    ['CanonicalizationMethod SignatureMethod Reference'],
    'SignedInfo',
  );
  if (algorithmOf(c14n, ['InclusiveNamespaces']) !== exclusiveC14n)
    throw invalid('the canonicalization is not exclusive without comments');
  const methodUri = algorithmOf(method);
  if (!signatureMethods.has(methodUri))
    throw invalid('the signature algorithm is not RSA or ECDSA with SHA-256, SHA-384 or SHA-512');
  if (!base64Shape.test(signatureValue.text.replace(/[ \t\n\r]/g, '')))
    throw invalid('SignatureValue is not base64, or empty');
  if (reference === undefined) throw invalid('the signature is not complete');
  return { ...readReference(reference, element), method: methodUri, value: signatureValue.text };
}

function readReference(reference: XmlElement, element: XmlElement): { readonly id: string; readonly digest: string } {
  const id = element.attributes.get('ID') ?? '';
  if (!idShape.test(id)) throw invalid('the signed element has no proper ID');
  const uri = reference.attributes.get('URI');
  if (uri === undefined || uri === '') throw invalid('the signature refers to the whole document, not to an ID');
  if (uri !== `#${id}`) throw invalid('the signature refers to another element than the one it is in');
  if (reference.attributes.size !== 1) throw invalid('the signature has a parameter that is not understood');
  const [transforms, digestMethod, digestValue] = exactly(
    reference,
    ['Transforms DigestMethod DigestValue'],
    'Reference',
  );
  const applied = transforms?.children.map((transform) =>
    transform.namespace === ds && transform.local === 'Transform'
      ? algorithmOf(transform, transform.attributes.get('Algorithm') === exclusiveC14n ? ['InclusiveNamespaces'] : [])
      : '',
  );
  if (applied?.length !== 2 || applied[0] !== envelopedSignature || applied[1] !== exclusiveC14n)
    throw invalid('the transforms are not enveloped-signature and exclusive canonicalization');
  const digest = algorithmOf(digestMethod);
  const bytes = digestMethods.get(digest)?.bytes;
  if (bytes === undefined) throw invalid('the digest is not SHA-256, SHA-384 or SHA-512');
  if (digestValue === undefined || Buffer.from(digestValue.text, 'base64').length !== bytes)
    throw invalid('DigestValue is not a digest');
  return { id, digest };
}

/** Public keys of the IdP's signing certificates. Nothing else of a certificate counts (SAML metadata interoperability). */
export const keysOf = (certificates: readonly string[]): readonly KeyObject[] =>
  certificates.map((pem) => new X509Certificate(pem).publicKey);

/** What was verified, and with which of the keys. */
export interface Verified {
  /** The signed bytes: canonical XML of the element without its signature. Nothing else of the message is proven. */
  readonly element: XmlElement;
  readonly keyIndex: number;
}

/**
 * Verifies the signature of the element with that ID.
 *
 * @param xml The document in which `readSignature` found it.
 * @returns undefined when no key fits.
 */
export function verifySignature(xml: string, facts: SignatureFacts, keys: readonly KeyObject[]): Verified | undefined {
  let keyIndex = -1;
  const signed = verifierOf(facts, (method, material, value) => {
    keyIndex = keys.findIndex((key) => fits(method, key, material, value));
    return keyIndex !== -1;
  });
  signed.loadSignature(findSignature(xml, facts.id));
  if (!passes(signed, xml)) return undefined;
  const [canonical, ...more] = signed.getSignedReferences();
  if (canonical === undefined || more.length > 0 || keyIndex === -1) return undefined;
  const element = readXml(canonical, provenOptions);
  if (element.attributes.get('ID') !== facts.id) throw invalid('the signed bytes are of another element');
  return { element, keyIndex };
}

function known<T>(algorithm: T | undefined): T {
  if (algorithm === undefined) throw new Error('an algorithm is missing that the rules have let through');
  return algorithm;
}

/**
 * xml-crypto with the algorithms of this one signature, as the rules took them, and no other. By itself it canonicalizes and
 * digests what is referred to before it looks at a key; here nothing of that is done for whoever has none.
 */
function verifierOf(
  facts: SignatureFacts,
  verifies: (method: SignatureMethod, material: string, value: string) => boolean,
): SignedXml {
  const method = known(signatureMethods.get(facts.method));
  const digest = known(digestMethods.get(facts.digest));
  const signed = new SignedXml({ getCertFromKeyInfo: () => null, publicCert: 'not used: `verifies` has the keys' });
  const { [exclusiveC14n]: c14n, [envelopedSignature]: enveloped } = signed.CanonicalizationAlgorithms;
  let signedInfo = '';
  const canonical = after(known(c14n), (node, result) => {
    if (node.nodeName.endsWith('SignedInfo')) signedInfo = String(result);
  });
  // The first transform of the reference: by then SignedInfo has been canonicalized.
  const guarded = before(known(enveloped), () => {
    if (!verifies(method, signedInfo, facts.value)) throw new Error('SignedInfo is not signed by any of the keys');
  });
  signed.CanonicalizationAlgorithms = { [exclusiveC14n]: canonical, [envelopedSignature]: guarded };
  signed.SignatureAlgorithms = {
    [facts.method]: class {
      getAlgorithmName = () => facts.method;
      getSignature = (): never => {
        throw new Error('it only verifies');
      };
      verifySignature = (material: string, _key: unknown, value: string): boolean => verifies(method, material, value);
    },
  };
  signed.HashAlgorithms = {
    [facts.digest]: class {
      getAlgorithmName = () => facts.digest;
      getHash = (text: string) => createHash(digest.hash).update(text, 'utf8').digest('base64');
    },
  };
  return signed;
}

type Transform = SignedXml['CanonicalizationAlgorithms'][keyof SignedXml['CanonicalizationAlgorithms']];
type Process = InstanceType<Transform>['process'];

const before = (transform: Transform, act: () => void): Transform =>
  class extends transform {
    override process(...given: Parameters<Process>): ReturnType<Process> {
      act();
      return super.process(...given);
    }
  };

const after = (transform: Transform, act: (node: Node, result: unknown) => void): Transform =>
  class extends transform {
    override process(...given: Parameters<Process>): ReturnType<Process> {
      const result = super.process(...given);
      act(given[0], result);
      return result;
    }
  };

/** xml-crypto throws when the signature does not fit, and returns false when the digest does not. */
function passes(signed: SignedXml, xml: string): boolean {
  try {
    return signed.checkSignature(xml);
  } catch {
    return false;
  }
}

function fits(method: SignatureMethod, key: KeyObject, material: string, value: string): boolean {
  if (key.asymmetricKeyType !== method.keyType) return false;
  const signature = Buffer.from(value, 'base64');
  const data = Buffer.from(material, 'utf8');
  // RFC 9231 §2.3.6: r and s side by side, not in DER.
  if (method.keyType === 'ec') return verify(method.hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  if (!method.pss) return verify(method.hash, data, key, signature);
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return verify(method.hash, data, { key, padding, saltLength }, signature);
}

/** The DOM node that xml-crypto wants. IDs are unique, and the signature is a child of its element: `readXml` and the rules saw to it. */
function findSignature(xml: string, id: string): Node {
  const pending: Element[] = [new DOMParser().parseFromString(xml, 'text/xml').documentElement];
  for (let element = pending.pop(); element !== undefined; element = pending.pop()) {
    const children = Array.from(element.childNodes).filter((node): node is Element => node.nodeType === 1);
    const signature = children.find((child) => child.namespaceURI === ds && child.localName === 'Signature');
    if (signature !== undefined && element.getAttribute('ID') === id) return signature;
    pending.push(...children);
  }
  throw invalid('the signature is not where it belongs');
}
