/**
 * What rules cost: a decision with 20 rules in scope, one among 1,000 rules over 100 models against one among 10 rules of one
 * model, and loading 1,000 rules while the event loop has other work. No Envoy. Every answer that is timed is asserted.
 */
import assert from 'node:assert/strict';
import type { RequestFacts } from '../src/exchange/facts.ts';
import { builtInDetectors } from '../src/gateway/detectors.ts';
import type { Caller } from '../src/identity/caller.ts';
import type { Model } from '../src/models/model.ts';
import type { DecisionInput, PolicySet } from '../src/policy/decision.ts';
import type { PolicyFile } from '../src/policy/document.ts';
import { compileInSlices } from '../src/policy/load.ts';
import { formatProblem } from '../src/policy/problem.ts';
import { quantile } from './load.ts';

type Report = (title: string, rows: readonly object[]) => void;

const nowMs = Date.UTC(2026, 0, 15, 12, 30);
const modelOf = (name: string): Model => ({
  name,
  version: '1',
  upstream: { host: '127.0.0.1', port: 1, tls: false },
  formats: ['openai-chat'],
  match: { names: [name], hosts: [], paths: [] },
  credential: undefined,
  identity: undefined,
  labels: { risk: 'high' },
  team: undefined,
  cluster: `model_${name}_1`,
});

/** Ten rules, as one writes them; the first allows, the ninth limits, the last one masks; the others do not match. */
const tenRules = (name: string) => `apiVersion: sallyport/v1
kind: Policy
metadata: {name: ${name}}
spec:
  models: [__MODEL__]
  variables:
    - {name: isEngineer, expression: '"ml-eng" in caller.groups || "__MODEL__-users" in caller.groups'}
    - {name: hasSecret, expression: '"secrets" in request.findings'}
  rules:
    - {name: engineers, then: allow, when: 'variables.isEngineer && request.operation == "chat"'}
    - {name: no-cards, then: deny, when: '"credit_card" in request.findings', message: No cards.}
    - {name: no-secrets, then: deny, when: 'variables.hasSecret && !("cleared" in caller.groups)'}
    - {name: work-account, then: deny, when: '!has(caller.email) || !caller.email.endsWith("@example.com")'}
    - {name: office-hours, then: deny, when: 'model.labels.risk == "high" && now.getHours("Europe/Berlin") >= 22'}
    - {name: sql-asks, then: requireApproval, approvers: [oncall], when: 'request.tools.exists(t, t.name == "run_sql")'}
    - {name: long, mode: dryRun, then: deny, when: 'request.tokens > 8000'}
    - {name: names, then: deny, when: '!request.model.matches("^m[0-9]+$") || request.messages.exists(m, m.role == "tool")'}
    - {name: budget, then: limit, by: caller.subject, limits: [{requests: 60, per: 1m}, {tokens: 200000, per: 1d}]}
    - {name: mask, then: mask, detect: [pii, secrets], when: '!("pii-cleared" in caller.groups)'}
`;
const fileOf = (name: string, model: string): PolicyFile => ({
  path: `${name}.yaml`,
  text: tenRules(name).replaceAll('__MODEL__', model),
});

const caller: Caller = {
  provider: 'corp',
  issuer: 'https://id.example.com',
  subject: 'jane',
  kind: 'person',
  email: 'jane@example.com',
  groups: ['staff', 'research', 'ml-eng'],
  team: 'ml',
  claims: { sub: 'jane' },
  proof: 'token',
  tokenId: undefined,
  issuedAtMs: nowMs,
  expiresAtMs: nowMs + 60_000,
};
const messages = Array.from({ length: 6 }, (_, i) => ({
  role: i % 2 === 0 ? 'user' : 'assistant',
  text: 'What happened in the harbour today, and who was there to see it? '.repeat(8),
}));
const request: RequestFacts = {
  format: 'openai-chat',
  operation: 'chat',
  model: 'm0',
  stream: true,
  choices: 1,
  system: '',
  messages,
  text: messages.map(({ text }) => text).join('\n'),
  tools: [{ name: 'search' }, { name: 'read_file' }, { name: 'write_file' }],
  toolCall: undefined,
  images: 0,
  audio: 0,
  files: 0,
  unread: false,
  maxTokens: 1000,
  parameters: new Map([['temperature', 0.5]]),
  tokens: 800,
  bytes: 3400,
};

/** A request of its own, as each is: nothing of the one before is remembered but the caller and the model. */
const inputOf = (model: Model): DecisionInput => ({
  caller,
  model,
  nowMs,
  request: { ...request },
  findings: new Map([['email_address', 2]]),
  filters: new Map(),
  guards: new Map(),
  http: {
    method: 'POST',
    host: 'gateway',
    path: '/v1/chat/completions',
    clientAddress: '10.0.0.7',
    headers: new Map(),
  },
});

