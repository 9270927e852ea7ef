/** `sallyport policy diff`: which rules differ between two folders of policies. */
import type { PolicySet, RuleInfo } from '../../policy/decision.ts';
import { examples, exitCodes, type Io, type Program } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { escapeControls } from '../text.ts';
import { goodSet, openWorkspace } from './workspace.ts';

interface DiffOptions extends ConfigOption {
  readonly json?: boolean;
}

/** What differs between two sets of rules. */
export interface RuleDifferences {
  readonly added: readonly RuleInfo[];
  readonly removed: readonly RuleInfo[];
  /** `what`: names of what differs: `effect`, `mode`, `phase`, `when`, or `settings` (anything else of the rule, its variables or its models). */
  readonly changed: readonly {
    readonly before: RuleInfo;
    readonly after: RuleInfo;
    readonly what: readonly string[];
  }[];
}

export function addDiff(policy: Program['command'], { io, action }: Program): void {
  withConfig(policy.command('diff'))
    .description('list the rules that differ between two folders of policies; exit code 1 where any does')
    .argument('<before>', 'folder of policies')
    .argument('[after]', 'the other one (default: policies.dir of the configuration)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport policy diff ../main/policies policies', 'sallyport policy diff old --json'),
    )
    .action(
      action(async (before: string, after: string | undefined, options: DiffOptions) => {
        const old = goodSet(await openWorkspace(before, options, io));
        const now = goodSet(await openWorkspace(after, options, io));
        return print(old, now, options, io);
      }),
    );
}

function print(before: PolicySet, after: PolicySet, { json }: DiffOptions, io: Io): number {
  const differences = differencesOf(before.rules(), after.rules());
  const { added, removed, changed } = differences;
  const same = added.length + removed.length + changed.length === 0;
  const revisions = { before: before.revision, after: after.revision };
  if (json) io.stdout.write(`${JSON.stringify({ same, revisions, ...differences }, null, 2)}\n`);
  else io.stdout.write(text(differences, before.revision === after.revision));
  return same ? exitCodes.ok : exitCodes.failed;
}

export function differencesOf(before: readonly RuleInfo[], after: readonly RuleInfo[]): RuleDifferences {
  const name = ({ policy, rule }: RuleInfo) => `${policy}/${rule}`;
  const old = new Map(before.map((rule) => [name(rule), rule]));
  const now = new Map(after.map((rule) => [name(rule), rule]));
  return {
    added: after.filter((rule) => !old.has(name(rule))),
    removed: before.filter((rule) => !now.has(name(rule))),
    changed: after.flatMap((rule) => {
      const earlier = old.get(name(rule));
      if (earlier === undefined || earlier.digest === rule.digest) return [];
      return [{ before: earlier, after: rule, what: whatDiffers(earlier, rule) }];
    }),
  };
}

function whatDiffers(before: RuleInfo, after: RuleInfo): string[] {
  const what = (['effect', 'mode', 'phase', 'when'] as const).filter((key) => before[key] !== after[key]);
  return what.length === 0 ? ['settings'] : what;
}

function text({ added, removed, changed }: RuleDifferences, sameFiles: boolean): string {
  const line = (mark: string, { policy, rule, effect, mode, where }: RuleInfo) =>
    `${mark} ${policy}/${rule} (${effect}${mode === 'dryRun' ? ', on trial' : ''})  ${where}`;
  const lines = [
    ...removed.map((rule) => line('-', rule)),
    ...added.map((rule) => line('+', rule)),
    ...changed.flatMap(({ before, after, what }) => [
      line('~', after),
      ...what.map((key) =>
        key === 'settings' ? '    its settings, its variables or its models' : change(key, before, after),
      ),
    ]),
  ];
  if (lines.length === 0) lines.push(sameFiles ? 'The same files.' : 'The same rules, written differently.');
  return `${lines.map((one) => escapeControls(one)).join('\n')}\n`;
}

function change(key: string, before: RuleInfo, after: RuleInfo): string {
  const value = (rule: RuleInfo) => {
    const found = rule[key as 'when'] ?? 'always';
    return String(found).replaceAll(/\s+/g, ' ');
  };
  return `    ${key}: ${value(before)} → ${value(after)}`;
}
