import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foreground } from './run.mjs';

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */

/**
 * Runs vitest, both projects unless the arguments say otherwise. A run that ends badly without a failed test (a file that
 * does not load, an unhandled error) or that finds no test counts as one failure.
 * @param {{root: string, node: string, env: NodeJS.ProcessEnv, args: readonly string[]}} options
 * @returns {Promise<Counts>}
 */
export async function runTests({ root, node, env, args }) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tests-'));
  const file = join(folder, 'results.json');
  try {
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const code = await foreground(node, [vitest, 'run', ...reporters, ...args], {
      cwd: root,
      env: { ...env, NODE_ENV: 'test' },
    });
    return counts(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns {Counts} */
function counts(results, code) {
  const passed = results?.numPassedTests ?? 0;
  const failed = results?.numFailedTests ?? 0;
  const skipped = (results?.numPendingTests ?? 0) + (results?.numTodoTests ?? 0);
  const silentFailure = failed === 0 && (code !== 0 || passed === 0);
  if (silentFailure)
    process.stderr.write(`The run failed without a failed test (vitest ended with ${code}, ${passed} tests passed).\n`);
  return { passed, failed: silentFailure ? 1 : failed, skipped };
}

/**
 * @param {Counts} counts
 * @returns {string} the closing line
 */
export const closingLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;
