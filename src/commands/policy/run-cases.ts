/** Runs the cases beside the policies. */
import { type CaseResult, runCase } from '../../policy/cases/run.ts';
import type { PolicySet } from '../../policy/decision.ts';
import { caseWorld, readCases, type Workspace } from './workspace.ts';

/** A case that was run, and where it is written. */
export interface RunCase extends CaseResult {
  readonly file: string;
  readonly ms: number;
}

/** `only`: those whose file or name has this in it. Throws CliError where a file of cases cannot be read. */
export async function runCases(workspace: Workspace, set: PolicySet, only: string | undefined): Promise<RunCase[]> {
  const world = caseWorld(workspace, set);
  const results: RunCase[] = [];
  for (const { file, content } of await readCases(workspace.dir))
    for (const one of content.cases) {
      if (only !== undefined && !`${file} ${one.name}`.includes(only)) continue;
      const began = performance.now();
      const result = await runCase(one, content.defaults, world);
      results.push({ ...result, file, ms: performance.now() - began });
    }
  return results;
}

/** Of a case that is not as expected: the rules that could not be evaluated, and why. */
export const failedRules = ({ differences, hits }: CaseResult): string[] =>
  differences.length === 0
    ? []
    : hits.flatMap(({ policy, rule, error }) => (error === undefined ? [] : [`${policy}/${rule} failed: ${error}`]));
