/** Sessions that were let through and have not ended: the request gate opens them, the response gate ends them. */
import type { Plan, Watched } from '../checkpoint/stages.ts';
import type { EndEvent, Recorder } from '../record/events.ts';

/** A yes that no stream has taken up after this long was never dispatched, milliseconds. */
const DISPATCH_TIMEOUT_MS = 60_000;

export type Ending = Omit<EndEvent, 'type' | 'session' | 'at' | 'request' | 'durationMs'> & {
  /** Text that was delivered, bytes of UTF-8: what a limit is charged where the model reports no usage. */
  readonly textBytes: number;
  /** Envoy answered itself, and said that nothing went to the model. */
  readonly notSent: boolean;
};

/** What an ending says when nothing was delivered. */
export const NOTHING_DELIVERED: Ending = {
  how: 'not_dispatched',
  code: '',
  status: 0,
  detail: '',
  rules: [],
  found: {},
  masked: {},
  maskedRequest: {},
  inputTokens: undefined,
  outputTokens: undefined,
  textBytes: 0,
  notSent: false,
  bytes: 0,
  chunks: 0,
  firstByteMs: undefined,
  withheld: undefined,
};

interface Open {
  readonly plan: Plan;
  /** What the rules on the response are asked with. */
  readonly watched: Watched | undefined;
  taken: boolean;
}

export class OpenSessions {
  private readonly open = new Map<string, Open>();
  private readonly recorder: Recorder;
  private readonly nowMs: () => number;
  private readonly shared: boolean;
  private readonly over: (plan: Plan, ending: Ending) => void;
  private readonly timer: NodeJS.Timeout;

  /**
   * `shared`: another process may have the stream of a session that was let through here (config.ts, sharesSessions).
   * `over` hears of every end, once.
   */
  constructor(
    recorder: Recorder,
    nowMs: () => number,
    shared: boolean,
    over: (plan: Plan, ending: Ending) => void = () => {},
  ) {
    this.recorder = recorder;
    this.nowMs = nowMs;
    this.shared = shared;
    this.over = over;
    this.timer = setInterval(() => this.endUndispatched(), 5_000);
    this.timer.unref();
  }

  get size(): number {
    return this.open.size;
  }

  dispatched(plan: Plan, watched?: Watched): void {
    this.open.set(plan.session, { plan, watched, taken: false });
  }

  /**
   * The response gate has this session now. A plan of another replica is taken too: then nobody here knows what the rules on
   * the response are asked with.
   */
  take(plan: Plan): Watched | undefined {
    const session = this.open.get(plan.session);
    if (session === undefined) this.open.set(plan.session, { plan, watched: undefined, taken: true });
    else session.taken = true;
    return session?.watched;
  }

  /** Ends a session on the record, once; later calls do nothing. Throws when the journal cannot take it. */
  end(id: string, ending: Ending): boolean {
    const session = this.open.get(id);
    if (session === undefined) return false;
    this.open.delete(id);
    const { plan } = session;
    const at = this.nowMs();
    this.recorder.event({
      at,
      bytes: ending.bytes,
      chunks: ending.chunks,
      code: ending.code,
      detail: ending.detail,
      durationMs: at - plan.issuedAtMs,
      firstByteMs: ending.firstByteMs,
      found: ending.found,
      how: ending.how,
      inputTokens: ending.inputTokens,
      masked: ending.masked,
      maskedRequest: ending.maskedRequest,
      outputTokens: ending.outputTokens,
      request: plan.request,
      ...(ending.restored && { restored: ending.restored }),
      rules: ending.rules,
      session: id,
      status: ending.status,
      type: 'end',
      ...(ending.withheld === undefined ? {} : { withheld: ending.withheld }),
    });
    this.over(plan, ending);
    return true;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private endUndispatched(): void {
    if (this.recorder.state !== 'open') return;
    const oldest = this.nowMs() - DISPATCH_TIMEOUT_MS;
    for (const [id, { plan, taken }] of this.open) {
      if (plan.issuedAtMs > oldest) break; // in order of issue
      if (taken) continue;
      if (this.shared) this.open.delete(id);
      else this.end(id, NOTHING_DELIVERED);
    }
  }
}
