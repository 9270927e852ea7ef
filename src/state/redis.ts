import { RedisConnection, type RedisConnectionOptions } from './redis-connection.ts';
import { RedisUnfit } from './redis-errors.ts';
import { redisKeys } from './redis-scripts.ts';
import {
  checkExpiry,
  checkKey,
  checkLimit,
  checkPrefix,
  checkValue,
  type Expiry,
  type StateStore,
  StateUnavailable,
  type StoredDocument,
} from './store.ts';

export interface RedisStateOptions extends Omit<RedisConnectionOptions, 'prepare' | 'checkIntervalMs'> {
  /** What all keys begin with; stores of different prefixes do not see each other. Without braces. */
  readonly prefix: string;
  /** Epoch milliseconds. Expiry goes by this clock, not by the server's: keep the clocks of replicas in step. */
  readonly now: () => number;
  /** How long a server that cannot be reached is tried before this rejects. Default 10000. */
  readonly patienceMs?: number;
  /** How often the connection and the server's role and eviction policy are checked. Default 5000. */
  readonly checkIntervalMs?: number;
}

const schemaVersion = '1';
/** What one script looks at, frees, or answers at most, so that the server is never held for long. */
const keysAtOnce = 1000;
const bytesAtOnce = 4 * 1024 * 1024;

/**
 * Control state in Redis or Valkey, for replicas that must agree. Every write is one script, so atomic. Redis answers when
 * a write is in its memory: it survives a crash of the server by `appendfsync always` only, and a failover if the new
 * primary had it (docs/operations.md). Rejects with StateUnavailable when the server cannot be reached within
 * `patienceMs`, refuses us, is a replica, evicts keys, or holds state of a newer layout.
 */
export async function openRedisState(options: RedisStateOptions): Promise<StateStore> {
  const { now, patienceMs = 10_000, checkIntervalMs = 5000 } = options;
  const keys = redisKeys(options.prefix);
  const connection = new RedisConnection({
    ...options,
    checkIntervalMs,
    prepare: async (client) => {
      const version = await client.claim(keys, schemaVersion);
      if (version !== schemaVersion)
        throw new RedisUnfit(`the state there has layout ${version}; this program knows ${schemaVersion}`);
    },
  });
  await connection.open(patienceMs);
  const nowText = () => String(now());
  const readPage = (min: string, prefix: string, wanted: number) => {
    const scanned = String(Math.min(keysAtOnce, wanted + 100));
    // '\x7f' is above every character of a key.
    const max = `(${prefix}\x7f`;
    return connection.run(0, (client) =>
      client.list(keys, min, max, scanned, String(wanted), String(bytesAtOnce), nowText()),
    );
  };

  return {
    async get(key) {
      checkKey(key);
      const text = await connection.run(0, (client) => client.hGet(keys[0], key));
      if (text === null) return undefined;
      const document = toDocument(key, text);
      return document.expiresAtMs === undefined || document.expiresAtMs > now() ? document : undefined;
    },
    async putIfAbsent(key, value, expiry = {}) {
      check(key, value, expiry);
      return connection.run(value.length, (client) =>
        client.putIfAbsent(keys, key, value, expiryText(expiry), nowText()),
      );
    },
    async replace(key, version, value, expiry = {}) {
      check(key, value, expiry);
      const { next, current } = await connection.run(value.length, (client) =>
        client.replace(keys, key, String(version), value, expiryText(expiry), nowText()),
      );
      if (next !== undefined) return { ok: true, version: toVersion(next) };
      return { ok: false, current: current === undefined ? undefined : toDocument(key, current) };
    },
    async remove(key, version) {
      checkKey(key);
      return connection.run(0, (client) => client.remove(keys, key, String(version), nowText()));
    },
    async list(prefix, { after = '', limit }) {
      checkPrefix(prefix);
      checkPrefix(after);
      checkLimit(limit);
      const documents: StoredDocument[] = [];
      let min = after >= prefix ? `(${after}` : `[${prefix}`;
      while (documents.length < limit) {
        const wanted = limit - documents.length;
        const page = await readPage(min, prefix, wanted);
        documents.push(...page.documents.map(([key, text]) => toDocument(key, text)));
        if (page.last === undefined) break;
        min = `(${page.last}`;
      }
      return documents;
    },
    async deleteExpired(limit) {
      checkLimit(limit);
      let deleted = 0;
      for (let some = keysAtOnce; some === keysAtOnce && deleted < limit; deleted += some) {
        const batch = String(Math.min(keysAtOnce, limit - deleted));
        some = await connection.run(0, (client) => client.deleteExpired(keys, batch, nowText()));
      }
      return deleted;
    },
    health: () => connection.health(),
    close: () => connection.close(),
  };
}

function check(key: string, value: string, expiry: Expiry): void {
  checkKey(key);
  checkValue(value);
  checkExpiry(expiry);
}

const expiryText = ({ expiresAtMs }: Expiry): string => (expiresAtMs === undefined ? '-' : String(expiresAtMs));

/** `<version> <epoch ms or -> <value>`, as the scripts write it. */
function toDocument(key: string, text: string): StoredDocument {
  const head = /^(\d+) (-|-?\d+) /.exec(text);
  if (head === null) throw new StateUnavailable('Redis: the state there is damaged');
  const [all, version = '', expires] = head;
  return Object.freeze({
    key,
    value: text.slice(all.length),
    version: toVersion(version),
    expiresAtMs: expires === '-' ? undefined : Number(expires),
  });
}

function toVersion(text: string): number {
  const version = Number(text);
  if (!Number.isSafeInteger(version)) throw new StateUnavailable('Redis: the state there is damaged');
  return version;
}
