import type { PolicySet } from './decision.ts';
import type { LoadedPolicies } from './load.ts';

/** The policies in force, and the way to renew them. */
export interface PolicySource {
  /** The set in force. Take it once a request. */
  readonly current: PolicySet;
  /** Loads again; a bad set leaves the old one in force. One load at a time: a call meanwhile waits for it and loads anew. */
  reload(): Promise<LoadedPolicies>;
}

export type OpenedSource =
  | { readonly ok: true; readonly source: PolicySource }
  | (LoadedPolicies & { readonly ok: false });

/** Loads for the first time; there is no source without a good set. `load` is loadPolicies with its options. */
export async function openPolicySource(load: () => Promise<LoadedPolicies>): Promise<OpenedSource> {
  const first = await load();
  if (!first.ok) return first;
  let current = first.set;
  let last: Promise<unknown> = Promise.resolve();
  return {
    ok: true,
    source: {
      get current() {
        return current;
      },
      reload() {
        const next = last.then(load).then((loaded) => {
          if (loaded.ok) current = loaded.set;
          return loaded;
        });
        last = next.catch(() => undefined);
        return next;
      },
    },
  };
}
