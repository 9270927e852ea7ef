import type { GroupsConfig } from '../config/groups.ts';

export type GroupNames = Pick<GroupsConfig, 'prefix' | 'rename' | 'onlyRenamed'>;

/**
 * Groups as the provider writes them → as rules know them, without repeats, in order. What `rename` names gets that name;
 * the rest gets the prefix, or is left out (`onlyRenamed`).
 */
export function mapGroups(groups: Iterable<string>, names: GroupNames): readonly string[] {
  const mapped = new Set<string>();
  for (const group of groups) {
    const renamed = Object.hasOwn(names.rename, group) ? names.rename[group] : undefined;
    if (renamed !== undefined) mapped.add(renamed);
    else if (!names.onlyRenamed) mapped.add(names.prefix + group);
  }
  return Object.freeze([...mapped]);
}
