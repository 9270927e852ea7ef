import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { endsSession, isRefusal, NoAnswer, RedisUnfit, unavailable } from './redis-errors.ts';
import { redisScripts } from './redis-scripts.ts';
import { StateUnavailable } from './store.ts';

export interface RedisSecrets {
  readonly password: string | undefined;
  /** PEM of the authorities that the server's certificate is checked against; undefined: those of Node. */
  readonly ca: string | undefined;
}

export interface RedisConnectionOptions {
  /** `redis://host:port` or `rediss://host:port` (TLS), without credentials. */
  readonly url: string;
  /** ACL user; undefined: `default`. */
  readonly username: string | undefined;
  readonly database: number;
  /** Longest wait for an answer: to a command, to a connection attempt, to its handshake. */
  readonly timeoutMs: number;
  /** Asked for each new connection, so that a changed password or CA is taken up. */
  readonly secrets: () => Promise<RedisSecrets>;
  /** How often an idle connection is tried, and the server's role and eviction policy are looked at. */
  readonly checkIntervalMs: number;
  /** The same on every connection, before anything else uses it; throws RedisUnfit for a server that must not be used. */
  readonly prepare: (client: RedisClient) => Promise<void>;
}

export type RedisClient = ReturnType<typeof newClient>;

/** What may wait for Redis at once, in characters; a command counts 1024 and its value. At the bound: StateUnavailable. */
const maxWaiting = 64 * 1024 * 1024;
const commandCost = 1024;
const firstPauseMs = 50;
const longestPauseMs = 2000;

/** One connection, in use until the first sign of trouble; then it is dropped with all that waits on it, and a new one made. */
interface Session {
  readonly client: RedisClient;
  readonly server: string;
  /** Drops it. Only the first reason counts. */
  readonly drop: (why: Error) => void;
  readonly dropped: Promise<Error>;
}

