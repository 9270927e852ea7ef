/**
 * What has been taken back, as two lists in the control state that only grow: `revoked/token/<n>` and
 * `revoked/subject/<n>`. A writer reads to the end of a list and puts the next number, so that no entry ever comes before
 * one that somebody has read, whatever the clocks say, and a reader asks for nothing but what is new, and a piece at a time
 * for all of it again. The entries of one list live equally long, and therefore go in order, too; a list that is empty
 * begins at the time, in milliseconds, which is above every number that it had. What counts against the capacity is what the
 * list has: it is forgotten here when it goes there.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Caller } from '../caller.ts';
import type { IdentityState } from '../state.ts';
import { GrowingList } from './growing-list.ts';
import type { Revocations } from './issued.ts';
import { maxTokenMs } from './keys.ts';
import { RevokedTokens } from './revoked-tokens.ts';

export interface RevocationOptions {
  readonly state: IdentityState;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. Default `performance.now`. */
  readonly monotonic?: () => number;
  /** How old the last good reading may be. */
  readonly maxAgeMs: number;
  /** How far ahead of our clock a provider may date what is taken: the largest leeway of all. */
  readonly aheadMs: number;
  /**
   * Tokens, and subjects, that are remembered; over it nothing is known any more (`unknown`). Default 200000. Holders may fill
   * half of that, one subject a hundredth; the rest is the operator's, and other replicas', which write at the same time.
   */
  readonly capacity?: number;
}

export interface RevocationList extends Revocations {
  /** Reads what is new; to be called once a second. Rejects as the state does. */
  refresh(): Promise<void>;
  /** Why `check` would say `unknown`; undefined: it would not. */
  problem(): string | undefined;
}

/** Longer than any token of ours lives, by what clocks of replicas may differ. */
const tokenKeptMs = maxTokenMs + 600_000;
/**
 * Subjects are kept for 400 days, as long as the record: a provider's token that is older than that, and still good, would
 * be taken again.
 */
const subjectKeptMs = 400 * 86_400_000;
/** Everything is read again so often: a list that began anew while somebody wrote to it at the same time. */
const rereadAllMs = 60_000;
/** The wall clock was set when it and the monotonic one differ by more since the last reading. */
const stepMs = 60_000;
const defaultCapacity = 200_000;

const tokenEntry = z.object({ token: z.string().length(43), keptUntilMs: z.int(), by: z.string().optional() });
const subjectEntry = z.object({ subject: z.string().length(43), atMs: z.int() });

/** More is revoked than this process can remember, or the list cannot be written to. */
export class RevocationRefused extends Error {
  override readonly name = 'RevocationRefused';
  readonly code = 'revocation_refused';
}

/** Rejects as the state does; what was to be taken back is then refused by this process, if by no other. */
export function createRevocations(options: RevocationOptions): RevocationList {
  const { state, now, maxAgeMs, aheadMs, capacity = defaultCapacity, monotonic = () => performance.now() } = options;
  const tokens = new RevokedTokens(monotonic, tokenKeptMs);
  /** Hash of the subject → everything from before is refused. */
  const subjects = new Map<string, number>();
  const tokenList = new GrowingList(state, 'revoked/token/', tokenKeptMs, (text) => {
    const { token, keptUntilMs, by } = tokenEntry.parse(JSON.parse(text));
    tokens.listed(token, keptUntilMs - now(), by);
  });
  const subjectList = new GrowingList(state, 'revoked/subject/', subjectKeptMs, (text) => {
    const { subject, atMs } = subjectEntry.parse(JSON.parse(text));
    subjects.set(subject, Math.max(atMs, subjects.get(subject) ?? 0));
  });
  let readAtMs = Number.NEGATIVE_INFINITY;
  let readAtTick = Number.NEGATIVE_INFINITY;
  let readAllAtTick = Number.NEGATIVE_INFINITY;
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
  const admit = (by: string | undefined): void => {
    const isFull =
      by === undefined
        ? tokens.size >= capacity
        : tokens.size >= capacity / 2 || tokens.of(by) >= Math.max(1, capacity / 100);
    if (isFull) throw new RevocationRefused('too many tokens have been taken back');
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
      const [startedAtMs, startedAtTick] = [now(), monotonic()];
      const driftMs = startedAtMs - readAtMs - (startedAtTick - readAtTick);
      // What the old time hid is read before anything is known again. Not a number: the first reading.
      if (!(Math.abs(driftMs) <= stepMs)) {
        readAtMs = Number.NEGATIVE_INFINITY;
        tokenList.restart();
        subjectList.restart();
        readAllAtTick = startedAtTick;
      }
      await tokenList.read();
      await subjectList.read();
      [readAtMs, readAtTick] = [startedAtMs, startedAtTick];
      tokens.forget();
      if (startedAtTick - readAllAtTick < rereadAllMs) return;
      const isAll = (await tokenList.readAgain()) && (await subjectList.readAgain());
      if (isAll) readAllAtTick = startedAtTick;
    },
    async revokeToken(tokenId, expiresAtMs, holder) {
      const nowMs = now();
      const token = digest(tokenId);
      if (expiresAtMs <= nowMs) return;
      const by = holder === undefined ? undefined : subjectDigest(holder.provider, holder.subject);
      const text = JSON.stringify({ token, keptUntilMs: nowMs + tokenKeptMs, by });
      await tokens.revoke(token, by, admit, () => tokenList.append(text, nowMs));
    },
    async revokeSubject(provider, subject) {
      const nowMs = now();
      if (subjects.size >= capacity) throw new RevocationRefused('too many subjects have been taken back');
      const digested = subjectDigest(provider, subject);
      const atMs = nowMs + aheadMs;
      subjects.set(digested, Math.max(atMs, subjects.get(digested) ?? 0));
      await subjectList.append(JSON.stringify({ subject: digested, atMs }), nowMs);
    },
  };
}

const digest = (text: string): string => hash('sha256', text, 'base64url');
/** Names of providers have no line break. */
const subjectDigest = (provider: string, subject: string): string => digest(`${provider}\n${subject}`);
