import type { ProviderConfig } from '../config.ts';
import type { Http } from '../http.ts';
import { readClaimGroups } from './claims.ts';
import type { Groups, GroupsReader } from './groups.ts';
import { mapGroups } from './mapping.ts';

export interface GroupsParts {
  /** Asks the configured APIs: their hosts (hostsOfGroups) must be among its trusted ones. */
  readonly http: Http;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Reads a secret of the config; rejects when it cannot. Asked again for each access token, so that a secret can be changed. */
  readonly readSecret: (secret: {
    readonly file?: string | undefined;
    readonly env?: string | undefined;
  }) => Promise<string>;
  /** `userinfo_endpoint` of the provider's discovery document; rejects when there is none. For source `userinfo`. */
  readonly userinfoEndpoint?: () => Promise<string>;
}

/** @returns the reader that a provider's `groups:` section describes. */
export function createGroupsReader(provider: ProviderConfig, _parts: GroupsParts): GroupsReader {
  const config = provider.groups;
  return {
    read(claims): Groups {
      const { groups, problem } = readClaimGroups(claims, config.claims);
      if (problem !== undefined && config.required) return { ok: false, detail: problem };
      const known = { ok: true, groups: mapGroups(groups, config), goodUntilMs: Number.POSITIVE_INFINITY } as const;
      return problem === undefined ? known : { ...known, incomplete: problem };
    },
  };
}
