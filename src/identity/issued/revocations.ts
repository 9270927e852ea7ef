/**
 * What has been taken back, as two lists in the control state that only grow: `revoked/token/<n>` and
 * `revoked/subject/<n>`. A writer reads to the end of a list and puts the next number, so that no entry ever comes before
 * one that somebody has read, whatever the clocks say, and a reader asks for nothing but what is new. The entries of one
 * list live equally long, and therefore go in order, too; a list that is empty begins at the time, in milliseconds, which
 * is above every number that it had.
 */
import { hash } from 'node:crypto';
import { setImmediate as tick } from 'node:timers/promises';
import { z } from 'zod';
import type { Caller } from '../caller.ts';
import type { IdentityState } from '../state.ts';
import type { Revocations } from './issued.ts';
import { maxTokenMs } from './keys.ts';

export interface RevocationOptions {
  readonly state: IdentityState;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** How old the last good reading may be. */
  readonly maxAgeMs: number;
  /** Tokens, and subjects, that are remembered; over it nothing is known any more (`unknown`). Default 200000. */
  readonly capacity?: number;
}

export interface RevocationList extends Revocations {
  /** Reads what is new; to be called once a second. Rejects as the state does. */
  refresh(): Promise<void>;
  /** Why `check` would say `unknown`; undefined: it would not. */
  problem(): string | undefined;
}

/** Longer than any token of ours lives. */
const tokenKeptMs = 2 * maxTokenMs;
/**
 * Subjects are kept for 400 days, as long as the record: a provider's token that is older than that, and still good, would
 * be taken again.
 */
const subjectKeptMs = 400 * 86_400_000;
/** Everything is read again so often: a list that began anew while somebody wrote to it at the same time. */
const rereadAllMs = 60_000;
const pageSize = 1000;
const defaultCapacity = 200_000;

const tokenEntry = z.object({ token: z.string().length(43), expiresAtMs: z.int() });
const subjectEntry = z.object({ subject: z.string().length(43), atMs: z.int() });

/** More is revoked than this process can remember, or the list cannot be written to. */
export class RevocationRefused extends Error {
  override readonly name = 'RevocationRefused';
  readonly code = 'revocation_refused';
}

/** Rejects as the state does; what was to be taken back is then refused by this process, if by no other. */
export function createRevocations(options: RevocationOptions): RevocationList {
  const { state, now, maxAgeMs, capacity = defaultCapacity } = options;
  /** Hash of the token's id → when it has expired. */
  const tokens = new Map<string, number>();
  /** Hash of the subject → everything from before is refused. */
  const subjects = new Map<string, number>();
  const takeToken = (text: string): void => {
    const { token, expiresAtMs } = tokenEntry.parse(JSON.parse(text));
    if (expiresAtMs > now()) tokens.set(token, expiresAtMs);
  };
  const takeSubject = (text: string): void => {
    const { subject, atMs } = subjectEntry.parse(JSON.parse(text));
    subjects.set(subject, Math.max(atMs, subjects.get(subject) ?? 0));
  };
  const tokenList = new GrowingList(state, 'revoked/token/', tokenKeptMs, takeToken);
  const subjectList = new GrowingList(state, 'revoked/subject/', subjectKeptMs, takeSubject);
  let readAtMs = Number.NEGATIVE_INFINITY;
  let readAllAtMs = Number.NEGATIVE_INFINITY;
  const digests = new WeakMap<object, string>();
  const digestOf = (caller: Pick<Caller, 'provider' | 'subject'>): string => {
    const known = digests.get(caller);
    if (known !== undefined) return known;
    const made = subjectDigest(caller.provider, caller.subject);
    digests.set(caller, made);
    return made;
  };

  const problem = (): string | undefined => {
    if (tokens.size > capacity || subjects.size > capacity) return `more than ${capacity} revocations`;
    const ageMs = now() - readAtMs;
    // A negative age is a clock that was set back: as good as too old.
    return ageMs >= 0 && ageMs <= maxAgeMs ? undefined : 'the list of revocations is too old';
  };

  return {
    problem,
    check(caller) {
      if (problem() !== undefined) return 'unknown';
      if (tokens.size > 0 && caller.tokenId !== undefined && tokens.has(digest(caller.tokenId))) return 'revoked';
      if (subjects.size === 0) return undefined;
      const before = subjects.get(digestOf(caller));
      return before !== undefined && caller.issuedAtMs <= before ? 'revoked' : undefined;
    },
    async refresh() {
      const startedAtMs = now();
      const all = !(startedAtMs - readAllAtMs < rereadAllMs && startedAtMs >= readAllAtMs);
      await tokenList.read(all);
      await subjectList.read(all);
      if (all) {
        for (const [token, expiresAtMs] of tokens) if (expiresAtMs <= startedAtMs) tokens.delete(token);
        readAllAtMs = startedAtMs;
      }
      readAtMs = startedAtMs;
    },
    async revokeToken(tokenId, expiresAtMs) {
      const nowMs = now();
      if (expiresAtMs <= nowMs) return;
      // Who holds tokens can fill half of the list; the rest is left for other replicas, which fill it at the same time.
      if (tokens.size >= capacity / 2) throw new RevocationRefused('too many tokens have been taken back');
      const token = digest(tokenId);
      const until = Math.min(expiresAtMs, nowMs + maxTokenMs);
      tokens.set(token, until);
      await tokenList.append(JSON.stringify({ token, expiresAtMs: until }), nowMs);
    },
    async revokeSubject(provider, subject) {
      const nowMs = now();
      if (subjects.size >= capacity) throw new RevocationRefused('too many subjects have been taken back');
      const digested = subjectDigest(provider, subject);
      subjects.set(digested, Math.max(nowMs, subjects.get(digested) ?? 0));
      await subjectList.append(JSON.stringify({ subject: digested, atMs: nowMs }), nowMs);
    },
  };
}

const digest = (text: string): string => hash('sha256', text, 'base64url');
/** Names of providers have no line break. */
const subjectDigest = (provider: string, subject: string): string => digest(`${provider}\n${subject}`);

/** One list of numbered entries in the state. */
class GrowingList {
  readonly #state: IdentityState;
  readonly #prefix: string;
  readonly #keptMs: number;
  readonly #take: (text: string) => void;
  #last = 0;

  constructor(state: IdentityState, prefix: string, keptMs: number, take: (text: string) => void) {
    this.#state = state;
    this.#prefix = prefix;
    this.#keptMs = keptMs;
    this.#take = take;
  }

  /** Takes what comes after the last entry that was read, or everything. */
  async read(all: boolean): Promise<void> {
    let after = all ? '' : this.#keyOf(this.#last);
    for (;;) {
      const page = await this.#state.list(this.#prefix, { after, limit: pageSize });
      for (const { key, value } of page) {
        this.#take(value);
        this.#last = Math.max(this.#last, Number(key.slice(this.#prefix.length)));
        after = key;
      }
      if (page.length < pageSize) return;
      await tick();
    }
  }

  async append(text: string, nowMs: number): Promise<void> {
    for (;;) {
      await this.read(false);
      const number = this.#last === 0 ? nowMs : this.#last + 1;
      const expiry = { expiresAtMs: nowMs + this.#keptMs };
      // Somebody else may have put this number; then it is read, and the next one tried.
      if (await this.#state.putIfAbsent(this.#keyOf(number), text, expiry)) {
        this.#last = Math.max(this.#last, number);
        return;
      }
    }
  }

  #keyOf(number: number): string {
    return `${this.#prefix}${String(number).padStart(16, '0')}`;
  }
}
