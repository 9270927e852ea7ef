import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { capture } from './run.mjs';

const stampName = '.sallyport-lock';

/** Node 24, the npm package `node`. */
export const nodePath = (root) => join(root, 'node_modules', 'node', 'bin', 'node');

/** Whether node_modules is what package-lock.json says. Fast: one hash of the lock file. */
export function modulesReady(root) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const modules = join(root, 'node_modules');
  if (!existsSync(nodePath(root))) return false;
  const hash = createHash('sha256').update(lock).digest('hex');
  if (read(join(modules, stampName)) === hash) return true;
  // Installed by hand: npm leaves its own copy of the lock file behind once everything is in place.
  if (!matches(JSON.parse(lock.toString('utf8')), read(join(modules, '.package-lock.json')))) return false;
  stamp(root, hash);
  return true;
}

/** Brings node_modules from the lock file. Throws Problem. */
export async function bringModules(root) {
  const modules = join(root, 'node_modules');
  if (isLink(modules))
    throw new Problem(
      'node_modules is a link and does not hold what package-lock.json asks for.',
      'Run `npm ci` where the link points to, or remove the link to get an own copy.',
    );
  const lockFile = join(root, 'package-lock.json');
  const lockText = readFileSync(lockFile, 'utf8');
  const lock = JSON.parse(lockText);
  await step(
    'Installing node_modules from package-lock.json (a minute or so, once)',
    'node_modules, with Node 24',
    async () => {
      const { command, args, env } = npm(root);
      const run = (...words) => capture(command, [...args, ...words, ...npmOptions], { cwd: root, env });
      let result = await run('ci');
      // What an npm that was killed left half-written, or what another program holds open: npm ci removes it first.
      if (result.code !== 0 && /ENOTEMPTY/.test(result.output)) result = await run('ci');
      if (lacksOtherPlatformsOnly(result, lock)) result = await run('install', '--no-save');
      if (result.missing) throw new Problem('There is no npm here.', 'Install Node.js 20 or newer together with npm.');
      if (result.code !== 0) throw installProblem(result.output);
    },
  );
  const hidden = read(join(modules, '.package-lock.json'));
  const isAsPinned = hidden === undefined || matches(lock, hidden);
  if (!isAsPinned || readFileSync(lockFile, 'utf8') !== lockText)
    throw new Problem(
      'What npm installed is not what package-lock.json pins.',
      'Restore package-lock.json, remove node_modules, and run this again.',
    );
  if (!existsSync(nodePath(root)))
    throw new Problem(
      'npm ci did not bring Node 24 (the package `node`).',
      'Allow install scripts (`npm config get ignore-scripts` must say false), remove node_modules, and run this again.',
    );
  stamp(root, createHash('sha256').update(lockText).digest('hex'));
}

/** A registry that cannot be reached is given up within half a minute. */
const npmOptions = [
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  '--fetch-retry-mintimeout=2000',
  '--fetch-retry-maxtimeout=10000',
];

/**
 * Whether `npm ci` failed only because the lock file does not list builds of native packages for other platforms. npm
 * leaves them out where its registry has none of them, and then refuses its own lock file. Each is pinned all the same: its
 * parent, which the lock file pins, asks for one exact version.
 */
function lacksOtherPlatformsOnly({ code, output }, lock) {
  if (code === 0 || /Invalid: /.test(output)) return false;
  const lacking = [...output.matchAll(/Missing: (@?[^@\s]+)@(\S*) from lock file/g)];
  const builds = new Map(
    Object.values(lock.packages).flatMap(({ optionalDependencies }) => Object.entries(optionalDependencies ?? {})),
  );
  return (
    lacking.length > 0 &&
    lacking.every(([, name, version]) => {
      const pinned = builds.get(name);
      return pinned !== undefined && /^\d/.test(pinned) && (version === '' || version === pinned);
    })
  );
}

function installProblem(output) {
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET|network/i.test(output))
    return new Problem(
      'npm could not reach its registry.',
      'Connect to the network (needed once), or check `npm config get registry`.',
      output,
    );
  if (/EINTEGRITY/.test(output))
    return new Problem(
      'A package is not the one that package-lock.json pins.',
      'Do not go on: find out who changed it.',
      output,
    );
  if (/ENOSPC/.test(output)) return new Problem('The disk is full.', 'node_modules needs about 1 GB.', output);
  return new Problem('npm ci failed.', 'Run `npm ci` by hand to see all of what it says.', output);
}

/** npm as the host has it, not run by the Node 24 inside the node_modules that it is about to replace. */
function npm(root) {
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => !dir.startsWith(join(root, 'node_modules')));
  const env = { ...process.env, PATH: path.join(delimiter) };
  const onPath = path.some((dir) => existsSync(join(dir, 'npm')));
  const execPath = process.env['npm_execpath'];
  if (!onPath && execPath?.endsWith('.js')) return { command: process.execPath, args: [execPath], env };
  return { command: 'npm', args: [], env };
}

/** Whether every package that is not optional is installed in the version of the lock file. */
function matches(lock, hidden) {
  if (hidden === undefined) return false;
  const installed = JSON.parse(hidden).packages ?? {};
  return Object.entries(lock.packages).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' || optional || devOptional || installed[path]?.version === version,
  );
}

function stamp(root, hash) {
  const modules = join(root, 'node_modules');
  if (isLink(modules)) return;
  try {
    writeFileSync(join(modules, stampName), hash);
  } catch (error) {
    if (error.code !== 'EROFS' && error.code !== 'EACCES') throw error;
  }
}

function isLink(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
