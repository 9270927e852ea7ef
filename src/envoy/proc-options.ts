/** What the ext_proc edge is made with. */
import type { Plan, RefuseStage } from '../checkpoint/stages.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import type { AsksToolCalls, MaskedRequest, ResponseBody } from '../mask/bodies.ts';
import type { Recorder } from '../record/events.ts';
import type { EdgeRefusal } from './authz.ts';
import type { PlanKeys, PlanRefusal, UsedPlans } from './plan.ts';
import type { Framing } from './response.ts';
import type { Ending, OpenSessions } from './sessions.ts';

export interface ProcOptions {
  readonly planKeys: PlanKeys;
  readonly usedPlans: UsedPlans;
  readonly recorder: Recorder;
  readonly sessions: OpenSessions;
  /** `pseudonyms`: of the request, where it was masked with some. */
  readonly openBody: (
    plan: Plan,
    framing: Framing,
    how: { readonly asks: AsksToolCalls; readonly pseudonyms: MaskedRequest['pseudonyms'] },
  ) => ResponseBody;
  /** Masks a request's body before the model sees it. */
  readonly maskRequest: (plan: Plan, body: Buffer) => MaskedRequest | Promise<MaskedRequest>;
  /** Work that belongs to a session's record and is not done yet: its end waits for it. */
  readonly pending: (session: string) => Promise<void> | undefined;
  readonly refuse: RefuseStage;
  /** Masks a short text for the record. */
  readonly maskText: (text: string) => string;
  readonly newSession: () => string;
  readonly nowMs: () => number;
  readonly observe: ProcObserver;
  /** Puts a refused plan on the record. */
  readonly record: (refusal: EdgeRefusal) => void;
}

export interface ProcObserver {
  streamOpened(): void;
  streamClosed(): void;
  /** A chunk was answered: bytes from the model, bytes released. */
  chunk(bytesIn: number, bytesOut: number): void;
  masked(detector: string, count: number): void;
  planRefused(why: PlanRefusal): void;
  localReply(details: string): void;
  ended(how: Ending['how'], model: string): void;
  failed(session: string | undefined, code: ErrorCode, error: unknown): void;
}
