import { createHash } from 'node:crypto';
import type { Model } from '../models/model.ts';
import { Budget } from './budget.ts';
import { CelCompiler } from './cel.ts';
import type { PolicySet } from './decision.ts';
import { type PolicyFile, readPolicies } from './document.ts';
import { readPolicyFiles } from './files.ts';
import type { Problem } from './problem.ts';
import { categoryNames, compilePolicy, type DetectorResolver } from './rules.ts';
import { createPolicySet } from './set.ts';

export interface LoadOptions {
  readonly resolveDetectors: DetectorResolver;
  /** Models that rules may name. */
  readonly models: readonly Model[];
  /** What one evaluation may cost, see Budget. */
  readonly evaluationBudget: number;
  /** Git commit that the files come from; undefined: none. */
  readonly commit?: string | undefined;
}

export type LoadedPolicies =
  | { readonly ok: true; readonly set: PolicySet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads and compiles the policies of a folder. All problems of all files are reported, not the first. */
export async function loadPolicies(options: LoadOptions & { readonly dir: string }): Promise<LoadedPolicies> {
  const read = await readPolicyFiles(options.dir);
  return read.ok ? compilePolicies(read.files, options) : { ok: false, problems: [read.problem] };
}

/** Compiles policies that were read before. Pure. */
export function compilePolicies(files: readonly PolicyFile[], options: LoadOptions): LoadedPolicies {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const read = sorted.map(readPolicies);
  const problems = read.flatMap((file) => file.problems);
  const budget = new Budget(options.evaluationBudget);
  const cel = CelCompiler.create(budget, (name) => problemWithFinding(name, options.resolveDetectors));
  const context = { ...options, cel, budget };
  const names = new Map<string, string>();
  const policies = read
    .flatMap((file) => file.policies)
    .map((source) => {
      const { name } = source.document.metadata;
      const other = names.get(name);
      if (other !== undefined)
        problems.push(source.problem(['metadata', 'name'], `there is a policy "${name}" already, in ${other}`));
      names.set(name, source.file);
      return compilePolicy(source, context, problems);
    });
  if (problems.length > 0) return { ok: false, problems: problems.sort(byPlace) };
  if (policies.length === 0)
    return {
      ok: false,
      problems: [{ file: '.', line: 1, column: 1, message: 'there is no policy: nothing would be allowed' }],
    };
  const categories = new Map<string, readonly string[]>();
  for (const category of categoryNames) {
    const resolved = options.resolveDetectors([category]);
    if (resolved.ok) categories.set(category, resolved.ids);
  }
  return {
    ok: true,
    set: createPolicySet({ policies, budget, categories, revision: revisionOf(sorted), commit: options.commit }),
  };
}

/** `"credit_crad" in request.findings` would be false for ever: names that are written out must exist. */
function problemWithFinding(name: string, resolve: DetectorResolver): string | undefined {
  const resolved = resolve([name]);
  if (!resolved.ok) return resolved.problem;
  if (categoryNames.includes(name))
    return resolved.ids.length > 0 ? undefined : `no detector is in category "${name}": it is never found`;
  return resolved.ids.length === 1 && resolved.ids[0] === name
    ? undefined
    : `findings are counted by detector and by category; "${name}" is neither`;
}

function revisionOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256');
  for (const { path, text } of files) hash.update(JSON.stringify([path, text])).update('\n');
  return `sha256:${hash.digest('hex').slice(0, 16)}`;
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
