import type { Category } from '../detect/detector.ts';
import type { Model } from '../models/model.ts';
import { type Budget, BudgetExceeded } from './budget.ts';
import { type CelCompiler, errorCode, type Program } from './cel.ts';
import type { LocatedPolicy } from './document.ts';
import { matchesGlob } from './glob.ts';
import { didYouMean, type Problem } from './problem.ts';
import type { RuleDocument } from './schema.ts';
import type { Activation } from './variables.ts';

/** Detector ids for detectors or categories by name, or what is wrong with a name. Built by the detect module. */
export type DetectorResolver = (
  names: readonly string[],
) => { readonly ok: true; readonly ids: readonly string[] } | { readonly ok: false; readonly problem: string };

/** Every category, so that `request.findings` can also count by category. */
export const categoryNames = Object.keys({ pii: 0, finance: 0, health: 0, secrets: 0, network: 0 } satisfies Record<
  Category,
  0
>);

export interface CompiledRule {
  readonly policy: CompiledPolicy;
  readonly name: string;
  readonly effect: 'allow' | 'deny' | 'mask';
  readonly mode: 'enforce' | 'dryRun';
  /** Undefined: always. */
  readonly when: Program | undefined;
  /** Detector ids of a mask rule, sorted. */
  readonly detect: readonly string[];
  readonly message: string | Program | undefined;
  /** `file:line:column` of the condition, for the record. */
  readonly where: string;
}

export interface CompiledPolicy {
  readonly name: string;
  readonly variables: VariablesClass;
  readonly rules: readonly CompiledRule[];
  appliesTo(model: Model): boolean;
}

export interface PolicyContext {
  readonly cel: CelCompiler;
  readonly budget: Budget;
  readonly resolveDetectors: DetectorResolver;
  readonly models: readonly Model[];
}

export type VariablesClass = ReturnType<typeof makeVariables>;

