import { join } from 'node:path';
import { capture } from './run.mjs';

/**
 * The static checks. Each returns undefined when it holds, else what is wrong.
 * @param {{root: string, node: string, env: NodeJS.ProcessEnv}} tools
 * @returns {readonly {name: string, run: () => Promise<string | undefined>}[]}
 */
export function checks({ root, node, env }) {
  const tool = async (args) => {
    const { code, output } = await capture(node, args, {
      cwd: root,
      env: { ...env, NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    return { code, output: output.trim() };
  };
  const bin = (pkg, file) => join(root, 'node_modules', pkg, file);
  const holds = (args) => async () => {
    const { code, output } = await tool(args);
    return code === 0 ? undefined : output || `ended with ${code}`;
  };
  return [
    { name: 'types (tsc)', run: holds([bin('typescript', 'bin/tsc'), '--noEmit', '-p', '.']) },
    {
      name: 'lint and format (biome)',
      run: holds([
        bin('@biomejs/biome', 'bin/biome'),
        'ci',
        '--error-on-warnings',
        '--colors=off',
        '--diagnostic-level=warn',
        '.',
      ]),
    },
    { name: 'import table (dependency-cruiser)', run: () => importTable(tool, bin) },
    { name: 'unused code (knip)', run: holds([bin('knip', 'bin/knip.js'), '--no-progress']) },
    { name: 'generated docs are current', run: holds(['scripts/docs.ts', '--check']) },
  ];
}

/** Holds the import table, and that it looked at something: without its parser dependency-cruiser cruises nothing and is content. */
async function importTable(tool, bin) {
  const { code, output } = await tool([
    bin('dependency-cruiser', 'bin/dependency-cruiser.mjs'),
    'src',
    '--output-type',
    'err',
  ]);
  if (code !== 0) return output || `ended with ${code}`;
  const cruised = /\((\d+) modules?, /.exec(output)?.[1];
  if (cruised === undefined) return `It did not say how many modules it cruised:\n${output}`;
  return Number(cruised) === 0 ? 'It cruised no module at all.' : undefined;
}

/**
 * Runs all checks, one line each on stdout.
 * @returns {Promise<{passed: number, failed: number, skipped: number}>}
 */
export async function runChecks(tools) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, run } of checks(tools)) {
    const problem = await run();
    counts[problem === undefined ? 'passed' : 'failed']++;
    process.stdout.write(problem === undefined ? `  ✓ ${name}\n` : `  ✗ ${name}\n${problem.replace(/^/gm, '    ')}\n`);
  }
  return counts;
}

/** Some of the planted bugs (`npm run mutants` plants all, which takes minutes): quick ones, of several kinds. */
const sample = ['edge-forgotten-at-the-end', 'context-forgotten', 'keeps-all-that-is-asked', 'begun-call-leaves'];

/**
 * Plants them, one line each on stdout.
 * @returns {Promise<{passed: number, failed: number}>}
 */
export async function runMutants({ root, node, env }) {
  const { code, output } = await capture(node, [join(root, 'scripts', 'mutants.ts'), ...sample], { cwd: root, env });
  const passed = sample.filter((name) => output.includes(`✓ ${name}`)).length;
  const failed = sample.length - passed || (code === 0 ? 0 : 1);
  const problem = failed === 0 ? '' : `${output.trim().replace(/^/gm, '    ')}\n`;
  process.stdout.write(
    `  ${failed === 0 ? '✓' : '✗'} planted bugs are noticed (${passed} of ${sample.length})\n${problem}`,
  );
  return { passed, failed };
}
