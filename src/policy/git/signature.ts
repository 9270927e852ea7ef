/** Whether a commit, or the annotated tag that leads to it, bears a good signature (gitformat-signature(5)). */

import type { GitObject } from './objects.ts';
import { type Headed, header, readHeaders, secondsOf } from './objects.ts';
import { isOpenPgpSignature, verifyOpenPgp } from './openpgp.ts';
import { GitProblem } from './problem.ts';
import { readSigners } from './signers.ts';
import { isSshSignature, verifySsh } from './sshsig.ts';

interface Signed {
  readonly signature: string;
  /** The bytes that it is over: the object without it. */
  readonly over: Buffer;
}

export interface VerifyOptions {
  /** Text of the file of those who may sign. */
  readonly signers: string;
  /**
   * Epoch milliseconds at which the signer's key must be valid, beside the time that the commit or tag names; undefined for
   * what was verified before: a key that ends later ends nothing that it signed.
   */
  readonly nowMs: number | undefined;
}

/**
 * @param chain the tags that the ref leads through, if any, and then the commit: one good signature is enough, as each names
 * the next by its hash
 * @param tagName name of the ref where it is a tag: a signed tag vouches for its own name only
 * @returns who signed. Throws GitProblem with why nothing here is signed well.
 */
export async function verifyChain(
  chain: readonly GitObject[],
  tagName: string | undefined,
  options: VerifyOptions,
): Promise<string> {
  let first: GitProblem | undefined;
  for (const [index, object] of chain.entries()) {
    try {
      return await verifyOne(object, index === 0 ? tagName : undefined, options);
    } catch (error) {
      if (!(error instanceof GitProblem)) throw error;
      // A signature that is there and not good says more than one that is missing.
      if (first === undefined || first.message === unsigned) first = error;
    }
  }
  throw first ?? new GitProblem(unsigned);
}

const unsigned = 'it is not signed, and policies.git.requireSigned asks for that';

async function verifyOne(
  object: GitObject,
  tagName: string | undefined,
  { signers, nowMs }: VerifyOptions,
): Promise<string> {
  const headed = readHeaders(object);
  const isTag = object.type === 'tag';
  const signed = isTag ? signedTag(headed) : signedCommit(headed);
  if (signed === undefined) throw new GitProblem(unsigned);
  if (isTag && tagName !== undefined && header(headed, 'tag') !== tagName)
    throw new GitProblem('the tag was signed under another name');
  const { ssh, openpgp } = readSigners(signers);
  if (isSshSignature(signed.signature)) {
    const saidAt = secondsOf(header(headed, isTag ? 'tagger' : 'committer'));
    return verifySsh(signed.signature, signed.over, ssh, nowMs === undefined ? [saidAt] : [saidAt, nowMs / 1000]);
  }
  if (isOpenPgpSignature(signed.signature)) return verifyOpenPgp(signed.signature, signed.over, openpgp, nowMs);
  throw new GitProblem('it bears a signature of a kind that is not taken (OpenSSH and OpenPGP are)');
}

/** The header `gpgsig`, whatever made it; what is signed is the commit without it. */
function signedCommit(headed: Headed): Signed | undefined {
  const found = headed.headers.filter(({ name }) => name === 'gpgsig');
  if (found.length === 0) return undefined;
  if (found.length > 1) throw new GitProblem('it bears two signatures');
  const text = headed.bytes.toString('latin1', 0, headed.bodyAt);
  // Line by line in Latin-1: bytes stay what they are.
  const kept: string[] = [];
  let isSignature = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith(' ')) isSignature = /^gpgsig(-sha256)? /.test(line);
    if (!isSignature) kept.push(line);
  }
  const over = Buffer.concat([Buffer.from(kept.join('\n'), 'latin1'), headed.bytes.subarray(headed.bodyAt)]);
  return { signature: found[0]?.value ?? '', over };
}

/** At the end of the message; the last place where one begins counts, as for git. */
function signedTag({ bytes, bodyAt }: Headed): Signed | undefined {
  const text = bytes.toString('latin1');
  const at = Math.max(...['PGP', 'SSH'].map((kind) => text.lastIndexOf(`\n-----BEGIN ${kind} SIGNATURE-----`))) + 1;
  if (at < bodyAt) return undefined;
  return { signature: text.slice(at), over: bytes.subarray(0, at) };
}
