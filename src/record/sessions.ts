import type { ContentChunk, EndEvent, RecordEvent, ResponseEvent } from './events.ts';

/** What is known of a session whose end is not on the record yet. */
export interface OpenSession {
  readonly session: string;
  /** Leaf of its request, and the log that it is in where that is not this one. */
  readonly leaf: number;
  readonly writer?: string | undefined;
  /** Epoch milliseconds of its request (of its response, where sessions are shared), of the last thing on the record, and of the first delivered piece. */
  readonly startedAt: number;
  lastAt: number;
  firstByteAt: number | undefined;
  chunks: number;
  bytes: number;
}

/** What is looked at of an event; `request` is what a `response` cites. */
type OpeningEvent = Pick<RecordEvent, 'type' | 'session' | 'at'> & { readonly request?: ResponseEvent['request'] };

/**
 * The sessions of this writer that have a request (where sessions are shared: a response) and no end. Each new segment begins with them, so that recovery reads
 * the last segment only, however far the shipper is behind. Bounded: at `limit` the oldest is forgotten (its end may
 * lie in another process's log; this one then writes none).
 */
export class OpenSessions {
  readonly #open = new Map<string, OpenSession>();
  readonly #limit: number;
  readonly #shared: boolean;

  constructor(limit: number, shared: boolean) {
    this.#limit = limit;
    this.#shared = shared;
  }

  get size(): number {
    return this.#open.size;
  }

  event(event: OpeningEvent, leaf: number): void {
    const { type, session, at, request } = event;
    if (type === 'end') this.#open.delete(session);
    else if (type === 'request' && !this.#shared) this.#begin({ session, leaf, at });
    else if (type === 'response' && this.#shared && request !== undefined) this.#begin({ session, at, ...request });
    else this.#touch(session, at);
  }

  content(chunk: Pick<ContentChunk, 'session' | 'direction' | 'at'> & { bytes: { length: number } }): void {
    const open = this.#touch(chunk.session, chunk.at);
    if (open === undefined || chunk.direction !== 'response') return;
    open.firstByteAt ??= chunk.at;
    open.chunks++;
    open.bytes += chunk.bytes.length;
  }

  /** Forgets sessions that began before `at` (epoch milliseconds): longer than any stream may last. */
  forgetBefore(at: number): void {
    for (const open of this.#open.values()) if (open.startedAt < at) this.#open.delete(open.session);
  }

  encode(): Buffer {
    return Buffer.from(JSON.stringify({ sessions: [...this.#open.values()] }));
  }

  /** Takes over what a segment began with. */
  decode(payload: Buffer): void {
    const { sessions } = JSON.parse(payload.toString()) as { sessions: OpenSession[] };
    for (const open of sessions) this.#open.set(open.session, { ...open, firstByteAt: open.firstByteAt });
  }

  /** The ends to append for a writer that died: what was on the record by then is what was delivered. */
  endings(writer: string): EndEvent[] {
    return [...this.#open.values()].map((open) => ({
      type: 'end',
      session: open.session,
      at: open.lastAt,
      request: { writer: open.writer ?? writer, leaf: open.leaf },
      rules: [],
      how: 'unknown',
      code: '',
      status: 0,
      detail: '',
      found: {},
      masked: {},
      maskedRequest: {},
      inputTokens: undefined,
      outputTokens: undefined,
      bytes: open.bytes,
      chunks: open.chunks,
      firstByteMs: open.firstByteAt === undefined ? undefined : open.firstByteAt - open.startedAt,
      durationMs: open.lastAt - open.startedAt,
    }));
  }

  #begin({ at, ...which }: { session: string; leaf: number; writer?: string; at: number }): void {
    if (this.#open.size >= this.#limit) this.#open.delete(this.#open.keys().next().value as string);
    const nothing = { firstByteAt: undefined, chunks: 0, bytes: 0 };
    this.#open.set(which.session, { ...which, startedAt: at, lastAt: at, ...nothing });
  }

  #touch(session: string, at: number): OpenSession | undefined {
    const open = this.#open.get(session);
    if (open !== undefined && at > open.lastAt) open.lastAt = at;
    return open;
  }
}
