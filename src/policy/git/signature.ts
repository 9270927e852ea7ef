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
 * Which signed tags count: the one with this name, as the ref is a tag; any, as `policies.git.ref` is the id of an object, which
 * nobody can move; none, as the ref is a branch or something else.
 */
export type TagThatCounts = { readonly named: string } | 'any' | 'none';

/**
 * A signed tag says that what it names is what its own name stands for. So it counts only where the ref leads to it first, under
 * that name: wrapped in an unsigned tag it would vouch for a name that its signer never gave. A signed commit vouches for
 * itself, with one tag before it at most.
 *
 * @param chain the tags that the ref leads through, if any, and then the commit
 * @returns who signed. Throws GitProblem with why nothing here is signed well.
 */
export async function verifyChain(
  chain: readonly GitObject[],
  tag: TagThatCounts,
  options: VerifyOptions,
): Promise<string> {
  const [outer, inner] = chain;
  if (outer?.type === 'commit') return verifyOne(outer, options);
  try {
    return await verifyTag(outer, tag, options);
  } catch (error) {
    if (!(error instanceof GitProblem)) throw error;
    const isUnsigned = error.message === unsigned;
    if (chain.length > 2 && isUnsigned)
      throw new GitProblem('a tag of a tag counts only where the outer one is signed, under the name of the ref');
    if (inner?.type !== 'commit') throw error;
    return verifyOne(inner, options).catch((other: unknown) => {
      // A signature that is there and not good says more than one that is missing.
      throw isUnsigned ? other : error;
    });
  }
}

async function verifyTag(object: GitObject | undefined, tag: TagThatCounts, options: VerifyOptions): Promise<string> {
  if (object === undefined || signatureOf(object) === undefined) throw new GitProblem(unsigned);
  if (tag === 'none') throw new GitProblem('a signed tag counts only where policies.git.ref names a tag');
  if (tag !== 'any' && header(readHeaders(object), 'tag') !== tag.named)
    throw new GitProblem('the tag was signed under another name');
  return verifyOne(object, options);
}

const unsigned = 'it is not signed, and policies.git.requireSigned asks for that';

function signatureOf(object: GitObject): Signed | undefined {
  const headed = readHeaders(object);
  return object.type === 'tag' ? signedTag(headed) : signedCommit(headed);
}

async function verifyOne(object: GitObject, { signers, nowMs }: VerifyOptions): Promise<string> {
  const signed = signatureOf(object);
  if (signed === undefined) throw new GitProblem(unsigned);
  const { ssh, openpgp } = readSigners(signers);
  if (isSshSignature(signed.signature)) {
    const saidAt = secondsOf(header(readHeaders(object), object.type === 'tag' ? 'tagger' : 'committer'));
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
