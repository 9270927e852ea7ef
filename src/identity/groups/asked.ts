import { RecentlyUsed } from '../cache.ts';
import type { Lookup, Service } from './lookup.ts';
import { GroupsProblem } from './problem.ts';
import { Turns } from './turns.ts';

/** What is to be asked for one caller. Two questions with one key have one answer. */
export interface Question {
  readonly key: string;
  /** Groups as the service writes them. Rejects with GroupsProblem. */
  ask(lookup: Lookup): Promise<readonly string[]>;
}

export type Asked =
  | { readonly ok: true; readonly groups: readonly string[]; readonly fromMs: number; readonly untilMs: number }
  | { readonly ok: false; readonly detail: string; readonly fromMs: number; readonly untilMs: number };

/** Milliseconds that a failure is answered again without asking: an outage must not become a flood. */
export const keepFailureMs = 3000;
/** Requests to one service at once, and lookups that wait for their turn: at 100 ms each that is 160 a second. */
const atOnce = 16;
const maxWaiting = 256;
/** Group names kept once for all callers, who mostly share them. */
const maxShared = 50_000;

export interface AskedOptions {
  readonly service: Service;
  readonly cacheEntries: number;
  readonly cacheSeconds: number;
  /** From groups as the service writes them to those that are kept. */
  readonly map: (groups: readonly string[]) => readonly string[];
}

/**
 * Answers of a service, kept for their time and never longer: a caller who lost a group keeps it for `cacheSeconds` at most,
 * also while the service is down. One question a key at once.
 */
export class AskedGroups {
  readonly #options: AskedOptions;
  readonly #answers: RecentlyUsed<Asked>;
  readonly #running = new Map<string, Promise<Asked>>();
  readonly #turns = new Turns(atOnce, maxWaiting);
  readonly #shared = new Map<string, string>();

  constructor(options: AskedOptions) {
    this.#options = options;
    this.#answers = new RecentlyUsed(options.cacheEntries);
  }

  /** Never rejects. */
  read(question: Question): Asked | Promise<Asked> {
    const known = this.#answers.get(question.key);
    const nowMs = this.#options.service.parts.now();
    // Before its time: the clock was set back, and nobody knows how old the answer is.
    if (known !== undefined && nowMs >= known.fromMs && nowMs < known.untilMs) return known;
    const running = this.#running.get(question.key);
    if (running !== undefined) return running;
    const answer = this.#ask(question).finally(() => this.#running.delete(question.key));
    this.#running.set(question.key, answer);
    return answer;
  }

  async #ask(question: Question): Promise<Asked> {
    const { service, cacheSeconds, map } = this.#options;
    const fromMs = service.parts.now();
    try {
      const lookup = service.begin();
      const groups = await inTime(
        this.#turns.run(() => {
          // Whoever waited too long for the turn is gone.
          lookup.assertInTime();
          return question.ask(lookup);
        }),
        service,
      );
      const answer = {
        ok: true,
        groups: this.#share(map(groups)),
        fromMs,
        untilMs: fromMs + cacheSeconds * 1000,
      } as const;
      this.#answers.set(question.key, answer);
      return answer;
    } catch (error) {
      const problem = error instanceof GroupsProblem ? error : undefined;
      const nowMs = service.parts.now();
      const answer = {
        ok: false,
        detail: problem?.message ?? `${service.parts.name} cannot be asked`,
        fromMs: nowMs,
        untilMs: nowMs + keepFailureMs,
      } as const;
      if (problem?.mayBeKept !== false) this.#answers.set(question.key, answer);
      return answer;
    }
  }

  #share(groups: readonly string[]): readonly string[] {
    if (this.#shared.size > maxShared) this.#shared.clear();
    return Object.freeze(
      groups.map((group) => {
        const same = this.#shared.get(group);
        if (same === undefined) this.#shared.set(group, group);
        return same ?? group;
      }),
    );
  }
}

/** Whatever is waited for (a turn, another's access token, a pause): the caller does not wait longer than `timeoutMs`. */
function inTime<T>(work: Promise<T>, { parts }: Service): Promise<T> {
  const { promise, reject, resolve } = Promise.withResolvers<T>();
  const timer = setTimeout(
    () => reject(new GroupsProblem(`${parts.name} did not answer within ${parts.timeoutMs} ms`)),
    parts.timeoutMs,
  );
  work.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}
