import { createHash } from 'node:crypto';
import type { Detector } from './detector.ts';
import { keccak256 } from './keccak.ts';

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const rippleBase58 = 'rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz';

/** The bytes of a base58 text (without the leading zeros of the number), as a number. */
function base58Number(text: string, alphabet: string): bigint | undefined {
  let number = 0n;
  for (const char of text) {
    const value = alphabet.indexOf(char);
    if (value < 0) return undefined;
    number = number * 58n + BigInt(value);
  }
  return number;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** First letter → version byte of addresses that are 25 bytes with a checksum (Bitcoin's Base58Check). */
const versions = new Map(
  Object.entries({
    1: [0x00],
    3: [0x05],
    L: [0x30],
    M: [0x32],
    D: [0x1e],
    A: [0x16],
    9: [0x16],
    T: [0x41],
    X: [0x4c],
    r: [0x00],
  }),
);

/** Base58Check: a version byte, twenty bytes, and the first four bytes of their double SHA-256. */
function isBase58Check(candidate: string): boolean {
  const number = base58Number(candidate, candidate.startsWith('r') ? rippleBase58 : base58);
  if (number === undefined || number >> 200n !== 0n) return false;
  const bytes = Buffer.from(number.toString(16).padStart(50, '0'), 'hex');
  if (!versions.get(candidate.charAt(0))?.includes(bytes[0]!)) return false;
  return sha256(sha256(bytes.subarray(0, 21)))
    .subarray(0, 4)
    .equals(bytes.subarray(21));
}

const bech32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const bech32Generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** Bech32 (constant 1) or Bech32m (BIP 350), all in one case. */
function isBech32(candidate: string): boolean {
  const text = candidate.toLowerCase();
  if (candidate !== text && candidate !== candidate.toUpperCase()) return false;
  const prefix = text.slice(0, text.lastIndexOf('1'));
  const codes = [...prefix].map((char) => char.charCodeAt(0));
  const data = [...text.slice(prefix.length + 1)].map((char) => bech32.indexOf(char));
  let check = 1;
  for (const value of [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...data]) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    for (let i = 0; i < 5; i++) if ((top >> i) & 1) check ^= bech32Generator[i]!;
  }
  return !data.includes(-1) && (check === 1 || check === 0x2bc830a3);
}

/** An Ethereum address: in mixed case, that case is a checksum (EIP-55). */
function isEthereum(candidate: string): boolean {
  const hex = candidate.slice(2);
  if (/^(.)\1+$/.test(hex)) return false;
  const lower = hex.toLowerCase();
  if (hex === lower || hex === hex.toUpperCase()) return true;
  const hash = keccak256(Buffer.from(lower, 'latin1'));
  return [...hex].every((char, i) => char === (hash[i]! >= '8' ? char.toUpperCase() : char.toLowerCase()));
}

/** Any of the forms that have a checksum. */
const isAddress = (candidate: string): boolean =>
  candidate.startsWith('0x')
    ? isEthereum(candidate)
    : /^(?:bc|tb|ltc|addr)1/i.test(candidate)
      ? isBech32(candidate)
      : isBase58Check(candidate);

/** A Solana address: a number of 32 bytes in base58. */
function isSolana(candidate: string): boolean {
  const number = base58Number(candidate, base58);
  return number !== undefined && number >> 256n === 0n && number >> 240n !== 0n;
}

const body = '[1-9A-HJ-NP-Za-km-z]';

/** Addresses of crypto currencies. */
export const crypto: readonly Detector[] = [
  {
    id: 'crypto',
    categories: ['finance'],
    pattern: [
      // Bitcoin, Litecoin, Dogecoin, Dash, Tron, Ripple.
      String.raw`\b[13LMDA9XTr]${body}{24,34}\b`,
      String.raw`\b(?:bc1|tb1|ltc1)[02-9ac-hj-np-z]{8,87}\b`,
      String.raw`\b(?:BC1|TB1|LTC1)[02-9AC-HJ-NP-Z]{8,87}\b`,
      // Cardano.
      String.raw`\baddr1[02-9ac-hj-np-z]{50,110}\b`,
      String.raw`\b0x[0-9a-fA-F]{40}\b`,
    ].join('|'),
    validate: isAddress,
    also: [
      // Monero: 69 bytes in base58, by its length.
      { pattern: String.raw`\b[48][0-9AB]${body}{93}\b` },
      {
        pattern: String.raw`\b0x[0-9a-fA-F]{40}\b`,
        context: {
          words: [
            'eth',
            'ethereum',
            'ether',
            'erc20',
            'erc 20',
            'wallet',
            'meta mask',
            'usdt',
            'usdc',
            'crypto',
            'polygon',
            'bsc',
            'address',
          ],
        },
      },
      {
        pattern: String.raw`\b${body}{32,44}\b`,
        validate: isSolana,
        context: {
          words: ['solana', 'sol', 'phantom', 'spl', 'sol address', 'sol wallet', 'solana wallet', 'solana address'],
          within: 32,
        },
        weak: true,
      },
    ],
    doc: 'Addresses of Bitcoin, Ethereum, Litecoin, Dogecoin, Dash, Tron, Ripple, Cardano and Monero, with a right checksum; of Solana after words that say so.',
    examples: [
      '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
      'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq',
      '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    ],
    source: 'Bitcoin wiki, Base58Check; BIP 173, BIP 350; EIP-55; XRPL base58 encodings',
  },
];
