import { identitySection, type ProviderConfig } from '../../../../src/identity/config.ts';
import type { Groups, GroupsReader } from '../../../../src/identity/groups/groups.ts';
import { createGroupsReader } from '../../../../src/identity/groups/reader.ts';
import type { GroupsParts } from '../../../../src/identity/groups/source.ts';
import { createHttp } from '../../../../src/identity/http.ts';
import { audience, epoch } from '../provider.ts';

export const http = createHttp({ trustedHosts: ['127.0.0.1'] });

/** A clock that tests set. */
export class Clock {
  ms = epoch;
  readonly now = (): number => this.ms;
}

/** What pauses a reader wanted to make; none is made. */
export class Pauses {
  readonly ms: number[] = [];
  readonly sleep = async (ms: number): Promise<void> => {
    this.ms.push(ms);
  };
}

export function providerOf(groups: Record<string, unknown>, more: Record<string, unknown> = {}): ProviderConfig {
  const written = { name: 'corp', issuer: 'https://issuer.test', audience, algorithms: ['RS256'], ...more, groups };
  const [provider] = identitySection.parse({ providers: [written] }).providers;
  if (provider === undefined) throw new Error('no provider');
  return provider;
}

export function readerOf(
  groups: Record<string, unknown>,
  parts: Partial<GroupsParts> = {},
  more: Record<string, unknown> = {},
): GroupsReader {
  return createGroupsReader(providerOf(groups, more), {
    http,
    now: () => epoch,
    readSecret: async () => {
      throw new Error('there is no secret');
    },
    ...parts,
  });
}

export async function groupsOf(answer: Groups | Promise<Groups>): Promise<readonly string[]> {
  const groups = await answer;
  if (!groups.ok) throw new Error(groups.detail);
  return groups.groups;
}

export async function detailOf(answer: Groups | Promise<Groups>): Promise<string> {
  const groups = await answer;
  if (groups.ok) throw new Error(`not refused: ${groups.groups.join()}`);
  return groups.detail;
}
