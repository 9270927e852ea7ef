import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { ChangeFacts, DecisionInput, ResponseFacts, ToolCallFacts } from './decision.ts';

/**
 * What the rules see. Each view is a class whose getters convert a field when a rule reads it (ints to BigInt, objects to
 * Map), so that a decision pays for what its rules read. A field that is not there has no key: `has(caller.email)`.
 */
export class CallerView {
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

export class MessageView {
  readonly role: string;
  readonly text: string;
  constructor(role: string, text: string) {
    this.role = role;
    this.text = text;
  }
}

export class ToolView {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

export class ToolCallView {
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

export class RequestView {
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
  get unread(): boolean {
    return this.#facts.unread;
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

export class HttpView {
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

export class ResponseView {
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

export class ChangeView {
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

export class ModelView {
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
