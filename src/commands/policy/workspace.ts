/** What every `sallyport policy` command works on: the policies of a folder, the models that they speak of, and their cases. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Config, shownPath } from '../../config.ts';
import type { KnownDetectors } from '../../gateway/detectors.ts';
import { filterProblems, readFilters } from '../../gateway/filters.ts';
import { namesIn } from '../../gateway/parts.ts';
import type { Filters } from '../../guard/guard.ts';
import { createBodies } from '../../mask/bodies.ts';
import type { Model } from '../../models/model.ts';
import type { CaseWorld } from '../../policy/cases/run.ts';
import { type CasesFile, casesFile } from '../../policy/cases/schema.ts';
import type { PolicySet } from '../../policy/decision.ts';
import { type CompiledPolicies, loadPolicies } from '../../policy/load.ts';
import { formatProblem, type Problem } from '../../policy/problem.ts';
import { readYaml } from '../../strict-yaml.ts';
import { CliError, exitCodes, type Io } from '../cli.ts';
import { detectorsOf } from '../config-detectors.ts';
import { type ConfigOption, configOf } from '../config-option.ts';
import { modelsOf } from '../models-file.ts';
import { createGateReader } from './gate-reader.ts';

export interface Workspace {
  readonly config: Config;
  readonly models: readonly Model[];
  /** Folder of the policies, absolute. */
  readonly dir: string;
  readonly loaded: CompiledPolicies;
  readonly detectors: KnownDetectors;
  /** Content filters of the configuration; undefined: there are none. */
  readonly filters: Filters | undefined;
}

/** Loads the configuration, the models and the policies of `dir` (default: the configuration's). Throws CliError for the first two. */
export async function openWorkspace(dir: string | undefined, options: ConfigOption, io: Io): Promise<Workspace> {
  const config = configOf(options, io);
  const models = await modelsOf(config);
  const detectors = await detectorsOf(config, io);
  const folder = dir === undefined ? config.policies.dir : resolve(dir);
  const loaded = await loadPolicies({
    dir: folder,
    models,
    resolveDetectors: detectors.resolve,
    detected: detectedBy(config, detectors),
    evaluationBudget: config.policies.evaluationBudget,
    ...namesIn(config),
  });
  return { config, models, dir: folder, loaded, detectors, filters: await filtersOf(config) };
}

/** Throws CliError for a name in `record.detect` that is no detector's. */
function detectedBy({ file, record }: Config, detectors: KnownDetectors): readonly string[] {
  const resolved = detectors.resolve(record.detect);
  if (resolved.ok) return resolved.ids;
  throw new CliError(
    exitCodes.usage,
    `${shownPath(file)}: record.detect: ${resolved.problem}`,
    'Correct it and run this again; docs/detectors.md lists the names.',
  );
}

async function filtersOf(config: Config): Promise<Filters | undefined> {
  if (config.filters.length === 0) return undefined;
  const read = await readFilters(config);
  if (read.ok) return read.filters;
  throw new CliError(
    exitCodes.usage,
    `The content filters are wrong:\n${filterProblems(config, read.problems)}`,
    'Correct them and run this again; docs/content-checks.md says what may be in them.',
  );
}

/** The set, where it is a good one. Throws CliError that lists every problem. */
export function goodSet({ loaded, dir }: Workspace): PolicySet {
  if (loaded.ok) return loaded.set;
  const count = loaded.problems.length;
  throw new CliError(
    exitCodes.failed,
    `The policies have ${count === 1 ? 'a problem' : `${count} problems`}:\n${problemLines(dir, loaded.problems)}`,
    'Correct them and run this again; docs/policy-reference.md lists what an expression may say.',
  );
}

/** `  file:line:column: message`, a line each; files as they are reached from here. */
export const problemLines = (dir: string, problems: readonly Problem[]): string =>
  problems
    .map((problem) => `  ${formatProblem({ ...problem, file: shownPath(resolve(dir, problem.file)) })}`)
    .join('\n');

export interface CasesOf {
  /** As it is reached from here. */
  readonly file: string;
  readonly content: CasesFile;
}

/** Every `*.cases.yaml` (or `.yml`) below a folder. Throws CliError that lists every problem of every file. */
export async function readCases(dir: string): Promise<readonly CasesOf[]> {
  const found: CasesOf[] = [];
  const problems: string[] = [];
  for (const path of await casesFiles(dir)) {
    const file = shownPath(path);
    const read = readYaml(await readFile(path, 'utf8'), casesFile);
    if (read.ok) found.push({ file, content: read.value });
    else
      for (const { line, column, path: at, message } of read.problems)
        problems.push(`  ${file}:${line}:${column}: ${at === '' ? '' : `${at}: `}${message}`);
  }
  if (problems.length > 0)
    throw new CliError(
      exitCodes.usage,
      `The cases have ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.join('\n')}`,
      'Correct them and run this again; docs/policy-tools.md has an example.',
    );
  return found;
}

async function casesFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(
      exitCodes.usage,
      `The folder ${shownPath(dir)} cannot be read (${error.code}).`,
      'Name another.',
      error,
    );
  });
  return entries
    .filter((entry) => !entry.isDirectory() && /\.cases\.ya?ml$/.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** What cases are run in: requests are read as the gate reads them. */
export function caseWorld({ models, config, filters, detectors }: Workspace, set: PolicySet): CaseWorld {
  // Cases ask no analyzer: they find no names.
  const detected = detectedBy(config, detectors).filter((id) => !detectors.names.includes(id));
  const bodies = createBodies(detected, { known: detectors.all });
  return {
    set,
    models,
    expand: (names) => {
      const resolved = detectors.resolve(names);
      return resolved.ok ? resolved.ids : undefined;
    },
    read: createGateReader({ models, bodies, filters }),
  };
}
