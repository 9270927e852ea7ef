/**
 * Encrypted assertions (XML Encryption 1.1). AES-GCM with a key wrapped by RSA-OAEP. AES-CBC says nothing of whether it was
 * changed, and whoever can watch it being decrypted can read it (Jager and Somorovsky, 2011); it is taken only inside a
 * response whose own signature, over the cipher text, was verified before. PKCS #1 v1.5 and Triple DES are refused.
 */
import { constants, createDecipheriv, createPrivateKey, privateDecrypt } from 'node:crypto';
import { ds, xenc } from './names.ts';
import { invalid } from './refused.ts';
import { childrenOf, normalizeLineEnds, walk, type XmlElement } from './xml.ts';

const xenc11 = 'http://www.w3.org/2009/xmlenc11#';

/** Content encryption: cipher and bytes of its key. */
export const contentCiphers: ReadonlyMap<string, { readonly cipher: string; readonly keyBytes: number }> = new Map([
  [`${xenc11}aes256-gcm`, { cipher: 'aes-256-gcm', keyBytes: 32 }],
  [`${xenc11}aes192-gcm`, { cipher: 'aes-192-gcm', keyBytes: 24 }],
  [`${xenc11}aes128-gcm`, { cipher: 'aes-128-gcm', keyBytes: 16 }],
  [`${xenc}aes256-cbc`, { cipher: 'aes-256-cbc', keyBytes: 32 }],
  [`${xenc}aes192-cbc`, { cipher: 'aes-192-cbc', keyBytes: 24 }],
  [`${xenc}aes128-cbc`, { cipher: 'aes-128-cbc', keyBytes: 16 }],
]);

const digestHashes: Readonly<Record<string, string>> = {
  [`${ds}sha1`]: 'sha1',
  [`${xenc}sha256`]: 'sha256',
  'http://www.w3.org/2001/04/xmldsig-more#sha384': 'sha384',
  [`${xenc}sha512`]: 'sha512',
};
const maskHashes: Readonly<Record<string, string>> = {
  [`${xenc11}mgf1sha1`]: 'sha1',
  [`${xenc11}mgf1sha256`]: 'sha256',
  [`${xenc11}mgf1sha384`]: 'sha384',
  [`${xenc11}mgf1sha512`]: 'sha512',
};

function one(parent: XmlElement | undefined, namespace: string, local: string): XmlElement {
  const found = parent === undefined ? [] : childrenOf(parent, namespace, local);
  const [only] = found;
  if (only === undefined || found.length > 1) throw invalid(`the encrypted assertion does not have one ${local}`);
  return only;
}

function cipherValue(encrypted: XmlElement): Buffer {
  const text = one(one(encrypted, xenc, 'CipherData'), xenc, 'CipherValue').text.replace(/[ \t\r\n]/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid('CipherValue is not base64');
  return Buffer.from(text, 'base64');
}

/** XML Encryption 1.1 §5.5: the hash of OAEP. Its mask function must use the same one, as OpenSSL does. */
function oaepHash(method: XmlElement): string {
  const algorithm = method.attributes.get('Algorithm');
  const digest = childrenOf(method, ds, 'DigestMethod')[0]?.attributes.get('Algorithm') ?? `${ds}sha1`;
  const mask = childrenOf(method, xenc11, 'MGF')[0]?.attributes.get('Algorithm') ?? `${xenc11}mgf1sha1`;
  if (algorithm !== `${xenc}rsa-oaep-mgf1p` && algorithm !== `${xenc11}rsa-oaep`)
    throw invalid('the key of the encrypted assertion is not wrapped by RSA-OAEP');
  const hash = digestHashes[digest];
  if (hash === undefined || hash !== maskHashes[algorithm === `${xenc11}rsa-oaep` ? mask : `${xenc11}mgf1sha1`])
    throw invalid('the hash of RSA-OAEP is not one that is understood, or its mask function uses another');
  if (childrenOf(method, xenc, 'OAEPparams').length > 0) throw invalid('RSA-OAEP has parameters');
  return hash;
}

/**
 * @param privateKey PEM.
 * @param authentic Whether a signature over the cipher text was verified.
 * @returns the decrypted text, line ends normalized. What is wrong with a cipher text is never said in detail.
 */
export function decryptAssertion(encryptedAssertion: XmlElement, privateKey: string, authentic: boolean): string {
  const data = one(encryptedAssertion, xenc, 'EncryptedData');
  const keys = [...walk(encryptedAssertion)].filter((e) => e.namespace === xenc && e.local === 'EncryptedKey');
  const [encryptedKey] = keys;
  if (encryptedKey === undefined || keys.length > 1) throw invalid('the encrypted assertion does not have one key');
  const algorithm = one(data, xenc, 'EncryptionMethod').attributes.get('Algorithm') ?? '';
  const content = contentCiphers.get(algorithm);
  if (content === undefined) throw invalid('the assertion is not encrypted with AES-GCM or AES-CBC');
  const isGcm = content.cipher.endsWith('gcm');
  if (!isGcm && !authentic) throw invalid('the assertion is encrypted with AES-CBC, and the response is not signed');
  const wrap = { key: createPrivateKey(privateKey), hash: oaepHash(one(encryptedKey, xenc, 'EncryptionMethod')) };
  const wrapped = cipherValue(encryptedKey);
  const encrypted = cipherValue(data);
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const key = privateDecrypt({ key: wrap.key, padding, oaepHash: wrap.hash }, wrapped);
    if (key.length !== content.keyBytes) throw new Error('wrong length');
    const plain = isGcm ? openGcm(content.cipher, key, encrypted) : openCbc(content.cipher, key, encrypted);
    return normalizeLineEnds(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain));
  } catch {
    throw invalid('the encrypted assertion cannot be decrypted');
  }
}

/** XML Encryption 1.1 §5.2.4: 96-bit IV before, 128-bit tag after. */
function openGcm(cipher: string, key: Buffer, encrypted: Buffer): Buffer {
  if (encrypted.length < 29) throw new Error('too short');
  const decipher = createDecipheriv(cipher as 'aes-256-gcm', key, encrypted.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(encrypted.subarray(-16));
  return Buffer.concat([decipher.update(encrypted.subarray(12, -16)), decipher.final()]);
}

/** XML Encryption 1.1 §5.2.1: IV before; the last byte says how many bytes of padding there are, the others are arbitrary. */
function openCbc(cipher: string, key: Buffer, encrypted: Buffer): Buffer {
  if (encrypted.length < 32) throw new Error('too short');
  const decipher = createDecipheriv(cipher, key, encrypted.subarray(0, 16)).setAutoPadding(false);
  const padded = Buffer.concat([decipher.update(encrypted.subarray(16)), decipher.final()]);
  const padding = padded.at(-1) ?? 0;
  if (padding < 1 || padding > 16) throw new Error('wrong padding');
  return padded.subarray(0, -padding);
}
