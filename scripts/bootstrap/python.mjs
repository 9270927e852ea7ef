import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { capture } from './run.mjs';

/**
 * Packages that tests use.
 * @typedef {object} Packages
 * @property {string} what their name, such as `Python SDKs`
 * @property {string} list exact versions of everything, in test/fixtures/python/
 * @property {string} takes how long it takes to install them
 * @property {string} variable names a folder that has them
 */

/** What the Python snippets of docs/identity.md are tested with. */
export const sdks = {
  what: 'Python SDKs',
  list: 'requirements.txt',
  takes: '15 s',
  variable: 'SALLYPORT_TEST_PYTHONPATH',
};

/** Presidio's analyzer, without language models. */
export const presidio = {
  what: 'Presidio',
  list: 'presidio.txt',
  takes: '30 s and 300 MB',
  variable: 'SALLYPORT_TEST_PRESIDIO',
};

const requirements = (root, { list }) => join(root, 'test', 'fixtures', 'python', list);

const elsewhere = ({ variable }) => `or set ${variable} to a folder that has them`;

/** A folder for PYTHONPATH, one for each list and each Python. */
async function folderOf(root, packages) {
  const { code, output, missing } = await capture('python3', ['-c', 'import sys; print(sys.implementation.cache_tag)']);
  if (missing || code !== 0)
    throw new Problem(
      `There is no python3 here, for ${packages.what}.`,
      `Install Python 3 with pip, ${elsewhere(packages)}.`,
    );
  const list = createHash('sha256')
    .update(readFileSync(requirements(root, packages)))
    .digest('hex')
    .slice(0, 16);
  return join(root, '.cache', 'python', `${output.trim()}-${arch()}-${list}`);
}

/**
 * The folder, if it has been brought.
 * @param {string} root
 * @param {Packages} packages
 */
export async function cachedPython(root, packages) {
  const folder = await folderOf(root, packages);
  return existsSync(folder) ? folder : undefined;
}

/**
 * Brings the packages with pip. Throws Problem.
 * @param {string} root
 * @param {Packages} packages
 */
export async function bringPython(root, packages) {
  const { what, takes } = packages;
  const folder = await folderOf(root, packages);
  return step(`Installing ${what} for tests (about ${takes}, once)`, what, async () => {
    const parent = dirname(folder);
    mkdirSync(parent, { recursive: true });
    // We hold the setup's lock: whatever a killed run left behind is nobody's.
    for (const name of readdirSync(parent))
      if (name.startsWith('.tmp-')) rmSync(join(parent, name), { recursive: true });
    const work = mkdtempSync(join(parent, '.tmp-'));
    const args = ['--no-deps', '--only-binary=:all:', '--no-input', '--retries=2', '--disable-pip-version-check', '-q'];
    const result = await capture('python3', [
      '-m',
      'pip',
      'install',
      ...args,
      '-r',
      requirements(root, packages),
      '-t',
      work,
    ]);
    if (result.code !== 0) {
      rmSync(work, { recursive: true, force: true });
      throw new Problem(
        `pip could not bring ${what}, which tests use.`,
        `See what it says below; pip and its package index are needed once, ${elsewhere(packages)}.`,
        result.output,
      );
    }
    renameSync(work, folder);
    return folder;
  });
}
