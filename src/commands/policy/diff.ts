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
  readonly changed: readonly {
    readonly before: RuleInfo;
    readonly after: RuleInfo;
    readonly changes: readonly Change[];
  }[];
}

/** A setting that differs; undefined: it is not there. */
interface Change {
  /** `when`, `limits[0].requests`, `labels.owner`, `variables.office`, `policy.models`, … */
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
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
      const changes = earlier === undefined ? [] : changesOf(earlier.settings, rule.settings);
      return earlier === undefined || changes.length === 0 ? [] : [{ before: earlier, after: rule, changes }];
    }),
  };
}

function changesOf(before: unknown, after: unknown): Change[] {
  const [old, now] = [new Map(membersOf(before)), new Map(membersOf(after))];
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((field) => ({ field, before: old.get(field), after: now.get(field) }))
    .filter((one) => JSON.stringify(one.before) !== JSON.stringify(one.after));
}

/** Path → value; a list is one value where no member of it is a map. */
function membersOf(value: unknown, path = ''): [path: string, value: unknown][] {
  if (Array.isArray(value))
    return value.some((item) => typeof item === 'object')
      ? value.flatMap((item, index) => membersOf(item, `${path}[${index}]`))
      : [[path, value]];
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, member]) => membersOf(member, path === '' ? name : `${path}.${name}`));
}

function text({ added, removed, changed }: RuleDifferences, sameFiles: boolean): string {
  const line = (mark: string, { policy, rule, effect, mode, where }: RuleInfo) =>
    `${mark} ${policy}/${rule} (${effect}${mode === 'dryRun' ? ', on trial' : ''})  ${where}`;
  const lines = [
    ...removed.map((rule) => line('-', rule)),
    ...added.map((rule) => line('+', rule)),
    ...changed.flatMap(({ after, changes }) => [line('~', after), ...changes.map((one) => `    ${shown(one)}`)]),
  ];
  if (lines.length === 0) lines.push(sameFiles ? 'The same files.' : 'The same rules, written differently.');
  return `${lines.map((one) => escapeControls(one)).join('\n')}\n`;
}

/** What it means that a setting is not there. */
const ABSENT: Readonly<Record<string, string>> = { when: 'always', models: 'all', 'policy.models': 'all' };

function shown({ field, before, after }: Change): string {
  const value = (one: unknown) => {
    if (one === undefined) return ABSENT[field] ?? 'none';
    return typeof one === 'string' ? one.replaceAll(/\s+/g, ' ') : JSON.stringify(one);
  };
  const [old, now] = [value(before), value(after)];
  // They differ in white space only, or a text says what the absence of it is called.
  return `${field}: ${old === now ? `${JSON.stringify(before)} → ${JSON.stringify(after)}` : `${old} → ${now}`}`;
}
