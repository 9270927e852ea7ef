/**
 * What the rest of identity/ knows of groups: one reader a provider, made from its config, that reads the claims and asks
 * elsewhere where they do not say all.
 */
export interface GroupsReader {
  /**
   * The caller's groups, renamed as the config says, without repeats. Synchronous where the claims (or the cache) suffice.
   * Never rejects: `ok: false` is for callers who must be refused; where groups are not required that does not happen.
   *
   * @param token The access token, for `userinfo`; undefined where there is none (Envoy verified it).
   */
  read(claims: Readonly<Record<string, unknown>>, subject: string, token: string | undefined): Groups | Promise<Groups>;
}

export type Groups =
  | {
      readonly ok: true;
      readonly groups: readonly string[];
      /** Epoch milliseconds after which they must be read again; Infinity where the token itself says them. */
      readonly goodUntilMs: number;
      /** Why there may be more groups than these (only where groups are not required): for the log and the record. */
      readonly incomplete?: string;
    }
  /** `detail` is for the record: what was asked, and what it answered. */
  | { readonly ok: false; readonly detail: string };
