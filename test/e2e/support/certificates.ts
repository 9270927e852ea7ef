/** X.509 certificates for a test, in memory: a CA and the leaves that it signs (RFC 5280, ECDSA P-256 with SHA-256). */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** Subject alternative names of a leaf. */
export interface Names {
  readonly dns?: readonly string[];
  readonly uri?: readonly string[];
}

export interface Authority {
  /** PEM of the CA's own certificate. */
  readonly cert: string;
  /** @param type Of the leaf's key; the CA signs with P-256 whatever it is. Default `ec` (P-256). */
  issue(commonName: string, names: Names, type?: 'ec' | 'rsa'): Certificate;
}

/** DER: tag, length, contents (X.690). */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const octets = (content: Buffer): Buffer => der(0x04, content);
const bits = (content: Buffer): Buffer => der(0x03, Buffer.from([0]), content);
/** The contents of an object identifier, in hex. */
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const SUBJECT_ALT_NAME = oid('551d11');

const nameOf = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(commonName)))));

function utcTime(at: Date): Buffer {
  const digits = at.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x17, Buffer.from(digits.slice(2)));
}

function subjectAltName({ dns = [], uri = [] }: Names): Buffer {
  // GeneralName: dNSName [2], uniformResourceIdentifier [6].
  const names = [
    ...dns.map((name) => der(0x82, Buffer.from(name))),
    ...uri.map((name) => der(0x86, Buffer.from(name))),
  ];
  return sequence(SUBJECT_ALT_NAME, octets(sequence(...names)));
}

const pem = (certificate: Buffer): string => {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
};

interface Signing {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuer: string;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certificate({ subject, publicKey, issuer, signer, extensions }: Signing): string {
  const hourMs = 3_600_000;
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)]);
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(utcTime(new Date(Date.now() - hourMs)), utcTime(new Date(Date.now() + hourMs))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  return pem(sequence(tbs, ECDSA_WITH_SHA256, bits(sign('sha256', tbs, signer))));
}

const newKeys = (type: 'ec' | 'rsa' = 'ec') =>
  type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });

export function createAuthority(commonName: string): Authority {
  const { publicKey, privateKey: signer } = newKeys();
  const ca = sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)));
  return {
    cert: certificate({ subject: commonName, publicKey, issuer: commonName, signer, extensions: [ca] }),
    issue: (subject, names, type) => {
      const keys = newKeys(type);
      const extensions = [subjectAltName(names)];
      return {
        cert: certificate({ subject, publicKey: keys.publicKey, issuer: commonName, signer, extensions }),
        key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}
