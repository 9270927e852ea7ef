/** `sallyport policy eval`: asks the policies about one request, and says what each rule did. */
import { readFile } from 'node:fs/promises';
import { type CaseWorld, callerOf, inputOf } from '../../policy/cases/run.ts';
import { type AskedRequest, askedRequest } from '../../policy/cases/schema.ts';
import type { Decision, DecisionInput, PolicySet, RuleHit, RuleInfo } from '../../policy/decision.ts';
import { readYaml } from '../../strict-yaml.ts';
import { CliError, examples, exitCodes, type Io, type Program } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { escapeControls, facts } from '../text.ts';
import { caseWorld, goodSet, openWorkspace } from './workspace.ts';

interface EvalOptions extends ConfigOption {
  readonly policies?: string;
  readonly body?: string;
  readonly path?: string;
  readonly model?: string;
  readonly subject?: string;
  readonly groups?: string;
  readonly email?: string;
  readonly at?: string;
  readonly json?: boolean;
}

/** What became of one rule. */
interface RulePart extends Pick<RuleInfo, 'policy' | 'rule' | 'effect' | 'mode' | 'when' | 'where'> {
  readonly outcome:
    | 'matches'
    | 'does not match'
    | 'failed'
    | 'not asked: it is about responses'
    | 'not asked: it is about changes';
  readonly error?: string;
}

export function addEval(policy: Program['command'], { io, action }: Program): void {
  withConfig(policy.command('eval'))
    .description('ask the policies about one request, and say what each rule did')
    .argument('[file]', 'the request and its caller, as in a case (YAML); - reads it from the standard input')
    .option('--policies <dir>', 'folder of the policies (default: policies.dir of the configuration)')
    .option('--body <file>', "the request's body (JSON)")
    .option('--path <path>', 'its path, which says which API it is (default: /v1/chat/completions)')
    .option('--model <name>', 'which model is meant (default: what the body says, else the first one)')
    .option('--subject <subject>', 'who calls')
    .option('--groups <groups>', 'their groups, separated by commas')
    .option('--email <address>', 'their e-mail address')
    .option('--at <time>', 'when, such as 2026-01-15T09:30:00Z (default: now)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport policy eval --subject jane --groups ml-eng',
        'sallyport policy eval --groups contractors --body request.json',
        'sallyport policy eval request.yaml --json',
      ),
    )
    .action(action((file: string | undefined, options: EvalOptions) => evaluate(file, options, io)));
}

async function evaluate(file: string | undefined, options: EvalOptions, io: Io): Promise<number> {
  const workspace = await openWorkspace(options.policies, options, io);
  const set = goodSet(workspace);
  const asked = await askedOf(file, options, io);
  const world = caseWorld(workspace, set);
  const { input, decision } = await decideOne(asked, world);
  const parts = partsOf(set, input, decision.rules);
  if (options.json) io.stdout.write(`${JSON.stringify({ decision: plain(decision), rules: parts }, null, 2)}\n`);
  else io.stdout.write(text(input, decision, parts));
  return decision.verdict === 'deny' ? exitCodes.failed : exitCodes.ok;
}

async function decideOne(asked: AskedRequest, world: CaseWorld): Promise<{ input: DecisionInput; decision: Decision }> {
  const request = asked.request ?? {};
  const named = asked.model ?? modelIn(request.body) ?? world.models[0]?.name;
  const model = world.models.find(({ name, match }) => name === named || match.names.includes(named ?? ''));
  if (model === undefined)
    throw new CliError(
      exitCodes.usage,
      `There is no model ${named}.`,
      `Name one with --model: ${world.models.map(({ name }) => name).join(', ')}.`,
    );
  const reading = await world.read(request, model);
  if (!reading.ok)
    throw new CliError(
      exitCodes.failed,
      `The gate refuses this request before any rule: ${reading.message}`,
      'Correct the body or the path.',
    );
  const nowMs = asked.at === undefined ? Date.now() : Date.parse(asked.at);
  const input = inputOf(request, reading, { caller: callerOf(asked.caller, nowMs), model, nowMs });
  return { input, decision: world.set.decide(input) };
}

function modelIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('model' in body)) return undefined;
  return typeof body.model === 'string' ? body.model : undefined;
}

