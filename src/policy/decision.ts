import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';

/** What a decision is made from. `findings`: detector id → count in the request's text. */
export interface DecisionInput {
  readonly caller: Caller;
  readonly request: RequestFacts;
  readonly findings: ReadonlyMap<string, number>;
  readonly model: Model;
  readonly http: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly clientAddress: string;
  };
  readonly nowMs: number;
}

/** A rule that matched, or could not be evaluated. */
export interface RuleHit {
  readonly policy: string;
  readonly rule: string;
  readonly effect: 'allow' | 'deny' | 'mask';
  readonly mode: 'enforce' | 'dryRun';
  /** Set when the expression threw or ran over its budget: an error in an allow rule does not match, in any other it denies. */
  readonly error?: string;
}

export type Decision =
  | {
      readonly verdict: 'allow';
      readonly rules: readonly RuleHit[];
      /** Detector ids to mask in the response, expanded from categories, sorted; empty: none. */
      readonly maskResponse: readonly string[];
      readonly revision: string;
    }
  | {
      readonly verdict: 'deny';
      readonly rules: readonly RuleHit[];
      /** `<policy>/<rule>` that denied, or undefined when nothing allowed it. */
      readonly by: string | undefined;
      readonly message: string;
      readonly revision: string;
    };

export interface PolicySet {
  /** Content hash of every file in force, `sha256:<16 hex>`. */
  readonly revision: string;
  decide(input: DecisionInput): Decision;
  /** Whether this caller could use the model at all; `GET /v1/models` lists by it: some allow rule of the model matches a minimal chat request. */
  admits(caller: Caller, model: Model, nowMs: number): boolean;
}
