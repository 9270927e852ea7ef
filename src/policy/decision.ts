import type { Masking, Operators } from '../detect/operator.ts';
import type { RequestFacts } from '../exchange/facts.ts';
import type { Caller } from '../identity/caller.ts';
import type { Model } from '../models/model.ts';

/** What a guard (an external classifier, `guards:` in the config) said of a request. */
export type GuardVerdict =
  | {
      readonly ok: true;
      readonly flagged: boolean;
      /** What it was flagged for, in the guard's own words; empty where it does not say. */
      readonly categories: readonly string[];
      /** Category → 0 … 1, where the guard gives numbers. */
      readonly scores: ReadonlyMap<string, number>;
    }
  /** It could not be asked, and its config says that this counts as an error: every rule that reads it fails. */
  | { readonly ok: false; readonly code: string };

/** What the content checks found in a request. */
export interface Checks {
  /** Detector id → count. */
  readonly findings: ReadonlyMap<string, number>;
  /** Content filter (`filters:` in the config) → matches. */
  readonly filters: ReadonlyMap<string, number>;
  /** Guard → verdict; only those that `needs` names. */
  readonly guards: ReadonlyMap<string, GuardVerdict>;
}

/** What a decision is made from. */
export interface DecisionInput extends Checks {
  readonly caller: Caller;
  readonly request: RequestFacts;
  readonly model: Model;
  readonly http: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly clientAddress: string;
    /** Request headers by lower-case name, duplicates joined by `, `; credentials and cookies are not among them. */
    readonly headers: ReadonlyMap<string, string>;
  };
  readonly nowMs: number;
}

/** What the rules in scope of a model read, so that nothing is computed on the path that nobody asks for. */
export interface Needs {
  readonly findings: boolean;
  readonly filters: boolean;
  /** Names of guards, sorted. */
  readonly guards: readonly string[];
}

export type Effect = 'allow' | 'deny' | 'requireApproval' | 'limit' | 'mask' | 'stop';

/** A rule that matched, or could not be evaluated. */
export interface RuleHit {
  readonly policy: string;
  readonly rule: string;
  readonly effect: Effect;
  readonly mode: 'enforce' | 'dryRun';
  readonly severity?: Severity;
  readonly labels?: Readonly<Record<string, string>>;
  /** Set when the expression threw or ran over its budget: an error in an allow rule does not match, in any other it denies. */
  readonly error?: string;
}

