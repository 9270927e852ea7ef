import type { Category } from '../detect/detector.ts';
import { type Masking, noMasking } from '../detect/operator.ts';
import type { Model } from '../models/model.ts';
import type { Activation } from './activation.ts';
import type { Program } from './cel.ts';
import type { ApprovalDemand, LimitWindow, RuleHit } from './decision.ts';
import { digestOf } from './digest.ts';
import type { LocatedPolicy } from './document.ts';
import { durationMs } from './duration.ts';
import type { RuleKind } from './fields.ts';
import { compileOperators } from './operators.ts';
import { type Compilers, PolicyVariables, type VariablesClass } from './policy-variables.ts';
import type { Problem } from './problem.ts';
import { mayRead } from './program-reads.ts';
import type { RuleDocument } from './schema.ts';
import { compileRuleScope, compileScope, type Scope } from './scope.ts';
import type { Sliced } from './yaml.ts';

/** Detector ids for detectors or categories by name, or what is wrong with a name. Built by the detect module. */
export type DetectorResolver = (
  names: readonly string[],
) => { readonly ok: true; readonly ids: readonly string[] } | { readonly ok: false; readonly problem: string };

/** Every category, so that `request.findings` can also count by category. */
export const categoryNames = Object.keys({ pii: 0, finance: 0, health: 0, secrets: 0, network: 0 } satisfies Record<
  Category,
  0
>);

/** What a rule does when it matches. */
export type Action =
  | { readonly effect: 'allow' | 'deny' | 'stop' }
  | { readonly effect: 'mask'; readonly request: Masking; readonly response: Masking }
  | { readonly effect: 'limit'; readonly by: Program | undefined; readonly windows: readonly LimitWindow[] }
  | ({ readonly effect: 'requireApproval' } & Omit<ApprovalDemand, 'policy' | 'rule' | 'message'>);

/** What a rule may look at, through its variables too. Never too little. */
export interface RuleReads {
  readonly findings: boolean;
  readonly filters: boolean;
  readonly guards: readonly string[];
  /** Anything that is known only once there is a request. */
  readonly request: boolean;
  readonly toolCall: boolean;
  readonly variables: ReadonlySet<string>;
}

export interface CompiledRule {
  readonly policy: CompiledPolicy;
  readonly name: string;
  /** When it is evaluated. A `mask` on responses that reads nothing of the response is decided with the request. */
  readonly phase: RuleKind;
  readonly mode: 'enforce' | 'dryRun';
  readonly action: Action;
  /** Undefined: always. */
  readonly when: Program | undefined;
  readonly message: string | Program | undefined;
  /** What goes on the record when it matches. */
  readonly hit: RuleHit;
  readonly reads: RuleReads;
  readonly appliesTo: Scope;
  /** As it is written, and where. */
  readonly document: RuleDocument;
  readonly place: (key: string) => Problem;
  /** `file:line:column` of the condition, for the record. */
  readonly where: string;
}

export interface CompiledPolicy {
  readonly name: string;
  /** Makes its `variables` for one decision. */
  readonly variables: (activation: Activation) => object;
  readonly rules: readonly CompiledRule[];
  readonly source: LocatedPolicy;
}

export interface PolicyContext {
  readonly compilers: Compilers;
  readonly variables: VariablesClass;
  readonly resolveDetectors: DetectorResolver;
  readonly models: readonly Model[];
}

/** Compiles a policy, a rule a slice; complaints go to `problems`. */
export function* compilePolicy(
  source: LocatedPolicy,
  context: PolicyContext,
  problems: Problem[],
): Sliced<CompiledPolicy> {
  const { metadata, spec } = source.document;
  const appliesTo = compileScope(source, context.models, problems);
  const kinds = [...new Set(spec.rules.flatMap(kindsOfRule))];
  const variables = yield* PolicyVariables.compile(source, kinds, context, problems);
  const rules: CompiledRule[] = [];
  const policy: CompiledPolicy = { name: metadata.name, variables: variables.of, rules, source };
  const names = new Set<string>();
  for (const [index, rule] of spec.rules.entries()) {
    const path = ['spec', 'rules', index];
    if (names.has(rule.name)) problems.push(source.problem([...path, 'name'], `there are two rules "${rule.name}"`));
    names.add(rule.name);
    rules.push(new RuleCompiler({ source, path, rule, policy, variables, context, problems }).compile(appliesTo));
    yield;
  }
  return policy;
}

/** Which variables a rule may see; of several the first that will do. */
function kindsOfRule(rule: RuleDocument): readonly RuleKind[] {
  if (rule.then !== 'mask') return [rule.on];
  return rule.on === 'response' ? ['request', 'response'] : ['request'];
}

interface RuleSource {
  readonly source: LocatedPolicy;
  readonly path: readonly PropertyKey[];
  readonly rule: RuleDocument;
  readonly policy: CompiledPolicy;
  readonly variables: PolicyVariables;
  readonly context: PolicyContext;
  readonly problems: Problem[];
}

class RuleCompiler {
  readonly #from: RuleSource;
  readonly #programs: Program[] = [];

  constructor(from: RuleSource) {
    this.#from = from;
  }

