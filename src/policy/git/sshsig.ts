/**
 * SSH signatures (OpenSSH, PROTOCOL.sshsig), as `git commit -S` with gpg.format=ssh makes them. Strict: nothing may be left
 * over, one way only to write a thing, no SHA-1.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { GitProblem } from './problem.ts';
import type { SshSigner } from './signers.ts';

const begin = '-----BEGIN SSH SIGNATURE-----';
const end = '-----END SSH SIGNATURE-----';
/** What git signs in. */
const namespace = 'git';

export const isSshSignature = (text: string): boolean => text.startsWith(begin);

/** A field after the other (RFC 4251 §5). */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  raw(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new GitProblem('the SSH signature is cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  uint32(): number {
    return this.raw(4).readUInt32BE();
  }
  string(): Buffer {
    return this.raw(this.uint32());
  }
  text(): string {
    return this.string().toString('latin1');
  }
  end(): void {
    if (this.#at !== this.#bytes.length) throw new GitProblem('the SSH signature has something after its end');
  }
}

/**
 * @param signed what the signature is over
 * @param atSeconds times at which the signer's key must be valid, epoch seconds
 * @returns who signed: the principals of the line. Throws GitProblem with why it is no good signature.
 */
export function verifySsh(
  armored: string,
  signed: Buffer,
  signers: readonly SshSigner[],
  atSeconds: readonly number[],
): string {
  const fields = new Fields(unarmor(armored));
  if (fields.raw(6).toString('latin1') !== 'SSHSIG' || fields.uint32() !== 1)
    throw new GitProblem('the SSH signature is of a kind that is not known');
  const key = fields.string();
  const named = fields.text();
  const reserved = fields.string();
  const hash = fields.text();
  const signature = fields.string();
  fields.end();
  if (named !== namespace) throw new GitProblem('the SSH signature was made for something else than git');
  if (hash !== 'sha256' && hash !== 'sha512')
    throw new GitProblem('the SSH signature is over a hash that is not taken');
  const candidates = signers.filter((signer) => signer.key.equals(key));
  if (candidates.length === 0) throw new GitProblem('it is signed by an SSH key that is not among allowedSigners');
  const message = Buffer.concat([
    Buffer.from('SSHSIG'),
    ...[Buffer.from(namespace), reserved, Buffer.from(hash), createHash(hash).update(signed).digest()].flatMap(framed),
  ]);
  if (!verifies(key, signature, message))
    throw new GitProblem('its SSH signature does not fit: it was changed after it was signed');
  return permitted(candidates, atSeconds);
}

function permitted(candidates: readonly SshSigner[], atSeconds: readonly number[]): string {
  const inNamespace = candidates.filter(({ namespaces }) => namespaces === undefined || namespaces.includes(namespace));
  if (inNamespace.length === 0)
    throw new GitProblem('it is signed by an SSH key that allowedSigners does not let sign for git');
  const inTime = inNamespace.find((signer) =>
    atSeconds.every((at) => at >= signer.validAfter && at < signer.validBefore),
  );
  if (inTime === undefined)
    throw new GitProblem(
      'it is signed by an SSH key that is not valid now, or was not then (valid-after, valid-before)',
    );
  return inTime.principals;
}

const framed = (bytes: Buffer): Buffer[] => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
};

function unarmor(text: string): Buffer {
  const lines = text.trimEnd().split('\n');
  if (lines[0] !== begin || lines.at(-1) !== end) throw new GitProblem('the SSH signature has no begin or no end');
  const base64 = lines.slice(1, -1).join('');
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw new GitProblem('the SSH signature is not base64');
  return bytes;
}

function verifies(keyBlob: Buffer, signatureBlob: Buffer, message: Buffer): boolean {
  const signature = new Fields(signatureBlob);
  const algorithm = signature.text();
  const bytes = signature.string();
  signature.end();
  const key = new Fields(keyBlob);
  const kind = key.text();
  if (kind === 'ssh-ed25519' && algorithm === kind) {
    const point = key.string();
    key.end();
    return verify(null, message, jwk({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }), bytes);
  }
  if (kind === 'ssh-rsa' && (algorithm === 'rsa-sha2-512' || algorithm === 'rsa-sha2-256')) {
    const [exponent, modulus] = [positive(key.string()), positive(key.string())];
    key.end();
    if (modulus.length < 256) throw new GitProblem('it is signed by an RSA key of less than 2048 bits');
    const rsa = jwk({ kty: 'RSA', e: exponent.toString('base64url'), n: modulus.toString('base64url') });
    return verify(algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256', message, rsa, bytes);
  }
  const curve = curves.get(kind);
  if (curve !== undefined && algorithm === kind) return verifiesEcdsa(key, curve, bytes, message);
  throw new GitProblem('it is signed in a way that is not taken (ed25519, ecdsa, rsa-sha2-256 and rsa-sha2-512 are)');
}

interface Curve {
  readonly name: string;
  readonly crv: string;
  readonly hash: string;
  readonly bytes: number;
}
const curves: ReadonlyMap<string, Curve> = new Map([
  ['ecdsa-sha2-nistp256', { name: 'nistp256', crv: 'P-256', hash: 'sha256', bytes: 32 }],
  ['ecdsa-sha2-nistp384', { name: 'nistp384', crv: 'P-384', hash: 'sha384', bytes: 48 }],
  ['ecdsa-sha2-nistp521', { name: 'nistp521', crv: 'P-521', hash: 'sha512', bytes: 66 }],
]);

/** RFC 5656 §3.1: an uncompressed point; r and s are two mpints. */
function verifiesEcdsa(key: Fields, curve: Curve, signature: Buffer, message: Buffer): boolean {
  if (key.text() !== curve.name) return false;
  const point = key.string();
  key.end();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4) return false;
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  const halves = new Fields(signature);
  const [r, s] = [positive(halves.string()), positive(halves.string())];
  halves.end();
  if (r.length > curve.bytes || s.length > curve.bytes) return false;
  const pair = Buffer.alloc(2 * curve.bytes);
  pair.set(r, curve.bytes - r.length);
  pair.set(s, 2 * curve.bytes - s.length);
  const ec = jwk({ kty: 'EC', crv: curve.crv, x: x.toString('base64url'), y: y.toString('base64url') });
  return verify(curve.hash, message, { key: ec, dsaEncoding: 'ieee-p1363' }, pair);
}

/** An mpint without its leading zero. */
function positive(mpint: Buffer): Buffer {
  if (mpint.length === 0 || (mpint[0] ?? 0) >= 0x80) throw new GitProblem('the SSH signature has a number below zero');
  return mpint[0] === 0 ? mpint.subarray(1) : mpint;
}

function jwk(key: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    throw new GitProblem('it is signed by an SSH key that is not well formed');
  }
}
