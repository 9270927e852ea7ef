import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';
import type { ChangeFacts, DecisionInput, ResponseFacts, ToolCallFacts } from './decision.ts';
import { guardsVariable } from './fields.ts';
import {
  CallerView,
  type Categories,
  ChangeView,
  HttpView,
  ModelView,
  RequestView,
  ResponseView,
  ToolCallView,
} from './views.ts';

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