/**
 * A connection to one Redis primary that is made again whenever it is lost. Nothing queues while there is none: commands
 * are refused at once. A command that has no answer in time takes the connection down, because Redis answers in order:
 * what was sent after it would wait as well. Whether such a command took place is not known.
 */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #closed = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #session: Session | undefined;
  #trouble: Error = new Error('not connected yet');
  #waiting = 0;
  #isClosing = false;
  #keeper: Promise<void> | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
  }

  /**
   * Connects; from then on the connection is kept. A server that cannot be reached is tried again for `patienceMs`. Rejects
   * with StateUnavailable, at once for a server that refuses us or must not be used.
   */
  async open(patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        this.#session = await this.#connect();
        this.#keeper = this.#keep(this.#session);
        return;
      } catch (error) {
        if (isRefusal(error) || performance.now() + pauseMs > until) throw unavailable(error);
        await sleep(pauseMs);
      }
    }
  }

  /** Runs commands on the connection that is there now. Rejects with StateUnavailable only. */
  async run<T>(size: number, work: (client: RedisClient) => Promise<T>): Promise<T> {
    const session = this.#session;
    if (this.#isClosing) throw new StateUnavailable('the state store is closed');
    if (session === undefined) throw unavailable(this.#trouble);
    const cost = commandCost + size;
    if (this.#waiting + cost > maxWaiting) throw new StateUnavailable('too much waits for Redis');
    this.#waiting += cost;
    const running = within(this.#options.timeoutMs, work(session.client));
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      if (endsSession(error)) session.drop(error);
      throw unavailable(error);
    } finally {
      this.#running.delete(running);
      this.#waiting -= cost;
    }
  }

  /** What the server is, while there is a connection; else why there is none. */
  health(): { readonly ready: true; readonly detail: string } | { readonly ready: false; readonly reason: string } {
    if (this.#isClosing) return { ready: false, reason: 'the state store is closed' };
    if (this.#session === undefined) return { ready: false, reason: unavailable(this.#trouble).message };
    return { ready: true, detail: this.#session.server };
  }

  /** Lets what was sent be answered (for `timeoutMs` at most), then closes. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.allSettled(this.#running);
    this.#closed.abort(new Error('closed'));
    await this.#keeper;
  }

  /** Waits until the connection is lost, makes a new one, and so on, until `close`. */
  async #keep(first: Session): Promise<void> {
    let session: Session | undefined = first;
    let pauseMs = firstPauseMs;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      if (session !== undefined) {
        this.#trouble = await session.dropped;
        this.#session = undefined;
        pauseMs = firstPauseMs;
      }
      // Jitter: the replicas that one failure cut off do not all come back at the same moment.
      await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
      session = await this.#connect().catch((error: Error) => {
        this.#trouble = error;
        return undefined;
      });
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      this.#session = session;
    }
  }

  async #connect(): Promise<Session> {
    const { timeoutMs, secrets, prepare } = this.#options;
    const { signal } = this.#closed;
    signal.throwIfAborted();
    const client = newClient(this.#options, await secrets());
    const { promise: dropped, resolve } = Promise.withResolvers<Error>();
    let isDropped = false;
    const drop = (why: Error) => {
      if (isDropped) return;
      isDropped = true;
      if (this.#session?.client === client) this.#session = undefined;
      signal.removeEventListener('abort', close);
      client.destroy();
      resolve(why);
    };
    const close = () => drop(signal.reason);
    signal.addEventListener('abort', close);
    client.on('error', drop);
    client.on('end', () => drop(new Error('the connection has ended')));
    // An attempt that was given up may still come through: the client does not cancel it.
    client.on('connect', () => isDropped && client.destroy());
    const lost = dropped.then((why) => Promise.reject(why));
    lost.catch(() => undefined);
    try {
      await within(2 * timeoutMs, Promise.race([client.connect(), lost]));
      const server = await within(timeoutMs, inspect(client));
      await within(timeoutMs, prepare(client));
      this.#check(client, drop, dropped);
      return { client, server, drop, dropped };
    } catch (error) {
      drop(error instanceof Error ? error : new Error('unknown'));
      throw error;
    }
  }

  /** Looks at the server again and again: a connection that died in silence is found, and so is a changed role or policy. */
  #check(client: RedisClient, drop: (why: Error) => void, dropped: Promise<Error>): void {
    const { timeoutMs, checkIntervalMs } = this.#options;
    let isBusy = false;
    const timer = setInterval(async () => {
      if (isBusy) return;
      isBusy = true;
      await within(timeoutMs, inspect(client)).catch(drop);
      isBusy = false;
    }, checkIntervalMs);
    timer.unref();
    void dropped.then(() => clearInterval(timer));
  }
}

function newClient({ url, username, database, timeoutMs }: RedisConnectionOptions, { password, ca }: RedisSecrets) {
  const { protocol, hostname, port } = new URL(url);
  const address = { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 6379) };
  // We make each connection ourselves, so that each server is inspected before it is used.
  const socket = { ...address, connectTimeout: timeoutMs, reconnectStrategy: false } as const;
  const tls = {
    tls: true,
    minVersion: 'TLSv1.2',
    // RFC 6066, section 3: a server name is never an address.
    ...(isIP(address.host) === 0 && { servername: address.host }),
    ...(ca !== undefined && { ca }),
  } as const;
  return createClient({
    RESP: 2,
    socket: protocol === 'rediss:' ? { ...socket, ...tls } : socket,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database,
    disableOfflineQueue: true,
    // Its own timeout ends with the writing; ours does not.
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    maintNotifications: 'disabled',
    scripts: redisScripts,
  });
}

/**
 * Says what the server is. Throws RedisUnfit for a replica (it lags behind, and putting there is no putting at all) and for
 * one that evicts keys when it is full: that would empty a replay list, and let everything in it pass once more.
 */
async function inspect(client: RedisClient): Promise<string> {
  const lines = (await client.info()).split('\r\n').map((line) => line.split(':', 2));
  const facts = new Map(lines.map(([name = '', value = '']) => [name, value]));
  const role = facts.get('role');
  if (role !== 'master') throw new RedisUnfit(`it is not a primary (its role is ${role ?? 'unknown'})`);
  const policy = facts.get('maxmemory_policy');
  if (policy !== 'noeviction')
    throw new RedisUnfit(`its maxmemory-policy is ${policy ?? 'unknown'}; it must be noeviction`);
  const valkey = facts.get('valkey_version');
  const version = valkey === undefined ? `Redis ${facts.get('redis_version')}` : `Valkey ${valkey}`;
  return `${version}, append-only file ${facts.get('aof_enabled') === '1' ? 'on' : 'off: a restart of it may lose state'}`;
}

/**
 * The outcome of `work`, or NoAnswer after `ms`. When the timer itself is late, our own event loop was busy and an answer
 * may be there unread: then it is read first, and the wait goes on for half of `ms`, once.
 */
function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const giveUp = () => reject(new NoAnswer(`no answer within ${ms} ms`));
    let timer = setTimeout(() => {
      const lateMs = performance.now() - begun - ms;
      if (lateMs < ms / 10) giveUp();
      else timer = setTimeout(giveUp, ms / 2);
    }, ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
