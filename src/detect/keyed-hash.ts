/**
 * Exact values that nobody may read: a customer's number, a canary. A file holds, of each, two hashes under a key: SipHash
 * (32 bits, quick: asked of every candidate) and HMAC-SHA256 (128 bits, asked where the first is known). Whoever has the file
 * and not the key learns how many there are.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import { fold, OTHER_SIGN } from './fold.ts';
import { normalize } from './normalize.ts';

const HEADER = 'sallyport-values v1';
const LINE = /^([0-9a-f]{8}):([0-9a-f]{32})$/;

/** Longest value, in UTF-16 units. */
export const MAX_VALUE_LENGTH = 256;

/**
 * How values are compared: without case, invisible characters, full-width and look-alike forms; white space is one space.
 * Two spellings of one value are one value.
 */
export function canonicalValue(text: string): string {
  const folded = fold(text);
  const letters = folded.includes(OTHER_SIGN) ? normalize(text) : folded.toLowerCase();
  return letters.trim().replace(/\s+/gu, ' ');
}

/** Hashes values under one key. Throws RangeError for a key shorter than 16 bytes. */
export class ValueHasher {
  readonly #hmacKey: Buffer;
  readonly #sip: readonly [number, number, number, number];

  constructor(key: Buffer) {
    if (key.length < 16) throw new RangeError('a key for values has at least 16 bytes');
    const derived = Buffer.from(hkdfSync('sha256', key, '', HEADER, 48));
    this.#hmacKey = derived.subarray(0, 32);
    this.#sip = [32, 36, 40, 44].map((at) => derived.readInt32LE(at)) as [number, number, number, number];
  }

  /** Says which key a file was made with, and nothing else of it. */
  get fingerprint(): string {
    return this.#hmac('\u0000fingerprint').slice(0, 16);
  }

  quick(canonical: string): number {
    return sipHash32(this.#sip, canonical);
  }

  line(canonical: string): string {
    return `${this.quick(canonical).toString(16).padStart(8, '0')}:${this.#hmac(canonical)}`;
  }

  #hmac(text: string): string {
    return createHmac('sha256', this.#hmacKey).update(text, 'utf16le').digest('hex').slice(0, 32);
  }
}

/** First line of a file of values. */
export const valuesHeader = (hasher: ValueHasher): string => `# ${HEADER} key ${hasher.fingerprint}`;

export type ReadValues =
  | { readonly ok: true; readonly has: (original: string) => boolean; readonly count: number }
  | { readonly ok: false; readonly line: number; readonly message: string };

/** Reads a file of values, as `valuesHeader` and `ValueHasher.line` write it. */
export function readValues(text: string, hasher: ValueHasher): ReadValues {
  const lines = text.split(/\r?\n/);
  const [, fingerprint] = new RegExp(`^# ${HEADER} key ([0-9a-f]{16})$`).exec(lines[0]!) ?? [];
  if (fingerprint === undefined)
    return { ok: false, line: 1, message: 'is no file of hashed values; `sallyport hash-values` makes one' };
  if (fingerprint !== hasher.fingerprint) return { ok: false, line: 1, message: 'was made with another key' };
  const quick = new Set<number>();
  const whole = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === '') continue;
    const match = LINE.exec(line);
    if (match === null) return { ok: false, line: index + 1, message: 'is no hashed value' };
    quick.add(Number.parseInt(match[1]!, 16));
    whole.add(line);
  }
  const has = (original: string): boolean => {
    const canonical = canonicalValue(original);
    return quick.has(hasher.quick(canonical)) && whole.has(hasher.line(canonical));
  };
  return { ok: true, has, count: whole.size };
}

/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) of the UTF-16LE bytes of a text, the low 32 bits. 64-bit words as two halves.
 * `key`: k0 low, k0 high, k1 low, k1 high.
 */
export function sipHash32(key: readonly [number, number, number, number], text: string): number {
  const state = new Int32Array(8);
  const [k0l, k0h, k1l, k1h] = key;
  state[0] = k0l ^ 0x70736575;
  state[1] = k0h ^ 0x736f6d65;
  state[2] = k1l ^ 0x6e646f6d;
  state[3] = k1h ^ 0x646f7261;
  state[4] = k0l ^ 0x6e657261;
  state[5] = k0h ^ 0x6c796765;
  state[6] = k1l ^ 0x79746573;
  state[7] = k1h ^ 0x74656462;
  const unit = (at: number) => (at < text.length ? text.charCodeAt(at) : 0);
  const whole = text.length - (text.length % 4);
  for (let at = 0; at < whole; at += 4)
    absorb(state, unit(at) | (unit(at + 1) << 16), unit(at + 2) | (unit(at + 3) << 16));
  // The last word: what is left, and the length in bytes in its highest byte.
  absorb(state, unit(whole) | (unit(whole + 1) << 16), unit(whole + 2) | ((text.length * 2) << 24));
  state[4]! ^= 0xff;
  for (let i = 0; i < 4; i++) round(state);
  return (state[0]! ^ state[2]! ^ state[4]! ^ state[6]!) >>> 0;
}

function absorb(state: Int32Array, low: number, high: number): void {
  state[6]! ^= low;
  state[7]! ^= high;
  round(state);
  round(state);
  state[0]! ^= low;
  state[1]! ^= high;
}

function round(state: Int32Array): void {
  add(state, 0, 2);
  rotate(state, 2, 13);
  mix(state, 2, 0);
  rotate(state, 0, 32);
  add(state, 4, 6);
  rotate(state, 6, 16);
  mix(state, 6, 4);
  add(state, 0, 6);
  rotate(state, 6, 21);
  mix(state, 6, 0);
  add(state, 4, 2);
  rotate(state, 2, 17);
  mix(state, 2, 4);
  rotate(state, 4, 32);
}

function add(state: Int32Array, to: number, from: number): void {
  const low = (state[to]! >>> 0) + (state[from]! >>> 0);
  state[to] = low;
  state[to + 1] = state[to + 1]! + state[from + 1]! + (low > 0xffffffff ? 1 : 0);
}

function mix(state: Int32Array, to: number, from: number): void {
  state[to]! ^= state[from]!;
  state[to + 1]! ^= state[from + 1]!;
}

function rotate(state: Int32Array, at: number, bits: number): void {
  const low = state[at]!;
  const high = state[at + 1]!;
  if (bits === 32) {
    state[at] = high;
    state[at + 1] = low;
    return;
  }
  state[at] = (low << bits) | (high >>> (32 - bits));
  state[at + 1] = (high << bits) | (low >>> (32 - bits));
}
