/**
 * The rules on one response (`on: response`): asked at its headers, at each new finding, at each complete tool call, and at
 * its end, always before what they are asked about leaves.
 */
import type { Watched } from '../checkpoint/stages.ts';
import type { ToolCall } from '../exchange/tool-calls.ts';
import type { AsksToolCalls } from '../mask/bodies.ts';
import type { Released } from '../mask/contract.ts';
import { bothMasked, coversMasking, type Operators } from '../mask/operators.ts';
import type { RuleOutcome } from '../record/events.ts';
import type { Delivered } from './delivered.ts';
import type { ResponseHead } from './response.ts';

/** Why nothing more may leave: the rule (`policy/rule`), and its words for the caller. */
export interface Stop {
  readonly by: string;
  readonly message: string;
}

type Phase = 'headers' | 'finding' | 'toolCall' | 'end';

export class ResponseRules {
  /** Detector ids that the answer is masked with: the plan's, and from the headers on those of the rules. */
  mask: readonly string[];
  /** What they become. */
  operators: Operators;
  private readonly watched: Watched;
  private readonly head: ResponseHead;
  private readonly matched = new Map<string, RuleOutcome>();
  /** Findings that the rules know of. */
  private seen = 0;
  private ended = false;

  constructor(watched: Watched, head: ResponseHead, mask: readonly string[], operators: Operators = {}) {
    this.watched = watched;
    this.head = head;
    this.mask = mask;
    this.operators = operators;
  }

  /** Every rule that matched or failed so far, each once. */
  get outcomes(): readonly RuleOutcome[] {
    return [...this.matched.values()];
  }

  /** Which of the rules are asked about tool calls. */
  get asksToolCalls(): AsksToolCalls {
    const { policy, input } = this.watched;
    return policy.asksToolCalls(input.model);
  }

  /** Before the headers leave. What is to be masked is known then. */
  atHeaders(): Stop | undefined {
    const { stop, mask, operators = {} } = this.ask('headers', undefined, 0);
    const both = bothMasked({ ids: this.mask, operators: this.operators }, { ids: mask, operators });
    this.mask = both.ids;
    this.operators = both.operators;
    return stop;
  }

  /** Before a piece of the body leaves, with which something may have been found, or the body ends. */
  atPiece(delivered: Delivered, released: Released): Stop | undefined {
    const bytes = delivered.bytes + released.bytes.length;
    const found = delivered.foundCount;
    if (found > this.seen) {
      this.seen = found;
      const stop = this.later('finding', delivered, bytes);
      if (stop !== undefined) return stop;
    }
    return released.terminal ? this.atEnd(delivered, bytes) : undefined;
  }

  /** Before the last of a tool call leaves; `bytes`: released with it. */
  atToolCall(delivered: Delivered, call: ToolCall, bytes: number): Stop | undefined {
    return this.later('toolCall', delivered, bytes, call);
  }

  /** Before the last of an answer leaves; `delivered` undefined: it has no body. */
  atEnd(delivered: Delivered | undefined, bytes: number): Stop | undefined {
    if (this.ended) return undefined;
    this.ended = true;
    return this.later('end', delivered, bytes);
  }

  /** The masker is open: it cannot take on another detector for what is on its way. */
  private later(phase: Phase, delivered: Delivered | undefined, bytes: number, call?: ToolCall): Stop | undefined {
    const { stop, mask, operators = {}, rules } = this.ask(phase, delivered, bytes, call);
    const masking = { ids: this.mask, operators: this.operators };
    if (stop !== undefined || coversMasking(masking, { ids: mask, operators })) return stop;
    const rule = rules.find(({ effect, mode }) => effect === 'mask' && mode === 'enforce');
    const by = rule === undefined ? '' : `${rule.policy}/${rule.rule}`;
    return { by, message: `Rule ${by} masks this answer, and can do so only from its headers on.` };
  }

  private ask(phase: Phase, delivered: Delivered | undefined, bytes: number, call?: ToolCall) {
    const { status, mediaType: contentType } = this.head;
    const { policy, input } = this.watched;
    const findings = delivered?.found ?? NOTHING;
    const decided = policy.decideResponse(
      input,
      { status, contentType, findings, outputTokens: delivered?.outputTokens, bytes, phase },
      call,
    );
    for (const hit of decided.rules) this.matched.set(`${hit.policy}/${hit.rule}/${hit.error ?? ''}`, hit);
    return decided;
  }
}
const NOTHING: ReadonlyMap<string, number> = new Map();
