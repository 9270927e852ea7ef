import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { Budget } from './budget.ts';
import type { Decision, DecisionInput, PolicySet, RuleHit } from './decision.ts';
import { type CompiledPolicy, type CompiledRule, describeFailure } from './rules.ts';
import { Activation, type Categories, type ViewCache } from './variables.ts';

const maxMessageLength = 1000;
const nothingAllows = 'No rule allows this request.';

export interface PolicySetParts {
  readonly policies: readonly CompiledPolicy[];
  readonly budget: Budget;
  readonly categories: Categories;
  readonly revision: string;
  readonly commit: string | undefined;
}

/**
 * The rules in force, as one immutable value. Deny over allow; masks add up; nothing allowed is denied. A rule that cannot be
 * evaluated does not allow, and if it would deny or mask, it denies. `dryRun` rules are evaluated and reported only.
 */
export function createPolicySet({ policies, budget, categories, revision, commit }: PolicySetParts): PolicySet {
  const views: ViewCache = { callers: new WeakMap(), models: new WeakMap(), categories };
  const byModel = new WeakMap<Model, readonly CompiledRule[]>();

  const rulesFor = (model: Model): readonly CompiledRule[] => {
    const known = byModel.get(model);
    if (known !== undefined) return known;
    const rules = policies.filter((policy) => policy.appliesTo(model)).flatMap((policy) => policy.rules);
    byModel.set(model, rules);
    return rules;
  };

  const decide = (input: DecisionInput): Decision => {
    const activation = new Activation(input, views);
    const hits: RuleHit[] = [];
    let mask: readonly string[] = [];
    let allowed = false;
    let denial: { readonly rule: CompiledRule; readonly message: string } | undefined;
    let policy: CompiledPolicy | undefined;
    for (const rule of rulesFor(input.model)) {
      if (rule.policy !== policy) {
        policy = rule.policy;
        activation.variables = new policy.variables(activation);
      }
      const outcome = evaluate(rule, activation, budget);
      if (outcome === 'no_match') continue;
      const { effect, mode } = rule;
      const hit = { effect, mode, policy: policy.name, rule: rule.name };
      hits.push(outcome === 'match' ? hit : { ...hit, error: outcome.error });
      if (mode === 'dryRun') continue;
      if (outcome !== 'match') {
        if (effect !== 'allow')
          denial ??= { rule, message: `Rule ${policy.name}/${rule.name} could not be evaluated.` };
      } else if (effect === 'allow') allowed = true;
      else if (effect === 'mask') mask = mask.length === 0 ? rule.detect : union(mask, rule.detect);
      else denial ??= { rule, message: messageOf(rule, activation, budget) };
    }
    if (denial !== undefined) {
      const by = `${denial.rule.policy.name}/${denial.rule.name}`;
      return { verdict: 'deny', rules: hits, by, message: denial.message, revision };
    }
    if (!allowed) return { verdict: 'deny', rules: hits, by: undefined, message: nothingAllows, revision };
    return { verdict: 'allow', rules: hits, maskResponse: mask, maskRequest: [], limits: [], revision };
  };

  return {
    revision,
    commit,
    needs: () => ({ findings: true, filters: false, guards: [] }),
    watchesResponses: () => false,
    decideResponse: () => ({ rules: [], stop: undefined, mask: [] }),
    decideLifecycle: () => ({ verdict: 'deny', rules: [], by: undefined, message: nothingAllows, revision }),
    decide,
    admits: (caller, model, nowMs) => decide(minimalRequest(caller, model, nowMs)).verdict === 'allow',
  };
}

/** Sorted, as the lists of rules are. */
function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])].sort();
}

type Outcome = 'match' | 'no_match' | { readonly error: string };

function evaluate(rule: CompiledRule, activation: Activation, budget: Budget): Outcome {
  if (rule.when === undefined) return 'match';
  budget.reset();
  try {
    const value = rule.when.run(activation);
    if (value === true) return 'match';
    return value === false ? 'no_match' : { error: `not_bool at ${rule.where}` };
  } catch (error) {
    return { error: describeFailure(error, rule) };
  }
}

/** The words of the rule; when they cannot be worked out, words that only name it. */
function messageOf(rule: CompiledRule, activation: Activation, budget: Budget): string {
  const otherwise = `Rule ${rule.policy.name}/${rule.name} denies this request.`;
  if (rule.message === undefined) return otherwise;
  if (typeof rule.message === 'string') return rule.message;
  budget.reset();
  try {
    const text = rule.message.run(activation);
    return typeof text === 'string' && text !== '' ? text.slice(0, maxMessageLength).toWellFormed() : otherwise;
  } catch {
    return otherwise;
  }
}

/** The smallest chat request, to ask whether a model is open to a caller at all. */
function minimalRequest(caller: Caller, model: Model, nowMs: number): DecisionInput {
  return {
    caller,
    model,
    nowMs,
    findings: new Map(),
    filters: new Map(),
    guards: new Map(),
    http: { method: 'POST', host: '', path: '/v1/chat/completions', clientAddress: '', headers: new Map() },
    request: {
      format: 'openai-chat',
      operation: 'chat',
      model: model.name,
      stream: false,
      choices: 1,
      messages: [{ role: 'user', text: '' }],
      text: '',
      tools: [],
      system: '',
      toolCall: undefined,
      images: 0,
      audio: 0,
      files: 0,
      maxTokens: undefined,
      parameters: new Map(),
      tokens: 0,
      bytes: 0,
    },
  };
}
