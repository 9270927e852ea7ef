/**
 * One look at a repository, in a thread of its own (worker.ts): which commit does the ref name, may it be taken, what are its
 * policies. What was read is copied, object by object, into a small repository: from it the gateway can start when this one is
 * out of reach, and verify the signature again.
 */
import fs from 'node:fs';
import git from 'isomorphic-git';
import type { PolicyFile } from '../document.ts';
import { openFetched } from './fetched.ts';
import { policyFiles } from './files.ts';
import type { HttpOptions } from './http.ts';
import { localRefs, localRepository } from './local.ts';
import { type GitObject, header, type Objects, type ObjectType, parentsOf, readHeaders } from './objects.ts';
import { GitProblem } from './problem.ts';
import { type TagThatCounts, verifyChain } from './signature.ts';
import { openStored } from './stored.ts';
import { type Advertisement, fetchPack, listRefs } from './upload-pack.ts';

export interface Job {
  /** `kept`: not the repository, but what was copied of it; `tip` is what its ref named. */
  readonly from:
    | { readonly kind: 'repository' }
    | { readonly kind: 'kept'; readonly gitdir: string; readonly tip: string };
  readonly url: string;
  readonly ref: string;
  readonly path: string;
  readonly maxBytes: number;
  readonly credential: HttpOptions['credential'];
  readonly ca: string | undefined;
  /** Text of the file of those who may sign; undefined: nothing need be signed. */
  readonly signers: string | undefined;
  readonly allowRewind: boolean;
  /** What the ref named at the last look; the same again needs no second one. */
  readonly knownTip: string | undefined;
  /** Commit that a new one must follow from. */
  readonly inForce: string | undefined;
  readonly nowMs: number;
  /** Folder for the copy of what was read, which does not exist yet. */
  readonly copy: string;
}

export type Look =
  | { readonly kind: 'same' }
  | {
      readonly kind: 'found';
      /** What the ref names: a commit, or a tag. */
      readonly tip: string;
      readonly commit: string;
      readonly files: readonly PolicyFile[];
      /** Who signed, or empty. */
      readonly by: string;
      readonly notes: readonly string[];
    }
  /** `tip`: what the ref names, where that is known and what is wrong lies in it, not on the way. */
  | {
      readonly kind: 'failed';
      readonly message: string;
      readonly file: string | undefined;
      readonly tip: string | undefined;
    };

/** How much history is fetched to find the commit in force; one after the other, each anew. */
const depths = [50, 1_000, 20_000];
const maxTags = 5;
const maxWalked = 100_000;

export async function look(job: Job): Promise<Look> {
  let tip: string | undefined;
  try {
    const repository = await openRepository(job);
    if (repository.tip === job.knownTip) return { kind: 'same' };
    const history = await repository.objects(1);
    tip = repository.tip;
    return await lookAt(job, repository, history);
  } catch (error) {
    const known = error instanceof GitProblem;
    const message = known
      ? error.message
      : `the repository cannot be read (${error instanceof Error ? error.message : 'unknown'})`;
    return { kind: 'failed', message, file: known ? error.file : undefined, tip };
  }
}

interface Repository {
  readonly tip: string;
  /** Which signed tag says that this is what the ref stands for. */
  readonly tag: TagThatCounts;
  /** The objects, with so many generations of history. */
  objects(depth: number): Promise<Objects>;
}

async function lookAt(job: Job, repository: Repository, objects: Objects): Promise<Look> {
  const { tip, tag } = repository;
  const read: Map<string, GitObject> = new Map();
  const kept: Objects = {
    find: objects.find,
    read: async (oid) => {
      const found = await objects.read(oid);
      read.set(oid, found);
      return found;
    },
  };
  const { chain, commit } = await peel(kept, tip);
  const isKept = job.from.kind === 'kept';
  const by =
    job.signers === undefined
      ? ''
      : await verifyChain(chain, tag, { signers: job.signers, nowMs: isKept ? undefined : job.nowMs });
  const notes = isKept ? [] : await followed(job, repository, commit);
  const root = header(readHeaders(chain.at(-1)!), 'tree');
  const files = await policyFiles(kept, root, job.path);
  if (!isKept) await copyTo(job.copy, read);
  return { kind: 'found', tip, commit, files, by: by === '' ? '' : `signed by ${by}`, notes };
}

/** The tags on the way to the commit, and the commit. */
async function peel(objects: Objects, tip: string): Promise<{ chain: GitObject[]; commit: string }> {
  const chain: GitObject[] = [];
  let oid = tip;
  for (;;) {
    const object = await objects.read(oid);
    chain.push(object);
    if (object.type === 'commit') return { chain, commit: oid };
    if (object.type !== 'tag' || chain.length > maxTags) throw new GitProblem('policies.git.ref names no commit');
    oid = header(readHeaders(object), 'object');
  }
}

