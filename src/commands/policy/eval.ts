/** `sallyport policy eval`: asks the policies about one request, and says what each rule did. */
import { readFile } from 'node:fs/promises';
import type { Model } from '../../models/model.ts';
import { ask, type CaseWorld, modelOf, type Outcome } from '../../policy/cases/run.ts';
import { type AskedCase, askedCase } from '../../policy/cases/schema.ts';
import { readYaml } from '../../strict-yaml.ts';
import { CliError, examples, exitCodes, type Io, type Program } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { evalText, partsOf } from './eval-text.ts';
import { formatsAsked } from './gate-reader.ts';
import { caseWorld, goodSet, openWorkspace } from './workspace.ts';

interface EvalOptions extends ConfigOption {
  readonly policies?: string;
  readonly body?: string;
  readonly path?: string;
  readonly format?: string;
  readonly model?: string;
  readonly subject?: string;
  readonly groups?: string;
  readonly email?: string;
  readonly at?: string;
  readonly json?: boolean;
}

export function addEval(policy: Program['command'], { io, action }: Program): void {
  withConfig(policy.command('eval'))
    .description('ask the policies about one request, answer or change of a model, and say what each rule did')
    .argument('[file]', 'what is asked, as in a case (YAML); - reads it from the standard input')
    .option('--policies <dir>', 'folder of the policies (default: policies.dir of the configuration)')
    .option('--body <file>', "the request's body (JSON)")
    .option('--path <path>', "its path, which says which API it is (default: that of the model's API)")
    .option('--format <format>', 'the API, as in models.yaml: without --body, its smallest request')
    .option('--model <name>', 'which model is meant (default: what the body says, else the first one with such an API)')
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
  const { model, outcome } = await decideOne(await askedOf(file, options, io), caseWorld(workspace, set));
  const { decision } = outcome;
  const parts = partsOf(set.rules(model), outcome);
  if (options.json) io.stdout.write(`${JSON.stringify({ decision, rules: parts }, null, 2)}\n`);
  else io.stdout.write(evalText(outcome, parts, { model, revision: set.revision }));
  const isRefused = 'verdict' in decision ? decision.verdict === 'deny' : decision.stop !== undefined;
  return isRefused ? exitCodes.failed : exitCodes.ok;
}

async function decideOne(asked: AskedCase, world: CaseWorld): Promise<{ model: Model; outcome: Outcome }> {
  const { at = new Date().toISOString() } = asked;
  const model = likelyModel(asked, world.models);
  const outcome = await ask({ ...asked, at }, { model, isFixed: asked.model !== undefined }, world);
  if (outcome.kind === 'refused')
    throw new CliError(
      exitCodes.failed,
      `The gate refuses this request before any rule: ${outcome.message}`,
      'Correct the body, the path or the model.',
    );
  return { model: outcome.kind === 'lifecycle' ? model : outcome.input.model, outcome };
}

/** The one that is named, or that the body names; else the first that takes such requests. */
function likelyModel({ model: named, request = {} }: AskedCase, models: readonly Model[]): Model {
  const wanted = named ?? modelIn(request.body);
  const formats = formatsAsked(request);
  const found =
    wanted === undefined
      ? (models.find((one) => formats?.some((format) => one.formats.includes(format))) ?? models[0])
      : (modelOf(wanted, models) ?? models.find(({ match }) => match.names.some((name) => name === wanted)));
  if (found !== undefined) return found;
  throw new CliError(
    exitCodes.usage,
    `There is no model ${typeof wanted === 'string' ? wanted : wanted?.name}.`,
    `Name one with --model: ${models.map(({ name }) => name).join(', ')}.`,
  );
}

function modelIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('model' in body)) return undefined;
  return typeof body.model === 'string' ? body.model : undefined;
}

async function askedOf(file: string | undefined, options: EvalOptions, io: Io): Promise<AskedCase> {
  const written = file === undefined ? {} : readAsked(file, await textOf(file, io));
  const { body, path, format, model, subject, groups, email, at } = options;
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
      ...(format !== undefined && { format }),
      ...(body !== undefined && { body: json(body, await textOf(body, io)) }),
    },
  };
  const parsed = askedCase.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(exitCodes.usage, `${issue?.path.join('.')}: ${issue?.message}.`, 'See --help.');
}

function readAsked(file: string, text: string): AskedCase {
  const read = readYaml(text, askedCase);
  if (read.ok) return read.value;
  const lines = read.problems.map(
    ({ line, column, path, message }) => `  ${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
  );
  throw new CliError(
    exitCodes.usage,
    `The request is not as it should be:\n${lines.join('\n')}`,
    'It is written as a case is, without `name` and `expect`; docs/policy-tools.md says how.',
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
