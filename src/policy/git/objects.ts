/**
 * Objects of a repository. Whatever index, pack or file (stored.ts, fetched.ts) one comes from, it is what its id says: the hash
 * is worked out here, so that what a signed commit names is what is read.
 */
import { createHash } from 'node:crypto';
import { GitProblem } from './problem.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

export interface GitObject {
  readonly type: ObjectType;
  readonly bytes: Buffer;
}

export interface Objects {
  /** Throws GitProblem for one that is not there, or is not what its id says. */
  read(oid: string): Promise<GitObject>;
  /** undefined where it is not there: a shallow copy ends. */
  find(oid: string): Promise<GitObject | undefined>;
}

/** @param find the object with an id that is well formed, checked; undefined where there is none */
export function objectsOf(find: (oid: string) => Promise<GitObject | undefined>): Objects {
  const findIt = async (oid: string): Promise<GitObject | undefined> => {
    if (!/^[0-9a-f]{40}$/.test(oid)) throw new GitProblem('the repository has an object id that is none');
    return find(oid);
  };
  return {
    find: findIt,
    async read(oid) {
      const found = await findIt(oid);
      if (found === undefined) throw new GitProblem(`object ${oid} is not in the repository`);
      return found;
    },
  };
}

/** SHA-1 of an object as git names it. */
export function oidOf({ type, bytes }: GitObject): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
}

/** The object, if it is what its id says. Throws GitProblem. */
export function checked(oid: string, object: GitObject): GitObject {
  if (oidOf(object) !== oid) throw new GitProblem(`object ${oid} is not what its id says`);
  return object;
}

/** An object that is a text with headers: a commit or a tag (gitformat-signature(5), git-cat-file(1)). */
export interface Headed {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly bytes: Buffer;
  /** Where the message begins, after the empty line. */
  readonly bodyAt: number;
}

/** Throws GitProblem for headers that are not well formed. A value that goes on in lines with a space before them has line ends. */
export function readHeaders({ bytes }: GitObject): Headed {
  const end = bytes.indexOf('\n\n');
  if (end < 0) throw new GitProblem('a commit or tag has no end of its headers');
  const headers: { name: string; value: string }[] = [];
  for (const line of bytes.toString('utf8', 0, end).split('\n')) {
    const last = headers.at(-1);
    if (line.startsWith(' ')) {
      if (last === undefined) throw new GitProblem('a commit or tag begins with a line that goes on');
      last.value += `\n${line.slice(1)}`;
      continue;
    }
    const at = line.indexOf(' ');
    if (at <= 0) throw new GitProblem('a commit or tag has a header without a value');
    headers.push({ name: line.slice(0, at), value: line.slice(at + 1) });
  }
  return { headers, bytes, bodyAt: end + 2 };
}

/** The one header of that name. Throws GitProblem where there is none, or more than one: two readers might take different ones. */
export function header({ headers }: Headed, name: string): string {
  const [found, more] = headers.filter((one) => one.name === name);
  if (found === undefined || more !== undefined) throw new GitProblem(`a commit or tag has not exactly one "${name}"`);
  return found.value;
}

export const parentsOf = ({ headers }: Headed): readonly string[] =>
  headers.filter(({ name }) => name === 'parent').map(({ value }) => value);

/** Epoch seconds of a `committer` or `tagger`: `Name <mail> 1700000000 +0100`. */
export function secondsOf(person: string): number {
  const [, seconds = ''] = / (\d{1,12}) [+-]\d{4}$/.exec(person) ?? [];
  if (seconds === '') throw new GitProblem('a commit or tag has no time');
  return Number(seconds);
}

export interface TreeEntry {
  readonly mode: string;
  readonly name: string;
  readonly oid: string;
}

/** Throws GitProblem for a tree that is not well formed. */
export function readTree({ type, bytes }: GitObject): TreeEntry[] {
  if (type !== 'tree') throw new GitProblem('an object is no tree that should be one');
  const entries: TreeEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const nul = bytes.indexOf(0, space);
    if (space < 0 || nul < 0 || nul + 21 > bytes.length) throw new GitProblem('a tree is cut off');
    const oid = bytes.toString('hex', nul + 1, nul + 21);
    entries.push({
      mode: bytes.toString('latin1', at, space).replace(/^0+/, ''),
      name: bytes.toString('utf8', space + 1, nul),
      oid,
    });
    at = nul + 21;
  }
  return entries;
}
