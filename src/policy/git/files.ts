/** The policy files of a commit. */
import type { PolicyFile } from '../document.ts';
import { isPolicyPath, limits, problemWithName, problemWithPath, textOf } from '../snapshot.ts';
import { type Objects, readTree, type TreeEntry } from './objects.ts';
import { GitProblem } from './problem.ts';

const maxEntries = 10_000;

interface Walk {
  readonly objects: Objects;
  readonly files: PolicyFile[];
  bytes: number;
  entries: number;
}

/** Every policy file below `path` of a tree. Throws GitProblem. */
export async function policyFiles(objects: Objects, tree: string, path: string): Promise<PolicyFile[]> {
  let folder = tree;
  for (const name of path.split('/').filter((part) => part !== '' && part !== '.')) {
    const entry = readTree(await objects.read(folder)).find((one) => one.name === name);
    if (entry === undefined || entry.mode !== '40000')
      throw new GitProblem(`the commit has no folder ${JSON.stringify(path)} (policies.git.path)`);
    folder = entry.oid;
  }
  const walk: Walk = { objects, files: [], bytes: 0, entries: 0 };
  await readFolder(walk, folder, '', 1);
  return walk.files;
}

async function readFolder(walk: Walk, tree: string, below: string, depth: number): Promise<void> {
  const entries = readTree(await walk.objects.read(tree));
  walk.entries += entries.length;
  if (walk.entries > maxEntries) throw new GitProblem(`there are more than ${maxEntries} entries in the folder`);
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith('.')) continue;
    if (entry.mode === '40000') {
      if (depth >= limits.depth) throw new GitProblem(`folders are nested deeper than ${limits.depth}`, path);
      await readFolder(walk, entry.oid, path, depth + 1);
      continue;
    }
    const misnamed = problemWithName(path);
    if (misnamed !== undefined) throw new GitProblem(misnamed, path);
    if (isPolicyPath(path)) await readFile(walk, entry, path);
  }
}

async function readFile(walk: Walk, { mode, oid }: TreeEntry, path: string): Promise<void> {
  // A link's target may lie anywhere; a submodule is another repository.
  if (mode === '120000') throw new GitProblem('is a symbolic link: a commit’s policies must be files', path);
  if (!mode.startsWith('100')) throw new GitProblem('is not a file', path);
  const wrong = problemWithPath(path);
  if (wrong !== undefined) throw new GitProblem(wrong, path);
  if (walk.files.length >= limits.files) throw new GitProblem(`there are more than ${limits.files} files`, path);
  const { type, bytes } = await walk.objects.read(oid);
  if (type !== 'blob') throw new GitProblem('is not a file', path);
  if (bytes.length > limits.fileBytes)
    throw new GitProblem(`has ${bytes.length} bytes; a policy file may have ${limits.fileBytes}`, path);
  walk.bytes += bytes.length;
  if (walk.bytes > limits.totalBytes)
    throw new GitProblem(`the files are longer than ${limits.totalBytes} bytes together, up to this one`, path);
  const text = textOf(bytes);
  if (typeof text !== 'string')
    throw new GitProblem(`is not UTF-8: byte ${text.badByteAt} (counted from 0) is wrong`, path);
  walk.files.push({ path, text });
}
