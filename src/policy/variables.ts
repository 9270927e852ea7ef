import type { Environment } from '@marcbachmann/cel-js';
import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { ChangeFacts, DecisionInput, ResponseFacts, ToolCallFacts } from './decision.ts';
import { guardsVariable, type RuleKind, type TypeRow, type VariableRow } from './fields.ts';

/**
 * What the rules see. Each view is a class whose getters convert a field when a rule reads it (ints to BigInt, objects to
 * Map), so that a decision pays for what its rules read. A field that is not there has no key: `has(caller.email)`.
 */
class CallerView {
  readonly #caller: Caller;
  #claims: ReadonlyMap<string, unknown> | undefined;
  constructor(caller: Caller) {
    this.#caller = caller;
  }
  get provider(): string {
    return this.#caller.provider;
  }
  get issuer(): string {
    return this.#caller.issuer;
  }
  get subject(): string {
    return this.#caller.subject;
  }
  get kind(): string {
    return this.#caller.kind;
  }
  get proof(): string {
    return this.#caller.proof;
  }
  get email(): string | undefined {
    return this.#caller.email;
  }
  get groups(): readonly string[] {
    return this.#caller.groups;
  }
  get groupsComplete(): boolean {
    return this.#caller.groupsProblem === undefined;
  }
  get team(): string | undefined {
    return this.#caller.team;
  }
  get claims(): ReadonlyMap<string, unknown> {
    this.#claims ??= toCelMap(this.#caller.claims);
    return this.#claims;
  }
}

class MessageView {
  readonly role: string;
  readonly text: string;
  constructor(role: string, text: string) {
    this.role = role;
    this.text = text;
  }
}