export const severities = ['info', 'low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof severities)[number];

/** A fixed UTC window of a limit: `amount` requests or tokens a `windowMs`. */
export interface LimitWindow {
  readonly unit: 'requests' | 'tokens';
  readonly amount: number;
  readonly windowMs: number;
}

/** A limit that a request has to pass; charged by src/limits before dispatch. */
export interface LimitCharge {
  readonly policy: string;
  readonly rule: string;
  readonly mode: 'enforce' | 'dryRun';
  /** What `by` came to, as text with its CEL type (`string:alice`), so that `1` and `"1"` are two; `''` without `by`: one for all. */
  readonly key: string;
  readonly windows: readonly LimitWindow[];
  readonly message: string | undefined;
}

/** A rule that wants a human's yes. */
export interface ApprovalDemand {
  readonly policy: string;
  readonly rule: string;
  readonly approvers: readonly string[];
  readonly minApprovals: number;
  readonly reasonRequired: boolean;
  readonly grant: { readonly scope: 'request' | 'rule'; readonly uses: number; readonly forMs: number };
  /** SHA-256 (hex) of the rule as written: a changed rule's tickets do not hold. */
  readonly digest: string;
  readonly message: string;
}

interface Decided {
  readonly rules: readonly RuleHit[];
  readonly revision: string;
}

/** What goes with a request that may pass. */
interface Passing extends Decided {
  /** Detector ids to mask in the response, expanded from categories, sorted; empty: none. */
  readonly maskResponse: readonly string[];
  /** The same, before the model sees the request. */
  readonly maskRequest: readonly string[];
  /** What they become, where one of them is not replaced by its name. */
  readonly operators?: { readonly request: Operators; readonly response: Operators };
  /** Every limit whose rule matched, dry runs included. */
  readonly limits: readonly LimitCharge[];
}

/** Deny over requireApproval over limit over allow: limits are charged once the rest says yes. */
export type Decision =
  | (Passing & { readonly verdict: 'allow' })
  | (Passing & { readonly verdict: 'requireApproval'; readonly demands: readonly ApprovalDemand[] })
  | (Decided & {
      readonly verdict: 'deny';
      /** `<policy>/<rule>` that denied, or undefined when nothing allowed it. */
      readonly by: string | undefined;
      readonly message: string;
    });

/** What `on: response` rules see beside the request. */
export interface ResponseFacts {
  readonly status: number;
  readonly contentType: string;
  /** Detector id → count found so far. */
  readonly findings: ReadonlyMap<string, number>;
  /** Tokens as the model reported them, so far. */
  readonly outputTokens: number | undefined;
  /** Bytes released so far, with those that are about to be. */
  readonly bytes: number;
  /** `headers`, `finding`, `toolCall` or `end`: why the rules run now. */
  readonly phase: 'headers' | 'finding' | 'toolCall' | 'end';
}

/** A complete tool call of a response; also what `toolCall` is in rules about MCP's `tools/call` requests. */
export interface ToolCallFacts {
  readonly name: string;
  /** JSON values as read. */
  readonly arguments: unknown;
}

/** What the rules on the response say now. An error in an enforced rule is a stop. */
export interface ResponseDecision {
  readonly rules: readonly RuleHit[];
  readonly stop: { readonly by: string; readonly message: string } | undefined;
  /** Detector ids to mask from here on. */
  readonly mask: readonly string[];
  /** What they become, where one of them is not replaced by its name. */
  readonly operators?: Operators;
}

/** A change of a model, for `on: lifecycle` rules. Issue 8 makes them. */
export interface ChangeFacts {
  readonly kind: 'register' | 'version' | 'config' | 'retire';
  readonly model: string;
  readonly fromVersion: string | undefined;
  readonly toVersion: string | undefined;
  /** Names of the settings that differ. */
  readonly fields: readonly string[];
  readonly by: string;
}

/** What a lifecycle change needs: the same verdicts, without masks and limits. */
export type LifecycleDecision =
  | (Decided & { readonly verdict: 'allow' })
  | (Decided & { readonly verdict: 'requireApproval'; readonly demands: readonly ApprovalDemand[] })
  | (Decided & { readonly verdict: 'deny'; readonly by: string | undefined; readonly message: string });

/** One rule of a set, for whoever shows or compares them. */
export interface RuleInfo {
  readonly policy: string;
  readonly rule: string;
  readonly effect: Effect;
  readonly mode: 'enforce' | 'dryRun';
  /** When it is evaluated: a `mask` on responses that reads nothing of the response is decided with the request. */
  readonly phase: 'request' | 'response' | 'lifecycle';
  /** As written; undefined: always. */
  readonly when: string | undefined;
  /** `file:line:column`. */
  readonly where: string;
  /** SHA-256 (hex) of the rule as written, its policy's variables and scope included: equal rules have equal digests. */
  readonly digest: string;
  /**
   * As JSON: the rule as written, defaults filled in, without its name; `labels` and `mode` with those of its file;
   * `policy.models`: the file's scope; `variables`: those that it reads, name → expression.
   */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface PolicySet {
  /** Content hash of every file in force, `sha256:<16 hex>`. */
  readonly revision: string;
  /** Git commit that the files came from, 40 or 64 hex digits; undefined: none. */
  readonly commit: string | undefined;
  /** What its enforced rules mask, each rule alone and all of them together: for whoever prepares for it. */
  maskings(): readonly Masking[];
  /** Every rule, in the order of files and of rules in them; `model`: those in scope of it. */
  rules(model?: Model): readonly RuleInfo[];
  /** What must be computed before `decide` is asked about this model. */
  needs(model: Model): Needs;
  /** `asks`: only the rules that it says yes to, as if there were no others; for what looks at a decision rule by rule. */
  decide(input: DecisionInput, asks?: (rule: Pick<RuleHit, 'policy' | 'rule'>) => boolean): Decision;
  /** Whether any `on: response` rule is in scope of the model. */
  watchesResponses(model: Model): boolean;
  /** Whether any of them is enforced: without having been asked, no answer may pass. */
  enforcesOnResponses(model: Model): boolean;
  /** Whether any of them reads the tool calls of an answer: one that is enforced, or on trial only. */
  asksToolCalls(model: Model): 'none' | 'trial' | 'enforce';
  decideResponse(input: DecisionInput, response: ResponseFacts, toolCall: ToolCallFacts | undefined): ResponseDecision;
  decideLifecycle(change: ChangeFacts, model: Model, caller: Caller, nowMs: number): LifecycleDecision;
  /**
   * Whether this caller could use the model at all; `GET /v1/models` lists by it. Nothing is known of a request yet: some
   * allow rule could match one, and nothing is sure to deny all of them.
   */
  admits(caller: Caller, model: Model, nowMs: number): boolean;
}
