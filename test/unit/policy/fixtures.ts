import type { RequestFacts } from '../../../src/exchange/facts.ts';
import type { Caller } from '../../../src/identity/caller.ts';
import type { Model } from '../../../src/models/model.ts';
import type { Decision, DecisionInput, PolicySet } from '../../../src/policy/decision.ts';
import { type CompiledPolicies, compilePolicies } from '../../../src/policy/load.ts';
import { formatProblem } from '../../../src/policy/problem.ts';
import type { DetectorResolver } from '../../../src/policy/rules.ts';

export const nowMs = Date.UTC(2026, 0, 15, 12, 30, 0);

export function caller(overrides: Partial<Caller> = {}): Caller {
  return {
    provider: 'corp',
    issuer: 'https://id.test',
    subject: 'jane',
    kind: 'person',
    email: 'jane@example.com',
    groups: ['ml-eng'],
    team: 'ml-platform',
    claims: { sub: 'jane', level: 3, score: 0.5, org: { unit: 'research', constructor: 'x' }, tags: ['a', 1] },
    proof: 'token',
    tokenId: undefined,
    issuedAtMs: nowMs - 60_000,
    expiresAtMs: nowMs + 60_000,
    ...overrides,
  };
}

export function request(overrides: Partial<RequestFacts> = {}): RequestFacts {
  return {
    format: 'openai-chat',
    operation: 'chat',
    model: 'demo',
    stream: false,
    choices: 1,
    messages: [
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'Hello' },
    ],
    text: 'Be brief.\nHello',
    tools: [{ name: 'run_sql' }],
    system: 'Be brief.',
    toolCall: undefined,
    images: 0,
    audio: 0,
    files: 0,
    unread: false,
    maxTokens: undefined,
    parameters: new Map(),
    tokens: 4,
    bytes: 120,
    ...overrides,
  };
}

export function model(overrides: Partial<Model> = {}): Model {
  return {
    name: 'demo',
    version: '1',
    upstream: { host: '127.0.0.1', port: 18_080, tls: false },
    formats: ['openai-chat'],
    match: { names: ['demo'], hosts: [], paths: [] },
    credential: undefined,
    identity: undefined,
    labels: { risk: 'high' },
    team: undefined,
    cluster: 'model_demo_1',
    ...overrides,
  };
}

export const demo = model();
export const llama = model({ name: 'llama-70b', team: 'ml-platform' });
export const voice = model({ name: 'voice', team: 'voice' });

export function input(overrides: Partial<DecisionInput> = {}): DecisionInput {
  return {
    caller: caller(),
    request: request(),
    findings: new Map(),
    filters: new Map(),
    guards: new Map(),
    model: demo,
    http: {
      method: 'POST',
      host: 'gateway.test',
      path: '/v1/chat/completions',
      clientAddress: '10.0.0.7',
      headers: new Map(),
    },
    nowMs,
    ...overrides,
  };
}

const categories: Record<string, string[]> = {
  pii: ['email', 'phone'],
  secrets: ['aws_access_key', 'jwt'],
  health: [],
};
const detectors = [...Object.values(categories).flat(), 'credit_card'];

export const resolveDetectors: DetectorResolver = (names) => {
  const unknown = names.find((name) => !(name in categories) && !detectors.includes(name));
  if (names.includes('all')) return { ok: true, ids: detectors };
  if (unknown !== undefined) return { ok: false, problem: `there is no detector or category "${unknown}"` };
  return { ok: true, ids: names.flatMap((name) => categories[name] ?? [name]) };
};

export function compile(
  files: Record<string, string>,
  evaluationBudget = 20_000,
  guards: readonly string[] = [],
): CompiledPolicies {
  const list = Object.entries(files).map(([path, text]) => ({ path, text }));
  return compilePolicies(list, { resolveDetectors, models: [demo, llama, voice], evaluationBudget, guards });
}

export function setOf(
  files: Record<string, string>,
  evaluationBudget?: number,
  guards: readonly string[] = [],
): PolicySet {
  const loaded = compile(files, evaluationBudget, guards);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.set;
}

export function problemsOf(files: Record<string, string>): string[] {
  const loaded = compile(files);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

/** A policy file with these rules (YAML, indented by four spaces or none). */
export function policy(rules: string, spec = ''): string {
  const indented = rules.replace(/^/gm, '    ');
  return `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: test}\nspec:\n${spec}  rules:\n${indented}\n`;
}

/** What an expression comes to for an input: true, false, or the code of its error. */
export function evaluate(
  expression: string,
  over: Partial<DecisionInput> = {},
  evaluationBudget?: number,
): boolean | string {
  const rules = `- {name: r, then: allow, mode: dryRun, when: ${JSON.stringify(expression)}}`;
  const decision: Decision = setOf({ 'p.yaml': policy(rules) }, evaluationBudget).decide(input(over));
  const hit = decision.rules[0];
  if (hit === undefined) return false;
  return hit.error === undefined ? true : hit.error.replace(/ at .*/, '');
}