  compile(file: Scope): CompiledRule {
    const { source, path, rule, policy, variables, context, problems } = this.#from;
    const { metadata, spec } = source.document;
    const { phase, when } = this.#when();
    const action = this.#action(phase);
    const message = this.#message(phase);
    const mode = rule.mode ?? spec.mode ?? 'enforce';
    const labels = { ...metadata.labels, ...rule.labels };
    const place = (key: string) => source.problem([...path, key], '');
    const { line, column } = place('when');
    return {
      policy,
      name: rule.name,
      phase,
      mode,
      action,
      when,
      message,
      hit: Object.freeze({
        effect: rule.then,
        ...(Object.keys(labels).length === 0 ? {} : { labels: Object.freeze(labels) }),
        mode,
        policy: policy.name,
        rule: rule.name,
        ...(rule.severity === undefined ? {} : { severity: rule.severity }),
      }),
      reads: readsOfAll(this.#programs, variables.programs),
      appliesTo: compileRuleScope(source, path, rule.models, file, context.models, problems),
      document: rule,
      place,
      where: `${source.file}:${line}:${column}`,
    };
  }

  /** The condition, and when it can be worked out: a mask on responses with the request, unless it reads the response. */
  #when(): { readonly phase: RuleKind; readonly when: Program | undefined } {
    const { rule, variables } = this.#from;
    const kinds = kindsOfRule(rule);
    const [phase, later] = [kinds[0] ?? 'request', kinds[1]];
    if (later !== undefined && rule.when !== undefined && !variables.compile(phase, rule.when).ok)
      return { phase: later, when: this.#typed('when', rule.when, isBool, later) };
    return { phase, when: this.#typed('when', rule.when, isBool, phase) };
  }

  #action(phase: RuleKind): Action {
    const { source, rule } = this.#from;
    switch (rule.then) {
      case 'allow':
      case 'deny':
      case 'stop':
        return { effect: rule.then };
      case 'mask': {
        const ids = this.#detectors(rule.detect);
        const on = [rule.on].flat();
        const masking = { ids, operators: compileOperators(rule, ids, this.#from) };
        return {
          effect: 'mask',
          request: on.includes('request') ? masking : noMasking,
          response: on.includes('response') ? masking : noMasking,
        };
      }
      case 'limit':
        return { effect: 'limit', by: this.#typed('by', rule.by, isKey, phase), windows: rule.limits.map(windowOf) };
      case 'requireApproval': {
        const { approvers, minApprovals, reasonRequired } = rule;
        const { scope, uses, for: period } = rule.grant;
        return {
          effect: 'requireApproval',
          approvers,
          minApprovals,
          reasonRequired,
          grant: { scope, uses, forMs: durationMs(period) ?? 0 },
          digest: digestOf({ rule, variables: source.document.spec.variables }),
        };
      }
    }
  }

  #detectors(names: readonly string[]): readonly string[] {
    const { source, path, context, problems } = this.#from;
    const resolved = context.resolveDetectors(names);
    const complain = (message: string) => problems.push(source.problem([...path, 'detect'], message));
    if (!resolved.ok) complain(resolved.problem);
    else if (resolved.ids.length === 0) complain('no detector is meant: nothing would be masked');
    return resolved.ok ? [...new Set(resolved.ids)].sort() : [];
  }

  #message(phase: RuleKind): string | Program | undefined {
    const { rule } = this.#from;
    if (rule.then === 'allow' || rule.then === 'mask') return undefined;
    return this.#typed('messageExpression', rule.messageExpression, isString, phase) ?? rule.message;
  }

  #typed(key: string, text: string | undefined, expected: ExpectedType, phase: RuleKind): Program | undefined {
    if (text === undefined) return undefined;
    const { source, path, variables, problems } = this.#from;
    const compiled = variables.compile(phase, text);
    if (!compiled.ok) {
      problems.push(source.problemInText([...path, key], compiled.offset, compiled.message));
      return undefined;
    }
    const { program } = compiled;
    this.#programs.push(program);
    if (expected.test(program.type)) return program;
    problems.push(
      source.problem(
        [...path, key],
        `${key} must be ${expected.name}, this is ${/^[aeiou]/.test(program.type) ? 'an' : 'a'} ${program.type}`,
      ),
    );
    return undefined;
  }
}

function readsOfAll(own: readonly Program[], variables: ReadonlyMap<string, Program>): RuleReads {
  const names = new Set<string>();
  const programs = [...own];
  for (const { reads } of programs)
    for (const name of reads.variables) {
      const program = variables.get(name);
      if (program === undefined || names.has(name)) continue;
      names.add(name);
      programs.push(program);
    }
  const has = (path: string) => programs.some(({ reads }) => mayRead(reads, path));
  const guards = [...new Set(programs.flatMap(({ reads }) => [...reads.guards]))].sort();
  return {
    findings: has('request.findings'),
    filters: has('request.filters'),
    guards,
    request: has('request') || has('http') || guards.length > 0,
    toolCall: has('toolCall'),
    variables: names,
  };
}

interface ExpectedType {
  readonly name: string;
  readonly test: (type: string) => boolean;
}

const isBool: ExpectedType = { name: 'a bool', test: (type) => type === 'bool' };
const isString: ExpectedType = { name: 'a string', test: (type) => type === 'string' };
const keyTypes: ReadonlySet<string> = new Set(['string', 'int', 'bool', 'double', 'dyn', 'list', 'map']);
/** `dyn` may be anything: it is looked at when the key is made. */
const isKey: ExpectedType = {
  name: 'a string, int, bool, double, or a list or map of them',
  test: (type) => (type.match(/[A-Za-z_.]+/g) ?? []).every((word) => keyTypes.has(word) || /^[A-Z]$/.test(word)),
};

function windowOf(window: {
  readonly requests?: number | undefined;
  readonly tokens?: number | undefined;
  readonly per: string;
}): LimitWindow {
  const windowMs = durationMs(window.per) ?? 0;
  return window.requests === undefined
    ? { unit: 'tokens', amount: window.tokens ?? 0, windowMs }
    : { unit: 'requests', amount: window.requests, windowMs };
}

export function nameOf(rule: CompiledRule): string {
  return `${rule.policy.name}/${rule.name}`;
}