/** The class of one policy's `variables`: each is evaluated when the first rule reads it, once a decision. */
function makeVariables(budget: Budget) {
  return class Variables {
    readonly #activation: Activation;
    readonly #outcomes = new Map<string, { readonly value: unknown } | { readonly error: unknown }>();

    constructor(activation: Activation) {
      this.#activation = activation;
    }

    static declare(name: string, program: Program): void {
      Object.defineProperty(Variables.prototype, name, {
        get(this: Variables) {
          return this.#valueOf(name, program);
        },
      });
    }

    #valueOf(name: string, program: Program): unknown {
      let outcome = this.#outcomes.get(name);
      if (outcome === undefined) {
        outcome = attempt(() => program.run(this.#activation));
        this.#outcomes.set(name, outcome);
      }
      if ('value' in outcome) return outcome.value;
      if (outcome.error instanceof BudgetExceeded) budget.trip();
      throw outcome.error;
    }
  };
}

function attempt(run: () => unknown): { readonly value: unknown } | { readonly error: unknown } {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

/** Compiles a policy; complaints go to `problems`. */
export function compilePolicy(source: LocatedPolicy, context: PolicyContext, problems: Problem[]): CompiledPolicy {
  const { metadata, spec } = source.document;
  const appliesTo = compileScope(source, context.models, problems);
  const variables = makeVariables(context.budget);
  const types = new Map<string, string>();
  let cel = context.cel.withVariables(variables, types);
  for (const [index, { name, expression }] of spec.variables.entries()) {
    const path = ['spec', 'variables', index];
    if (types.has(name)) problems.push(source.problem([...path, 'name'], `there are two variables "${name}"`));
    const program = compileText(source, [...path, 'expression'], expression, cel, problems);
    if (program === undefined || types.has(name)) continue;
    variables.declare(name, program);
    // The empty list's element type is a placeholder, which a field cannot have.
    types.set(name, program.type.replace(/\b[A-Z]\b/g, 'dyn'));
    cel = context.cel.withVariables(variables, types);
  }
  const rules: CompiledRule[] = [];
  const policy: CompiledPolicy = { name: metadata.name, variables, rules, appliesTo };
  for (const [index, rule] of spec.rules.entries()) {
    const path = ['spec', 'rules', index];
    if (spec.rules.findIndex((other) => other.name === rule.name) !== index)
      problems.push(source.problem([...path, 'name'], `there are two rules "${rule.name}"`));
    rules.push(compileRule({ source, path, rule, policy, cel, context }, problems));
  }
  return policy;
}

interface RuleSource {
  readonly source: LocatedPolicy;
  readonly path: readonly PropertyKey[];
  readonly rule: RuleDocument;
  readonly policy: CompiledPolicy;
  readonly cel: CelCompiler;
  readonly context: PolicyContext;
}

function compileRule({ source, path, rule, policy, cel, context }: RuleSource, problems: Problem[]): CompiledRule {
  const typed = (key: string, text: string | undefined, type: 'bool' | 'string'): Program | undefined => {
    if (text === undefined) return undefined;
    const program = compileText(source, [...path, key], text, cel, problems);
    if (program === undefined || program.type === type) return program;
    problems.push(source.problem([...path, key], `${key} must be a ${type}, this is a ${program.type}`));
    return undefined;
  };
  let detect: readonly string[] = [];
  if (rule.then === 'mask') {
    const resolved = context.resolveDetectors(rule.detect);
    if (resolved.ok) detect = [...new Set(resolved.ids)].sort();
    if (resolved.ok && detect.length === 0)
      problems.push(source.problem([...path, 'detect'], 'no detector is meant: nothing would be masked'));
    if (!resolved.ok) problems.push(source.problem([...path, 'detect'], resolved.problem));
  }
  const messageExpression =
    rule.then === 'deny' ? typed('messageExpression', rule.messageExpression, 'string') : undefined;
  const { line, column } = source.problem([...path, 'when'], '');
  return {
    policy,
    name: rule.name,
    effect: rule.then,
    mode: rule.mode,
    when: typed('when', rule.when, 'bool'),
    detect,
    message: rule.then === 'deny' ? (messageExpression ?? rule.message) : undefined,
    where: `${source.file}:${line}:${column}`,
  };
}

function compileText(
  source: LocatedPolicy,
  path: readonly PropertyKey[],
  text: string,
  cel: CelCompiler,
  problems: Problem[],
): Program | undefined {
  const compiled = cel.compile(text);
  if (compiled.ok) return compiled.program;
  problems.push(source.problemInText(path, compiled.offset, compiled.message));
  return undefined;
}

const everyTeam = '_platform';

/**
 * Which models a policy is about. Files at the top and below `_platform/` may speak of any; a team's folder (or
 * `metadata.team`) only of those that the team owns. A pattern that means no model is refused: a rule that denies
 * for a misspelled model would never deny.
 */
function compileScope(source: LocatedPolicy, models: readonly Model[], problems: Problem[]): (model: Model) => boolean {
  const { metadata, spec } = source.document;
  const folder = source.file.includes('/') ? source.file.slice(0, source.file.indexOf('/')) : everyTeam;
  if (folder.startsWith('_') && folder !== everyTeam)
    problems.push(source.problem([], `folders that begin with "_" are reserved; there is only "${everyTeam}"`));
  if (folder !== everyTeam && metadata.team !== undefined && metadata.team !== folder)
    problems.push(source.problem(['metadata', 'team'], `this is the folder of team "${folder}"`));
  const team = folder === everyTeam ? metadata.team : folder;
  const inScope = (model: Model) => team === undefined || model.team === team;
  if (team !== undefined && !models.some(inScope))
    problems.push(source.problem(['metadata', 'team'], `team "${team}" owns no model`));
  for (const [index, pattern] of (spec.models ?? []).entries()) {
    const path = ['spec', 'models', index];
    const meant = models.filter((model) => matchesGlob(pattern, model.name));
    const foreign = meant.find((model) => !inScope(model));
    if (meant.length === 0)
      problems.push(
        source.problem(
          path,
          `no model is called "${pattern}".${didYouMean(
            pattern,
            models.map((m) => m.name),
          )}`,
        ),
      );
    else if (foreign !== undefined)
      problems.push(source.problem(path, `"${pattern}" means "${foreign.name}", which team "${team}" does not own`));
  }
  return (model) =>
    inScope(model) && (spec.models === undefined || spec.models.some((p) => matchesGlob(p, model.name)));
}

/** What the record says of a rule that failed: a stable word and a place, nothing of the request. */
export function describeFailure(error: unknown, rule: CompiledRule): string {
  return `${errorCode(error)} at ${rule.where}`;
}
