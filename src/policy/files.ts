import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyFile } from './document.ts';
import type { Problem } from './problem.ts';

const maxFileBytes = 1_048_576;
const maxFiles = 1000;
const maxDepth = 4;
/** What lives beside the policies and is none: the models, the teams, and the cases of `sallyport policy test`. */
const besides = /^(models|teams)\.ya?ml$|\.cases\.ya?ml$/;

type Read = { readonly ok: true; readonly files: PolicyFile[] } | { readonly ok: false; readonly problem: Problem };

/**
 * Reads every `.yaml` and `.yml` file of a folder. Names that begin with a dot are left out (a Kubernetes ConfigMap keeps
 * its copies there); symbolic links are followed.
 */
export async function readPolicyFiles(dir: string): Promise<Read> {
  const files: PolicyFile[] = [];
  try {
    await readFolder(dir, '', 1, files);
  } catch (error) {
    const detail = error instanceof TooMuch ? error.message : `the policies cannot be read (${codeOf(error)})`;
    return { ok: false, problem: { file: dir, line: 1, column: 1, message: detail } };
  }
  return { ok: true, files };
}

class TooMuch extends Error {}

async function readFolder(dir: string, below: string, depth: number, files: PolicyFile[]): Promise<void> {
  if (depth > maxDepth) throw new TooMuch(`folders are nested deeper than ${maxDepth}`);
  for (const name of (await readdir(dir)).sort()) {
    if (name.startsWith('.')) continue;
    const path = join(dir, name);
    const relative = below === '' ? name : `${below}/${name}`;
    const found = await stat(path);
    if (found.isDirectory()) await readFolder(path, relative, depth + 1, files);
    else if (found.isFile() && /\.ya?ml$/.test(name) && !besides.test(name)) {
      if (found.size > maxFileBytes) throw new TooMuch(`${relative} is longer than ${maxFileBytes} bytes`);
      if (files.length >= maxFiles) throw new TooMuch(`there are more than ${maxFiles} files`);
      files.push({ path: relative, text: await readFile(path, 'utf8') });
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'error';
}
