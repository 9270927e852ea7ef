/** Replicas of a gateway as far as issuing goes: keys in folders of their own, one control state for all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Caller, Identification } from '../../../../src/identity/caller.ts';
import type { TokenIssuer } from '../../../../src/identity/issued/issued.ts';
import { type IssuedKeys, openIssuedKeys } from '../../../../src/identity/issued/keys.ts';
import { createTokenIssuer } from '../../../../src/identity/issued/tokens.ts';
import { openToken } from '../../../../src/identity/token.ts';
import { openSqliteState } from '../../../../src/state/sqlite.ts';
import { type StateStore, StateUnavailable } from '../../../../src/state/store.ts';

export const epoch = Date.UTC(2026, 0, 15, 12, 0, 0);
export const issuerUrl = 'https://gate.example';
export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-issued-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A clock that a test moves. */
export class Clock {
  ms = epoch;
  readonly now = () => this.ms;
}

/** The state of one replica: its own connection to the file, which can be cut. */
export class State implements StateStore {
  readonly #store: StateStore;
  isLost = false;
  /** `<method> <key or prefix>` of all that was asked. */
  readonly asked: string[] = [];

  constructor(file: string, clock: Clock) {
    this.#store = openSqliteState({ file, busyTimeoutMs: 1000, now: clock.now });
    onTestFinished(() => this.#store.close());
  }
  async #reach(what: string): Promise<StateStore> {
    this.asked.push(what);
    if (this.isLost) throw new StateUnavailable('it is cut');
    return this.#store;
  }
  readonly get: StateStore['get'] = async (key) => (await this.#reach(`get ${key}`)).get(key);
  readonly putIfAbsent: StateStore['putIfAbsent'] = async (key, value, expiry) =>
    (await this.#reach(`put ${key}`)).putIfAbsent(key, value, expiry);
  readonly replace: StateStore['replace'] = async (key, version, value, expiry) =>
    (await this.#reach(`replace ${key}`)).replace(key, version, value, expiry);
  readonly remove: StateStore['remove'] = async (key, version) =>
    (await this.#reach(`remove ${key}`)).remove(key, version);
  readonly list: StateStore['list'] = async (prefix, page) => (await this.#reach(`list ${prefix}`)).list(prefix, page);
  readonly deleteExpired: StateStore['deleteExpired'] = async (limit) =>
    (await this.#reach('deleteExpired')).deleteExpired(limit);
  readonly close = () => this.#store.close();
}

export interface Replica {
  readonly state: State;
  readonly keys: IssuedKeys;
  readonly issuer: TokenIssuer;
  readonly keyFile: string;
  verify(token: string): Promise<Identification>;
}

export interface ReplicaOptions {
  readonly dir: string;
  readonly stateFile: string;
  readonly clock: Clock;
  readonly lifetimeMs?: number;
  readonly knows?: (provider: string, issuer: string) => boolean;
  readonly teamOf?: (caller: Pick<Caller, 'groups'>) => string | undefined;
}

export async function replica(options: ReplicaOptions): Promise<Replica> {
  const { dir, clock } = options;
  const state = new State(options.stateFile, clock);
  const keyFile = join(dir, 'issued-keys.json');
  const keys = await openIssuedKeys({ file: keyFile, state, now: clock.now, rotationMs: 30 * day });
  await keys.maintain();
  await keys.refresh();
  const issuer = createTokenIssuer({
    keys,
    state,
    now: clock.now,
    issuer: issuerUrl,
    audience: issuerUrl,
    lifetimeMs: options.lifetimeMs ?? 15 * minute,
    teamOf: options.teamOf ?? (({ groups }) => (groups.includes('ml-eng') ? 'ml-platform' : undefined)),
    knows: options.knows ?? (() => true),
  });
  return { state, keys, issuer, keyFile, verify: (token) => verify(issuer, token) };
}

export async function oneReplica(more: Partial<ReplicaOptions> = {}): Promise<Replica & { readonly clock: Clock }> {
  const dir = folder();
  const clock = more.clock ?? new Clock();
  return { ...(await replica({ dir, stateFile: join(dir, 'control.db'), clock, ...more })), clock };
}

export async function verify(issuer: TokenIssuer, token: string): Promise<Identification> {
  const opened = openToken(token);
  return opened.ok ? issuer.verify(token, opened) : opened;
}

export function jane(changes: Partial<Caller> = {}): Caller {
  return {
    provider: 'corp',
    issuer: 'https://idp.example',
    subject: 'jane',
    kind: 'person',
    email: 'jane@example.com',
    groups: ['ml-eng', 'pii-cleared'],
    team: 'ml-platform',
    claims: { sub: 'jane', department: { name: 'research', floors: [1, 2.5] } },
    proof: 'token',
    tokenId: 'upstream-1',
    issuedAtMs: epoch - 5 * minute,
    expiresAtMs: epoch + 8 * hour,
    ...changes,
  };
}
