/**
 * Brings whatever this project needs and does not find: node_modules (with Node 24 in it) and Envoy. Plain Node 20, no
 * dependencies. The second run finds everything in place, needs no network, and takes a few milliseconds.
 *
 *   node scripts/bootstrap.mjs [--tests]     prints what it found as NAME=value lines
 */
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bringEnvoy, cachedEnvoy, findEnvoy, newest, oldest } from './bootstrap/envoy.mjs';
import { withLock } from './bootstrap/lock.mjs';
import { bringModules, modulesReady, nodePath } from './bootstrap/modules.mjs';
import { Problem } from './bootstrap/problem.mjs';
import { bringPython, cachedPython, presidio, sdks } from './bootstrap/python.mjs';
import { bringRedis, canBringRedis, findRedis } from './bootstrap/redis.mjs';
import { Interrupted } from './bootstrap/run.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {{tests?: boolean}} [options] `tests`: also the oldest supported Envoy, Redis, Python SDKs, and Presidio
 * @returns {Promise<{node: string, env: NodeJS.ProcessEnv, skipped: string[]}>} Node 24, the environment for what runs
 *   next, and the reasons for parts that tests will do without
 */
export async function bootstrap({ tests = false } = {}) {
  if (Number(process.versions.node.split('.')[0]) < 20)
    throw new Problem(`This is Node ${process.versions.node}.`, 'Install Node.js 20 or newer.');
  const locked = (work) => withLock(join(root, '.cache', 'bootstrap.lock'), work);

  if (!modulesReady(root)) await locked(async () => modulesReady(root) || bringModules(root));
  const found = await findEnvoy(root, process.env);
  const envoy = found ?? (await locked(() => cachedEnvoy(root, newest) ?? bringEnvoy(root, newest)));

  const env = { ...process.env, ENVOY_BIN: envoy };
  const skipped = [];
  for (const part of tests ? testParts(env) : []) {
    try {
      env[part.variable] = (await part.find()) ?? (await locked(async () => (await part.find()) ?? part.bring()));
    } catch (error) {
      const isAskedFor = env[part.variable] || (part.isPinned && env['CI'] === 'true');
      if (!(error instanceof Problem) || isAskedFor) throw error;
      skipped.push(`${part.tests}: ${error.message}`);
    }
  }
  return { node: nodePath(root), env, skipped };
}

/**
 * What only tests need. Where it cannot be brought they do without; a CI run fails, if there is one to bring for its system.
 * `find` throws for what the environment names and is no good.
 */
const testParts = (env) => [
  {
    variable: 'ENVOY_BIN_OLDEST',
    tests: `tests with the oldest supported Envoy, ${oldest}`,
    isPinned: true,
    find: async () => env['ENVOY_BIN_OLDEST'] || cachedEnvoy(root, oldest),
    bring: () => bringEnvoy(root, oldest),
  },
  {
    variable: 'REDIS_SERVER_BIN',
    tests: 'tests with Redis',
    isPinned: canBringRedis(),
    find: () => findRedis(root, env),
    bring: () => bringRedis(root),
  },
  {
    variable: 'SALLYPORT_TEST_PYTHONPATH',
    tests: 'tests of the Python snippets in docs/identity.md',
    isPinned: true,
    find: async () => env['SALLYPORT_TEST_PYTHONPATH'] || cachedPython(root, sdks),
    bring: () => bringPython(root, sdks),
  },
  {
    variable: 'SALLYPORT_TEST_PRESIDIO',
    tests: "tests with Presidio's analyzer",
    isPinned: true,
    find: async () => env['SALLYPORT_TEST_PRESIDIO'] || cachedPython(root, presidio),
    bring: () => bringPython(root, presidio),
  },
];

/**
 * Runs a script's main function; a missing part becomes one clear message, and Ctrl-C one line.
 * @param {() => Promise<number>} run returns the exit code
 */
export async function main(run) {
  try {
    process.exitCode = await run();
  } catch (error) {
    if (error instanceof Interrupted) {
      process.stderr.write('Stopped; run it again to go on.\n');
      process.exitCode = error.exitCode;
      return;
    }
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`\n${error.print()}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main(async () => {
    const { node, env, skipped } = await bootstrap({ tests: process.argv.includes('--tests') });
    process.stdout.write(`NODE=${node}\nENVOY_BIN=${env.ENVOY_BIN}\n`);
    for (const name of ['ENVOY_BIN_OLDEST', 'REDIS_SERVER_BIN', 'SALLYPORT_TEST_PYTHONPATH', 'SALLYPORT_TEST_PRESIDIO'])
      if (env[name]) process.stdout.write(`${name}=${env[name]}\n`);
    for (const reason of skipped) process.stderr.write(`  - without ${reason}\n`);
    return 0;
  });
