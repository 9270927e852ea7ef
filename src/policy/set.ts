import { bothMasked, type Masking, noMasking } from '../detect/operator.ts';
import type { Model } from '../models/model.ts';
import type { Situation, ViewCache } from './activation.ts';
import type { Budget } from './budget.ts';
import { decideLifecycle, decideRequest, decideResponse } from './decide.ts';
import type { Needs, PolicySet, RuleInfo } from './decision.ts';
import { digestOf } from './digest.ts';
import { Evaluation } from './evaluate.ts';
import type { CompiledPolicy, CompiledRule } from './rules.ts';
import type { Categories } from './views.ts';

export interface PolicySetParts {
  readonly policies: readonly CompiledPolicy[];
  readonly budget: Budget;
  readonly categories: Categories;
  readonly revision: string;
  readonly commit: string | undefined;
}

/** The rules in scope of one model, by when they are evaluated. */
interface InScope {
  readonly request: readonly CompiledRule[];
  readonly response: readonly CompiledRule[];
  readonly lifecycle: readonly CompiledRule[];
  readonly needs: Needs;
}

/** The rules in force, as one immutable value, indexed by model: a decision costs what its own rules cost. */
export function createPolicySet({ policies, budget, categories, revision, commit }: PolicySetParts): PolicySet {
  const views: ViewCache = { callers: new WeakMap(), models: new WeakMap(), categories };
  const evaluation = (situation: Situation) => new Evaluation(situation, views, budget);
  const byModel = new WeakMap<Model, InScope>();
  const inScope = (model: Model): InScope => {
    const known = byModel.get(model) ?? scopeOf(model, policies);
    byModel.set(model, known);
    return known;
  };

  const everyRule = policies.flatMap((policy) => policy.rules);
  return {
    revision,
    commit,
    rules: (model) => everyRule.filter((rule) => model === undefined || rule.appliesTo(model)).map(infoOf),
    maskings: () => maskingsOf(everyRule),
    needs: (model) => inScope(model).needs,
    decide(input, asks) {
      const { caller, model, nowMs } = input;
      const { request } = inScope(model);
      const rules = asks === undefined ? request : request.filter(({ hit }) => asks(hit));
      return decideRequest(rules, evaluation({ caller, model, nowMs, input }), revision);
    },
    watchesResponses: (model) => inScope(model).response.length > 0,
    enforcesOnResponses: (model) => inScope(model).response.some(({ mode }) => mode === 'enforce'),
    asksToolCalls(model) {
      const asking = inScope(model).response.filter(({ reads }) => reads.toolCall);
      if (asking.length === 0) return 'none';
      return asking.some(({ mode }) => mode === 'enforce') ? 'enforce' : 'trial';
    },
    decideResponse(input, response, toolCall) {
      const { caller, model, nowMs } = input;
      const rules = inScope(model).response.filter(({ reads }) => toolCall !== undefined || !reads.toolCall);
      return decideResponse(rules, evaluation({ caller, model, nowMs, input, response, toolCall }));
    },
    decideLifecycle: (change, model, caller, nowMs) =>
      decideLifecycle(inScope(model).lifecycle, evaluation({ caller, model, nowMs, change }), revision),
    admits: (caller, model, nowMs) => admits(inScope(model).request, evaluation({ caller, model, nowMs })),
  };
}

function maskingsOf(rules: readonly CompiledRule[]): readonly Masking[] {
  const masks = rules.flatMap(({ mode, action }) => (mode === 'enforce' && action.effect === 'mask' ? [action] : []));
  const together = (one: Masking, other: Masking) => bothMasked(one, other);
  return [
    ...masks.flatMap(({ request, response }) => [request, response]),
    masks.map(({ request }) => request).reduce(together, noMasking),
    masks.map(({ response }) => response).reduce(together, noMasking),
  ];
}

function infoOf({ policy, name, phase, mode, hit, document, where, reads }: CompiledRule): RuleInfo {
  const { variables, models } = policy.source.document.spec;
  const { name: _, ...written } = document;
  const read = variables.filter((variable) => reads.variables.has(variable.name));
  return {
    policy: policy.name,
    rule: name,
    effect: hit.effect,
    mode,
    phase,
    when: document.when,
    where,
    digest: digestOf({ rule: document, mode, variables, models, hit }),
    settings: {
      ...written,
      mode,
      labels: hit.labels,
      'policy.models': models,
      variables: Object.fromEntries(read.map((variable) => [variable.name, variable.expression])),
    },
  };
}

function scopeOf(model: Model, policies: readonly CompiledPolicy[]): InScope {
  const rules = policies.flatMap((policy) => policy.rules).filter((rule) => rule.appliesTo(model));
  const asked = rules.filter(({ phase }) => phase !== 'lifecycle').map(({ reads }) => reads);
  return {
    request: rules.filter(({ phase }) => phase === 'request'),
    response: rules.filter(({ phase }) => phase === 'response'),
    lifecycle: rules.filter(({ phase }) => phase === 'lifecycle'),
    needs: {
      findings: asked.some(({ findings }) => findings),
      filters: asked.some(({ filters }) => filters),
      guards: [...new Set(asked.flatMap(({ guards }) => guards))].sort(),
    },
  };
}

/**
 * Three-valued: there is no request yet, so that what reads it cannot be evaluated, and CEL says the rest (`false && error`
 * is false). Some allow rule could match, and nothing is sure to deny.
 */
function admits(rules: readonly CompiledRule[], evaluation: Evaluation): boolean {
  let allowed = false;
  for (const rule of rules) {
    if (rule.mode === 'dryRun') continue;
    const { effect } = rule.action;
    const outcome = evaluation.matches(rule);
    const unknown = typeof outcome === 'object' && rule.reads.request;
    if (effect === 'allow') allowed ||= outcome === 'match' || unknown;
    else if (effect === 'deny' && outcome === 'match') return false;
    else if (typeof outcome === 'object' && !unknown) return false;
  }
  return allowed;
}
