/** A repository on this machine, read where it is: from its refs (packed ones, too), its loose objects and its packs. */
import fs from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import git from 'isomorphic-git';
import { GitProblem } from './problem.ts';

/** The folder with the objects of a path or a file:// URL. Throws GitProblem for a repository that cannot be read here. */
export async function localRepository(url: string): Promise<string> {
  let path = url;
  if (/^file:/i.test(url)) {
    try {
      path = fileURLToPath(url);
    } catch {
      throw new GitProblem('policies.git.url is no file:// URL of a path on this machine');
    }
  }
  const gitdir = (await isFolder(join(path, '.git'))) ? join(path, '.git') : path;
  if (await exists(join(path, '.git'), 'file'))
    throw new GitProblem('this is a linked work tree or a submodule: name the repository that it belongs to');
  if (!(await isFolder(join(gitdir, 'objects')))) throw new GitProblem('there is no git repository');
  const config = await readFile(join(gitdir, 'config'), 'utf8').catch(() => '');
  if (/^\s*objectformat\s*=\s*sha256/im.test(config))
    throw new GitProblem('the repository counts in SHA-256 (object-format=sha256), which is not read here');
  if (/^\s*refstorage\s*=\s*reftable/im.test(config))
    throw new GitProblem('the repository keeps its refs in a reftable, which is not read here');
  if (await exists(join(gitdir, 'objects/info/alternates'), 'file'))
    throw new GitProblem(
      'the repository borrows objects from another one (objects/info/alternates), which is not read here',
    );
  return gitdir;
}

/** The refs that could be meant: name → object id. */
export async function localRefs(gitdir: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const refs = new Map<string, string>();
  for (const ref of names) {
    const oid = await git.resolveRef({ fs, gitdir, ref }).catch(() => undefined);
    if (oid !== undefined) refs.set(ref, oid);
  }
  return refs;
}

const isFolder = (path: string): Promise<boolean> => exists(path, 'folder');

function exists(path: string, what: 'file' | 'folder'): Promise<boolean> {
  return stat(path).then(
    (found) => (what === 'file' ? found.isFile() : found.isDirectory()),
    () => false,
  );
}