async function askedOf(file: string | undefined, options: EvalOptions, io: Io): Promise<AskedRequest> {
  const written = file === undefined ? {} : readAsked(file, await textOf(file, io));
  const { body, path, model, subject, groups, email, at } = options;
  const given = {
    ...written,
    ...(model !== undefined && { model }),
    ...(at !== undefined && { at }),
    caller: {
      ...written.caller,
      ...(subject !== undefined && { subject }),
      ...(email !== undefined && { email }),
      ...(groups !== undefined && { groups: groups.split(',').filter((group) => group !== '') }),
    },
    request: {
      ...written.request,
      ...(path !== undefined && { path }),
      ...(body !== undefined && { body: json(body, await textOf(body, io)) }),
    },
  };
  const parsed = askedRequest.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(exitCodes.usage, `${issue?.path.join('.')}: ${issue?.message}.`, 'See --help.');
}

function readAsked(file: string, text: string): AskedRequest {
  const read = readYaml(text, askedRequest);
  if (read.ok) return read.value;
  const lines = read.problems.map(
    ({ line, column, path, message }) => `  ${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
  );
  throw new CliError(
    exitCodes.usage,
    `The request is not as it should be:\n${lines.join('\n')}`,
    'It is written as a case is, without `name` and `expect`.',
  );
}

function json(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(exitCodes.usage, `${file} is not JSON.`, 'Give the body as the client sends it.', error);
  }
}

async function textOf(file: string, io: Io): Promise<string> {
  if (file !== '-')
    return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CliError(exitCodes.usage, `${file} cannot be read (${error.code}).`, 'Name another file.', error);
    });
  let text = '';
  for await (const chunk of io.stdin ?? []) text += String(chunk);
  return text;
}

function partsOf(set: PolicySet, { model }: DecisionInput, hits: readonly RuleHit[]): RulePart[] {
  const byName = new Map(hits.map((hit) => [`${hit.policy}/${hit.rule}`, hit]));
  return set.rules(model).map(({ policy, rule, effect, mode, when, where, phase }) => {
    const hit = byName.get(`${policy}/${rule}`);
    const part = { policy, rule, effect, mode, when, where };
    if (hit?.error !== undefined) return { ...part, outcome: 'failed', error: hit.error };
    if (hit !== undefined) return { ...part, outcome: 'matches' };
    if (phase === 'request') return { ...part, outcome: 'does not match' };
    return {
      ...part,
      outcome: phase === 'lifecycle' ? 'not asked: it is about changes' : 'not asked: it is about responses',
    };
  });
}

/** Maps as objects, for JSON. */
const plain = (decision: Decision): unknown =>
  JSON.parse(
    JSON.stringify(decision, (_, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value)),
  );

function text(input: DecisionInput, decision: Decision, parts: readonly RulePart[]): string {
  const counts = (found: ReadonlyMap<string, number>) =>
    Array.from(found, ([name, count]) => `${name} ${count}`).join(', ');
  const head = facts([
    [
      'Verdict',
      decision.verdict === 'deny' && decision.by === undefined ? 'deny (no rule allows it)' : decision.verdict,
    ],
    ['By', decision.verdict === 'deny' ? decision.by : undefined],
    ['Message', decision.verdict === 'deny' ? decision.message : undefined],
    [
      'Approval',
      decision.verdict === 'requireApproval'
        ? decision.demands
            .map((demand) => `${demand.policy}/${demand.rule} by ${demand.approvers.join(' or ')}`)
            .join('; ')
        : undefined,
    ],
    ['Masked in the answer', decision.verdict === 'deny' ? undefined : decision.maskResponse.join(', ')],
    ['Masked in the request', decision.verdict === 'deny' ? undefined : decision.maskRequest.join(', ')],
    [
      'Limits',
      decision.verdict === 'deny'
        ? undefined
        : decision.limits
            .map((limit) => `${limit.policy}/${limit.rule} by ${limit.key || 'nothing: one for all'}`)
            .join('; '),
    ],
    ['Model', `${input.model.name} ${input.model.version}`],
    ['Request', `${input.request.format}, ${input.request.operation}, about ${input.request.tokens} tokens`],
    ['Found', counts(input.findings)],
    ['Policies', decision.revision],
  ]);
  const lines = parts.flatMap(({ policy, rule, effect, mode, when, where, outcome, error }) => {
    const mark = outcome === 'matches' ? '✓' : outcome === 'failed' ? '!' : ' ';
    const trial = mode === 'dryRun' ? ', on trial' : '';
    const what = `  ${mark} ${policy}/${rule} (${effect}${trial}): ${outcome}${error === undefined ? '' : ` (${error})`}`;
    return [what, `      ${where}  ${when === undefined ? 'always' : when.replaceAll(/\s+/g, ' ')}`];
  });
  return `${head}\nRules\n${lines.map((line) => escapeControls(line)).join('\n')}\n`;
}
