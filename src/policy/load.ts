import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Model } from '../models/model.ts';
import { Budget } from './budget.ts';
import { CelCompiler } from './cel.ts';
import type { PolicySet } from './decision.ts';
import { type LocatedPolicy, type PolicyFile, readPolicies } from './document.ts';
import type { RuleKind } from './fields.ts';
import { readPolicyFiles } from './files.ts';
import { detectedInResponses, problemWithFinding } from './finding-names.ts';
import { type Compilers, SharedCompiler, variablesClass } from './policy-variables.ts';
import { didYouMean, type Problem } from './problem.ts';
import { type CompiledPolicy, categoryNames, compilePolicy, type DetectorResolver } from './rules.ts';
import { createPolicySet } from './set.ts';
import type { Sliced } from './yaml.ts';

export interface LoadOptions {
  readonly resolveDetectors: DetectorResolver;
  /** Models that rules may name. */
  readonly models: readonly Model[];
  /** Names of content filters and of guards that rules may name; none by default. */
  readonly filters?: readonly string[];
  readonly guards?: readonly string[];
  /**
   * Ids of the detectors whose matches are counted (`record.detect`): a rule that asks for another by name is refused, as it would
   * never match. Default: all.
   */
  readonly detected?: readonly string[] | undefined;
  /** What `caller.provider` and `caller.team` can be; left out: anything. */
  readonly providers?: readonly string[];
  readonly teams?: readonly string[];
  /** What one evaluation may cost, see Budget. */
  readonly evaluationBudget: number;
  /** Git commit that the files come from. */
  readonly commit?: string | undefined;
}

