/** What every `sallyport policy` command works on: the policies of a folder, the models that they speak of, and their cases. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Config, shownPath } from '../../config.ts';
import { askedOf, formatOfRequest, readRequest } from '../../exchange/formats.ts';
import { paced } from '../../exchange/pace.ts';
import { filterProblems, readFilters } from '../../gateway/filters.ts';
import { namesIn, resolveDetectors } from '../../gateway/parts.ts';
import type { Filters } from '../../guard/guard.ts';
import { type Bodies, createBodies } from '../../mask/bodies.ts';
import type { Model } from '../../models/model.ts';
import type { CaseWorld, ReadRequest } from '../../policy/cases/run.ts';
import { type CaseRequest, type CasesFile, casesFile } from '../../policy/cases/schema.ts';
import type { PolicySet } from '../../policy/decision.ts';
import { type CompiledPolicies, loadPolicies } from '../../policy/load.ts';
import { formatProblem, type Problem } from '../../policy/problem.ts';
import { readYaml } from '../../strict-yaml.ts';
import { CliError, exitCodes, type Io } from '../cli.ts';
import { type ConfigOption, configOf } from '../config-option.ts';
import { modelsOf } from '../models-file.ts';

export interface Workspace {
  readonly config: Config;
  readonly models: readonly Model[];
  /** Folder of the policies, absolute. */
  readonly dir: string;
  readonly loaded: CompiledPolicies;
  /** Content filters of the configuration; undefined: there are none. */
  readonly filters: Filters | undefined;
}

/** Loads the configuration, the models and the policies of `dir` (default: the configuration's). Throws CliError for the first two. */
export async function openWorkspace(dir: string | undefined, options: ConfigOption, io: Io): Promise<Workspace> {
  const config = configOf(options, io);
  const models = await modelsOf(config);
  const folder = dir === undefined ? config.policies.dir : resolve(dir);
  const loaded = await loadPolicies({
    dir: folder,
    models,
    resolveDetectors,
    evaluationBudget: config.policies.evaluationBudget,
    ...namesIn(config),
  });
  return { config, models, dir: folder, loaded, filters: await filtersOf(config) };
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
      'Correct them and run this again; docs/policies.md has an example.',
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
export function caseWorld({ models, config, filters }: Workspace, set: PolicySet): CaseWorld {
  const detect = resolveDetectors(config.record.detect);
  const bodies = createBodies(detect.ok ? detect.ids : []);
  return {
    set,
    models,
    expand: (names) => {
      const resolved = resolveDetectors(names);
      return resolved.ok ? resolved.ids : undefined;
    },
    read: (request, model) => readAsTheGate({ bodies, filters }, request, model),
  };
}

interface Reader {
  readonly bodies: Bodies;
  readonly filters: Filters | undefined;
}

async function readAsTheGate({ bodies, filters }: Reader, request: CaseRequest, model: Model): Promise<ReadRequest> {
  const { method = 'POST', path = '/v1/chat/completions', headers = {} } = request;
  const place = path.split('?', 1)[0]!;
  const asked = request.format === undefined ? formatOfRequest(method, place) : askedOf(request.format, method, place);
  if (asked === undefined) return { ok: false, message: `no API has ${method} ${path}` };
  const bytes = Buffer.from(JSON.stringify(bodyOf(request, model)));
  const media = {
    contentType: headers['content-type'] ?? 'application/json',
    contentEncoding: headers['content-encoding'],
  };
  const read = await readRequest(asked, media, bytes);
  if (!read.ok) return { ok: false, message: `${read.code}: ${read.message}` };
  const { findings } = await bodies.request(asked.format.id, bytes);
  return { ok: true, facts: read.value, findings, filters: await countFilters(filters, read.value.text) };
}

export const countFilters = async (filters: Filters | undefined, text: string): Promise<ReadonlyMap<string, number>> =>
  filters === undefined ? new Map() : await paced(filters.count(text));

/** The smallest chat where nothing else is said. A body that is an object and names no model gets the case's. */
function bodyOf({ body }: CaseRequest, { name }: Model): unknown {
  if (body === undefined) return { model: name, messages: [{ role: 'user', content: 'Hello' }] };
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  return isObject && !('model' in body) ? { model: name, ...body } : body;
}
