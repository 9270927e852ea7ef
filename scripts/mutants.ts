/**
 * `npm run mutants [-- NAME ...]`: plants the bugs of test/mutations/mutants.ts one at a time, and says which their tests
 * noticed. Ends with 1 where one was not, or where the tests fail without any.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutant, mutants } from '../test/mutations/mutants.ts';

const root = join(import.meta.dirname, '..');
const asked = process.argv.slice(2);
const unknown = asked.find((name) => !mutants.some((mutant) => mutant.name === name));
if (unknown !== undefined) {
  console.error(`There is no mutant ${unknown}. There are: ${mutants.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
const chosen = mutants.filter(({ name }) => asked.length === 0 || asked.includes(name));

/** A bug that is not planted would be one that nobody notices. */
function misplaced({ file, find }: Mutant): boolean {
  return readFileSync(join(root, 'src', file), 'utf8').split(find).length !== 2;
}

interface Results {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

interface Outcome {
  /** Names of the tests that failed; vitest stops at the first. */
  readonly failed: readonly string[];
  readonly ok: boolean;
}

function runTests(mutant: string, tests: readonly string[]): Outcome {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const config = join(root, 'test', 'mutations', 'vitest.config.ts');
  const files = tests.map((test) => join('test', `${test}.test.ts`));
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mutants-'));
  const file = join(folder, 'results.json');
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', ...files, '--config', config, '--reporter=json', `--outputFile.json=${file}`],
    { cwd: root, env: { ...process.env, MUTANT: mutant, NODE_ENV: 'test' }, stdio: 'ignore' },
  );
  const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
  rmSync(folder, { recursive: true });
  const all = results.testResults.flatMap(({ assertionResults }) => assertionResults);
  return { failed: all.filter((test) => test.status === 'failed').map(({ fullName }) => fullName), ok: status === 0 };
}

const clean = runTests('', [...new Set(chosen.flatMap(({ tests }) => tests))]);
if (!clean.ok) {
  console.error(`Without any bug the tests fail: ${clean.failed[0] ?? 'a file does not load'}.`);
  process.exit(1);
}
let noticed = 0;
for (const mutant of chosen) {
  const { name, harm, tests } = mutant;
  // A file that does not load fails no test: then nothing was noticed.
  const caughtBy = misplaced(mutant) ? undefined : runTests(name, tests).failed[0];
  if (caughtBy !== undefined) noticed++;
  console.log(`${caughtBy === undefined ? '✗' : '✓'} ${name.padEnd(28)} ${harm}`);
  console.log(`  ${caughtBy ?? (misplaced(mutant) ? `is not in src/${mutant.file} exactly once` : 'NOBODY NOTICES')}`);
}
console.log(`${noticed} of ${chosen.length} planted bugs noticed`);
process.exitCode = noticed === chosen.length ? 0 : 1;
