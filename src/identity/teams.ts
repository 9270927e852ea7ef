import type { Caller } from './caller.ts';
import type { TeamConfig } from './config.ts';

/** The first team that names the caller or one of the groups; undefined: none does. */
export function teamOf(
  teams: readonly TeamConfig[],
  caller: Pick<Caller, 'provider' | 'subject' | 'groups'>,
): string | undefined {
  // A provider's name has no slash, so that no subject can be mistaken for another provider's.
  const named = `${caller.provider}/${caller.subject}`;
  return teams.find(
    (team) => team.subjects.includes(named) || team.groups.some((group) => caller.groups.includes(group)),
  )?.name;
}