class ToolView {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

class ToolCallView {
  readonly #call: ToolCallFacts;
  #arguments: { readonly value: unknown } | undefined;
  constructor(call: ToolCallFacts) {
    this.#call = call;
  }
  get name(): string {
    return this.#call.name;
  }
  get arguments(): unknown {
    this.#arguments ??= { value: toCel(this.#call.arguments) };
    return this.#arguments.value;
  }
}

/** Category → its detector ids. */
export type Categories = ReadonlyMap<string, readonly string[]>;

class RequestView {
  readonly #input: DecisionInput;
  readonly #facts: RequestFacts;
  readonly #categories: Categories;
  #messages: readonly MessageView[] | undefined;
  #tools: readonly ToolView[] | undefined;
  #toolCall: ToolCallView | undefined;
  #parameters: ReadonlyMap<string, unknown> | undefined;
  #findings: ReadonlyMap<string, bigint> | undefined;
  #filters: ReadonlyMap<string, bigint> | undefined;
  constructor(input: DecisionInput, categories: Categories) {
    this.#input = input;
    this.#facts = input.request;
    this.#categories = categories;
  }
  get format(): string {
    return this.#facts.format;
  }
  get operation(): string {
    return this.#facts.operation;
  }
  get model(): string {
    return this.#facts.model;
  }
  get stream(): boolean {
    return this.#facts.stream;
  }
  get choices(): bigint {
    return BigInt(this.#facts.choices);
  }
  get messages(): readonly MessageView[] {
    this.#messages ??= this.#facts.messages.map((m) => new MessageView(m.role, m.text));
    return this.#messages;
  }
  get text(): string {
    return this.#facts.text;
  }
  get tools(): readonly ToolView[] {
    this.#tools ??= this.#facts.tools.map((tool) => new ToolView(tool.name));
    return this.#tools;
  }
  get system(): string {
    return this.#facts.system;
  }
  get toolCall(): ToolCallView | undefined {
    const { toolCall } = this.#facts;
    if (toolCall !== undefined) this.#toolCall ??= new ToolCallView(toolCall);
    return this.#toolCall;
  }
  get images(): bigint {
    return BigInt(this.#facts.images);
  }
  get audio(): bigint {
    return BigInt(this.#facts.audio);
  }
  get files(): bigint {
    return BigInt(this.#facts.files);
  }
  get opaque(): boolean {
    return this.#facts.format === 'opaque';
  }
  get parameters(): ReadonlyMap<string, unknown> {
    this.#parameters ??= new Map([...this.#facts.parameters].map(([name, value]) => [name, toCel(value)]));
    return this.#parameters;
  }
  get filters(): ReadonlyMap<string, bigint> {
    this.#filters ??= countsOf(this.#input.filters);
    return this.#filters;
  }
  get maxTokens(): bigint | undefined {
    return this.#facts.maxTokens === undefined ? undefined : BigInt(this.#facts.maxTokens);
  }
  get tokens(): bigint {
    return BigInt(this.#facts.tokens);
  }
  get bytes(): bigint {
    return BigInt(this.#facts.bytes);
  }
  get findings(): ReadonlyMap<string, bigint> {
    this.#findings ??= countFindings(this.#input.findings, this.#categories);
    return this.#findings;
  }
}

function countsOf(found: ReadonlyMap<string, number>): Map<string, bigint> {
  const counts = new Map<string, bigint>();
  for (const [name, count] of found) if (count > 0) counts.set(name, BigInt(count));
  return counts;
}

/** Detector id → count as found, and each category → the sum over its detectors; what was not found has no key. */
function countFindings(found: ReadonlyMap<string, number>, categories: Categories): ReadonlyMap<string, bigint> {
  const counts = countsOf(found);
  if (counts.size === 0) return counts;
  for (const [category, detectors] of categories) {
    let sum = 0;
    for (const detector of detectors) sum += found.get(detector) ?? 0;
    if (sum > 0) counts.set(category, BigInt(sum));
  }
  return counts;
}

class HttpView {
  readonly #http: DecisionInput['http'];
  constructor(http: DecisionInput['http']) {
    this.#http = http;
  }
  get method(): string {
    return this.#http.method;
  }
  get host(): string {
    return this.#http.host;
  }
  get path(): string {
    return this.#http.path;
  }
  get clientAddress(): string {
    return this.#http.clientAddress;
  }
  get headers(): ReadonlyMap<string, string> {
    return this.#http.headers;
  }
}

class ResponseView {
  readonly #response: ResponseFacts;
  readonly #categories: Categories;
  #findings: ReadonlyMap<string, bigint> | undefined;
  constructor(response: ResponseFacts, categories: Categories) {
    this.#response = response;
    this.#categories = categories;
  }
  get status(): bigint {
    return BigInt(this.#response.status);
  }
  get contentType(): string {
    return this.#response.contentType;
  }
  get findings(): ReadonlyMap<string, bigint> {
    this.#findings ??= countFindings(this.#response.findings, this.#categories);
    return this.#findings;
  }
  get outputTokens(): bigint | undefined {
    const { outputTokens } = this.#response;
    return outputTokens === undefined ? undefined : BigInt(outputTokens);
  }
  get bytes(): bigint {
    return BigInt(this.#response.bytes);
  }
  get phase(): string {
    return this.#response.phase;
  }
}

class ChangeView {
  readonly #change: ChangeFacts;
  constructor(change: ChangeFacts) {
    this.#change = change;
  }
  get kind(): string {
    return this.#change.kind;
  }
  get model(): string {
    return this.#change.model;
  }
  get fromVersion(): string | undefined {
    return this.#change.fromVersion;
  }
  get toVersion(): string | undefined {
    return this.#change.toVersion;
  }
  get fields(): readonly string[] {
    return this.#change.fields;
  }
  get by(): string {
    return this.#change.by;
  }
}

class ModelView {
  readonly #model: Model;
  #labels: ReadonlyMap<string, string> | undefined;
  constructor(model: Model) {
    this.#model = model;
  }
  get name(): string {
    return this.#model.name;
  }
  get version(): string {
    return this.#model.version;
  }
  get labels(): ReadonlyMap<string, string> {
    this.#labels ??= new Map(Object.entries(this.#model.labels));
    return this.#labels;
  }
  get team(): string | undefined {
    return this.#model.team;
  }
}

/** The types, as rules are checked against them: name in complaints → class and fields. */
export const types = {
  Message: {
    ctor: MessageView,
    fields: { role: { type: 'string', doc: '' }, text: { type: 'string', doc: '' } },
  },
  Tool: {
    ctor: ToolView,
    fields: { name: { type: 'string', doc: 'a hosted tool without a name of its own: its type' } },
  },
  Caller: {
    ctor: CallerView,
    fields: {
      provider: {
        type: 'string',
        doc: 'name in `identity.providers` or `identity.saml`, or `mesh`; two providers with one `sub` are two people',
      },
      issuer: { type: 'string', doc: "the token's `iss`, SAML's `entityId`, trust domain of a peer" },
      subject: {
        type: 'string',
        doc: "the token's `sub` (or the provider's `subjectClaim`), NameID of SAML, SPIFFE id of a peer",
      },
      kind: {
        type: 'string',
        doc: '`person`, `service`, or `peer`: a workload without a token, [by mTLS](identity.md#mesh-identities)',
      },
      proof: {
        type: 'string',
        doc: 'what was verified: `token` of a provider, `issued` by the gateway, `saml`, `peer`, `jwt_authn` (by Envoy)',
      },
      email: { type: 'string', optional: true, doc: '' },
      groups: { type: 'list<string>', doc: '' },
      groupsComplete: {
        type: 'bool',
        doc: '`false`: there may be more groups, and the provider says `groups: {required: false}`. A rule that denies by group says `"x" in caller.groups || !caller.groupsComplete`',
      },
      team: { type: 'string', optional: true, doc: 'from `identity.teams`' },
      claims: { type: 'map<string, dyn>', doc: 'every verified claim' },
    },
  },
  Request: {
    ctor: RequestView,
    fields: {
      format: { type: 'string', doc: 'the model API, for example `openai-chat`' },
      operation: { type: 'string', doc: 'what is asked for, for example `chat`' },
      model: { type: 'string', doc: 'as the caller wrote it' },
      stream: { type: 'bool', doc: '' },
      choices: { type: 'int', doc: '`n`, else 1' },
      messages: { type: 'list<Message>', doc: '' },
      text: { type: 'string', doc: 'all text of the request, tool results and descriptions too' },
      tools: { type: 'list<Tool>', doc: '' },
      system: { type: 'string', doc: 'system and developer instructions; empty: none' },
      toolCall: { type: 'ToolCall', optional: true, doc: 'of an MCP `tools/call`' },
      images: { type: 'int', doc: 'image parts' },
      audio: { type: 'int', doc: 'audio and video parts' },
      files: { type: 'int', doc: 'attached files' },
      opaque: {
        type: 'bool',
        doc: 'a path or body that the gateway does not read; the model entry has to admit it too',
      },
      parameters: {
        type: 'map<string, dyn>',
        doc: 'scalar parameters as the caller names them: `"temperature" in request.parameters`',
      },
      maxTokens: { type: 'int', optional: true, doc: 'most tokens that the answer may have' },
      tokens: { type: 'int', doc: 'estimate of the prompt, about four characters each' },
      bytes: { type: 'int', doc: 'length of the body' },
      findings: {
        type: 'map<string, int>',
        doc: 'detector or category → how often; what was not found has no key. Counts what `record.detect` names (by default all)',
      },
      filters: {
        type: 'map<string, int>',
        doc: 'content filter (`filters` in the config) → how often it matched; one that did not match has no key',
      },
    },
  },
  Http: {
    ctor: HttpView,
    fields: {
      method: { type: 'string', doc: '' },
      host: { type: 'string', doc: '' },
      path: { type: 'string', doc: 'without the query' },
      clientAddress: { type: 'string', doc: '' },
      headers: {
        type: 'map<string, string>',
        doc: 'by lower-case name, duplicates joined by `, `; credentials and cookies are not among them',
      },
    },
  },
  ToolCall: {
    ctor: ToolCallView,
    fields: {
      name: { type: 'string', doc: '' },
      arguments: { type: 'dyn', doc: 'as JSON: `toolCall.arguments.path`' },
    },
  },
  Response: {
    ctor: ResponseView,
    fields: {
      status: { type: 'int', doc: 'HTTP status' },
      contentType: { type: 'string', doc: '' },
      findings: { type: 'map<string, int>', doc: 'as `request.findings`, of what was answered so far' },
      outputTokens: { type: 'int', optional: true, doc: 'as the model reported them, so far' },
      bytes: { type: 'int', doc: 'released so far' },
      phase: {
        type: 'string',
        doc: 'why the rules run now: at the `headers`, at a new `finding`, at a complete `toolCall`, at the `end`',
      },
    },
  },
  Change: {
    ctor: ChangeView,
    fields: {
      kind: { type: 'string', doc: '`register`, `version`, `config` or `retire`' },
      model: { type: 'string', doc: '' },
      fromVersion: { type: 'string', optional: true, doc: '' },
      toVersion: { type: 'string', optional: true, doc: '' },
      fields: { type: 'list<string>', doc: 'names of the settings that differ' },
      by: { type: 'string', doc: 'who makes it' },
    },
  },
  Model: {
    ctor: ModelView,
    fields: {
      name: { type: 'string', doc: 'name in models.yaml' },
      version: { type: 'string', doc: '' },
      labels: { type: 'map<string, string>', doc: '' },
      team: { type: 'string', optional: true, doc: '' },
    },
  },
} as const satisfies Readonly<Record<string, TypeRow>>;

/** The variables, one row each. */
export const variables = {
  caller: { type: 'Caller', doc: 'who asks, verified', on: ['request', 'response', 'lifecycle'] },
  request: { type: 'Request', doc: 'what is asked', on: ['request', 'response'] },
  http: { type: 'Http', doc: 'how it came', on: ['request', 'response'] },
  model: { type: 'Model', doc: 'the entry of models.yaml that it is for', on: ['request', 'response', 'lifecycle'] },
  response: { type: 'Response', doc: 'what the model answers', on: ['response'] },
  toolCall: {
    type: 'ToolCall',
    doc: 'a complete tool call of the answer; a rule that reads it runs at each tool call only',
    on: ['response'],
  },
  change: { type: 'Change', doc: 'what is to change of the model', on: ['lifecycle'] },
  now: { type: 'google.protobuf.Timestamp', doc: '', on: ['request', 'response', 'lifecycle'] },
} as const satisfies Readonly<Record<string, VariableRow>>;

const typeRows: Readonly<Record<string, TypeRow>> = types;
const variableRows: Readonly<Record<string, VariableRow>> = variables;

/** Declares every type, and the variables that rules of this kind see. */
export function registerVariables(env: Environment, on: RuleKind): void {
  for (const [name, { ctor, fields }] of Object.entries(typeRows)) {
    const declared = Object.entries(fields).map(([field, row]) => [field, row.type] as const);
    env.registerType(name, { ctor, fields: Object.fromEntries(declared) });
  }
  for (const [name, row] of Object.entries(variableRows)) if (row.on.includes(on)) env.registerVariable(name, row.type);
}

/** Kinds of rules that see a variable; empty for a name that is none. */
export function kindsOf(variable: string): readonly RuleKind[] {
  return Object.hasOwn(variableRows, variable) ? (variableRows[variable]?.on ?? []) : [];
}

/** Names of the variables that rules of this kind see. */
export function variablesOf(on: RuleKind): readonly string[] {
  return [...Object.keys(variableRows).filter((name) => kindsOf(name).includes(on)), 'variables'];
}

/** Names of all variables, whatever the kind of rule. */
export const variableRoots: ReadonlySet<string> = new Set(Object.keys(variableRows));

/** Field names of one of our types, for hints; empty for any other type. */
export function fieldsOf(type: string): readonly string[] {
  return Object.hasOwn(typeRows, type) ? Object.keys(typeRows[type]?.fields ?? {}) : [];
}

/** Views that outlive a decision, because their sources do. */
export interface ViewCache {
  readonly callers: WeakMap<Caller, CallerView>;
  readonly models: WeakMap<Model, ModelView>;
  readonly categories: Categories;
}

/** What one decision is about, as far as it is known: what reads the rest cannot be evaluated. */
export interface Situation {
  readonly caller?: Caller;
  readonly model?: Model;
  readonly nowMs?: number;
  readonly input?: DecisionInput;
  readonly response?: ResponseFacts;
  readonly toolCall?: ToolCallFacts | undefined;
  readonly change?: ChangeFacts;
}

/** Something was read that is not known yet. */
class NotThere extends Error {
  readonly code = 'not_there';
}
const notThere = new NotThere('not known');

/** The variables of one decision, each built when the first rule reads it. */
export class Activation {
  readonly #situation: Situation;
  readonly #views: ViewCache;
  #caller: CallerView | undefined;
  #model: ModelView | undefined;
  #request: RequestView | undefined;
  #http: HttpView | undefined;
  #response: ResponseView | undefined;
  #toolCall: ToolCallView | undefined;
  #change: ChangeView | undefined;
  #now: Date | undefined;
  /** The `variables` of the policy whose rule is evaluated now. */
  variables: object | undefined;

  constructor(situation: Situation, views: ViewCache) {
    this.#situation = situation;
    this.#views = views;
  }
  get caller(): CallerView {
    if (this.#caller !== undefined) return this.#caller;
    const caller = there(this.#situation.caller);
    const view = this.#views.callers.get(caller) ?? new CallerView(caller);
    this.#views.callers.set(caller, view);
    this.#caller = view;
    return view;
  }
  get request(): RequestView {
    this.#request ??= new RequestView(there(this.#situation.input), this.#views.categories);
    return this.#request;
  }
  get http(): HttpView {
    this.#http ??= new HttpView(there(this.#situation.input).http);
    return this.#http;
  }
  get response(): ResponseView {
    this.#response ??= new ResponseView(there(this.#situation.response), this.#views.categories);
    return this.#response;
  }
  get toolCall(): ToolCallView {
    this.#toolCall ??= new ToolCallView(there(this.#situation.toolCall));
    return this.#toolCall;
  }
  get change(): ChangeView {
    this.#change ??= new ChangeView(there(this.#situation.change));
    return this.#change;
  }
  get model(): ModelView {
    if (this.#model !== undefined) return this.#model;
    const model = there(this.#situation.model);
    const view = this.#views.models.get(model) ?? new ModelView(model);
    this.#views.models.set(model, view);
    this.#model = view;
    return view;
  }
  /** What `guard("name")` looks in, see functions/guards.ts. */
  get [guardsVariable](): DecisionInput['guards'] {
    return there(this.#situation.input).guards;
  }
  get now(): Date {
    this.#now ??= new Date(there(this.#situation.nowMs));
    return this.#now;
  }
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw notThere;
  return value;
}

/** JSON values as CEL has them: whole numbers are ints (BigInt), objects are maps; plain objects would show their prototype. */
function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value === 'object' && value !== null) return toCelMap(value as Readonly<Record<string, unknown>>);
  return value;
}

function toCelMap(object: Readonly<Record<string, unknown>>): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(object).map(([name, value]) => [name, toCel(value)]));
}
