/**
 * What a match becomes (the operators of detect/operator.ts). All but `replace` and `redact` need the match's text. That of a
 * bounded pattern is at hand; of a secret that is swallowed, however long, at most KEPT_LENGTH units are kept, so what
 * becomes of it depends on its text alone.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { OTHER, SKIP, symbolOf } from '../detect/fold.ts';
import type { Operator } from '../detect/operator.ts';

export { bothMasked, coversMasking, type Operators, operatorOf } from '../detect/operator.ts';

/** Longest match whose text is kept, in UTF-16 units; a longer one is replaced, or hashed as it comes. */
export const KEPT_LENGTH = 8 * 1024;

/** Told the text of one match in pieces that split no pair; says at its end what it becomes. */
export interface MatchText {
  add(piece: string): void;
  end(): string;
}

/** What matches of one detector become: always the same text, or one that is made of the match. */
export type Becomes = string | (() => MatchText);

/** Derived from the masking key (HKDF, RFC 5869), one for each use. */
export interface MaskingKeys {
  readonly hash: KeyObject;
  readonly encrypt: KeyObject;
  readonly iv: KeyObject;
}

export const MASKING_KEY_BYTES = 32;

export function deriveMaskingKeys(key: Buffer): MaskingKeys {
  const derived = (use: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', key, '', `sallyport masking ${use} v1`, MASKING_KEY_BYTES)));
  return { hash: derived('hash'), encrypt: derived('encrypt'), iv: derived('iv') };
}

/** What a match becomes where nothing else is said. */
export const labelOf = (id: string): string => `<${id.toUpperCase()}>`;

/** `keys` undefined: of a build without them; what needs them throws. */
export function becomes(id: string, operator: Operator, keys: MaskingKeys | undefined): Becomes {
  const label = labelOf(id);
  switch (operator.type) {
    case 'redact':
      return '';
    case 'hash':
      return hashing(id, keyed(keys));
    case 'encrypt':
      return keeping(label, (text) => encrypted(id, text, keyed(keys)));
    case 'mask':
      return keeping(label, (text) => covered(text, operator.keepLast, operator.with));
    // In an answer there is nothing to put back; and a newer build may know operators that this one does not.
    default:
      return label;
  }
}

function keyed(keys: MaskingKeys | undefined): MaskingKeys {
  if (keys === undefined) throw new Error('an operator needs the masking key, and there is none here');
  return keys;
}

/** Makes something of the whole text of a match; `otherwise`: of one that is too long. */
export function keeping(otherwise: string, make: (text: string) => string): () => MatchText {
  return () => {
    let text = '';
    let isLong = false;
    return {
      add: (piece) => {
        isLong ||= text.length + piece.length > KEPT_LENGTH;
        text = isLong ? '' : text + piece;
      },
      end: () => (isLong ? otherwise : make(text)),
    };
  };
}

/** Hexadecimal digits that are shown: 64 bits, so that two of a hundred million values hardly ever meet. */
const HASH_DIGITS = 16;

/** `<EMAIL_ADDRESS:1f3a…>`: equal values have equal hashes, in whatever characters they are written. */
function hashing(id: string, keys: MaskingKeys): () => MatchText {
  return () => {
    const hmac = createHmac('sha256', keys.hash).update(`${id}\0`);
    return {
      add: (piece) => void hmac.update(normalized(piece)),
      end: () => `<${id.toUpperCase()}:${hmac.digest('hex').slice(0, HASH_DIGITS)}>`,
    };
  };
}

const printable = /^[ -~]*$/;

/** As detectors see it (fold.ts), but what does not fold to ASCII stays what it is. */
function normalized(text: string): string {
  if (printable.test(text)) return text;
  let out = '';
  for (const character of text) {
    const symbol = symbolOf(character.codePointAt(0)!);
    if (symbol !== SKIP) out += symbol === OTHER ? character : String.fromCharCode(symbol);
  }
  return out;
}

const counts = /[\p{L}\p{N}]/u;

/** Covers letters and digits but the last few: never more than a quarter of them, so that a short value stays unknown. */
function covered(text: string, keepLast: number, by: string): string {
  const characters = [...text].filter((character) => symbolOf(character.codePointAt(0)!) !== SKIP);
  const isCounted = characters.map((character) => counts.test(character));
  const count = isCounted.filter(Boolean).length;
  let left = count - Math.min(keepLast, Math.floor(count / 4));
  return characters.map((character, at) => (isCounted[at] && left-- > 0 ? by : character)).join('');
}

const VERSION = 'enc:v1';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const encryptedLabel = /<([A-Z0-9_]{1,64}):enc:v1:([A-Za-z0-9_-]{38,})>/g;

/**
 * AES-256-GCM (NIST SP 800-38D). The IV is made of detector and text (an HMAC, as in RFC 5297), so that one text always
 * becomes the same: two that differ share an IV with a chance of 2^-96.
 */
function encrypted(id: string, text: string, { encrypt, iv: ivKey }: MaskingKeys): string {
  const plain = Buffer.from(text, 'utf8');
  const iv = createHmac('sha256', ivKey).update(`${id}\0`).update(plain).digest().subarray(0, IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', encrypt, iv).setAAD(Buffer.from(`${VERSION}\0${id}`));
  const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `<${id.toUpperCase()}:${VERSION}:${sealed.toString('base64url')}>`;
}

function decrypted(id: string, sealed: Buffer, { encrypt }: MaskingKeys): string | undefined {
  const iv = sealed.subarray(0, IV_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', encrypt, iv).setAAD(Buffer.from(`${VERSION}\0${id}`));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

export interface DecryptedText {
  readonly text: string;
  /** Labels that were opened, and those that no key opens: they stay. */
  readonly opened: number;
  readonly unopened: number;
}

/** Puts back what `encrypt` took out of a text, with whichever of the keys opens it. */
export function decryptText(text: string, keys: readonly MaskingKeys[]): DecryptedText {
  let opened = 0;
  let unopened = 0;
  const out = text.replace(encryptedLabel, (label, name: string, sealed: string) => {
    const bytes = Buffer.from(sealed, 'base64url');
    for (const one of keys) {
      const value = decrypted(name.toLowerCase(), bytes, one);
      if (value === undefined) continue;
      opened++;
      return value;
    }
    unopened++;
    return label;
  });
  return { text: out, opened, unopened };
}
