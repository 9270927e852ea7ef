import type { Environment } from '@marcbachmann/cel-js';
import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { DecisionInput } from './decision.ts';

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

/** Category → its detector ids. */
export type Categories = ReadonlyMap<string, readonly string[]>;

class RequestView {
  readonly #input: DecisionInput;
  readonly #facts: RequestFacts;
  readonly #categories: Categories;
  #messages: readonly MessageView[] | undefined;
  #tools: readonly ToolView[] | undefined;
  #findings: ReadonlyMap<string, bigint> | undefined;
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
  get images(): bigint {
    return BigInt(this.#facts.images);
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

/** Detector id → count as found, and each category → the sum over its detectors; what was not found has no key. */
function countFindings(found: ReadonlyMap<string, number>, categories: Categories): ReadonlyMap<string, bigint> {
  const counts = new Map<string, bigint>();
  for (const [detector, count] of found) if (count > 0) counts.set(detector, BigInt(count));
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

/** The types, as rules are checked against them: name in complaints → class and fields. One row a variable. */
const types = {
  Message: { ctor: MessageView, fields: { role: 'string', text: 'string' } },
  Tool: { ctor: ToolView, fields: { name: 'string' } },
  Caller: {
    ctor: CallerView,
    fields: {
      provider: 'string',
      issuer: 'string',
      subject: 'string',
      kind: 'string',
      proof: 'string',
      email: 'string',
      groups: 'list<string>',
      groupsComplete: 'bool',
      team: 'string',
      claims: 'map<string, dyn>',
    },
  },
  Request: {
    ctor: RequestView,
    fields: {
      format: 'string',
      operation: 'string',
      model: 'string',
      stream: 'bool',
      choices: 'int',
      messages: 'list<Message>',
      text: 'string',
      tools: 'list<Tool>',
      images: 'int',
      maxTokens: 'int',
      tokens: 'int',
      bytes: 'int',
      findings: 'map<string, int>',
    },
  },
  Http: { ctor: HttpView, fields: { method: 'string', host: 'string', path: 'string', clientAddress: 'string' } },
  Model: {
    ctor: ModelView,
    fields: { name: 'string', version: 'string', labels: 'map<string, string>', team: 'string' },
  },
} as const;

const variables = {
  caller: 'Caller',
  request: 'Request',
  http: 'Http',
  model: 'Model',
  now: 'google.protobuf.Timestamp',
} as const;

export function registerVariables(env: Environment): void {
  for (const [name, { ctor, fields }] of Object.entries(types)) env.registerType(name, { ctor, fields });
  for (const [name, type] of Object.entries(variables)) env.registerVariable(name, type);
}

export const variableNames: readonly string[] = [...Object.keys(variables), 'variables'];

/** Field names of one of our types, for hints; empty for any other type. */
export function fieldsOf(type: string): readonly string[] {
  return type in types ? Object.keys(types[type as keyof typeof types].fields) : [];
}

/** Views that outlive a decision, because their sources do. */
export interface ViewCache {
  readonly callers: WeakMap<Caller, CallerView>;
  readonly models: WeakMap<Model, ModelView>;
  readonly categories: Categories;
}

/** The variables of one decision, each built when the first rule reads it. */
export class Activation {
  readonly #input: DecisionInput;
  readonly #views: ViewCache;
  #caller: CallerView | undefined;
  #model: ModelView | undefined;
  #request: RequestView | undefined;
  #http: HttpView | undefined;
  #now: Date | undefined;
  /** The `variables` of the policy whose rule is evaluated now. */
  variables: object | undefined;

  constructor(input: DecisionInput, views: ViewCache) {
    this.#input = input;
    this.#views = views;
  }
  get caller(): CallerView {
    if (this.#caller !== undefined) return this.#caller;
    const { caller } = this.#input;
    const view = this.#views.callers.get(caller) ?? new CallerView(caller);
    this.#views.callers.set(caller, view);
    this.#caller = view;
    return view;
  }
  get request(): RequestView {
    this.#request ??= new RequestView(this.#input, this.#views.categories);
    return this.#request;
  }
  get http(): HttpView {
    this.#http ??= new HttpView(this.#input.http);
    return this.#http;
  }
  get model(): ModelView {
    if (this.#model !== undefined) return this.#model;
    const { model } = this.#input;
    const view = this.#views.models.get(model) ?? new ModelView(model);
    this.#views.models.set(model, view);
    this.#model = view;
    return view;
  }
  get now(): Date {
    this.#now ??= new Date(this.#input.nowMs);
    return this.#now;
  }
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
