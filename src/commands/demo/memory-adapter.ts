/** Where the demo's provider keeps sign-ins: in memory, bounded, gone when it stops. The contract is oidc-provider's. */

interface Payload {
  readonly uid?: string;
  readonly userCode?: string;
  readonly grantId?: string;
  consumed?: number;
}

interface Stored {
  readonly payload: Payload;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** Over it the oldest are forgotten: a browser on this machine could ask for any number of sign-ins. */
const maxEntries = 10_000;

/** A factory of adapters, one a model, over one store of their own. */
export function createMemoryAdapter(): (model: string) => object {
  const store = new Map<string, Stored>();
  const live = (key: string): Payload | undefined => {
    const stored = store.get(key);
    if (stored === undefined || stored.expiresAtMs > Date.now()) return stored?.payload;
    store.delete(key);
    return undefined;
  };
  const findBy = (model: string, matches: (payload: Payload) => boolean): Payload | undefined => {
    for (const key of store.keys()) {
      const payload = key.startsWith(`${model}:`) ? live(key) : undefined;
      if (payload !== undefined && matches(payload)) return payload;
    }
    return undefined;
  };
  return (model) => ({
    async upsert(id: string, payload: Payload, expiresInSeconds?: number): Promise<void> {
      const key = `${model}:${id}`;
      store.delete(key);
      store.set(key, { payload, expiresAtMs: Date.now() + (expiresInSeconds ?? Number.POSITIVE_INFINITY) * 1000 });
      for (const oldest of store.keys()) {
        if (store.size <= maxEntries) break;
        store.delete(oldest);
      }
    },
    find: async (id: string) => live(`${model}:${id}`),
    findByUid: async (uid: string) => findBy(model, (payload) => payload.uid === uid),
    findByUserCode: async (code: string) => findBy(model, (payload) => payload.userCode === code),
    async consume(id: string): Promise<void> {
      const payload = live(`${model}:${id}`);
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id: string): Promise<void> {
      store.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId: string): Promise<void> {
      for (const [key, { payload }] of store) if (payload.grantId === grantId) store.delete(key);
    },
  });
}
