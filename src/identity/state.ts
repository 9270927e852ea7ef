/**
 * What identity/ needs of the control state (src/state/store.ts fits): replay lists, revocations, published keys, logins
 * under way. All methods reject when the state cannot be reached, and then what depends on it is refused.
 */
export interface IdentityState {
  get(key: string): Promise<{ readonly value: string; readonly version: number } | undefined>;
  /** Exactly one of many at once, in any replica, gets `true`. */
  putIfAbsent(key: string, value: string, expiry?: { readonly expiresAtMs?: number | undefined }): Promise<boolean>;
  remove(key: string, version: number): Promise<boolean>;
  list(
    prefix: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<readonly { readonly key: string; readonly value: string }[]>;
}
