/** `sallyport policy test`: runs the cases that lie beside the policies. */
import { writeFile } from 'node:fs/promises';
import type { CaseResult } from '../../policy/cases/run.ts';
import type { RuleInfo } from '../../policy/decision.ts';
import { CliError, examples, exitCodes, type Io, type Program, wholeNumber } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { escapeControls } from '../text.ts';
import { junit } from './junit.ts';
import { failedRules, type RunCase, runCases } from './run-cases.ts';
import { goodSet, openWorkspace } from './workspace.ts';

interface TestOptions extends ConfigOption {
  readonly json?: boolean;
  readonly junit?: string;
  readonly only?: string;
  readonly minCoverage?: number;
}

/** Which rules the cases try. */
export interface Coverage {
  readonly rules: number;
  /** Rules that match in a case at least. */
  readonly tried: number;
  /** `policy/rule` of the others. */
  readonly untried: readonly string[];
}

export function addTest(policy: Program['command'], { io, action }: Program): void {
  withConfig(policy.command('test'))
    .description('run the cases beside the policies (*.cases.yaml)')
    .argument('[dir]', 'folder of the policies (default: policies.dir of the configuration)')
    .option('--only <text>', 'cases whose name or file has this in it')
    .option('--min-coverage <percent>', 'fail where fewer rules than this match in a case', wholeNumber(0, 100))
    .option('--junit <file>', 'write a JUnit report for CI')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport policy test', 'sallyport policy test --junit report.xml --min-coverage 80'),
    )
    .action(action((dir: string | undefined, options: TestOptions) => test(dir, options, io)));
}

async function test(dir: string | undefined, options: TestOptions, io: Io): Promise<number> {
  const workspace = await openWorkspace(dir, options, io);
  const set = goodSet(workspace);
  const results = await runCases(workspace, set, options.only);
  if (results.length === 0) throw new CliError(exitCodes.failed, ...nothingToRun(options));
  const coverage = coverageOf(set.rules(), results);
  if (options.junit !== undefined) await writeReport(options.junit, junit(results));
  const failed = results.filter(({ differences }) => differences.length > 0).length;
  const percent = Math.floor((100 * coverage.tried) / Math.max(1, coverage.rules));
  const tooFew = percent < (options.minCoverage ?? 0);
  if (options.json)
    io.stdout.write(`${JSON.stringify({ ok: failed === 0 && !tooFew, failed, coverage, cases: results }, null, 2)}\n`);
  else {
    io.stdout.write(report(results, coverage, percent));
    if (tooFew) io.stderr.write(`Fewer than ${options.minCoverage} % of the rules match in a case.\n`);
  }
  return failed === 0 && !tooFew ? exitCodes.ok : exitCodes.failed;
}

function nothingToRun({ only }: TestOptions): [message: string, remedy: string] {
  return only === undefined
    ? [
        'There are no cases.',
        'Write some beside the policies, in files that end in .cases.yaml; docs/policy-tools.md has an example.',
      ]
    : [`No case has "${only}" in its name or file.`, 'Leave --only out to run all of them.'];
}

async function writeReport(file: string, xml: string): Promise<void> {
  await writeFile(file, xml).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(
      exitCodes.failed,
      `The report ${file} cannot be written (${error.code}).`,
      'Name another file with --junit.',
      error,
    );
  });
}

/** A rule is tried where it matches in a case, without an error. */
export function coverageOf(rules: readonly RuleInfo[], results: readonly CaseResult[]): Coverage {
  const matched = new Set(
    results.flatMap(({ hits }) =>
      hits.filter(({ error }) => error === undefined).map((hit) => `${hit.policy}/${hit.rule}`),
    ),
  );
  const names = rules.map(({ policy, rule }) => `${policy}/${rule}`);
  const untried = names.filter((name) => !matched.has(name));
  return { rules: names.length, tried: names.length - untried.length, untried };
}

function report(results: readonly RunCase[], { untried, rules, tried }: Coverage, percent: number): string {
  const lines: string[] = [];
  let file = '';
  for (const result of results) {
    if (result.file !== file) lines.push(result.file);
    file = result.file;
    lines.push(`  ${result.differences.length === 0 ? '✓' : '✗'} ${result.name}`);
    for (const { what, expected, got } of result.differences) {
      lines.push(`      ${what}`);
      lines.push(`        - expected  ${expected}`);
      lines.push(`        + got       ${got}`);
    }
    lines.push(...failedRules(result).map((line) => `      ${line}`));
  }
  const failed = results.filter(({ differences }) => differences.length > 0).length;
  lines.push(
    '',
    `${results.length - failed} passed, ${failed} failed. ${tried} of ${rules} rules match in a case (${percent} %).`,
  );
  if (untried.length > 0) lines.push(`Never matched: ${untried.join(', ')}`);
  return `${lines.map((line) => escapeControls(line)).join('\n')}\n`;
}