export type LoadedPolicies =
  | { readonly ok: true; readonly set: PolicySet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** A set with what it was made of, for reviewPolicies. */
export type CompiledPolicies =
  | Extract<LoadedPolicies, { ok: false }>
  | ({ readonly ok: true; readonly set: PolicySet } & Compiled);

export interface Compiled {
  readonly policies: readonly CompiledPolicy[];
  /** What their expressions spend from. */
  readonly budget: Budget;
}

const maxSetBytes = 16 * 1024 * 1024;
const maxSetRules = 10_000;
/** One slice, in milliseconds; the steps of it take a tenth of that each. */
const sliceMs = 0.5;
/** A turn of the event loop that took longer had something else to do, milliseconds. */
const idleTurnMs = 0.1;
/** Turns that others get between two slices, while they have something to do. */
const othersTurns = 4;

/** Reads and compiles the policies of a folder. All problems of all files are reported, not the first. */
export async function loadPolicies(options: LoadOptions & { readonly dir: string }): Promise<CompiledPolicies> {
  const read = await readPolicyFiles(options.dir);
  return read.ok ? compileInSlices(read.files, options) : { ok: false, problems: [read.problem] };
}

/** Compiles policies that were read before, in slices, so that requests are answered meanwhile. */
export async function compileInSlices(files: readonly PolicyFile[], options: LoadOptions): Promise<CompiledPolicies> {
  const work = compile(files, options);
  for (;;) {
    const until = performance.now() + sliceMs;
    do {
      const step = work.next();
      if (step.done) return step.value;
    } while (performance.now() < until);
    await turnOfOthers();
  }
}

/**
 * A request takes a handful of turns from its first byte to its answer: a slice in each of them would add up to more than
 * one slice. An idle event loop costs a turn.
 */
async function turnOfOthers(): Promise<void> {
  for (let turn = 0; turn < othersTurns; turn += 1) {
    const began = performance.now();
    await nextTurn();
    if (performance.now() - began < idleTurnMs) return;
  }
}

/** The same at once, for commands and tests: nobody waits for the event loop. */
export function compilePolicies(files: readonly PolicyFile[], options: LoadOptions): CompiledPolicies {
  const work = compile(files, options);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

function* compile(files: readonly PolicyFile[], options: LoadOptions): Sliced<CompiledPolicies> {
  const whole = (message: string): CompiledPolicies => ({
    ok: false,
    problems: [{ file: '.', line: 1, column: 1, message }],
  });
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (sorted.reduce((sum, { text }) => sum + text.length, 0) > maxSetBytes)
    return whole(`the policies are larger than ${maxSetBytes / 1024 / 1024} MiB together`);
  const problems: Problem[] = [];
  const sources: LocatedPolicy[] = [];
  for (const file of sorted) {
    const read = yield* readPolicies(file);
    problems.push(...read.problems);
    sources.push(...read.policies);
    yield;
  }
  if (sources.reduce((sum, { document }) => sum + document.spec.rules.length, 0) > maxSetRules)
    return whole(`there are more than ${maxSetRules} rules`);
  const budget = new Budget(options.evaluationBudget);
  const context = {
    ...options,
    variables: variablesClass(budget),
    compilers: yield* compilersOf(budget, options, sources),
  };
  const names = new Map<string, string>();
  const policies: CompiledPolicy[] = [];
  for (const source of sources) {
    const { name } = source.document.metadata;
    const other = names.get(name);
    if (other !== undefined)
      problems.push(source.problem(['metadata', 'name'], `there is a policy "${name}" already, in ${other}`));
    names.set(name, source.file);
    policies.push(yield* compilePolicy(source, context, problems));
  }
  if (problems.length > 0) return { ok: false, problems: problems.sort(byPlace) };
  if (policies.length === 0) return whole('there is no policy: nothing would be allowed');
  const [revision, categories] = [yield* revisionOf(sorted), categoriesOf(options.resolveDetectors)];
  return {
    ok: true,
    policies,
    budget,
    set: createPolicySet({ policies, budget, categories, revision, commit: options.commit }),
  };
}

function* compilersOf(budget: Budget, options: LoadOptions, sources: readonly LocatedPolicy[]): Sliced<Compilers> {
  const { resolveDetectors, detected, filters = [], guards = [], providers, teams } = options;
  const finding = (counted: ReadonlySet<string> | undefined) => (name: string) =>
    problemWithFinding(name, { resolveDetectors, detected: counted });
  const keys = {
    'request.findings': finding(detected && new Set(detected)),
    'response.findings': finding(detected && detectedInResponses(detected, sources, resolveDetectors)),
    'request.filters': (name: string) => problemWithFilter(name, filters),
    'http.headers': problemWithHeader,
  };
  const values = new Map<string, readonly string[]>();
  if (providers !== undefined) values.set('caller.provider', providers);
  if (teams !== undefined) values.set('caller.team', teams);
  const of = (on: RuleKind) => new SharedCompiler(CelCompiler.create({ budget, on, guards, keys, values }));
  const request = of('request');
  yield;
  const response = of('response');
  yield;
  const lifecycle = of('lifecycle');
  yield;
  return { request, response, lifecycle };
}

function categoriesOf(resolve: DetectorResolver): ReadonlyMap<string, readonly string[]> {
  const categories = new Map<string, readonly string[]>();
  for (const category of categoryNames) {
    const resolved = resolve([category]);
    if (resolved.ok) categories.set(category, resolved.ids);
  }
  return categories;
}

function problemWithFilter(name: string, filters: readonly string[]): string | undefined {
  if (filters.includes(name)) return undefined;
  return `there is no content filter "${name}".${didYouMean(name, filters)}`;
}

function problemWithHeader(name: string): string | undefined {
  const lower = name.toLowerCase();
  return name === lower ? undefined : `names of headers are lower case here: "${lower}"`;
}

function* revisionOf(files: readonly PolicyFile[]): Sliced<string> {
  const hash = createHash('sha256');
  for (const { path, text } of files) {
    hash.update(JSON.stringify([path, text])).update('\n');
    yield;
  }
  return `sha256:${hash.digest('hex').slice(0, 16)}`;
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
