import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { capture } from './run.mjs';

/** What the Python snippets of docs/identity.md are tested with: exact versions of everything. */
const requirements = (root) => join(root, 'test', 'fixtures', 'python', 'requirements.txt');

const elsewhere = 'or set SALLYPORT_TEST_PYTHONPATH to a folder that has them';

/** A folder for PYTHONPATH, one for each list and each Python. */
async function folderOf(root) {
  const { code, output, missing } = await capture('python3', ['-c', 'import sys; print(sys.implementation.cache_tag)']);
  if (missing || code !== 0)
    throw new Problem('There is no python3 here, whose SDKs are tested.', `Install Python 3 with pip, ${elsewhere}.`);
  const list = createHash('sha256')
    .update(readFileSync(requirements(root)))
    .digest('hex')
    .slice(0, 16);
  return join(root, '.cache', 'python', `${output.trim()}-${arch()}-${list}`);
}

/** The folder, if it has been brought. */
export async function cachedPython(root) {
  const folder = await folderOf(root);
  return existsSync(folder) ? folder : undefined;
}

/** Brings the packages with pip. Throws Problem. */
export async function bringPython(root) {
  const folder = await folderOf(root);
  return step('Installing the Python SDKs for tests (about 15 s, once)', 'Python SDKs', async () => {
    const parent = dirname(folder);
    mkdirSync(parent, { recursive: true });
    // We hold the setup's lock: whatever a killed run left behind is nobody's.
    for (const name of readdirSync(parent))
      if (name.startsWith('.tmp-')) rmSync(join(parent, name), { recursive: true });
    const work = mkdtempSync(join(parent, '.tmp-'));
    const args = ['--no-deps', '--only-binary=:all:', '--no-input', '--retries=2', '--disable-pip-version-check', '-q'];
    const result = await capture('python3', ['-m', 'pip', 'install', ...args, '-r', requirements(root), '-t', work]);
    if (result.code !== 0) {
      rmSync(work, { recursive: true, force: true });
      throw new Problem(
        'pip could not bring the Python SDKs that the tests use.',
        `See what it says below; pip and its package index are needed once, ${elsewhere}.`,
        result.output,
      );
    }
    renameSync(work, folder);
    return folder;
  });
}
