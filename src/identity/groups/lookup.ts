import { performance } from 'node:perf_hooks';
import { setTimeout as after } from 'node:timers/promises';
import { type Http, type HttpAnswer, type HttpAsk, HttpProblem } from '../http.ts';
import { GroupsProblem } from './problem.ts';

/** One page of groups is about 100 KB at most (999 ids at Graph, 200 groups at Google). */
const maxBytes = 1_048_576;
/** Longest that a service's wish to be left alone is kept, in milliseconds. */
const longestRestMs = 60_000;

export interface ServiceParts {
  /** What the service is called in details. */
  readonly name: string;
  readonly http: Http;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds that one lookup may take, paging and its one repeat included. */
  readonly timeoutMs: number;
  /** Waits that many milliseconds. Default: really. */
  readonly sleep?: ((ms: number) => Promise<unknown>) | undefined;
}

export type Ask = Omit<HttpAsk, 'timeoutMs' | 'maxBytes'>;

/** Whether an answer says "later": 429 (RFC 6585 §4), 503 and its like. */
export const isThrottled = (answer: HttpAnswer): boolean => [429, 502, 503, 504].includes(answer.status);

/** What many lookups at one service share: once it says how long it wants to be left alone, all of them wait that long. */
export class Service {
  readonly parts: ServiceParts;
  #notBeforeMs = 0;

  constructor(parts: ServiceParts) {
    this.parts = parts;
  }

  begin(): Lookup {
    return new Lookup(this);
  }

  /** Milliseconds that it is still to be left alone, 0 when it may be asked. */
  restMs(): number {
    const leftMs = this.#notBeforeMs - this.parts.now();
    // More than the longest rest is a clock that was set back.
    return leftMs > longestRestMs ? 0 : Math.max(0, leftMs);
  }

  leaveAlone(ms: number): void {
    this.#notBeforeMs = this.parts.now() + Math.min(ms, longestRestMs);
  }
}

/** The requests for one caller's groups: together bounded in time, and with one repeat between them. */
export class Lookup {
  readonly #service: Service;
  readonly #endsAt: number;
  #repeated = false;

  constructor(service: Service) {
    this.#service = service;
    this.#endsAt = performance.now() + service.parts.timeoutMs;
  }

  /** Rejects with GroupsProblem when there is no answer, or one that says "later" twice. Any other answer resolves. */
  async ask(url: string, ask: Ask, saysLater = isThrottled): Promise<HttpAnswer> {
    const { name } = this.#service.parts;
    const restMs = this.#service.restMs();
    if (restMs > 0) throw new GroupsProblem(`${name} asked to be left alone for another ${restMs} ms`);
    const answer = await this.#once(url, ask);
    if (!saysLater(answer)) return answer;
    const asked = retryAfterMs(answer, this.#service.parts.now());
    // Without a wish: half a second to a second, so that those who were refused together do not come back together.
    const waitMs = asked ?? 500 + Math.random() * 500;
    if (this.#repeated || waitMs >= this.#leftMs()) {
      this.#service.leaveAlone(asked ?? 0);
      throw new GroupsProblem(
        `${name} is throttling or unavailable (${answer.status}${asked === undefined ? '' : `, retry after ${asked} ms`})`,
      );
    }
    this.#repeated = true;
    await (this.#service.parts.sleep ?? rest)(waitMs);
    return this.ask(url, ask, saysLater);
  }

  /** Throws GroupsProblem when the time is over. */
  assertInTime(): void {
    const { name, timeoutMs } = this.#service.parts;
    if (this.#leftMs() < 1) throw new GroupsProblem(`${name} did not answer within ${timeoutMs} ms`);
  }

  async #once(url: string, ask: Ask): Promise<HttpAnswer> {
    const { http, name } = this.#service.parts;
    this.assertInTime();
    try {
      return await http(url, { ...ask, timeoutMs: Math.ceil(this.#leftMs()), maxBytes });
    } catch (error) {
      throw new GroupsProblem(`${name}: ${error instanceof HttpProblem ? error.message : 'asking it failed'}`, {
        cause: error,
      });
    }
  }

  #leftMs(): number {
    return this.#endsAt - performance.now();
  }
}

const rest = (ms: number): Promise<unknown> => after(ms, undefined, { ref: false });

/** RFC 9110 §10.2.3: seconds or a date. */
function retryAfterMs(answer: HttpAnswer, nowMs: number): number | undefined {
  const value = answer.header('retry-after');
  if (value === undefined) return undefined;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** The JSON object in an answer; undefined when it is none. */
export function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An error code that a service sent, if it looks like one: nothing else of its answer goes on the record. */
export function codeIn(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(value) ? value : 'no error code';
}