async function setOf(files: readonly PolicyFile[], models: readonly Model[]): Promise<PolicySet> {
  const loaded = await compileInSlices(files, {
    resolveDetectors: builtInDetectors.resolve,
    models,
    evaluationBudget: 20_000,
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.set;
}

/** @returns microseconds a decision, over `models` in turn; `policies` of ten rules are in scope of each. */
function decisionUs(set: PolicySet, models: readonly Model[], policies: number): number {
  const inputs = Array.from({ length: 500 }, (_, i) => inputOf(models[i % models.length]!));
  const began = performance.now();
  for (const input of inputs) {
    const decision = set.decide(input);
    assert.ok(decision.verdict === 'allow' && decision.rules.length === 3 * policies);
    assert.ok(decision.limits.length === policies && decision.limits[0]?.key === 'string:jane');
    assert.ok(decision.maskResponse.includes('email_address'));
  }
  return ((performance.now() - began) * 1000) / inputs.length;
}

const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b);

interface Measured {
  readonly name: string;
  readonly set: PolicySet;
  readonly models: readonly Model[];
  readonly policies: number;
}

async function decisions(): Promise<object[]> {
  const [one, ...others] = Array.from({ length: 100 }, (_, i) => modelOf(`m${i}`));
  const all = [one!, ...others];
  const ten = {
    name: '10 rules, one model',
    set: await setOf([fileOf('p', 'm0')], [one!]),
    models: [one!],
    policies: 1,
  };
  const files = all.map(({ name }) => fileOf(`p-${name}`, name));
  const thousand = { name: '1,000 rules, 100 models', set: await setOf(files, all), models: all, policies: 1 };
  const twenty = await setOf([fileOf('p', 'm0'), fileOf('q', 'm0')], [one!]);
  const measured: readonly Measured[] = [
    ten,
    thousand,
    { name: '20 rules, one model', set: twenty, models: [one!], policies: 2 },
  ];
  const rounds = measured.map((): number[] => []);
  for (let round = 0; round < 80; round += 1)
    for (const [i, { set, models, policies }] of measured.entries()) {
      const us = decisionUs(set, models, policies);
      if (round >= 20) rounds[i]!.push(us);
    }
  const ratios = sorted(rounds[1]!.map((us, i) => us / rounds[0]![i]!));
  return measured.map(({ name }, i) => ({
    rules: name,
    'µs a decision, median of rounds': quantile(sorted(rounds[i]!), 0.5).toFixed(1),
    'worst of 60 rounds': Math.max(...rounds[i]!).toFixed(1),
    '÷ 10 rules (median)': i === 1 ? quantile(ratios, 0.5).toFixed(2) : '',
    aim: ['', '≤ 1.2 ×', '≤ 60 µs'][i],
  }));
}

/** How long the event loop was held at most while `work` ran, in milliseconds. */
async function holdDuring(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let going = true;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (going) setImmediate(look);
  };
  setImmediate(look);
  await work();
  going = false;
  return longest;
}

async function loading(): Promise<object[]> {
  const models = Array.from({ length: 100 }, (_, i) => modelOf(`m${i}`));
  const body = tenRules('one').split('  rules:\n');
  const rules = Array.from({ length: 100 }, (_, i) => body[1]!.replaceAll('{name: ', `{name: n${i}-`)).join('');
  const sets = {
    '100 files of 10 rules': models.map(({ name }) => fileOf(`p-${name}`, name)),
    'one file of 1,000 rules': [
      { path: 'one.yaml', text: `${body[0]!.replaceAll('__MODEL__', 'm0')}  rules:\n${rules}` },
    ],
  };
  const rows: object[] = [];
  for (const [name, files] of Object.entries(sets)) {
    const took: number[] = [];
    const holds: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const began = performance.now();
      holds.push(
        await holdDuring(async () => {
          const set = await setOf(files, models);
          assert.equal(set.decide(inputOf(models[0]!)).verdict, 'allow');
        }),
      );
      took.push(performance.now() - began);
    }
    rows.push({
      set: name,
      'first load ms': took[0]?.toFixed(0),
      'median ms': quantile(sorted(took), 0.5).toFixed(0),
      'event loop held at most, first ms': holds[0]?.toFixed(1),
      'later ms': Math.max(...holds.slice(1)).toFixed(1),
      aim: '≤ 500 ms, ≤ 5 ms held',
    });
  }
  return rows;
}

/** @param report Prints a table. */
export async function policies(report: Report): Promise<object> {
  // First, while nothing is warm: as a gateway starts.
  const loaded = await loading();
  report('policies: load of 1,000 rules', loaded);
  const decided = await decisions();
  report('policies: a decision', decided);
  return { loading: loaded, decisions: decided };
}