/** Throws GitProblem for a commit that does not follow from the one in force, unless that may be. */
async function followed(job: Job, repository: Repository, commit: string): Promise<string[]> {
  const { inForce, allowRewind } = job;
  if (inForce === undefined || commit === inForce) return [];
  for (const depth of depths) {
    const found = await descends(await repository.objects(depth), commit, inForce);
    if (found === 'yes') return [];
    if (found === 'no') break;
  }
  const what = `commit ${commit} does not follow from ${inForce}, which is in force: the history was set back or rewritten`;
  if (allowRewind) return [`${what}; it is taken, as policies.git.allowRewind says`];
  throw new GitProblem(`${what} (policies.git.allowRewind takes that)`);
}

/** `unknown`: the copy is cut off before the end of the history. */
async function descends(objects: Objects, from: string, ancestor: string): Promise<'yes' | 'no' | 'unknown'> {
  const seen = new Set([from]);
  let isCut = false;
  for (const oid of seen) {
    if (oid === ancestor) return 'yes';
    const object = await objects.find(oid);
    if (object?.type !== 'commit') {
      isCut = true;
      continue;
    }
    for (const parent of parentsOf(readHeaders(object))) seen.add(parent);
    if (seen.size > maxWalked) return 'unknown';
  }
  return isCut ? 'unknown' : 'no';
}

async function openRepository(job: Job): Promise<Repository> {
  const { url, ref, from } = job;
  const wanted = candidates(ref);
  if (from.kind === 'kept') {
    const objects = openStored(from.gitdir, unpackedBytes(job));
    return { tip: from.tip, tag: keptTag(ref), objects: async () => objects };
  }
  if (/^https?:/i.test(url)) return remoteRepository(job, wanted);
  const gitdir = await localRepository(url);
  const { tip, tag } = resolve(ref, await localRefs(gitdir, wanted));
  const objects = openStored(gitdir, unpackedBytes(job));
  return { tip, tag, objects: async () => objects };
}

async function remoteRepository(job: Job, wanted: readonly string[]): Promise<Repository> {
  const options: HttpOptions = {
    url: job.url.replace(/\/+$/, ''),
    credential: job.credential,
    ca: job.ca,
    maxBytes: job.maxBytes,
  };
  const advertised = await listRefs(options);
  const { tip, tag } = resolve(job.ref, new Map([...advertised.refs].filter(([name]) => wanted.includes(name))));
  let last: { readonly depth: number; readonly objects: Objects } | undefined;
  return {
    tip,
    tag,
    objects: async (depth) => {
      if (last === undefined || last.depth < depth)
        last = { depth, objects: await fetched(job, options, advertised, { oid: tip, depth }) };
      return last.objects;
    },
  };
}

/** Text packs to a third or so; what takes more room than this is made to. */
const unpackedBytes = ({ maxBytes }: Job): number => 4 * maxBytes;
const everything: ReadonlySet<ObjectType> = new Set(['commit', 'tree', 'blob', 'tag']);
const history: ReadonlySet<ObjectType> = new Set(['commit', 'tag']);

async function fetched(
  job: Job,
  options: HttpOptions,
  advertised: Advertisement,
  wanted: { readonly oid: string; readonly depth: number },
): Promise<Objects> {
  const pack = await fetchPack(options, advertised, wanted);
  return openFetched(pack, unpackedBytes(job), wanted.depth === 1 ? everything : history);
}

const isOid = (ref: string): boolean => /^[0-9a-f]{40}$/.test(ref);

/** Full names that a ref may stand for. */
const candidates = (ref: string): string[] =>
  ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];

function resolve(ref: string, refs: ReadonlyMap<string, string>): { tip: string; tag: TagThatCounts } {
  if (isOid(ref)) return { tip: ref, tag: 'any' };
  const [first, second] = [...refs];
  if (first === undefined)
    throw new GitProblem(`the repository has no branch and no tag ${JSON.stringify(ref)} (policies.git.ref)`);
  if (second !== undefined)
    throw new GitProblem(
      `${JSON.stringify(ref)} is a branch and a tag: write ${first[0]} or ${second[0]} (policies.git.ref)`,
    );
  const [name, tip] = first;
  return { tip, tag: tagOf(name) };
}

const tags = 'refs/tags/';
const tagOf = (name: string): TagThatCounts => (name.startsWith(tags) ? { named: name.slice(tags.length) } : 'none');

/** Whether a short ref was a branch or a tag is not kept: if what it led to is a tag, it was one. */
function keptTag(ref: string): TagThatCounts {
  if (isOid(ref)) return 'any';
  return ref.startsWith('refs/') ? tagOf(ref) : { named: ref };
}

/** Durable is what the caller makes of it: a copy that is not whole is found out by its hashes. */
async function copyTo(gitdir: string, read: ReadonlyMap<string, GitObject>): Promise<void> {
  await git.init({ fs, gitdir, bare: true });
  for (const [oid, { type, bytes }] of read) {
    const written = await git.writeObject({ fs, gitdir, type, object: bytes, format: 'content' });
    if (written !== oid) throw new GitProblem(`object ${oid} was not copied`);
  }
}
