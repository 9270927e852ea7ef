import type { Vocabulary } from './vocabulary.ts';

/** A field as rules see it. docs/policy-reference.md is generated from these rows. */
export interface FieldRow {
  /** CEL's name of its type, or of one of ours below. */
  readonly type: string;
  /** One line of Markdown for the reference; empty where the name says it all. */
  readonly doc: string;
  /** May not be there: rules ask with `has` first. */
  readonly optional?: true;
  /** The only values that it can have; a comparison with another one is a mistake. */
  readonly values?: Vocabulary;
}

export interface TypeRow {
  readonly ctor: new (...args: never[]) => object;
  readonly fields: Readonly<Record<string, FieldRow>>;
}

/** What a rule is about (`on`): each kind sees its own variables. */
export type RuleKind = 'request' | 'response' | 'lifecycle';

export interface VariableRow {
  readonly type: string;
  readonly doc: string;
  /** Kinds of rules that see it. */
  readonly on: readonly RuleKind[];
}

/**
 * The name under which an activation holds the decision's verdicts (`DecisionInput.guards`). The compiler puts it before the
 * name in each call of `guard`; no expression can write it.
 */
export const guardsVariable = '_guards';
