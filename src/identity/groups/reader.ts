import type { ProviderConfig } from '../config.ts';
import { type Asked, AskedGroups } from './asked.ts';
import { overageProblem, readClaimGroups, serviceAccountGroups } from './claims.ts';
import { entraSource } from './entra.ts';
import { googleSource } from './google.ts';
import type { Groups, GroupsReader } from './groups.ts';
import { Service } from './lookup.ts';
import { mapGroups } from './mapping.ts';
import type { GroupsParts, GroupsSource } from './source.ts';
import { userinfoSource } from './userinfo.ts';

/** The token itself says them. */
const forever = Number.POSITIVE_INFINITY;
/** Groups that one caller may have: they are in every event of the record. */
const maxGroups = 5000;
const tooMany = `there are more than ${maxGroups} groups: \`onlyRenamed\` keeps those that rules name`;

const sources: Readonly<
  Record<
    Exclude<ProviderConfig['groups']['source'], 'claim'>,
    { readonly name: string; readonly make: (provider: ProviderConfig, parts: GroupsParts) => GroupsSource }
  >
> = {
  entra: { name: 'Microsoft Graph', make: entraSource },
  google: { name: 'Google', make: googleSource },
  userinfo: { name: 'the userinfo endpoint', make: userinfoSource },
};

/** @returns the reader that a provider's `groups:` section describes. */
export function createGroupsReader(provider: ProviderConfig, parts: GroupsParts): GroupsReader {
  const config = provider.groups;
  const elsewhere = config.source === 'claim' ? undefined : askElsewhere(provider, parts, sources[config.source]);

  return {
    read(claims, subject, token) {
      const found = readClaimGroups(claims, config.claims);
      const derived = config.serviceAccountGroups ? serviceAccountGroups(claims) : [];
      const told = mapGroups([...found.groups, ...derived], config);
      const without = (detail: string, goodUntilMs: number): Groups =>
        config.required
          ? { ok: false, detail }
          : { ok: true, groups: told.slice(0, maxGroups), goodUntilMs, incomplete: detail };
      const withMore = (asked: Asked): Groups => {
        if (!asked.ok) return without(asked.detail, asked.untilMs);
        const groups = joined(told, asked.groups);
        return groups.length > maxGroups
          ? without(tooMany, asked.untilMs)
          : { ok: true, groups, goodUntilMs: asked.untilMs };
      };

      if (found.problem !== undefined) return without(found.problem, forever);
      if (found.overage && config.source !== 'entra') return without(overageProblem, forever);
      const question = elsewhere?.source.questionFor({ claims, subject, token, overage: found.overage });
      if (typeof question === 'string') return without(question, forever);
      if (elsewhere !== undefined && question !== undefined) {
        const asked = elsewhere.asked.read(question);
        return asked instanceof Promise ? asked.then(withMore) : withMore(asked);
      }
      return { ok: true, groups: told, goodUntilMs: forever };
    },
  };
}

function askElsewhere(
  provider: ProviderConfig,
  parts: GroupsParts,
  { make, name }: (typeof sources)[keyof typeof sources],
): { readonly source: GroupsSource; readonly asked: AskedGroups } {
  const { cacheEntries, cacheSeconds, timeoutMs } = provider.groups;
  const { http, now, sleep } = parts;
  return {
    source: make(provider, parts),
    asked: new AskedGroups({
      service: new Service({ name, http, now, timeoutMs, sleep }),
      cacheEntries,
      cacheSeconds,
      map: (groups) => mapGroups(groups, provider.groups),
    }),
  };
}

function joined(told: readonly string[], asked: readonly string[]): readonly string[] {
  return told.length === 0 ? asked : Object.freeze([...new Set([...told, ...asked])]);
}
