import { hash } from 'node:crypto';
import { isSafeUrl } from '../config/values.ts';
import type { ProviderConfig } from '../config.ts';
import { overageProblem, readClaimGroups } from './claims.ts';
import { type Lookup, objectIn } from './lookup.ts';
import { GroupsProblem } from './problem.ts';
import { type Claims, type GroupsParts, type GroupsSource, withBearer } from './source.ts';

const userinfo = 'the userinfo endpoint';

/**
 * Groups by the provider's userinfo endpoint (OpenID Connect Core §5.3), with the caller's own token. An answer holds for
 * that token alone: what it tells depends on the token's scopes.
 */
export function userinfoSource(provider: ProviderConfig, parts: GroupsParts): GroupsSource {
  return {
    questionFor({ claims, subject, token }) {
      if (token === undefined) return `${userinfo} cannot be asked: Envoy verified the token and did not pass it on`;
      const { sub } = claims;
      if (typeof sub !== 'string') return `${userinfo} cannot be asked: the token has no sub to compare`;
      return {
        key: `${hash('sha256', token, 'base64url')} ${subject}`,
        async ask(lookup) {
          const info = await askUserinfo(lookup, await endpointOf(parts), token);
          // §5.3.2: otherwise another's answer could be put in place of the caller's.
          if (info['sub'] !== sub) throw new GroupsProblem(`${userinfo} speaks of another sub than the token`);
          const found = readClaimGroups(info, provider.groups.claims);
          const problem = found.problem ?? (found.overage ? overageProblem : undefined);
          if (problem !== undefined) throw new GroupsProblem(`in the answer of ${userinfo}: ${problem}`);
          return found.groups;
        },
      };
    },
  };
}

async function endpointOf({ userinfoEndpoint }: GroupsParts): Promise<string> {
  const endpoint = await userinfoEndpoint?.().catch((cause: unknown) => {
    throw new GroupsProblem(`${userinfo} cannot be found by discovery`, { cause });
  });
  if (endpoint === undefined) throw new GroupsProblem(`${userinfo} is not known`);
  if (!isSafeUrl(endpoint)) throw new GroupsProblem(`${userinfo} that discovery names is not an https URL`);
  return endpoint;
}

async function askUserinfo(lookup: Lookup, endpoint: string, token: string): Promise<Claims> {
  const answer = await lookup.ask(endpoint, withBearer(token));
  if (answer.status === 401 || answer.status === 403)
    throw new GroupsProblem(`${userinfo} does not take the caller's token (${answer.status})`);
  if (answer.status !== 200) throw new GroupsProblem(`${userinfo} answered ${answer.status}`);
  const type = answer.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  // §5.3.4: what the client is registered for. A resource server has no keys of that client.
  if (type === 'application/jwt')
    throw new GroupsProblem(`${userinfo} answered with a JWT; the client must be registered for plain JSON`);
  const info = type === 'application/json' ? objectIn(answer.text) : undefined;
  if (info === undefined) throw new GroupsProblem(`${userinfo} did not answer with a JSON object`);
  return info;
}
