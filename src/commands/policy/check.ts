/** `sallyport policy check`: everything about the policies that can be found without a request. */
import type { PolicySet, RuleInfo } from '../../policy/decision.ts';
import type { Problem } from '../../policy/problem.ts';
import { reviewPolicies } from '../../policy/review.ts';
import { CliError, examples, exitCodes, type Io, type Program } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { escapeControls } from '../text.ts';
import { type RunCase, runCases } from './run-cases.ts';
import { openWorkspace, problemLines, type Workspace } from './workspace.ts';

interface CheckOptions extends ConfigOption {
  readonly strict?: boolean;
  readonly json?: boolean;
}

/** Something worth a look; `kind` as in reviewPolicies, or `untested`. */
interface Finding extends Problem {
  readonly kind: string;
  readonly about: string;
}

export function addCheck(policy: Program['command'], { io, action }: Program): void {
  withConfig(policy.command('check'))
    .description('check the policies: syntax, types, names, rules that can never matter, rules that no case tries')
    .argument('[dir]', 'folder of the policies (default: policies.dir of the configuration)')
    .option('--strict', 'fail on warnings too')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport policy check', 'sallyport policy check policies --strict'))
    .action(action((dir: string | undefined, options: CheckOptions) => check(dir, options, io)));
}

async function check(dir: string | undefined, options: CheckOptions, io: Io): Promise<number> {
  const workspace = await openWorkspace(dir, options, io);
  const { loaded } = workspace;
  if (!loaded.ok) {
    if (options.json)
      io.stdout.write(`${JSON.stringify({ ok: false, problems: loaded.problems, warnings: [] }, null, 2)}\n`);
    else
      io.stdout.write(
        `${escapeControls(problemLines(workspace.dir, loaded.problems), { keepNewlines: true })}\n\n${counted(loaded.problems.length, 'problem')}.\n`,
      );
    return exitCodes.failed;
  }
  const warnings = [...reviewPolicies(loaded, workspace.models), ...(await untested(workspace, loaded.set))];
  const ok = options.strict !== true || warnings.length === 0;
  const rules = loaded.set.rules();
  if (options.json) {
    const { revision } = loaded.set;
    io.stdout.write(`${JSON.stringify({ ok, revision, rules: rules.length, problems: [], warnings }, null, 2)}\n`);
  } else io.stdout.write(text(workspace, rules, warnings));
  return ok ? exitCodes.ok : exitCodes.failed;
}

/** Rules that match in no case. Cases that cannot be read are said so, as `policy test` does. */
async function untested(workspace: Workspace, set: PolicySet): Promise<Finding[]> {
  const results: readonly RunCase[] = await runCases(workspace, set, undefined).catch((error: unknown) => {
    if (error instanceof CliError) throw error;
    throw new CliError(exitCodes.failed, 'The cases cannot be run.', 'Look at `sallyport policy test`.', error);
  });
  const matched = new Set(
    results.flatMap(({ hits }) =>
      hits.filter(({ error }) => error === undefined).map(({ policy, rule }) => `${policy}/${rule}`),
    ),
  );
  return set
    .rules()
    .filter(({ policy, rule }) => !matched.has(`${policy}/${rule}`))
    .map((rule) => ({
      ...placeOf(rule),
      kind: 'untested',
      about: `${rule.policy}/${rule.rule}`,
      message: 'no case has it match',
    }));
}

function placeOf({ where }: RuleInfo): Omit<Problem, 'message'> {
  const [, file = where, line = '1', column = '1'] = /^(.*):(\d+):(\d+)$/s.exec(where) ?? [];
  return { file, line: Number(line), column: Number(column) };
}

function text(workspace: Workspace, rules: readonly RuleInfo[], warnings: readonly Finding[]): string {
  const lines = problemLines(
    workspace.dir,
    warnings.map((one) => ({ ...one, message: `${one.kind}: ${one.about}: ${one.message}` })),
  );
  const summary = `${counted(rules.length, 'rule')}, no problems, ${counted(warnings.length, 'warning')}.`;
  return escapeControls(`${lines === '' ? '' : `${lines}\n\n`}${summary}\n`, { keepNewlines: true });
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
