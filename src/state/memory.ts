import {
  checkExpiry,
  checkKey,
  checkLimit,
  checkPrefix,
  checkValue,
  type StateStore,
  StateUnavailable,
  type StoredDocument,
} from './store.ts';

/** Control state in memory, for tests and trials: gone with the process, shared with nobody. */
export function createMemoryState(options: { readonly now: () => number }): StateStore {
  const documents = new Map<string, StoredDocument>();
  let lastVersion = 0;
  let closed = false;

  const isLive = ({ expiresAtMs }: StoredDocument) => expiresAtMs === undefined || expiresAtMs > options.now();
  const live = (key: string) => {
    if (closed) throw new StateUnavailable('the state store is closed');
    checkKey(key);
    const document = documents.get(key);
    return document !== undefined && isLive(document) ? document : undefined;
  };
  const put = (key: string, value: string, expiresAtMs: number | undefined) => {
    lastVersion += 1;
    documents.set(key, Object.freeze({ key, value, version: lastVersion, expiresAtMs }));
    return lastVersion;
  };

  return {
    async get(key) {
      return live(key);
    },
    async putIfAbsent(key, value, expiry = {}) {
      checkValue(value);
      checkExpiry(expiry);
      if (live(key) !== undefined) return false;
      put(key, value, expiry.expiresAtMs);
      return true;
    },
    async replace(key, version, value, expiry = {}) {
      checkValue(value);
      checkExpiry(expiry);
      const current = live(key);
      if (current?.version !== version) return { ok: false, current };
      return { ok: true, version: put(key, value, expiry.expiresAtMs) };
    },
    async remove(key, version) {
      return live(key)?.version === version && documents.delete(key);
    },
    async list(prefix, { after = '', limit }) {
      checkPrefix(prefix);
      checkPrefix(after);
      checkLimit(limit);
      if (closed) throw new StateUnavailable('the state store is closed');
      return [...documents.values()]
        .filter((document) => document.key.startsWith(prefix) && document.key > after && isLive(document))
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit);
    },
    async deleteExpired(limit) {
      checkLimit(limit);
      if (closed) throw new StateUnavailable('the state store is closed');
      const expired = [...documents.values()].filter((document) => !isLive(document)).slice(0, limit);
      for (const { key } of expired) documents.delete(key);
      return expired.length;
    },
    health() {
      return closed
        ? { ready: false, reason: 'the state store is closed' }
        : { ready: true, detail: 'in memory: gone with the process' };
    },
    async close() {
      closed = true;
    },
  };
}
