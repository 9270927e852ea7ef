/** OpenPGP signatures of commits and tags (RFC 9580), as `git commit -S` makes them by default. */
import { createMessage, type PublicKey, readKeys, readSignature, type Signature, verify } from 'openpgp';
import { GitProblem } from './problem.ts';

export const isOpenPgpSignature = (text: string): boolean => text.startsWith('-----BEGIN PGP SIGNATURE-----');

/** Signatures may be dated ahead by this much, milliseconds: clocks differ. */
const aheadMs = 300_000;

/** Signature of a document as bytes (RFC 9580 §5.2.1); git makes no other. */
const binaryDocument = 0;

/**
 * @param nowMs when the signer's key must be valid, beside when it signed; undefined: then only
 * @returns who signed: the first user id and the fingerprint. Throws GitProblem with why it is no good signature.
 */
export async function verifyOpenPgp(
  armored: string,
  signed: Buffer,
  blocks: readonly string[],
  nowMs: number | undefined,
): Promise<string> {
  const keys = await readAllKeys(blocks);
  const signature = await readSignature({ armoredSignature: armored }).catch(() => {
    throw new GitProblem('the OpenPGP signature is not well formed');
  });
  const { keyId, createdMs } = factsOf(signature);
  const key = keys.find((one) => one.getKeys(keyId).length > 0);
  if (key === undefined)
    throw new GitProblem(`it is signed by an OpenPGP key (${keyId.toHex()}) that is not among allowedSigners`);
  const date = new Date(nowMs === undefined ? createdMs : Math.max(nowMs, Math.min(createdMs, nowMs + aheadMs)));
  const message = await createMessage({ binary: new Uint8Array(signed) });
  try {
    const { signatures } = await verify({ message, signature, verificationKeys: key, date, format: 'binary' });
    const [only, more] = signatures;
    if (only === undefined || more !== undefined) throw new GitProblem('the OpenPGP signature is not exactly one');
    await only.verified;
    await key.getSigningKey(keyId, date);
  } catch (error) {
    if (error instanceof GitProblem) throw error;
    throw new GitProblem(`its OpenPGP signature is not good (${error instanceof Error ? error.message : 'unknown'})`);
  }
  return `${key.getUserIDs()[0] ?? ''} ${key.getFingerprint()}`.trim();
}

async function readAllKeys(blocks: readonly string[]): Promise<PublicKey[]> {
  const keys = await Promise.all(blocks.map((armoredKeys) => readKeys({ armoredKeys }))).catch(() => {
    throw new GitProblem('an OpenPGP key of allowedSigners cannot be read');
  });
  const all = keys.flat();
  if (all.some((key) => key.isPrivate()))
    throw new GitProblem('allowedSigners has a private OpenPGP key: it must not be there');
  return all as PublicKey[];
}

function factsOf({ packets }: Signature) {
  const [packet, more] = packets;
  if (packet === undefined || more !== undefined) throw new GitProblem('the OpenPGP signature is not exactly one');
  if (packet.signatureType !== binaryDocument) throw new GitProblem('the OpenPGP signature is not one of a document');
  return { keyId: packet.issuerKeyID, createdMs: packet.created?.getTime() ?? 0 };
}
