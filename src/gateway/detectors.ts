/** The detectors in force: those that are built in, and those of the configuration. */
import { readFile } from 'node:fs/promises';
import { type Config, shownPath } from '../config.ts';
import type { Detector } from '../detect/detector.ts';
import { ownDetectors } from '../detect/own.ts';
import { detectors as builtIn, categories, selectDetectors, UnknownDetectorError } from '../detect/registry.ts';
import type { DetectorResolver } from '../policy/rules.ts';
import type { ReadSecret } from './secrets.ts';

export interface KnownDetectors {
  /** Where two match the same characters, the earlier one wins: what a user wrote comes first. */
  readonly all: readonly Detector[];
  /** Those that need an analyzer. Each is meant by itself only, not by `all` or a category. */
  readonly names: readonly string[];
  readonly resolve: DetectorResolver;
}

export type OpenedDetectors =
  | { readonly ok: true; readonly detectors: KnownDetectors }
  /** `problems`: a line each, with the path in the configuration. */
  | { readonly ok: false; readonly problems: string };

/** Reads what the definitions name, and compiles each. Changes come into force at the next start. */
export async function openDetectors(
  { detectors, names: analyzer, file }: Pick<Config, 'detectors' | 'names' | 'file'>,
  read: ReadSecret,
): Promise<OpenedDetectors> {
  const names = analyzer?.entities.map((entity) => entity.toLowerCase()) ?? [];
  const taken = new Set(['all', ...categories, ...builtIn.map(({ id }) => id), ...names]);
  const own = await ownDetectors(detectors, taken, {
    file: readList,
    key: async ({ keyFile, keyEnv }) => Buffer.from(await read({ file: keyFile, env: keyEnv }), 'utf8'),
  });
  if (own.ok) return { ok: true, detectors: knownDetectors([...own.detectors, ...builtIn], names) };
  const lines = own.problems.map(({ path, message }) => `  ${shownPath(file)} ${path}: ${message}`);
  return { ok: false, problems: lines.join('\n') };
}

/** What names mean among these detectors. */
export function knownDetectors(all: readonly Detector[], names: readonly string[] = []): KnownDetectors {
  const resolve: DetectorResolver = (asked) => {
    try {
      const selected = selectDetectors(
        asked.filter((name) => !names.includes(name)),
        all,
      );
      return { ok: true, ids: [...selected.map(({ id }) => id), ...names.filter((name) => asked.includes(name))] };
    } catch (error) {
      if (!(error instanceof UnknownDetectorError)) throw error;
      return { ok: false, problem: error.message };
    }
  };
  return { all, names, resolve };
}

/** Those that are built in. */
export const builtInDetectors: KnownDetectors = knownDetectors(builtIn);

/** Rejects with what is wrong with the file. */
async function readList(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${shownPath(path)} cannot be read (${code === 'ENOENT' ? 'it is not there' : code})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${shownPath(path)} is not UTF-8`);
  }
}
